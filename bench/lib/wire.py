"""Three networks with a pair of virtual Ethernet devices between each two, where the kernel itself can forward.

    devices' network              balancer's network (that of bench/run)             servers' network
    10.16.0.0/12                                                                     10.2.0.2, consecutive ports
    10.1.0.2  dev ━━━━━━━━━━━━━━━ out  10.1.0.1             10.2.0.1  in ━━━━━━━━━━━━━ srv
                                   10.64.0.0/12: endpoints

All four receive in threads of the kernel's (NAPI, `threaded`). Those of `out` and `in` are on the balancer's CPU, the
other two on that of the load. They run before all processes there, as interrupts would. What they have run is in their
schedstat. So the cost of a balancer is that of its process, if it has one, and of these two.
"""

import array
import fcntl
import itertools
import os
import socket
import struct
import subprocess
from pathlib import Path

from harness import Process, Skip, free_ports, ip, wait_until
from lib import frame
from lib.frame import LeftOut
from lib.load import SERVERS, each

SIOCETHTOOL, ETHTOOL_SGRO, ETHTOOL_STSO = 0x8946, 0x2C, 0x1F
RULES = """
table ip cidlb_bench {{
  chain in {{
    type nat hook prerouting priority dstnat;
    ip daddr {ip} udp dport {port} dnat ip to jhash ip saddr . udp sport mod {count} map {{ {servers} }}
  }}
}}
"""
# `threaded` is in the /sys of the interface's own network.
THREADED = "mount -t sysfs none /sys && echo 1 > /sys/class/net/{name}/threaded"
_numbers = itertools.count()  # of interfaces: their threads are found by name


def command(*argv, net=None, text=None):
    """Runs a command, in the network of a process if `net` is one's id; LeftOut if it fails."""
    argv = [*(["nsenter", f"--net=/proc/{net}/ns/net"] if net else []), *map(str, argv)]
    try:
        subprocess.run(argv, check=True, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        raise LeftOut(f"{argv[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise LeftOut(f"{' '.join(argv[:6])} …: {error.stdout.strip().partition(chr(10))[0]}") from None


class Wire:
    """Three networks. Those of devices and servers are held by a process each, and end with it."""

    name = "wire"
    outside, inside = "10.1.0.1", "10.2.0.1"
    endpoints, endpoints_prefix = "10.64.0.0", "10.64.0.0/12"

    def __init__(self, scene):
        self.servers = f"10.2.0.2:{free_ports(SERVERS)}"
        argv = ["unshare", "--net", "sleep", "infinity"]
        self.holders = [Process(scene, f"network of {whose}", argv).start() for whose in ("devices", "servers")]
        own = os.readlink("/proc/self/ns/net")
        for holder in self.holders:
            wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, 5, "a network of its own")
        devices, servers = (holder.pid for holder in self.holders)
        self.load_options = {"port": free_ports(), "devices": "10.16.0.0"}
        self.load_options |= {"devices_net": f"/proc/{devices}/ns/net", "servers_net": f"/proc/{servers}/ns/net"}
        self.interfaces, self.far_ends, self.threads = [], [], []
        self.connect("out", self.outside, devices, "dev", "10.1.0.2")
        self.connect("in", self.inside, servers, "srv", "10.2.0.2")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        command("ip", "route", "replace", "local", self.endpoints_prefix, "dev", "lo")
        command("ip", "route", "replace", "10.16.0.0/12", "via", "10.1.0.2")
        command("ip", "link", "set", "lo", "up", net=devices)
        command("ip", "route", "add", "local", "10.16.0.0/12", "dev", "lo", net=devices)
        command("ip", "route", "add", "default", "via", self.outside, net=devices)
        command("ip", "route", "add", "default", "via", self.inside, net=servers)

    def connect(self, name, own_ip, net, peer, peer_ip):
        """A pair of interfaces, ours and that of another network."""
        name, peer = (f"{which}{os.getpid()}-{next(_numbers)}" for which in (name, peer))
        command("ip", "link", "add", name, "type", "veth", "peer", "name", peer)
        self.interfaces.append(name)
        self.far_ends.append(peer)
        for interface in (name, peer):
            use_napi(interface)
        command("ip", "link", "set", peer, "netns", net)
        command("ip", "address", "add", f"{own_ip}/24", "dev", name)
        command("ip", "address", "add", f"{peer_ip}/24", "dev", peer, net=net)
        self.threads += receive_in_thread(name, frame.BALANCER_CPU)
        receive_in_thread(peer, frame.LOAD_CPU, net)

    @classmethod
    def require(cls, scene):
        try:
            ip("link", "set", "lo", "up")
        except Skip as reason:
            raise LeftOut(str(reason)) from None
        cls(scene).end()

    def pids(self):
        return self.threads

    def end(self):
        for interface in self.interfaces:
            command("ip", "link", "delete", interface)
        for holder in self.holders:
            holder.kill()


class Dnat:
    """The kernel forwards, by address: the server is a hash of the source, and conntrack knows the way back."""

    @staticmethod
    def require():
        command("nft", "--version")

    def __init__(self, topology):
        port = free_ports()
        servers = ", ".join(
            f"{at} : {address.replace(':', ' . ')}" for at, address in enumerate(each(topology.servers))
        )
        command("nft", "-f", "-", text=RULES.format(ip=topology.outside, port=port, count=SERVERS, servers=servers))
        self.target = f"{topology.outside}:{port}"

    def end(self):
        command("nft", "delete", "table", "ip", "cidlb_bench")


def use_napi(name):
    """What such a device receives goes through its NAPI if it does GRO and the sender no TSO (of TCP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as some:
        for setting, on in ((ETHTOOL_SGRO, 1), (ETHTOOL_STSO, 0)):
            value = array.array("B", struct.pack("II", setting, on))
            fcntl.ioctl(some, SIOCETHTOOL, struct.pack("16sP", name.encode(), value.buffer_info()[0]))


def receive_in_thread(name, cpu, net=None):
    """Brings up an interface that receives in threads of its own on this CPU: their ids."""
    command("ip", "link", "set", name, "up", net=net)
    command("unshare", "--mount", "sh", "-c", THREADED.format(name=name), net=net)
    return place_threads(name, cpu)


def place_threads(name, cpu):
    """Puts the threads that an interface receives in on this CPU, before all processes there: their ids."""
    threads = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/comm") if is_thread_of(path, name)]
    if not threads:
        raise LeftOut("the kernel's threads are not to be seen from here")
    for thread in threads:
        os.sched_setaffinity(thread, {cpu})
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))
    return threads


def is_thread_of(path, name):
    try:
        return path.read_text().startswith(f"napi/{name}-")
    except OSError:  # it has ended
        return False
