"""Three networks whose interfaces take frames as network cards do: the kernel's, and not those of sockets.

lib/wire.py has the networks. A pair of virtual devices takes frames of XDP programs only where the receiving one does
GRO, switched on once it is up, or has a program. Datagrams that come out of a socket have no checksum there unless the
sender makes it.
"""

import array
import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
from pathlib import Path

import harness
from lib import frame, wire

SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SGRO = 0x8946, 0x17, 0x2C  # ethtool.h
PREFIX6 = "fd00:c1d:1b00::/56"  # endpoints of nat without a table


def ethtool(interface, command, value):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as some:
        setting = array.array("B", struct.pack("II", command, value))
        fcntl.ioctl(some, SIOCETHTOOL, struct.pack("16sP", interface.encode(), setting.buffer_info()[0]))


@contextlib.contextmanager
def inside(net):
    """This thread is in the network of the process `net`, if it is one's id."""
    with open("/proc/thread-self/ns/net") as home:
        if net:
            with open(f"/proc/{net}/ns/net") as there:
                assert harness._libc.setns(there.fileno(), harness.CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert harness._libc.setns(home.fileno(), harness.CLONE_NEWNET) == 0


def mac_of(interface, net):
    with inside(net):
        text = subprocess.check_output(["ip", "--json", "link", "show", interface], text=True)
    return json.loads(text)[0]["address"]


class Cards(wire.Wire):
    server_ips = ["10.2.0.2", "10.2.0.3", "10.2.0.4"]
    outside6, inside6, server6 = "fd01::1", "fd02::1", "fd02::2"

    def __init__(self, scene):
        super().__init__(scene)
        devices, servers = (holder.pid for holder in self.holders)
        self.out, self.in_ = self.interfaces
        self.device_end, self.server_end = self.far_ends
        own = ((None, self.out), (None, self.in_))
        far = ((devices, self.device_end), (servers, self.server_end))
        wire.command("ip", "address", "add", f"{self.inside6}/64", "dev", self.in_, "nodad")
        wire.command("ip", "address", "add", f"{self.server6}/64", "dev", self.server_end, "nodad", net=servers)
        wire.command("ip", "-6", "route", "replace", "local", PREFIX6, "dev", "lo")
        for net, interface in own + far:
            with inside(net):
                ethtool(interface, ETHTOOL_STXCSUM, 0)
                for on in (0, 1):
                    ethtool(interface, ETHTOOL_SGRO, on)
        for (net, interface), (far_net, far_end), ip, far_ips in zip(
            own, far, (self.outside, self.inside), (["10.1.0.2"], [*self.server_ips, self.server6])
        ):
            self.introduce(net, interface, far_ips, mac_of(far_end, far_net))
            self.introduce(far_net, far_end, [ip], mac_of(interface, net))
        self.out_mac = mac_of(self.out, None)
        self.place_threads()

    @staticmethod
    def introduce(net, interface, ips, mac):
        """Nobody has to be asked for who is there."""
        for ip in ips:
            wire.command("ip", "neighbour", "replace", ip, "lladdr", mac, "dev", interface, "nud", "permanent", net=net)

    def place_threads(self):
        """A program that comes or goes may give an interface other threads."""
        self.threads = wire.place_threads(self.out, frame.BALANCER_CPU)
        self.threads += wire.place_threads(self.in_, frame.BALANCER_CPU)
        for name in self.far_ends:
            wire.place_threads(name, frame.LOAD_CPU)

    def received(self):
        """Frames that the balancer's interface at the devices has taken."""
        for line in Path(f"/proc/{os.getpid()}/net/dev").read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == self.out:
                return int(numbers.split()[1])
        raise LookupError(self.out)
