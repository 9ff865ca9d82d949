"""An Ethernet segment with cidlb on this host, devices, and servers that have the service address on their loopback.

    this host 10.9.0.1 fd09::1 and the service 10.9.0.10 fd09::10 ── bridge ──┬── devices 10.9.1.1 … fd09::1:1 …
                                                                             ├── server 1: 10.9.0.11 fd09::11
                                                                             └── server 2: 10.9.0.12 fd09::12
"""

import contextlib
import ctypes
import os
import platform
import socket
import struct
import subprocess
import sys
from pathlib import Path

import harness
from harness import wait_until
from lab.triple import ETHTOOL_STXCSUM, ethtool
from udp import open_socket

SERVICE, SERVICE6 = "10.9.0.10", "fd09::10"
DEVICES = 8  # addresses that devices have
# bpf(2), if_link.h
SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_PROG_LOAD, BPF_LINK_CREATE = 5, 28
BPF_PROG_TYPE_XDP, BPF_XDP, XDP_PASS, XDP_FLAGS_DRV_MODE = 6, 37, 2, 4
DECAPSULATOR = Path(__file__).parent / "decapsulator.py"


class Host:
    """A network of its own on the segment."""

    def __init__(self, name):
        self.device = name  # this host's end of its cable
        self.name = f"cidlb-{os.getpid()}-{name}"

    def ip(self, *arguments):
        harness.ip("-n", self.name, *arguments)

    def make(self, addresses):
        harness.ip("netns", "add", self.name)
        harness.ip("link", "add", self.device, "type", "veth", "peer", "name", "eth", "netns", self.name)
        harness.ip("link", "set", self.device, "master", "segment", "up")
        self.ip("link", "set", "lo", "up")
        self.ip("link", "set", "eth", "up")
        for address in addresses:
            self.ip("address", "add", address, "dev", "eth", *(["nodad"] if ":" in address else []))

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        subprocess.run(["ip", "link", "delete", self.device], stderr=subprocess.DEVNULL)

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
            if port == 0:
                return open_socket(ip)
            sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((ip, port))
            sock.setblocking(False)
            return sock

    def set(self, setting, value):
        """A setting of its network."""
        with self.there():
            # /proc/sys shows the network of the thread that opens it.
            Path(f"/proc/sys/net/{setting}").write_text(str(value))


class Server(Host):
    """Its own addresses, and those of the service on lo, for which it answers nobody who asks who has them."""

    def __init__(self, number):
        super().__init__(f"srv{number}")
        self.number = number
        self.ip4, self.ip6 = f"10.9.0.{10 + number}", f"fd09::{10 + number}"

    def make(self):
        super().make([f"{self.ip4}/16", f"{self.ip6}/64"])
        self.set("ipv4/conf/all/arp_ignore", 1)
        self.set("ipv4/conf/all/arp_announce", 2)
        self.set("ipv4/conf/all/rp_filter", 0)
        self.set("ipv4/conf/default/rp_filter", 0)
        self.ip("address", "add", f"{SERVICE}/32", "dev", "lo")
        self.ip("address", "add", f"{SERVICE6}/128", "dev", "lo", "nodad")

    def own(self, v6=False):
        return self.ip6 if v6 else self.ip4

    def decapsulate(self, scene):
        """As the modules ipip and ip6_tunnel do, which this kernel may not have."""
        with self.there():
            process = scene.process(f"decapsulator-{self.number}", sys.executable, DECAPSULATOR)
        wait_until(lambda: "ready" in process.out.read_text(), 20, "the decapsulator is ready")
        return process


class Segment:
    here = "segment"  # this host's own end
    options = {}  # cidlb's, for a host like this

    def __init__(self, servers=2, mtu=1500):
        self.servers = [Server(number) for number in range(1, servers + 1)]
        self.devices, self.mtu = Host("devs"), str(mtu)

    def __enter__(self):
        harness.ip("link", "add", "segment", "mtu", self.mtu, "type", "bridge")
        harness.ip("link", "set", "segment", "up")
        self.join()
        for address in ("10.9.0.1/16", f"{SERVICE}/32", "fd09::1/64"):
            harness.ip("address", "add", address, "dev", self.here, *(["nodad"] if ":" in address else []))
        # Else it would be the source of what this host sends to the servers, who have it themselves.
        harness.ip("address", "add", f"{SERVICE6}/128", "dev", self.here, "nodad", "preferred_lft", "0")
        numbers = range(1, DEVICES + 1)
        self.devices.make([f"10.9.1.{n}/16" for n in numbers] + [f"fd09::1:{n}/64" for n in numbers])
        for server in self.servers:
            server.make()
        for host in (self.devices, *self.servers):
            harness.ip("link", "set", host.device, "mtu", self.mtu)
            host.ip("link", "set", "eth", "mtu", self.mtu)
        return self

    def join(self):
        """This host is where the bridge is."""

    def __exit__(self, *_):
        for host in (self.devices, *self.servers):
            host.remove()
        subprocess.run(["ip", "link", "delete", "segment"], check=True)


def bpf(command, *words):
    attributes = struct.pack(f"{len(words)}I", *words)
    fd = harness._libc.syscall(SYS_BPF[platform.machine()], command, attributes, len(attributes))
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


def pass_all(interface):
    """Attaches an XDP program that lets everything through, as long as the descriptor is open that is returned."""
    def words_of(text):
        return struct.unpack("II", struct.pack("Q", ctypes.addressof(text)))

    code = ctypes.create_string_buffer(struct.pack("BBhiBBhi", 0xB7, 0, 0, XDP_PASS, 0x95, 0, 0, 0))
    license = ctypes.create_string_buffer(b"GPL")
    program = bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_XDP, 2, *words_of(code), *words_of(license))
    link = bpf(BPF_LINK_CREATE, program, socket.if_nametoindex(interface), BPF_XDP, XDP_FLAGS_DRV_MODE)
    os.close(program)
    return link


class FastSegment(Segment):
    """cidlb is at the end of a cable, as its fast path needs it (lab/triple.py). The bridge is only that. Frames leave
    through the cable that they came in through, which takes a program at the far end: GRO does not do."""

    here = "cable"
    options = {"fast": {"interfaces": ["cable"]}}

    def join(self):
        harness.ip("link", "add", "cable", "mtu", self.mtu, "type", "veth", "peer", "name", "port", "mtu", self.mtu)
        harness.ip("link", "set", "port", "master", "segment", "up")
        harness.ip("link", "set", "cable", "up")
        Path("/proc/sys/net/ipv4/conf/segment/arp_ignore").write_text("1")
        ethtool("cable", ETHTOOL_STXCSUM, 0)
        self.program = pass_all("port")

    def __enter__(self):
        super().__enter__()
        for host in (self.devices, *self.servers):
            with host.there():
                ethtool("eth", ETHTOOL_STXCSUM, 0)
        return self

    def __exit__(self, *_):
        os.close(self.program)
        subprocess.run(["ip", "link", "delete", "cable"], check=True)
        super().__exit__()
