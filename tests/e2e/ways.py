#!/usr/bin/env python3
"""The ways on which servers answer devices themselves, and the networks that let them: what packaging/guide/dsr.md says
of each is tried. IPv4."""

import contextlib
import json
import shutil
import subprocess
import sys

from decap import in_place_of_the_module
from dsr import PORT, entry, longer, started, text_of
from harness import Scene, Skip, ip, main, release_only, wait_until
from lab.segment import SERVICE, Segment
from lab.shimmed import PROGRAMS, Shimmed
from tunnel_probes import KEYS, nodes_of, tunnel, tunnel_pool
from udp import drain, forge

# dsr: frames; packets in packets, taken out by a module of the kernel (its stand-in) or by cidlb-decap. tunnel: with
# reply = "direct", and answers through cidlb.
WAYS = ("l2", "module", "decap", "direct", "node")
LINK_MTU, UDP_IPV4 = 1500, 28


class Way:
    """One server on one of the ways, which echoes, and a device."""

    def __init__(self, name, scene, segment, decapsulators):
        self.name, self.host, self.decapsulators = name, segment.servers[0], decapsulators
        echo = [sys.executable, PROGRAMS / "shim_echo.py", "recvfrom"]
        if name in ("direct", "node"):
            settings = {**tunnel("10.9.0.1"), "reply": name}
            own = self.host.own()
            with self.host.there():
                server = Shimmed(scene, [nodes_of(settings)], [*echo, own, PORT], PORT, own, keys=KEYS)
            server.wait_out("ready")
            self.lb = scene.cidlb([tunnel_pool(scene, [entry(self.host)], settings, {"probe": "none"})], start=False)
            self.lb.config["listeners"][0]["address"] = text_of(SERVICE)
            self.lb.start()
        else:
            with self.host.there():
                server = scene.process("server", *echo, SERVICE, PORT)
            wait_until(lambda: "ready" in server.out.read_text(), 20, "the server is ready")
            self.lb = started(scene, segment, "l2" if name == "l2" else "ipip")
        self.device = segment.devices.socket("10.9.1.3")

    def send(self, octets=100):
        record = longer(forge(bytes([1]) + bytes(5)), octets)
        self.device.sendto(record, (SERVICE, PORT))
        return record

    def assert_answered(self, octets=100):
        record, answers = self.send(octets), []
        wait_until(lambda: answers.extend(drain(self.device)) or answers, 20, f"{self.name}: an answer")
        expected = b"%s %d " % (b"10.9.1.3", self.device.getsockname()[1]) + record
        assert answers == [(expected, (SERVICE, PORT))], (self.name, octets, len(answers))

    def assert_lost(self, how_many):
        """`how_many` says how many datagrams were dropped for the reason that the test has made."""
        before = how_many()
        self.send()
        wait_until(lambda: how_many() > before, 20, f"{self.name}: it is dropped")
        assert not drain(self.device), self.name


@contextlib.contextmanager
def way(name, prepare=lambda segment: None):
    with contextlib.ExitStack() as stack:
        begun = stack.enter_context(in_place_of_the_module("auto")) if name == "decap" else []
        segment, scene = stack.enter_context(Segment(servers=1)), stack.enter_context(Scene())
        prepare(segment)
        one = Way(name, scene, segment, begun)
        stack.callback(one.device.close)
        yield one
        one.lb.assert_identities()


def nft(*arguments):
    if not shutil.which("nft"):
        raise Skip("needs nft")
    return subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def blocked(hook, rule):
    """The network drops what the rule says. Gives how many datagrams that were."""
    nft("add table bridge cloud")
    try:
        nft(f"add chain bridge cloud rules {{ type filter hook {hook} priority 0; }}")
        nft(f"add rule bridge cloud rules {rule} counter drop")
        yield lambda: counted(json.loads(nft("--json", "list", "table", "bridge", "cloud")))
    finally:
        nft("delete table bridge cloud")


def counted(table):
    [rule] = [one["rule"] for one in table["nftables"] if "rule" in one]
    return next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)


@release_only
def case_nothing_is_blocked():
    for name in WAYS:
        with way(name) as one:
            one.assert_answered()


@release_only
def case_protocol_4_is_blocked():
    """As where only UDP, TCP and ICMP pass: packets in packets do not arrive."""
    for name in WAYS:
        with way(name) as one, blocked("postrouting", "ip protocol 4") as how_many:
            if name in ("module", "decap"):
                one.assert_lost(how_many)
            else:
                one.assert_answered()
                assert how_many() == 0


@release_only
def case_foreign_sources_are_blocked():
    """As where a host may send from its own address alone: no server can answer in the service's name."""
    for name in WAYS:
        with way(name) as one, blocked("prerouting", f"iifname srv1 ip saddr != {one.host.ip4}") as how_many:
            if name == "node":
                one.assert_answered()
                assert how_many() == 0
            else:
                one.assert_lost(how_many)


def filtered(host):
    """What the server's kernel dropped because its source lies elsewhere."""
    with host.there(), open("/proc/thread-self/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index("IPReversePathFilter")])


@release_only
def case_strict_rp_filter():
    """On the server. What the module takes out comes in through another interface than devices are reached by."""
    for name in WAYS:
        with way(name, lambda segment: segment.servers[0].set("ipv4/conf/all/rp_filter", 1)) as one:
            if name == "module":
                one.assert_lost(lambda: filtered(one.host))
                one.host.set("ipv4/conf/all/rp_filter", 0)
            one.assert_answered()


def move_away(segment):
    """The server's own address lies behind a router."""
    [host] = segment.servers
    host.ip("address", "add", "10.8.0.1/32", "dev", "lo")
    ip("route", "add", "10.8.0.1/32", "via", host.ip4)
    host.ip4 = "10.8.0.1"


@release_only
def case_behind_a_router():
    """l2 does not get there: dsr.py shows what it says."""
    for name in WAYS[1:]:
        with way(name, move_away) as one:
            one.assert_answered()


@release_only
def case_mtu():
    """So much fits into one packet. What is larger comes in fragments, which cidlb-decap does not put together."""
    for name, header in (("l2", 0), ("module", 20), ("decap", 20), ("direct", 41), ("node", 41)):
        with way(name) as one:
            metric = "cidlb_tunnel_fragmented_total" if name in ("direct", "node") else "cidlb_dsr_fragmented_total"
            fits = LINK_MTU - UDP_IPV4 - header
            one.assert_answered()  # before that, the header has 3 octets more: the node does not know the server
            one.assert_answered(fits)
            assert one.lb.metric(metric) == 0, name
            if name == "decap":
                [decapsulator] = one.decapsulators
                one.send(fits + 1)
                wait_until(lambda: decapsulator.counts()[2] == 2, 20, "both fragments are passed up")
                assert not drain(one.device)
            else:
                one.assert_answered(fits + 1)
            assert one.lb.metric(metric) == 1, name
            one.assert_answered(fits)


if __name__ == "__main__":
    main(globals())
