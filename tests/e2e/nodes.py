#!/usr/bin/env python3
"""Several cidlb nodes with one service address (packaging/guide/nodes.md), with the configurations of packaging/ecmp
and real BIRDs. Each host is a network namespace:

    devices                 router                    node1    cidlb, BIRD, announce
    198.51.100.2 ── 198.51.100.1   10.0.N.1 ── 10.0.N.2  node2    192.0.2.1/32 on lo
                            │  10.1.0.1               node3    local 10.64.N.0/24: what the servers see
                            └───────── 10.1.0.11-13   servers  a, b, c, ids 1, 2, 3
"""

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from harness import (
    AS_ROOT, BIN, FULL, PSK, Backend, Cidlb, Fleet, Process, Scene, Skip, main, release_only, told, total
)
from harness import _libc, CLONE_NEWNET, wait_all_joined, wait_until

ECMP = Path(__file__).parents[2] / "packaging" / "ecmp"
SERVICE = "192.0.2.1"
SHARED = "2001:db8:0:ab00::/56"
NODES = (1, 2, 3)
KEYS = ("000102030405060708090a0b0c0d0e0f", "f0e0d0c0b0a090807060504030201000", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
DEVICES = 100 if FULL else 30
BIRD = shutil.which("bird", path=os.environ["PATH"] + ":/usr/sbin")


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Network:
    """The namespaces; gone with the block."""

    def __enter__(self):
        self.name = {
            host: f"cidlb-{os.getpid()}-{host}"
            for host in ("devices", "router", "servers", *(f"node{n}" for n in NODES))
        }
        try:
            for name in self.name.values():
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            self._link("devices", ["198.51.100.1/24"], ["198.51.100.2/24"])
            servers = [f"10.1.0.1{n}/24" for n in NODES] + [f"2001:db8:1::1{n}/64" for n in NODES]
            self._link("servers", ["10.1.0.1/24", "2001:db8:1::1/64"], servers)
            for n in NODES:
                node = self.name[f"node{n}"]
                self._link(
                    f"node{n}", [f"10.0.{n}.1/24", f"2001:db8:0:{n}::1/64"], [f"10.0.{n}.2/24", f"2001:db8:0:{n}::2/64"]
                )
                ip("-n", node, "address", "add", f"{SERVICE}/32", "dev", "lo")
                ip("-n", node, "route", "add", "local", f"10.64.{n}.0/24", "dev", "lo")
                ip("-n", node, "route", "add", "local", SHARED, "dev", "lo")
            for sysctl in (
                "ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/fib_multipath_hash_policy",
                "ipv6/fib_multipath_hash_policy",
            ):
                self.run("router", "sh", "-c", f"echo 1 >/proc/sys/net/{sysctl}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _link(self, host, router_addresses, addresses):
        ns, router = self.name[host], self.name["router"]
        ip("link", "add", "wire", "netns", ns, "type", "veth", "peer", "name", host, "netns", router)
        for where, device, mine in ((router, host, router_addresses), (ns, "wire", addresses)):
            for address in mine:
                ip("-n", where, "address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
            ip("-n", where, "link", "set", device, "up")
        for address in router_addresses:
            ip("-n", ns, "route", "add", "default", "via", address.partition("/")[0])

    def __exit__(self, *_):
        for name in self.name.values():
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)

    def on(self, host, *argv):
        return ["ip", "netns", "exec", self.name[host], *map(str, argv)]

    def run(self, host, *argv):
        return subprocess.run(self.on(host, *argv), check=True, capture_output=True, text=True).stdout

    def inside(self, host, call):
        """What call() returns in the network of the host."""
        result = []

        def enter():
            with open(f"/run/netns/{self.name[host]}") as ns:
                assert _libc.setns(ns.fileno(), CLONE_NEWNET) == 0
            result.append(call())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return result[0]

    def next_hops(self, to=SERVICE):
        """The nodes that the router sends datagrams of devices to; or those of servers, to SHARED."""
        routes = self.run("router", "ip", "-6" if ":" in to else "-4", "route", "show", to)
        return sorted(int(n) for n in re.findall(r"via \S+(\d)(?:\.|::)2 ", routes))


class Node(Cidlb):
    """cidlb, BIRD and announce on one host."""

    def __init__(self, scene, network, number, servers, stateless):
        self.network, self.host = network, f"node{number}"
        nat = (
            {"rebind": "backend", "sources": (SHARED,)}
            if stateless
            else {"sources": (f"10.64.{number}.0/24",), "max_flows": 2000}
        )
        pool = {
            "name": "coaps",
            "cid": {"scheme": "node-id", "length": 6},
            "nat": nat,
            "health": {"interval_ms": 500, "timeout_ms": 3000},
            # In an order of its own.
            "backends": [server.entry() for server in servers[number % 3 :] + servers[: number % 3]],
        }
        config = {
            "workers": 1 + number % 2,
            "user": "nobody",
            "hash_key": KEYS[0],
            "admin": {"http": "127.0.0.1:9180"},
            "listeners": [{"name": "coaps", "address": f"{SERVICE}:5684", "pool": "coaps"}],
            "pools": [pool],
        }
        super().__init__(scene, self.host, config)
        self.argv = network.on(self.host, *self.argv)
        control = scene.dir / f"bird{number}.ctl"
        text = (ECMP / ("bird-stateless.conf" if stateless else "bird.conf")).read_text()
        for of_node_1 in ("10.0.1.", "2001:db8:0:1:") if stateless else ("10.0.1.", "10.64.1."):
            assert of_node_1 in text
            text = text.replace(of_node_1, of_node_1[:-2] + f"{number}" + of_node_1[-1])
        self.bird = Bird(scene, network, self.host, text, control)
        announce = network.on(self.host, ECMP / "announce", "127.0.0.1:9180", "service*", control)
        self.announce = Process(scene, f"{self.host}-announce", announce)
        self.parts = (self, self.bird, self.announce)

    def get(self, path):
        return self.network.inside(self.host, lambda: super(Node, self).get(path))

    def begin(self):
        for part in (self.bird, self.announce):
            part.start()
        self.start()

    def kill_all(self):
        for part in self.parts:
            part.kill()

    def send_all(self, number):
        for part in self.parts:
            part.child.send_signal(number)


class Bird(Process):
    def __init__(self, scene, network, host, text, control):
        conf = scene.dir / f"{host}-bird.conf"
        conf.write_text(text)
        super().__init__(scene, f"{host}-bird", network.on(host, BIRD, "-f", "-c", conf, "-s", control))


class Deployment:
    """Router, servers and nodes (not yet begun), and the fleet."""

    def __init__(self, scene, network, stateless=False):
        if not BIRD:
            raise Skip("needs bird2")
        self.scene, self.network, self.stateless = scene, network, stateless
        self.servers = []
        for number in NODES:
            address = f"2001:db8:1::1{number}" if stateless else f"10.1.0.1{number}"
            server = Backend(scene, number, "abc"[number - 1], 6, 5684, address, ())
            server.argv = network.on("servers", *server.argv)
            self.servers.append(server.start())
        self.nodes = {number: Node(scene, network, number, self.servers, stateless) for number in NODES}
        Bird(scene, network, "router", (ECMP / "router.conf").read_text(), scene.dir / "router.ctl").start()

    def begin(self, *numbers):
        """Those nodes begin, or come back, beside those that serve."""
        serving = self.network.next_hops()
        for number in numbers:
            self.nodes[number].begin()
        self.wait_serving(*serving, *numbers)

    def wait_serving(self, *numbers):
        for to in (SERVICE, SHARED) if self.stateless else (SERVICE,):
            wait_until(
                lambda: self.network.next_hops(to) == sorted(numbers), 30,
                f"the router sends what is for {to} to nodes {numbers}",
            )

    def start_fleet(self):
        self.story = self.scene.dir / "story"
        options = ["--devices", DEVICES, "--observe", "--rebind-every", 4, "--duration", 600, "--interval-ms", 400]
        options += ["--ack-timeout-ms", 300, "--story", self.story]
        argv = [BIN / "cidlb-fleet", "--target", f"{SERVICE}:5684", "--psk", ":".join(PSK), *options]
        self.fleet = Fleet(self.scene, "fleet", self.network.on("devices", *argv)).start()
        wait_all_joined(self.story, DEVICES)

    def wait_exchanges(self, each=3):
        """Every device has had so many more answers, on average."""
        due = told(self.story, "exchanges_ok") + each * DEVICES
        wait_until(lambda: told(self.story, "exchanges_ok") >= due, 30, f"{each} more exchanges of each device")

    def wait_routed(self, number):
        """The node routes by CID."""
        node = self.nodes[number]
        before = node.metric("cidlb_datagrams_total", verdict="cid")
        wait_until(
            lambda: node.metric("cidlb_datagrams_total", verdict="cid") > before, 15, f"node {number} gets datagrams"
        )

    def end(self):
        """Nobody has lost anything."""
        self.fleet.child.send_signal(signal.SIGTERM)
        report = self.fleet.report(60)
        assert report["survived"] == report["sessions"] == report["handshakes"] == DEVICES, report
        assert report["exit"] == 0, report
        assert report["extra_handshakes"] == report["observations_lost"] == 0 < report["notifications"], report
        for node in filter(Cidlb.alive, self.nodes.values()):
            node.assert_identities()
            assert node.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
        counted = [server.report() for server in self.servers]
        assert sum(one["handshakes"] for one in counted) == DEVICES, counted
        assert all(one["handshakes"] for one in counted), counted


def fingerprint(node):
    """As /metrics has it."""
    return next(dict(labels)["fingerprint"] for (name, labels) in node.metrics() if name == "cidlb_config_fingerprint")


@release_only
def case_nodes_come_and_go():
    """A node dies, comes back, a third one joins, cidlb alone dies, a host hangs: the router finds out by itself."""
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    with Network() as network, Scene() as scene:
        all_of = Deployment(scene, network)
        all_of.begin(1, 2)
        all_of.start_fleet()
        all_of.wait_exchanges()

        all_of.nodes[2].kill_all()
        all_of.wait_serving(1)
        all_of.wait_exchanges()
        all_of.begin(2)
        all_of.wait_routed(2)

        all_of.begin(3)
        all_of.wait_routed(3)
        assert len({fingerprint(node) for node in all_of.nodes.values()}) == 1

        all_of.nodes[1].kill()
        all_of.wait_serving(2, 3)
        all_of.wait_exchanges()
        all_of.nodes[1].start()
        all_of.wait_serving(1, 2, 3)
        all_of.wait_routed(1)

        # On several nodes: those that have the new key already, and those that do not.
        rotate(list(all_of.nodes.values()), KEYS[0], KEYS[1], lambda: all_of.wait_exchanges(1))

        all_of.nodes[3].send_all(signal.SIGSTOP)
        all_of.wait_serving(1, 2)
        all_of.wait_exchanges()
        all_of.nodes[3].send_all(signal.SIGCONT)
        all_of.wait_serving(1, 2, 3)
        all_of.wait_exchanges()
        all_of.end()


@release_only
def case_any_node_answers():
    """Nat without a table: the nodes share the addresses that servers see, and an answer goes through whichever the
    router takes."""
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    with Network() as network, Scene() as scene:
        all_of = Deployment(scene, network, stateless=True)
        all_of.begin(1, 2)
        all_of.start_fleet()
        all_of.wait_exchanges()
        all_of.nodes[2].kill_all()
        all_of.wait_serving(1)
        all_of.wait_exchanges()
        all_of.begin(2)
        all_of.begin(3)
        rotate(list(all_of.nodes.values()), KEYS[0], KEYS[1], lambda: all_of.wait_exchanges(1))
        for node in all_of.nodes.values():
            metrics = node.metrics()
            assert total(metrics, "cidlb_flows") == total(metrics, "cidlb_strays_total") == 0, metrics
            assert total(metrics, "cidlb_replies_total") > 0, metrics
        all_of.end()


def rotate(nodes, old, new, between):
    """One key gives way to another on all nodes, as the guide has it; between() after each step. Their fingerprints
    after each round."""
    seen = []
    for keys in (
        {"hash_key": old, "hash_key_previous": new}, {"hash_key": new, "hash_key_previous": old}, {"hash_key": new}
    ):
        for node in nodes:
            node.config.pop("hash_key_previous", None)
            node.config.update(keys)
            node.reload()
            between()
        seen.append({fingerprint(node) for node in nodes})
    return seen


def case_keys_change():
    """While devices join, while they have sessions, and then cidlb ends and starts with the new key."""
    with Scene() as scene:
        servers = [scene.backend(number) for number in NODES]
        lb = scene.cidlb([scene.pool("coaps", servers)], hash_key=KEYS[0])
        story = scene.dir / "story"
        options = {"devices": DEVICES, "ramp_ms": 100, "observe": True, "interval_ms": 300, "ack_timeout_ms": 300}
        fleet = scene.fleet(lb.address(), rebind_every=3, duration=600, story=story, **options)

        def exchanges(count=10):
            due = told(story, "exchanges_ok") + count
            wait_until(lambda: told(story, "exchanges_ok") >= due, 30, f"{count} more exchanges")

        def most_changes():
            return max(server.counters()["max_address_changes_per_session"] for server in servers)

        exchanges()
        seen = rotate([lb], KEYS[0], KEYS[1], exchanges)
        wait_all_joined(story, DEVICES)
        seen += rotate([lb], KEYS[1], KEYS[2], exchanges)
        assert all(len(one) == 1 for one in seen) and len(set().union(*seen)) == 6, seen
        # Endpoints stay as long as cidlb runs. The key then is another one: they change, once.
        exchanges(3 * DEVICES)
        assert most_changes() == 1, most_changes()
        lb.restart()
        exchanges(3 * DEVICES)
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report(60)
        assert report["survived"] == report["sessions"] == report["handshakes"] == DEVICES, report
        assert report["exit"] == 0, report
        assert report["extra_handshakes"] == report["observations_lost"] == 0, report
        assert most_changes() == 2, most_changes()
        lb.assert_identities()
        checked = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], capture_output=True, text=True)
        assert checked.stdout == f"{lb.file}: good, fingerprint {fingerprint(lb)}\n", checked


main(globals())
