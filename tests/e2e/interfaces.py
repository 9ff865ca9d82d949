#!/usr/bin/env python3
"""Devices and servers on two interfaces: what a device sends with the address of a server is no answer of a server,
whether or not the kernel looks (rp_filter).

    devices 10.7.0.2 fd07::2 ──── 10.7.0.1 fd07::1 cidlb 10.9.0.1 fd09::1 ──── 10.9.0.2 fd09::2 servers, 10.8.8.8 fd08::8
                                                   cidlb 10.6.0.1 fd06::1 ──── 10.6.0.2 fd06::2 the same host
"""

import contextlib
import os
import re
import select
import socket
import struct
import subprocess

import harness
import proxy2
from harness import Scene, free_ports, main, wait_until
from proxy2 import DOWN, UP
from udp import drain, forge, open_socket, parse_address

KEY = bytes(range(16))
PREFIX_V4, PREFIX_V6 = "10.64.0.0/16", "fd64::/64"
SERVERS = ("10.8.8.8", "fd08::8")  # reached by either of two interfaces, as the routes say


class Links:
    """The two hosts and their links."""

    def __init__(self, rp_filter=0):
        self.devices, self.servers = f"cidlb-{os.getpid()}-dev", f"cidlb-{os.getpid()}-srv"
        self.rp_filter = rp_filter

    def __enter__(self):
        ip = harness.ip
        for name in (self.devices, self.servers):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        for here, there, host, net in (
            ("todev", "eth", self.devices, 7), ("tosrv", "eth", self.servers, 9), ("toalt", "alt", self.servers, 6)
        ):
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", host)
            for where, device, number in (([], here, 1), (["-n", host], there, 2)):
                ip(*where, "link", "set", device, "up")
                ip(*where, "address", "add", f"10.{net}.0.{number}/24", "dev", device)
                ip(*where, "address", "add", f"fd0{net}::{number}/64", "dev", device, "nodad")
            for setting in ("all", here):
                with open(f"/proc/sys/net/ipv4/conf/{setting}/rp_filter", "w") as file:
                    file.write(str(self.rp_filter))
        for server in SERVERS:
            ip("-n", self.servers, "address", "add", server, "dev", "lo")
        for prefix in (PREFIX_V4, PREFIX_V6):
            ip("route", "replace", "local", prefix, "dev", "lo")
        ip("-n", self.devices, "route", "add", "default", "via", "10.7.0.1")
        ip("-n", self.devices, "-6", "route", "add", "default", "via", "fd07::1")
        self.lead_to_servers("tosrv", "eth", 9)
        return self

    def __exit__(self, *_):
        for name in (self.devices, self.servers):
            subprocess.run(["ip", "netns", "delete", name], check=True)
        # These go with their other ends, sooner or later.
        for device in ("todev", "tosrv", "toalt"):
            subprocess.run(["ip", "link", "delete", device], stderr=subprocess.DEVNULL)

    def lead_to_servers(self, here, there, net):
        """Both ways lead over this link."""
        harness.ip("route", "replace", f"{SERVERS[0]}/32", "via", f"10.{net}.0.2", "dev", here)
        harness.ip("-6", "route", "replace", f"{SERVERS[1]}/128", "via", f"fd0{net}::2", "dev", here)
        harness.ip("-n", self.servers, "route", "replace", "default", "via", f"10.{net}.0.1", "dev", there)
        harness.ip("-n", self.servers, "-6", "route", "replace", "default", "via", f"fd0{net}::1", "dev", there)

    @contextlib.contextmanager
    def inside(self, name):
        """Sockets that this thread opens in the block are those of that host."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
            assert harness._libc.setns(there.fileno(), harness.CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert harness._libc.setns(home.fileno(), harness.CLONE_NEWNET) == 0

    def socket(self, name, host):
        with self.inside(name):
            return open_socket(host)

    def forge(self, source, target, payload):
        """A device sends a datagram with a server's source address and port."""
        ports = struct.pack("!HH", source[1], target[1])
        ends = [socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip) for ip, _ in (source, target)]
        octets = struct.pack("!H", 8 + len(payload))
        if ":" in source[0]:
            pseudo = b"".join(ends) + b"\0\0" + octets + b"\0\0\0\x11" + ports + octets + b"\0\0" + payload
            pseudo += b"\0" * (len(pseudo) % 2)
            total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
            while total >> 16:
                total = (total >> 16) + (total & 0xFFFF)
            udp = ports + octets + struct.pack("!H", ~total & 0xFFFF or 0xFFFF) + payload
            packet = struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + b"".join(ends) + udp
        else:
            udp = ports + octets + b"\0\0" + payload
            packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0)
            packet += b"".join(ends) + udp
        with self.inside(self.devices):
            family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
            with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
                sock.sendto(packet, (target[0], 0))


def started(scene, pool, service, **options):
    lb = scene.cidlb([pool], start=False, **options)
    lb.config["listeners"][0]["address"] = text_of(service, free_ports())
    return lb.start()


def text_of(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def arrives(sock, timeout=10):
    """The next datagram and where it is from, or None."""
    return sock.recvfrom(65536) if waits(sock, timeout) else None


def waits(sock, timeout):
    return select.select([sock], [], [], timeout)[0]


def answer_and_forgery(links, lb, device, server):
    """The server's answer arrives, and the device's own does not."""
    service = parse_address(lb.address())
    for number in range(3):
        device.sendto(b"up %d" % number, service)
        _, endpoint = arrives(server)
        links.forge(server.getsockname()[:2], endpoint[:2], b"forged %d" % number)
        wait_until(lambda: lb.metric("cidlb_wrong_interface_total") == number + 1, 20, "the forgery is counted")
        server.sendto(b"down %d" % number, endpoint[:2])
        assert arrives(device)[0] == b"down %d" % number
        assert not drain(device)
    assert lb.metric("cidlb_wrong_interface_total", pool="u") == lb.backend("a")["wrong_interface"] == 3
    assert lb.metric("cidlb_strays_total") == 0 and lb.metric("cidlb_stateless_dropped_total") == 0
    assert lb.metric("cidlb_replies_total") == 3
    lb.assert_identities()
    lb.wait_log("wrong_interface pool=u: datagrams with the address of a server", 10)


def udp_pool(scene, server, sources, **nat):
    pool = scene.pool(
        "u", [{"name": "a", "address": text_of(*server.getsockname()[:2])}], protocol="udp", cid=None,
        health={"probe": "none"}
    )
    pool["nat"] = {**pool["nat"], "sources": sources, **nat}
    return pool


def nat_case(rp_filter, sources, server, service, **nat):
    with Scene() as scene, Links(rp_filter) as links:
        with links.socket(links.devices, "fd07::2" if ":" in service else "10.7.0.2") as device:
            with links.socket(links.servers, server) as sock:
                lb = started(scene, udp_pool(scene, sock, sources, **nat), service)
                answer_and_forgery(links, lb, device, sock)


def case_prefix():
    """Endpoints of a prefix, with no filter of the kernel's."""
    nat_case(0, (PREFIX_V4,), "10.9.0.2", "10.7.0.1")


def case_prefix_loose_filter():
    """The loose filter admits each source that there is a route to."""
    nat_case(2, (PREFIX_V4,), "10.9.0.2", "10.7.0.1")


def case_prefix_ipv6():
    """There is no such filter in IPv6."""
    nat_case(0, (PREFIX_V6,), "fd09::2", "fd07::1")


def case_single_address():
    nat_case(2, ("10.9.0.1",), "10.9.0.2", "10.7.0.1", ports="21000-21099", max_flows=50)


def case_without_a_table():
    nat_case(0, (PREFIX_V6,), "fd09::2", "10.7.0.1", rebind="backend")


def case_tunnel():
    """Even with the key."""
    with Scene() as scene, Links() as links, links.socket(links.devices, "10.7.0.2") as device:
        with links.socket(links.servers, "10.9.0.2") as server:
            pool = scene.pool("u", [{"name": "a", "id": 1, "address": text_of(*server.getsockname())}])
            pool.pop("nat")
            keys = [{"id": 1, "key": KEY.hex()}]
            pool.update(forward="tunnel", tunnel={"local": f"10.9.0.1:{free_ports(3)}", "keys": keys})
            pool.update(health={"probe": "none"})
            lb = started(scene, pool, "10.7.0.1")
            service, record = parse_address(lb.address()), forge(b"\1" + bytes(5))
            header = proxy2.write(KEY, 1, DOWN, service, device.getsockname())
            for number in range(3):
                device.sendto(record, service)
                up, node = arrives(server)
                assert proxy2.read({1: KEY}, UP, up) == (device.getsockname(), service, record)
                links.forge(server.getsockname(), node, header + b"forged")
                wait_until(lambda: lb.metric("cidlb_wrong_interface_total") == number + 1, 20, "the forgery is counted")
                server.sendto(header + b"down", node)
                assert arrives(device) == (b"down", service) and not drain(device)
            assert lb.metric("cidlb_tunnel_dropped_total") == 0
            lb.assert_identities()


def case_routes_change():
    """The servers are reached by another interface all at once: their answers count from there, and from there alone."""
    for host, service, sources in ((SERVERS[0], "10.7.0.1", (PREFIX_V4,)), (SERVERS[1], "fd07::1", (PREFIX_V6,))):
        with Scene() as scene, Links() as links:
            source = "fd07::2" if ":" in service else "10.7.0.2"
            with links.socket(links.devices, source) as device, links.socket(links.servers, host) as server:
                lb = started(scene, udp_pool(scene, server, sources), service)

                def answered():
                    payload = os.urandom(8)
                    device.sendto(payload, parse_address(lb.address()))
                    _, endpoint = arrives(server)
                    server.sendto(payload, endpoint[:2])
                    waits(device, 0.5)
                    # Neighbours may have to be found first, so answers to earlier ones may be there as well.
                    return payload in [datagram for datagram, _ in drain(device)]

                wait_until(answered, 20, "the first answer comes")
                generation = lb.metric("cidlb_snapshot_generation")
                links.lead_to_servers("toalt", "alt", 6)
                wait_until(answered, 20, "answers come by the new way")
                assert lb.metric("cidlb_snapshot_generation") > generation
                before = lb.metric("cidlb_wrong_interface_total")
                # The way back alone is the old one.
                harness.ip("-n", links.servers, "route", "replace", "default", "via", "10.9.0.1", "dev", "eth")
                harness.ip("-n", links.servers, "-6", "route", "replace", "default", "via", "fd09::1", "dev", "eth")
                assert not answered()
                wait_until(lambda: lb.metric("cidlb_wrong_interface_total") == before + 1, 20, "that is counted")
                # With two ways there, both count.
                if ":" in host:
                    ways = ("-6", "route", "replace", f"{host}/128", "nexthop", "via", "fd06::2")
                    harness.ip(*ways, "nexthop", "via", "fd09::2")
                else:
                    ways = ("route", "replace", f"{host}/32", "nexthop", "via", "10.6.0.2")
                    harness.ip(*ways, "nexthop", "via", "10.9.0.2")
                wait_until(answered, 20, "answers come by either way")
                lb.assert_identities()


def case_bridge():
    """The interface of an answer is the one that has the address, and not a port of it."""
    with Scene() as scene, Links() as links, links.socket(links.devices, "10.7.0.2") as device:
        ip = harness.ip
        ip("link", "add", "bridge", "type", "bridge")
        ip("link", "set", "tosrv", "master", "bridge")
        ip("link", "set", "bridge", "up")
        ip("address", "add", "10.3.0.1/24", "dev", "bridge")
        ip("-n", links.servers, "address", "add", "10.3.0.2/24", "dev", "eth")
        ip("-n", links.servers, "route", "replace", "default", "via", "10.3.0.1", "dev", "eth")
        with links.socket(links.servers, "10.3.0.2") as server:
            lb = started(scene, udp_pool(scene, server, (PREFIX_V4,)), "10.7.0.1")
            answer_and_forgery(links, lb, device, server)


def case_own_addresses():
    """A server on this host, at the address of an interface: its answers count, and those of
    a device with that address do not."""
    for host, service, sources in (
        ("10.9.0.1", "10.7.0.1", (PREFIX_V4,)),
        ("10.9.0.1", "10.7.0.1", ("10.7.0.1",)),
        ("fd09::1", "fd07::1", (PREFIX_V6,)),
        ("fd09::1", "fd07::1", ("fd07::1",)),
    ):
        with Scene() as scene, Links() as links:
            source = "fd07::2" if ":" in service else "10.7.0.2"
            with links.socket(links.devices, source) as device, open_socket(host) as server:
                nat = {} if "/" in sources[0] else {"ports": "21000-21099", "max_flows": 50}
                lb = started(scene, udp_pool(scene, server, sources, **nat), service)
                device.sendto(b"up", parse_address(lb.address()))
                _, endpoint = arrives(server)
                server.sendto(b"down", endpoint[:2])
                assert arrives(device)[0] == b"down"
                assert lb.metric("cidlb_wrong_interface_total") == 0
                # In IPv4 the kernel drops what has an address of this host. In IPv6 an address that the devices'
                # interface has tells nobody where a datagram is from.
                if sources != ("fd07::1",):
                    links.forge(server.getsockname()[:2], endpoint[:2], b"forged")
                    assert not arrives(device, 0.2)


def warnings(lb):
    return re.findall(r"rp_filter: datagrams that come in on (\w+) .*: sysctl -w (.*)", lb.log_text())


def case_filter_of_the_kernel():
    """A warning names what makes it strict, at start and reload, until that is done. Where it is of no use, nothing is
    said."""
    for rp_filter, settings in (
        (0, "net.ipv4.conf.todev.rp_filter=1"), (2, "net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.todev.rp_filter=1")
    ):
        with Scene() as scene, Links(rp_filter) as links, links.socket(links.servers, "10.9.0.2") as server:
            lb = started(scene, udp_pool(scene, server, (PREFIX_V4,)), "10.7.0.1")
            assert warnings(lb) == [("todev", settings)]
            lb.reload()
            assert warnings(lb) == 2 * [("todev", settings)]
            subprocess.run(["sysctl", "-qw", *settings.split()], check=True)
            lb.reload()
            assert len(warnings(lb)) == 2
    with Scene() as scene, Links(0) as links, links.socket(links.servers, "10.9.0.2") as server:
        near = started(scene, udp_pool(scene, server, (PREFIX_V4,)), "10.9.0.1")
        far = started(scene, udp_pool(scene, server, (PREFIX_V4,)), "0.0.0.0", name="everywhere")
        assert warnings(near) == [] and sorted(name for name, _ in warnings(far)) == ["toalt", "todev"]
    with Scene() as scene, Links(0), open_socket("127.0.0.1") as server:
        assert warnings(started(scene, udp_pool(scene, server, ("127.64.0.0/10",)), "10.7.0.1")) == []


main(globals())
