#!/usr/bin/env python3
"""ICMP errors and path MTUs: a server that refuses costs the others nothing, datagrams larger than a link's MTU arrive
both ways."""

import contextlib
import os
import select
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
            wait_until(lambda: clients.collect() or len(clients.server) == 60, 5, "every client has its server")
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
            took = downs[0][1] - refused_at[0]
            wait_until(lambda: clients.collect() or not clients.lost_to("ab"), 5, "the others' datagrams arrive")
            errors = lb.metric("cidlb_icmp_errors_total", backend="c")
            print(
                f"    {clients.sent} datagrams, {errors} ICMP errors; "
                f"c is down {1000 * took:.0f} ms after it closed; 0 lost at a and b"
            )
            assert clients.lost_to("ab") == 0 and errors > 0
            assert lb.metric("cidlb_icmp_errors_total") == errors
            assert took < health["interval_ms"] / 1000 / 4, took
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
            wait_until(lambda: clients.collect() or len(clients.server) == 60, 5, "every client has its server")
            servers.refuse("c")
            clients.run(3, 3_000)
            wait_until(lambda: clients.collect() or not clients.lost_to("ab"), 5, "the others' datagrams arrive")
            refused, errors = clients.lost_to("c"), lb.metric("cidlb_icmp_errors_total", backend="c")
            print(f"    {clients.sent} datagrams, {refused} to the server that refuses, {errors} ICMP errors")
            assert clients.lost_to("ab") == 0 and refused > 1_000
            assert 0.9 * refused <= errors <= refused, (refused, errors)
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
        ip("route", "add", "local", "10.64.0.0/16", "dev", "lo")
        ip("-6", "route", "add", "local", "fd64::/64", "dev", "lo")
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


def one_datagram(sock, timeout=3):
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


main(globals())
