"""Hosts of nodes.py: a router, servers, devices, and nodes of cidlb with the configurations of packaging/ecmp. Each is a
network namespace; nodes.py has the picture."""

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from harness import BIN, FULL, PSK, Backend, Cidlb, Fleet, Process, Skip, told
from harness import _libc, CLONE_NEWNET, wait_all_joined, wait_until
from pages import GUIDE, Page

ECMP = Path(__file__).parents[3] / "packaging" / "ecmp"
SERVICE = "192.0.2.1"
SHARED = "2001:db8:0:ab00::/56"
NODES = (1, 2, 3)
KEYS = ("000102030405060708090a0b0c0d0e0f", "f0e0d0c0b0a090807060504030201000", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
DEVICES = 100 if FULL else 45  # so many that each of three servers gets some
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
        announce = network.on(self.host, ECMP / "announce", "127.0.0.1:9180", control)
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
        self.router_control = scene.dir / "router.ctl"
        Bird(scene, network, "router", (ECMP / "router.conf").read_text(), self.router_control).start()

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

    def assert_shown(self, *numbers):
        """What nodes.md has for the router shows a line for each node that serves."""
        for line in sum(Page(GUIDE / "nodes.md").commands("sh on the router"), []):
            words = line.replace("birdc", f"birdc -s {self.router_control}").split()
            said = self.network.run("router", *words)
            assert sorted(re.findall(r"via 10\.0\.(\d)\.2 ", said)) == sorted(map(str, numbers)), (line, said)

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
