#!/usr/bin/env python3
"""ICMP errors and path MTUs: a server that refuses costs the others nothing, datagrams larger than a link's MTU arrive
both ways, and a forged "fragmentation needed" changes nothing."""

import contextlib
import os
import select
import socket
import struct
import subprocess
import threading
import time

import harness
from harness import Scene, free_ports, main, wait_until
from udp import Clients, Echo, open_socket, parse_address


def case_one_of_three_refuses():
    """Under load: the others' datagrams all arrive, and it is down at once, long before its next probe is due."""
    health = {"probe": "coap", "interval_ms": 60_000, "timeout_ms": 1000}
    with Scene() as scene, Echo("abc") as servers:
        lb = scene.cidlb([scene.pool("u", servers.entries(), protocol="udp", cid=None, health=health)])
        with Clients(lb.address(), 60) as clients:
            clients.run(1, 600)
            wait_until(lambda: clients.collect() or len(clients.server) == 60, 20, "every client has its server")
            assert set(clients.server.values()) == set("abc"), clients.server

            refused_at = []
            threading.Timer(1, lambda: refused_at.append(servers.refuse("c"))).start()
            downs = []
            watch = threading.Thread(
                target=lambda: downs.append((lb.wait_log("backend_down.* c", 20), time.monotonic()))
            )
            watch.start()
            clients.run(4, 2_000)
            watch.join()
            took = downs[0][1] - refused_at[0]  # at most 20 s; the next probe was due after a minute
            wait_until(lambda: clients.collect() or not clients.lost_to("ab"), 20, "the others' datagrams arrive")
            errors = lb.backend("c")["icmp_errors"]
            print(
                f"    {clients.sent} datagrams, {errors} ICMP errors; "
                f"c is down {1000 * took:.0f} ms after it closed; 0 lost at a and b"
            )
            assert clients.lost_to("ab") == 0 and errors > 0
            assert lb.metric("cidlb_icmp_errors_total") == errors
            assert lb.metric("cidlb_refused_total", direction="up") == 0
        lb.assert_identities()


def case_refusing_for_good():
    """Never taken down, so that every datagram to it is refused: the others' arrive, and so do replies, up to the
    end."""
    with Scene() as scene, Echo("abc") as servers:
        pool = scene.pool("u", servers.entries(), protocol="udp", cid=None, health={"probe": "none"})
        lb = scene.cidlb([pool])
        with Clients(lb.address(), 60) as clients:
            clients.run(1, 600)
            wait_until(lambda: clients.collect() or len(clients.server) == 60, 20, "every client has its server")
            servers.refuse("c")
            rounds = 0
            while clients.lost_to("c") <= 1_000 and rounds < 30:  # a busy machine takes longer
                clients.run(3, 3_000)
                rounds += 1
            wait_until(lambda: clients.collect() or not clients.lost_to("ab"), 20, "the others' datagrams arrive")
            refused = clients.lost_to("c")
            many = lambda: lb.backend("c")["icmp_errors"] >= 0.9 * refused
            wait_until(many, 20, f"ICMP errors of {refused} datagrams")
            errors = lb.backend("c")["icmp_errors"]
            print(f"    {clients.sent} datagrams, {refused} to the server that refuses, {errors} ICMP errors")
            assert clients.lost_to("ab") == 0 and refused > 1_000
            assert errors <= refused, (refused, errors)
            assert lb.metric("cidlb_icmp_errors_total") == errors
            assert lb.metric("cidlb_refused_total", direction="up") == 0
        lb.assert_identities()


class Far:
    """A host behind an Ethernet of MTU 1500, 10.9.0.2 and fd09::2, for devices and servers; 10.64.0.0/16 and fd64::/64
    are the balancer's."""

    def __enter__(self):
        self.name, ip = f"cidlb-{os.getpid()}-far", harness.ip
        ip("netns", "add", self.name)
        ip("link", "add", "far", "type", "veth", "peer", "name", "near", "netns", self.name)
        for words in (("link", "set", "far", "up"), ("address", "add", "10.9.0.1/24", "dev", "far")):
            ip(*words)
        for words in (("address", "add", "10.9.0.2/24", "dev", "near"), ("link", "set", "near", "up")):
            ip("-n", self.name, *words)
        ip("address", "add", "fd09::1/64", "dev", "far", "nodad")
        ip("-n", self.name, "address", "add", "fd09::2/64", "dev", "near", "nodad")
        ip("route", "replace", "local", "10.64.0.0/16", "dev", "lo")
        ip("-6", "route", "replace", "local", "fd64::/64", "dev", "lo")
        ip("-n", self.name, "route", "add", "10.64.0.0/16", "via", "10.9.0.1")
        ip("-n", self.name, "-6", "route", "add", "fd64::/64", "via", "fd09::1")
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        # Its other end goes with it, sooner or later.
        subprocess.run(["ip", "link", "delete", "far"], stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread opens in the block are the far host's."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            assert harness._libc.setns(there.fileno(), harness.CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert harness._libc.setns(home.fileno(), harness.CLONE_NEWNET) == 0


    def datagrams(self):
        """A socket that gets every packet that comes to the far host, from its Ethernet header on."""
        with self.inside():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
            sock.bind(("near", 0))
        return sock


class Behind:
    """A host behind the far one, 10.8.0.2 and fd08::2, on a link of a smaller MTU."""

    def __init__(self, far, mtu):
        self.far, self.name, self.mtu = far, f"cidlb-{os.getpid()}-behind", str(mtu)

    def __enter__(self):
        ip, far = harness.ip, self.far.name
        ip("netns", "add", self.name)
        ip("-n", far, "link", "add", "west", "mtu", self.mtu, "type", "veth", "peer", "name", "east", "mtu", self.mtu)
        ip("-n", far, "link", "set", "east", "netns", self.name)
        for name, device, host in ((far, "west", "1"), (self.name, "east", "2")):
            ip("-n", name, "address", "add", f"10.8.0.{host}/24", "dev", device)
            ip("-n", name, "address", "add", f"fd08::{host}/64", "dev", device, "nodad")
            ip("-n", name, "link", "set", device, "up")
        ip("-n", self.name, "route", "add", "default", "via", "10.8.0.1")
        ip("-n", self.name, "-6", "route", "add", "default", "via", "fd08::1")
        ip("route", "add", "10.8.0.0/24", "via", "10.9.0.2")
        ip("-6", "route", "add", "fd08::/64", "via", "fd09::2")
        for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            subprocess.run(["ip", "netns", "exec", far, "sysctl", "-qw", setting], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    inside = Far.inside


def one_datagram(sock, timeout=20):
    ready, _, _ = select.select([sock], [], [], timeout)
    assert ready, "nothing arrives"
    return sock.recvfrom(65536)


def case_larger_than_the_mtu():
    """Device and server send up to 65,000 octets in fragments, also once cidlb's host has learnt of a smaller MTU on
    the way."""
    with Scene() as scene, Far() as far:
        for family, near, host, source in (
            ("IPv4", "10.9.0.1", "10.9.0.2", "10.64.0.0/16"),
            ("IPv6", "[fd09::1]", "fd09::2", "fd64::/64"),
        ):
            with far.inside():
                device, server = open_socket(host), open_socket(host)
            address = "%s:%d" % (f"[{host}]" if ":" in host else host, server.getsockname()[1])
            pool = scene.pool(
                "u", [{"name": "a", "address": address}], protocol="udp", cid=None, health={"probe": "none"}
            )
            pool["nat"]["sources"] = (source,)
            lb = scene.cidlb([pool], name=family, start=False)
            lb.config["listeners"][0]["address"] = f"{near}:{free_ports()}"
            lb.start()
            target = parse_address(lb.address())
            for mtu in (1500, 1300):
                route = ["-6"] if ":" in host else []
                harness.ip(*route, "route", "replace", f"{host}/{128 if route else 32}", "dev", "far", "mtu", str(mtu))
                for octets in (100, 1400, 1472, 1473, 8_000, 65_000):
                    payload = os.urandom(octets)
                    device.sendto(payload, target)
                    up, endpoint = one_datagram(server)
                    server.sendto(payload, endpoint[:2])
                    down, _ = one_datagram(device)
                    assert up == down == payload, (family, mtu, octets)
            assert lb.metric("cidlb_refused_total") == 0 and lb.metric("cidlb_icmp_errors_total") == 0
            lb.assert_identities()
            lb.stop()
            device.close()
            server.close()


def address_of(sock):
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def udp_balancer(scene, near, server, source, **options):
    """A cidlb at an address of the near host, for one server."""
    entry = {"name": "a", "address": address_of(server)}
    pool = scene.pool("u", [entry], protocol="udp", cid=None, health={"probe": "none"}, **options)
    if source:
        pool["nat"]["sources"] = (source,)
    lb = scene.cidlb([pool], start=False)
    lb.config["listeners"][0]["address"] = f"{near}:{free_ports()}"
    return lb.start()


def forge_too_big(source, target, mtu):
    """Says to `source`, an address and a port, that what it sent to `target` was too large for a link. Whoever may open
    a raw socket can say so."""
    udp = struct.pack("!HHHH", source[1], target[1], 1408, 0)
    ends = [socket.inet_aton(host) for host, _ in (source, target)]
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1428, 1, 0, 64, socket.IPPROTO_UDP, 0, *ends)
    message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + inner + udp
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total >> 16) + (total & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.sendto(message[:2] + struct.pack("!H", checksum) + message[4:], (source[0], 0))


def pieces(sock):
    """How many packets of IPv4 were fragments, of those that wait in a socket of Far.datagrams(), and how many were
    not."""
    counts = [0, 0]
    with contextlib.suppress(BlockingIOError):
        while True:
            packet, (_, _, direction, *_) = sock.recvfrom(65536, socket.MSG_DONTWAIT)
            if direction == socket.PACKET_HOST and packet[12:14] == b"\x08\x00" and packet[23] == socket.IPPROTO_UDP:
                counts[struct.unpack("!H", packet[20:22])[0] & 0x3FFF == 0] += 1
    return counts


def case_forged_fragmentation_needed():
    """About what goes to a device, and to a server: 1,300 octets stay whole, and nothing is refused."""
    with Scene() as scene, Far() as far, far.datagrams() as wire:
        with far.inside():
            device, server = open_socket("10.9.0.2"), open_socket("10.9.0.2")
        lb = udp_balancer(scene, "10.9.0.1", server, "10.64.0.0/16")
        service, payload = parse_address(lb.address()), os.urandom(1300)

        def exchange():
            device.sendto(payload, service)
            up, endpoint = one_datagram(server)
            server.sendto(payload, endpoint)
            assert up == one_datagram(device)[0] == payload
            return endpoint

        endpoint = exchange()
        with far.inside():
            forge_too_big(service, device.getsockname(), 600)
            forge_too_big(endpoint, server.getsockname(), 600)
        pieces(wire)
        for _ in range(5):
            assert exchange() == endpoint
        fragments, whole = pieces(wire)
        assert (fragments, whole) == (0, 10)
        assert lb.metric("cidlb_refused_total") == 0
        lb.assert_identities()
        device.close()
        server.close()


def case_smaller_link_on_the_way():
    """A device and a server behind a link of MTU 1300 get what is larger. In IPv6 only the sender can cut it up, so the
    first is lost that meets the link."""
    with Far() as far, Behind(far, 1300) as behind:
        for near, host, source in (("10.9.0.1", "10.8.0.2", "10.64.0.0/16"), ("[fd09::1]", "fd08::2", "fd64::/64")):
            with behind.inside():
                device, server = open_socket(host), open_socket(host)
            with Scene() as scene:
                lb = udp_balancer(scene, near, server, source)
                device.sendto(b"short", parse_address(lb.address()))
                _, endpoint = one_datagram(server)
                payload, met = os.urandom(1400), 0
                for direction in range(2):
                    for attempt in range(3):
                        if direction == 0:
                            device.sendto(payload, parse_address(lb.address()))
                        else:
                            server.sendto(payload, endpoint[:2])
                        # What is not lost may take its time.
                        if select.select([(server, device)[direction]], [], [], 2 if ":" in host else 20)[0]:
                            break
                        met += 1
                    assert one_datagram((server, device)[direction], 0)[0] == payload, (host, direction)
                assert met <= (2 if ":" in host else 0), (host, met)
                assert lb.metric("cidlb_refused_total") == 0
            device.close()
            server.close()


main(globals())
