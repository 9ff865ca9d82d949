"""The UDP sockets of this network, as /proc/net/udp has them."""

from pathlib import Path


def drops_of(port):
    """Datagrams that the kernel has dropped at sockets of this port, since they were full. None: there is no socket."""
    drops = None
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        _, local, *_, dropped = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            drops = (drops or 0) + int(dropped)
    return drops


def port_of(address):
    return int(address.rpartition(":")[2])


def is_bound(address):
    """True if a socket is bound to the port of ADDRESS:PORT."""
    return drops_of(port_of(address)) is not None
