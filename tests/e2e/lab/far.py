"""Another host, at the other end of an Ethernet."""

import contextlib
import os
import socket
import subprocess

import harness
from udp import open_socket


class Far:
    """A host behind an Ethernet of a given MTU: 10.9.0.2 and fd09::2; this one is 10.9.0.1 and fd09::1. Further ones have
    another number in place of 9, and this host's interface is called far8, … instead of far."""

    def __init__(self, mtu, net=9):
        self.mtu, self.net = str(mtu), net
        self.interface = "far" if net == 9 else f"far{net}"
        self.name = f"cidlb-{os.getpid()}-{self.interface}"

    def __enter__(self):
        ip = harness.ip
        ip("netns", "add", self.name)
        ip(
            "link", "add", self.interface, "mtu", self.mtu, "type", "veth", "peer", "name", "near", "mtu", self.mtu, "netns",
            self.name,
        )
        for host, where, device in (("1", [], self.interface), ("2", ["-n", self.name], "near")):
            ip(*where, "link", "set", device, "up")
            ip(*where, "address", "add", f"10.{self.net}.0.{host}/24", "dev", device)
            ip(*where, "address", "add", f"fd{self.net:02}::{host}/64", "dev", device, "nodad")
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        # Its other end goes with it, sooner or later.
        subprocess.run(["ip", "link", "delete", self.interface], stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def there(self):
        """This thread, and what it starts, is on the far host."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            assert harness._libc.setns(there.fileno(), harness.CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert harness._libc.setns(home.fileno(), harness.CLONE_NEWNET) == 0

    def socket(self, ip):
        """One of the far host's."""
        with self.there():
            return open_socket(ip)

    @property
    def number(self):
        """Of the far host's interface."""
        with self.there():
            return socket.if_nametoindex("near")
