#!/usr/bin/env python3
"""Mode nat without a table: real sessions, memory that does not grow, and who may answer."""

import ipaddress
import re
import select
import socket
import struct
import subprocess
import time
from pathlib import Path

from control import ask, ctl
from harness import BIN, FULL, Scene, ip, main, release_only, wait_all_joined, wait_until
from udp import Relay, drain, open_socket, parse_address

PREFIX = "fd00:c1d:1b00::/56"
NAT = {"rebind": "backend", "sources": (PREFIX,)}
DEVICES, MOVES = (1000, 20) if FULL else (60, 20)
SOURCES = 1_000_000 if FULL else 100_000
IP_PKTINFO = 8  # linux/in.h
TRAFFIC = {"interval_ms": 1000, "ack_timeout_ms": 500} if FULL else {"interval_ms": 300, "ack_timeout_ms": 200}


def record(number):
    """A record with a CID of server 1."""
    return struct.pack(">BHH6x", 25, 0xFEFD, 1) + b"\1" + number.to_bytes(5, "big") + struct.pack(">H", 16) + bytes(16)


def route_prefix():
    ip("-6", "route", "replace", "local", PREFIX, "dev", "lo")


def flip(endpoint, bit):
    """The address with one bit, counted from the left, the other way."""
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(endpoint)) ^ 1 << 127 - bit))


def case_killed_every_two_seconds():
    """Devices move and lose a tenth of what they send and get, while cidlb is killed again and again."""
    route_prefix()
    with Scene() as scene:
        backends = [scene.backend(number, ip="::1") for number in (1, 2, 3)]
        lb = scene.cidlb([scene.pool("p", backends, nat=NAT)])
        lb.wait_log(
            r"info stateless pool=p: runs without a table: .* addresses in fd00:c1d:1b00::/56 .* check of 24 bits"
        )
        story = scene.dir / "story"
        options = {
            "devices": DEVICES, "rebinds": MOVES, "rebind_every": 1, "loss": 10, "story": story, "max_seconds": 300
        }
        fleet = scene.fleet(lb.address(), **options, **TRAFFIC)
        kills, took = 0, 0
        while fleet.alive():
            time.sleep(max(0.5, 2 - took))  # so that there are some kills on a machine that is slow to start it
            if fleet.alive():
                lb.assert_identities()
                assert lb.metric("cidlb_flows") == 0 and lb.metric("cidlb_stateless_dropped_total") == 0
                took = lb.restart()
                kills += 1
        report = fleet.report()
        assert report["survived"] == report["sessions"] == report["handshakes"] == DEVICES, report
        assert report["extra_handshakes"] == 0 and report["rebinds"] == DEVICES * MOVES, report
        lb.assert_identities()
        reports = [backend.report() for backend in backends]
        assert sum(report["handshakes"] for report in reports) == DEVICES, reports
        # The servers saw each move, and nothing else.
        assert max(report["max_address_changes_per_session"] for report in reports) <= MOVES, reports
        print(
            f"    {DEVICES} devices, {MOVES} moves each, cidlb killed {kills} times: {report['exchanges_ok']} exchanges"
        )
        assert kills >= 5, kills


def case_to_and_from_a_table():
    """A second listener, and the pool needs a table; without it, none. Sessions go on."""
    route_prefix()
    with Scene() as scene:
        backends = [scene.backend(number, ip="::1") for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends, nat=NAT)], start=False)
        one = lb.config["listeners"][:]
        two = one + [{**one[0], "name": "second", "address": one[0]["address"].replace("127.0.0.1", "127.0.0.2")}]
        lb.config["listeners"] = two
        lb.start()
        assert "runs without a table" not in lb.log_text()
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address("p"), devices=20, rebinds=8, rebind_every=0.7, story=story, max_seconds=60, **TRAFFIC
        )
        wait_all_joined(story, 20)
        for listeners, stateless in ((one, True), (two, False), (one, True)):
            time.sleep(1)
            lb.config["listeners"] = listeners
            lb.reload()
            pool = ask(lb, "status")["pools"][0]
            assert (pool["stateless"] is not None) == stateless, pool
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == 20, report
        lb.assert_identities()
        assert lb.log_text().count("runs without a table") == 2, lb.log_text()


class Source:
    """A device at any address of 127.0.0.0/8, on one port."""

    def __init__(self, target):
        self.target, self.sock = parse_address(target), open_socket("0.0.0.0")

    def send(self, datagram, address):
        info = struct.pack("=I4s4s", 0, socket.inet_aton(address), bytes(4))
        self.sock.sendmsg([datagram], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, self.target)


def exchange(source, server, first, last):
    """Each of so many addresses says something to the server, and is answered."""
    window = 64
    for at in range(first, last, window):
        waiting = {
            at + i: f"127.{64 + (at + i >> 16)}.{at + i >> 8 & 255}.{at + i & 255}"
            for i in range(min(window, last - at))
        }
        for _ in range(20):
            for number, address in waiting.items():
                source.send(record(number), address)
            while waiting and select.select([server, source.sock], [], [], 0.5)[0]:
                for datagram, endpoint in drain(server):
                    server.sendto(datagram, endpoint)
                for datagram, _ in drain(source.sock):
                    waiting.pop(int.from_bytes(datagram[12:17], "big"), None)
            if not waiting:
                break
        assert not waiting, f"{len(waiting)} addresses are not answered"


def resident_kib(lb):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{lb.pid}/status").read_text()).group(1))


def one_server(scene, server, **options):
    entry = {"name": "a", "id": 1, "address": "[::1]:%d" % server.getsockname()[1]}
    return scene.cidlb([scene.pool("p", [entry], nat=NAT, health={"probe": "none"})], **options)


@release_only  # measures memory, which sanitizers use for themselves
def case_memory():
    route_prefix()
    with Scene() as scene, open_socket("::1") as server:
        lb = one_server(scene, server)
        source = Source(lb.address())
        exchange(source, server, 0, 1000)
        lb.metric("cidlb_flows")  # counters are summed up, which takes memory of its own from the first time on
        few = resident_kib(lb)
        exchange(source, server, 1000, SOURCES)
        many = resident_kib(lb)
        print(f"    resident after 1,000 sources: {few} KiB; after {SOURCES:,}: {many} KiB")
        # Batches grow when the machine is busy, and touch more of the buffers. Flows would take 22,000 KiB.
        assert abs(many - few) <= 2048, (few, many)
        assert lb.metric("cidlb_replies_total") >= SOURCES and lb.metric("cidlb_flows") == 0
        lb.assert_identities()
        source.sock.close()


def dropped(lb):
    return {reason: lb.metric("cidlb_stateless_dropped_total", reason=reason) for reason in ("check", "source")}


def case_who_may_answer():
    route_prefix()
    with Scene() as scene, open_socket("::1") as server, open_socket("::1") as stranger, open_socket(
        "127.0.0.1"
    ) as device:
        lb = one_server(scene, server)
        ports = [int(port) for port in lb.config["pools"][0]["nat"]["ports"].split("-")]
        device.sendto(record(1), parse_address(lb.address()))
        wait_until(lambda: select.select([server], [], [], 0)[0], 20, "the server gets it")
        ((datagram, endpoint),) = drain(server)
        host, port = endpoint[:2]
        octets = ipaddress.IPv6Address(host).packed
        assert datagram == record(1) and port == ports[0]
        assert octets[:7] == ipaddress.IPv6Address(PREFIX.split("/")[0]).packed[:7], host
        assert octets[10:] == socket.inet_aton("127.0.0.1") + struct.pack(">H", device.getsockname()[1]), host

        # Strangers, also with a wrong check; and the server itself, to any address but this one.
        stranger.sendto(b"forged", (host, port))
        stranger.sendto(b"forged", (flip(host, 79), port))
        wait_until(lambda: dropped(lb) == {"check": 0, "source": 2}, 20, "strangers are counted")
        for bit in range(56, 128):
            server.sendto(b"forged", (flip(host, bit), port))
        server.sendto(b"forged", (host, ports[1]))
        wait_until(lambda: dropped(lb) == {"check": 73, "source": 2}, 20, f"failed checks are counted: {dropped(lb)}")
        lb.wait_log("warning stateless_dropped pool=p: the endpoints get datagrams that are no answers")
        assert not drain(device)

        server.sendto(b"answer", endpoint)
        server.sendto(b"another", endpoint)
        wait_until(lambda: lb.metric("cidlb_forwarded_total", direction="down") == 2, 20, "answers are sent")
        assert [data for data, _ in drain(device)] == [b"answer", b"another"]
        lb.assert_identities()
        assert lb.log_text().count(" stateless_dropped ") == 1, "the line is limited in rate"

        # A new key: the old address is good while the key before is named.
        old = lb.config["hash_key"]
        for key, previous, good in (("1" * 32, old, True), ("1" * 32, None, False)):
            lb.config["hash_key"] = key
            lb.config.pop("hash_key_previous", None)
            if previous:
                lb.config["hash_key_previous"] = previous
            lb.reload()
            before = dropped(lb)["check"]
            server.sendto(b"old", endpoint)
            wait_until(
                lambda: drain(device) if good else dropped(lb)["check"] > before, 20, f"the old address is good: {good}"
            )
        device.sendto(record(2), parse_address(lb.address()))
        wait_until(lambda: select.select([server], [], [], 0)[0], 20, "the server gets it")
        ((_, moved),) = drain(server)
        assert moved != endpoint and ipaddress.IPv6Address(moved[0]).packed[10:] == octets[10:], moved
        lb.assert_identities()


def case_shared_prefix():
    """Two pools in one prefix and on one port: each gets its own servers' answers, also from a server that is in
    both."""
    route_prefix()
    with Scene() as scene, open_socket("::1") as both, open_socket("::1") as other, open_socket("127.0.0.1") as device:
        nat = {**NAT, "ports": "40684"}
        pools = []
        for name, servers in (("p", [both]), ("q", [both, other])):
            entries = [
                {"name": f"{name}{i}", "id": i, "address": "[::1]:%d" % server.getsockname()[1]}
                for i, server in enumerate(servers, 1)
            ]
            pools.append(scene.pool(name, entries, nat=nat, health={"probe": "none"}))
        lb = scene.cidlb(pools)
        endpoints = {}
        for name in ("p", "q"):
            device.sendto(record(1), parse_address(lb.address(name)))
            wait_until(lambda: select.select([both], [], [], 0)[0], 20, "the server gets it")
            ((_, endpoints[name]),) = drain(both)
        assert endpoints["p"][0] != endpoints["q"][0]
        for sender, name in ((both, "p"), (both, "q"), (other, "q")):
            sender.sendto(name.encode(), endpoints[name])
            assert select.select([device], [], [], 5)[0], (sender, name)
            assert drain(device) == [(name.encode(), parse_address(lb.address(name)))]
        other.sendto(b"forged", endpoints["p"])
        wait_until(lambda: lb.metric("cidlb_stateless_dropped_total") == 1, 20, "it is of the other pool only")
        assert not drain(device)
        assert lb.metric("cidlb_replies_total", pool="p") == 1 and lb.metric("cidlb_replies_total", pool="q") == 2
        lb.assert_identities()


def case_told():
    """What an operator reads of it."""
    route_prefix()
    with Scene() as scene, open_socket("::1") as server:
        lb = one_server(scene, server)
        how = "runs without a table: servers see addresses in fd00:c1d:1b00::/56 that carry those of the devices of "
        check = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], capture_output=True, text=True, check=True)
        assert how + lb.address() in check.stdout
        assert how in ctl(lb, "status")
        assert "pool p runs without a table: it needs no flows" in ctl(lb, "flows")
        lb.reload()
        lb.wait_log("reloaded")
        wait_until(lambda: lb.log_text().count(how) == 2, 20, "it is logged at each start and reload")


def case_refusing_server():
    """An ICMP error tells whom it is about, without a flow: that server is probed at once."""
    route_prefix()
    with Scene() as scene, open_socket("127.0.0.1") as device:
        a = scene.backend(1, ip="::1")
        pool = scene.pool(
            "p", [a], nat=NAT, health={"probe": "dtls", "interval_ms": 60000, "timeout_ms": 1000, "fall": 1}
        )
        lb = scene.cidlb([pool])
        a.kill()
        wait_until(
            lambda: device.sendto(record(1), parse_address(lb.address()))
            and lb.metric("cidlb_icmp_errors_total", pool="p"),
            20,
            "an error",
        )
        wait_until(lambda: lb.down(backend="a") == 1, 20, "the server is down")
        assert lb.metric("cidlb_strays_total") == 0
        lb.assert_identities()


def case_traced():
    route_prefix()
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1, ip="::1")], nat=NAT)])
        with Relay(lb.address()) as relay:
            fleet = scene.fleet(relay.address, devices=1, duration=600, **TRAFFIC)
            cid = relay.wait_record(6).cid.hex()
            out = ctl(lb, "trace", "--cid", cid, "--for", "5s")
            fleet.kill()
            device = ipaddress.IPv4Address(relay.source[0]).packed + struct.pack(">H", relay.source[1])
            seen = [ipaddress.IPv6Address(text).packed for text in re.findall(r"fd00:c1d:1b[0-9a-f:]+", out)]
            assert seen and {octets[10:] for octets in seen} == {device}, out


if __name__ == "__main__":
    main(globals())
