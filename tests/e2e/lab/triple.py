"""cidlb on this host between two Ethernets, one with devices and one with servers, as its fast path needs them:

    devices 10.3.0.1 … fd03::1 …      this host                     servers 10.2.0.11 … fd02::11 …
    behind 10.1.0.2 fd01::2     ──┤devs 10.1.0.1 fd01::1
                                   srvs 10.2.0.1 fd02::1├──

A cable (veth) takes redirected frames only where its far end has a program, or GRO switched on once it is up. What
comes out of a socket over a cable has no checksum unless the sender makes it.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

import harness
from udp import open_socket

SERVICE, SERVICE6 = "10.1.0.1", "fd01::1"
LOCAL, LOCAL6 = "10.2.0.1", "fd02::1"
DEVICES = 8  # addresses that devices have
SO_RCVBUFFORCE = 33
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SGRO = 0x8946, 0x17, 0x2C  # ethtool.h


def ethtool(interface, command, value):
    data = ctypes.create_string_buffer(struct.pack("II", command, value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", interface.encode(), ctypes.addressof(data)))


class Host:
    """A network of its own at the end of a cable; this host's end has the name `cable`."""

    def __init__(self, cable):
        self.cable, self.name = cable, f"cidlb-{os.getpid()}-{cable}"

    def ip(self, *arguments):
        harness.ip("-n", self.name, *arguments)

    def make(self, here, there, more=()):
        """`here`, `there`: addresses of the two ends; `more`: further ones of that host."""
        harness.ip("netns", "add", self.name)
        harness.ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth", "netns", self.name)
        harness.ip("link", "set", self.cable, "up")
        for interface in ("lo", "eth"):
            self.ip("link", "set", interface, "up")
        for address in here:
            harness.ip("address", "add", address, "dev", self.cable, *(["nodad"] if ":" in address else []))
        for address in there:
            self.ip("address", "add", address, "dev", "eth", *(["nodad"] if ":" in address else []))
        for address in more:
            self.ip("address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        ethtool(self.cable, ETHTOOL_STXCSUM, 0)
        with self.there():
            ethtool("eth", ETHTOOL_STXCSUM, 0)
            ethtool("eth", ETHTOOL_SGRO, 1)

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        subprocess.run(["ip", "link", "delete", self.cable], stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def there(self):
        """This thread, and what it starts, is on that host."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            assert harness._libc.setns(there.fileno(), harness.CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert harness._libc.setns(home.fileno(), harness.CLONE_NEWNET) == 0

    def socket(self, ip, port=0):
        with self.there():
            sock = open_socket(ip, port)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
            return sock


class Triple:
    def __init__(self):
        self.devices, self.servers = Host("devs"), Host("srvs")

    def __enter__(self):
        numbers = range(1, DEVICES + 1)
        self.devices.make(
            [f"{SERVICE}/24", f"{SERVICE6}/64"], ["10.1.0.2/24", "fd01::2/64"],
            [f"10.3.0.{n}/32" for n in numbers] + [f"fd03::{n}/128" for n in numbers],
        )
        self.servers.make(
            [f"{LOCAL}/24", f"{LOCAL6}/64"],
            [f"10.2.0.{n}/24" for n in range(11, 14)] + [f"fd02::{n}/64" for n in range(11, 14)],
        )
        harness.ip("route", "add", "10.3.0.0/24", "via", "10.1.0.2")
        harness.ip("route", "add", "fd03::/64", "via", "fd01::2")
        return self

    def __exit__(self, *_):
        self.devices.remove()
        self.servers.remove()
