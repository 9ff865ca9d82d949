#!/usr/bin/env python3
"""The fast path: a program in the kernel forwards between two Ethernets, and the sockets what it passes up. cidlb loads
it as root, which it never is in a build with sanitizers."""

import contextlib
import ctypes
import os
import platform
import re
import struct
import subprocess
import time

from control import ask, ctl
from harness import (
    BIN, FULL, Scene, Skip, fast_path_is_built, ip, main, release_only, told, total, wait_all_joined, wait_until
)
from lab.segment import BPF_PROG_LOAD, SYS_BPF
from lab.triple import DEVICES, LOCAL, LOCAL6, SERVICE, SERVICE6, Triple
from lab.xdp_program import PROG_LOAD, SYS_BPF
from shared_cids import CHANGE, DATA, HANDSHAKE, KEY_EXCHANGE, handshake, record, server_hello
from traces import lines_of, start_trace
from tunnel import Server, arrives, key_file, text_of, tunnel, tunnel_pool
from udp import HELLO, TLS12_CID, drain, forge

PORT = 5684
TRAFFIC = {"interval_ms": 200, "ack_timeout_ms": 500}
MOVES = 20 if FULL else 3
FLEET = 100 if FULL else 16
CID_A, CID_B, CID_NOBODY = b"\1" + bytes(5), b"\2" + bytes(5), b"\7" + bytes(5)
SEQ = 1000  # of a session that is not new


def needs_bpf():
    """Skips the case where there is no fast path to be had."""
    if not fast_path_is_built():
        raise Skip("cidlb was built without the fast path")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(SYS_BPF[platform.machine()], PROG_LOAD, None, 0)
    error = ctypes.get_errno()
    if error in (1, 38):  # EPERM, ENOSYS
        raise Skip(f"no bpf() here: {os.strerror(error)}")


@contextlib.contextmanager
def stage():
    needs_bpf()
    with Triple() as net, Scene() as scene:
        yield scene, net


def made(scene, entries, v6=False, start=True, fast=(), settings=None, **options):
    """cidlb with a tunnel to these servers."""
    pool = tunnel_pool(scene, "p", entries, settings or tunnel(ip=LOCAL6 if v6 else LOCAL), **options)
    lb = scene.cidlb([pool], start=False, fast={"interfaces": ["devs", "srvs"], **dict(fast)})
    lb.config["listeners"][0]["address"] = text_of(SERVICE6 if v6 else SERVICE, PORT)
    return lb.start() if start else lb


def server_at(net, number, v6=False, kind=Server, **options):
    ip_of = f"fd02::{10 + number}" if v6 else f"10.2.0.{10 + number}"
    return kind(sock=net.servers.socket(ip_of, PORT), **options)


def device_at(net, number=1, v6=False, port=0):
    return net.devices.socket(f"fd03::{number}" if v6 else f"10.3.0.{number}", port)


def service_of(v6=False):
    return SERVICE6 if v6 else SERVICE, PORT


def fast(lb, verdict=None):
    return lb.metric("cidlb_fast_datagrams_total", **({"verdict": verdict} if verdict else {}))


def passed(lb, reason=None):
    return lb.metric("cidlb_fast_passed_total", **({"reason": reason} if reason else {}))


def settled(cid):
    return forge(cid, seq=SEQ)


def warm(lb, device, cid=CID_A, v6=False):
    """Until the program forwards this CID and its answers: it has heard which header the server reads."""
    before = fast(lb), lb.metric("cidlb_fast_replies_total")

    def is_fast():
        device.sendto(settled(cid), service_of(v6))
        drain(device)
        return fast(lb) > before[0] and lb.metric("cidlb_fast_replies_total") > before[1]

    wait_until(is_fast, 30, "the program forwards")
    wait_until(lambda: not drain(device), 20, "nothing more arrives")


def exchange(device, server, cid, count=1, v6=False):
    """Datagrams that the server gets unchanged, from the device's own address, and answers."""
    for _ in range(count):
        sent, at = settled(cid), len(server.got)
        device.sendto(sent, service_of(v6))
        answer, source = arrives(device)
        assert answer == sent and source == service_of(v6), source
        whom, service, payload = server.got[at]
        assert payload == sent and whom == device.getsockname()[:2] and service == service_of(v6), (whom, service)


def moved_by_it(lb, act):
    """How many datagrams and replies the program took in the meantime, and how many it passed up."""
    def counts():
        return [fast(lb), lb.metric("cidlb_fast_replies_total"), passed(lb)]

    before = counts()
    act()
    return [now - then for now, then in zip(counts(), before)]


def real_servers(scene, net, v6=False, numbers=(1, 2)):
    with net.servers.there():
        return [
            scene.backend(number, port=PORT, ip=f"fd02::{10 + number}" if v6 else f"10.2.0.{10 + number}",
                          options=["--tunnel", key_file(scene)]) for number in numbers
        ]


def fleet_of(scene, net, v6=False, **options):
    with net.devices.there():
        return scene.fleet(
            text_of(SERVICE6 if v6 else SERVICE, PORT), addresses=DEVICES,
            **{"from": "fd03::1" if v6 else "10.3.0.1", **TRAFFIC, **options}
        )


def sessions(v6=False):
    """Devices move, cidlb is killed, a server is drained, another configuration is loaded: nobody notices."""
    with stage() as (scene, net):
        servers = real_servers(scene, net, v6)
        probes = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
        lb = made(scene, servers, v6, health=probes)
        story = scene.dir / "story"
        devices = fleet_of(scene, net, v6, devices=FLEET, duration=3600, rebind_every=1, loss=5, give_up=8, story=story)
        wait_all_joined(story, FLEET)
        wait_until(lambda: told(story, "rebinds") >= FLEET, 60, "the devices have moved")
        wait_until(lambda: fast(lb, "cid") >= FLEET, 60, "the program has forwarded")
        lb.assert_identities()
        lb.restart()
        wait_until(lambda: told(story, "rebinds") >= 2 * FLEET, 60, "the devices have moved again")
        lb.config["pools"][0]["backends"][0]["state"] = "drain"
        lb.reload()
        wait_until(lambda: told(story, "rebinds") >= MOVES * FLEET, 300, "and again")
        wait_until(lambda: fast(lb, "cid_draining") > 0, 30, "the draining server is served by the program")
        late = fleet_of(scene, net, v6, name="late", devices=4, rebinds=1, rebind_every=0.5).report()
        assert late["survived"] == 4, late
        devices.stop()
        report = devices.report()
        assert report["survived"] == FLEET and report["handshakes"] == FLEET, report
        lb.assert_identities()
        status = ask(lb, "status")["fast"]
        print(f"    by the program: {status['datagrams']} of {status['of_datagrams']} datagrams, "
              f"{status['replies']} of {status['of_replies']} replies")
        assert 0 < status["datagrams"] < status["of_datagrams"] and 0 < status["replies"] < status["of_replies"], status
        assert "fast path devs native, srvs native: " in ctl(lb, "status")
        counted = [server.report() for server in servers]
        assert sum(one["sessions"] for one in counted) == FLEET + 4, counted
        assert sum(one["bad_headers"] for one in counted) == 0, counted
        assert max(one["max_address_changes_per_session"] for one in counted) >= MOVES - 1, counted


@release_only
def case_sessions():
    sessions()


@release_only
def case_sessions_ipv6():
    sessions(v6=True)


def each_way(v6):
    """What goes through arrives unchanged, and what is counted is what was sent."""
    with stage() as (scene, net), server_at(net, 1, v6) as server, device_at(net, v6=v6) as device:
        lb = made(scene, [server.entry()], v6, max_resumable=0)
        warm(lb, device, v6=v6)
        assert moved_by_it(lb, lambda: exchange(device, server, CID_A, 20, v6)) == [20, 20, 0]
        other = device_at(net, 2, v6)
        assert moved_by_it(lb, lambda: exchange(other, server, CID_A, 5, v6)) == [5, 5, 0]
        lb.assert_identities()
        sent = lb.metric("cidlb_forwarded_total", direction="up"), lb.metric("cidlb_forwarded_total", direction="down")
        assert sent[0] == lb.metric("cidlb_received_total") and sent[1] == lb.metric("cidlb_replies_total"), sent


@release_only
def case_each_way():
    each_way(False)


@release_only
def case_each_way_ipv6():
    each_way(True)


@release_only
def case_first_records():
    """Where sessions can be resumed, cidlb wants to see the first 16 records that a server sends under keys."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()])
        warm(lb, device)
        for seq, replies in ((0, 0), (15, 0), (16, 1), (SEQ, 1)):
            def echo():
                device.sendto(forge(CID_A, seq=seq), service_of())
                arrives(device)

            assert moved_by_it(lb, echo) == [1, replies, 0], seq
        lb.assert_identities()


def junk(number):
    return struct.pack(">HI", 0x8000, number) + bytes(30)  # RTP


@release_only
def case_drops():
    """What the program drops has the verdicts that the sockets would give it. A few samples of it reach the log."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], max_resumable=0)
        warm(lb, device)
        before = lb.metrics()
        kinds = {
            "type": junk(1),
            "malformed": b"\x17\3\3" + bytes(30),
            "epoch0_data": b"\x17\xfe\xfd" + bytes(8) + b"\0\5hello",
            "mixed": settled(CID_A) + b"\x15\xfe\xfd" + bytes(8) + b"\0\2\2\x28",
            "unknown_cid": settled(CID_NOBODY),
        }
        rounds = 100
        for _ in range(rounds):
            for datagram in kinds.values():
                device.sendto(datagram, service_of())

        def counted():
            def count(metrics, kind):
                return total(metrics, "cidlb_datagrams_total", verdict=kind)

            now = lb.metrics()
            return {kind: count(now, kind) - count(before, kind) for kind in kinds}

        wait_until(lambda: all(count == rounds for count in counted().values()), 30, "each is counted once")
        by_program = {kind: fast(lb, kind) for kind in kinds}
        print(f"    by the program, of {rounds} each: {by_program}")
        assert all(by_program[kind] > 0 for kind in kinds), by_program
        assert 0 < passed(lb, "sample") < rounds * len(kinds)
        assert not drain(device) and server.got[-1][2] != junk(1)
        lb.assert_identities()

        def is_logged():
            device.sendto(settled(CID_NOBODY), service_of())
            return lb.logged("unknown_cid")

        wait_until(is_logged, 30, "a sample reaches the log")


@release_only
def case_bad_sources():
    """An address of a server, of cidlb or of this host as the source: the sockets see it, and drop it."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], max_resumable=0)
        warm(lb, device)
        ip("route", "add", "10.2.0.11/32", "via", "10.1.0.2")
        net.devices.ip("address", "add", "10.2.0.11/32", "dev", "lo")
        with net.devices.there():
            forged = net.devices.socket("10.2.0.11", PORT)
        before = lb.metric("cidlb_datagrams_total", verdict="bad_source")
        forged.sendto(settled(CID_A), service_of())
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="bad_source") == before + 1, 20, "a loop is dropped"
        )
        assert fast(lb, "bad_source") == 0 and passed(lb, "source") >= 1
        lb.assert_identities()


@release_only
def case_drain():
    """A server that drains is heard of, though only the program sees its sessions."""
    with stage() as (scene, net), server_at(net, 1) as server, server_at(net, 2) as other, device_at(net) as device:
        settings = {**tunnel(ip=LOCAL), "cid_idle_s": 3600}
        entries = [server.entry(), other.entry("b", 2)]
        lb = made(scene, entries, settings=settings, max_resumable=0)
        warm(lb, device)
        ctl(lb, "drain", "a")
        assert moved_by_it(lb, lambda: exchange(device, server, CID_A, 3)) == [3, 3, 0]
        assert fast(lb, "cid_draining") == 3
        wait_until(lambda: (lb.backend("a")["last_cid_s"] or 0) >= 2, 30, "silence")
        exchange(device, server, CID_A)
        wait_until(lambda: lb.backend("a")["last_cid_s"] <= 1, 30, "what the program forwards is heard of")
        assert not lb.backend("a")["drain"]["may_stop"]
        ctl(lb, "maint", "a")
        before = passed(lb, "backend")
        device.sendto(settled(CID_A), service_of())
        wait_until(lambda: lb.metric("cidlb_datagrams_total", verdict="maint") == 1, 20, "nothing goes there any more")
        assert passed(lb, "backend") == before + 1
        lb.assert_identities()


def without_cid(records=1):
    """Of a session without a CID."""
    return b"".join(record(DATA, 1, SEQ + number, os.urandom(24)) for number in range(records))


def led_to(lb, device):
    """The server that the C core leads this device to by its address alone."""
    answer = ask(lb, "route", without_cid().hex(), "--from", text_of(*device.getsockname()[:2]), "-c", lb.file)
    assert answer["verdict"] == "hash", answer
    return answer["backend"]["name"]


def answered_by(device, servers, sent, v6=False):
    """The server that got it, and echoed it."""
    device.sendto(sent, service_of(v6))
    assert arrives(device) == (sent, service_of(v6))
    (name,) = [name for name, server in servers.items() if server.got and server.got[-1][2] == sent]
    return name


def by_hash(v6):
    """Without a CID a session goes where its address leads, by the program. When that changes, who began before stays
    where it began, by the sockets."""
    with stage() as (scene, net), server_at(net, 1, v6) as one, server_at(net, 2, v6) as two:
        servers = {"a": one, "b": two}
        lb = made(scene, [one.entry(), two.entry("b", 2)], v6, max_resumable=0)
        devices = [device_at(net, 1, v6) for _ in range(12)]
        for cid in (CID_A, CID_B):
            warm(lb, devices[0], cid, v6)
        homes = {device: led_to(lb, device) for device in devices}
        assert set(homes.values()) == set(servers), homes

        def all_go_home():
            for device, home in homes.items():
                assert answered_by(device, servers, without_cid(), v6) == home

        assert moved_by_it(lb, all_go_home) == [12, 12, 0]
        assert fast(lb, "hash") == 12
        begun = next(device for device in devices if homes[device] == "a")
        # What belongs to a handshake, or has several records, is for the sockets.
        for sent in (HELLO, record(HANDSHAKE, 1, 0, bytes(40)), CHANGE, without_cid(2)):
            assert moved_by_it(lb, lambda: answered_by(begun, servers, sent, v6))[::2] == [0, 1]
        assert moved_by_it(lb, lambda: answered_by(begun, servers, without_cid(), v6)) == [1, 1, 0]
        wait_until(lambda: (lb.backend("a")["last_cid_s"] or 0) >= 2, 30, "silence")
        assert answered_by(begun, servers, without_cid(), v6) == "a"
        time.sleep(1.5)
        assert lb.backend("a")["last_cid_s"] >= 3, "what has no CID is no sign of one"
        ctl(lb, "drain", "a")
        homes = {device: "a" if device is begun else "b" for device in devices}
        assert moved_by_it(lb, all_go_home) == [0, 12, 12]
        assert lb.metric("cidlb_datagrams_total", verdict="hint") >= 1
        lb.assert_identities()


@release_only
def case_by_hash():
    by_hash(False)


@release_only
def case_by_hash_ipv6():
    by_hash(True)


@release_only
def case_not_by_hash():
    """Where sessions can be resumed at any server, their address alone does not lead them."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()])
        warm(lb, device)
        assert moved_by_it(lb, lambda: answered_by(device, {"a": server}, without_cid())) == [0, 1, 1]
        lb.assert_identities()


@release_only
def case_reload():
    """Ids change hands while datagrams go on, the pool leaves the fast path, and the configuration does without it."""
    with stage() as (scene, net), server_at(net, 1) as one, server_at(net, 2) as two, device_at(net) as device:
        lb = made(scene, [one.entry(), two.entry("b", 2)], max_resumable=0)
        warm(lb, device)
        warm(lb, device, CID_B)
        for _ in range(4):
            backends = lb.config["pools"][0]["backends"]
            backends[0]["id"], backends[1]["id"] = backends[1]["id"], backends[0]["id"]
            lb.reload()
            for cid in (CID_A, CID_B):
                owner = one if backends[0]["id"] == cid[0] else two
                assert moved_by_it(lb, lambda: exchange(device, owner, cid, 3)) == [3, 3, 0]
        lb.config["pools"][0]["fast"] = False
        lb.reload()
        assert moved_by_it(lb, lambda: exchange(device, one, CID_A, 3)) == [0, 0, 0]
        lb.config["pools"][0]["fast"] = True
        group = lb.config.pop("fast")
        lb.reload()
        assert moved_by_it(lb, lambda: exchange(device, one, CID_A, 3)) == [0, 0, 0]
        assert lb.metric("cidlb_fast_resting") == 1
        assert "it rests: the running configuration has none" in ctl(lb, "status")
        lb.config["fast"] = group
        lb.reload()
        warm(lb, device)
        lb.config["fast"] = {"interfaces": ["devs"]}
        lb.write()
        assert "fast: takes effect at the next start" in ctl(lb, "reload")
        lb.assert_identities()


@release_only
def case_trace():
    """A trace sees what the program would have forwarded. When it ends the program goes on."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], max_resumable=0)
        warm(lb, device)
        trace = start_trace(scene, lb, "trace", CID_A.hex())
        assert moved_by_it(lb, lambda: exchange(device, server, CID_A, 5)) == [0, 0, 0]
        wait_until(lambda: len(lines_of(trace)) >= 5, 20, "the trace has all of them")
        assert lb.metric("cidlb_fast_resting") == 1 and "it rests: a trace runs" in ctl(lb, "status")
        trace.child.kill()
        trace.asked = True
        wait_until(lambda: lb.metric("cidlb_fast_resting") == 0, 20, "the trace has ended")
        warm(lb, device)
        lb.assert_identities()


def mint(lb, name, count):
    argv = [BIN / "cidlbctl", "cid", "mint", "p", name, "--count", str(count), "-c", lb.file]
    cids = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert len(cids) == count, cids
    return [bytes.fromhex(cid) for cid in cids]


@release_only
def case_encrypted_cids():
    """CIDs that hide their server: the first datagram goes through the sockets. After an id has changed hands nothing
    goes where it went before."""
    key = bytes(range(16, 32))
    config = {"rotation": 0, "server_id_length": 1, "nonce_length": 14, "key": key.hex()}
    with stage() as (scene, net), server_at(net, 1) as one, server_at(net, 2) as two, device_at(net) as device:
        cid = {"scheme": "quic-lb", "configs": [config]}
        lb = made(scene, [one.entry(), two.entry("b", 2)], max_resumable=0, cid=cid)
        minted = mint(lb, "a", 8)
        warm(lb, device, minted[0])
        for cid in minted[1:]:
            first = moved_by_it(lb, lambda: exchange(device, one, cid))
            assert first == [0, 1, 1], first
            assert moved_by_it(lb, lambda: exchange(device, one, cid, 4)) == [4, 4, 0]
        backends = lb.config["pools"][0]["backends"]
        backends[0]["id"], backends[1]["id"] = 2, 1
        lb.reload()
        for cid in minted[:4]:
            exchange(device, two, cid, 2)
        warm(lb, device, minted[0])
        assert moved_by_it(lb, lambda: exchange(device, two, minted[1], 4))[0] == 4
        lb.assert_identities()


class Dealer(Server):
    """Gives out this CID to each device that says hello, and answers what bears it."""

    cid = b""

    def __init__(self, cid, **options):
        super().__init__(**options)
        self.cid = cid

    def answer(self, service, device, payload):
        if payload[0] == TLS12_CID:
            payload = record(DATA, 1, SEQ, bytes(24))
        elif payload[0] == HANDSHAKE and payload[13] == 1:
            payload = server_hello(self.cid)
        elif payload[0] == HANDSHAKE:
            payload = CHANGE + record(HANDSHAKE, 1, 0, bytes(40))
        super().answer(service, device, payload)


def hello(tail=b""):
    body = b"\xfe\xfd" + os.urandom(32) + b"\0\0\0\2\xc0\xa8\1\0" + tail
    return record(HANDSHAKE, 0, 0, handshake(1, 0, body))


def handshake_over(device, cid):
    """A handshake at whichever server. The CID is learned with the answer to the last flight."""
    device.sendto(hello(), service_of())
    arrives(device)
    key_exchange = record(HANDSHAKE, 0, 2, handshake(KEY_EXCHANGE, 2, bytes(12)))
    device.sendto(key_exchange + CHANGE + record(TLS12_CID, 1, 0, bytes(24), cid), service_of())
    arrives(device)


@release_only
def case_learned_cids():
    """CIDs that cidlb learns as it forwards: known to the program once a datagram has shown them. One that a second
    server gives out, too, is the program's no longer, and each device has its own server."""
    cid = os.urandom(6)
    with stage() as (scene, net), server_at(net, 1, kind=Dealer, cid=cid) as one:
        with server_at(net, 2, kind=Dealer, cid=cid) as two, device_at(net) as device:
            lb = made(scene, [one.entry(), {**two.entry("b", 2), "state": "drain"}], cid={"scheme": "learned"})
            for backend in lb.config["pools"][0]["backends"]:
                assert backend.pop("id")
            lb.reload()
            handshake_over(device, cid)

            def is_fast():
                device.sendto(settled(cid), service_of())
                return fast(lb, "cid") > 0

            wait_until(is_fast, 30, "the program forwards a learned CID")
            other = device_at(net, 2)
            first, second = lb.config["pools"][0]["backends"]
            first["state"], second["state"] = "drain", "ready"
            lb.reload()
            handshake_over(other, cid)
            before = fast(lb), len(two.got)
            for _ in range(10):
                other.sendto(settled(cid), service_of())
            wait_until(lambda: len(two.got) >= before[1] + 10, 20, "the second device has its server")
            assert fast(lb) == before[0]
            lb.assert_identities()


@release_only
def case_network_changes():
    """A server's link gets another address: what leaves for it bears that. A route that nobody can follow: the sockets
    do it."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], max_resumable=0)
        warm(lb, device)
        net.servers.ip("link", "set", "eth", "address", "02:00:00:00:00:77")
        ip("neigh", "replace", "10.2.0.11", "lladdr", "02:00:00:00:00:77", "dev", "srvs")
        warm(lb, device)
        exchange(device, server, CID_A, 3)
        ip("rule", "add", "from", "10.9.9.9", "lookup", "main")

        def goes_through_sockets():
            return moved_by_it(lb, lambda: exchange(device, server, CID_A, 3))[1] == 0

        wait_until(goes_through_sockets, 30, "with a rule of its own only the kernel knows the way")
        ip("rule", "del", "from", "10.9.9.9", "lookup", "main")
        warm(lb, device)
        lb.assert_identities()


@release_only
def case_not_to_be_had():
    """Another program on an interface, no right to load it, generic only: a log line, and cidlb serves."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], max_resumable=0, fast={"attach": "generic"})
        warm(lb, device)
        exchange(device, server, CID_A, 3)
        assert lb.metric("cidlb_fast_attached", interface="devs", mode="generic") == 1
    # The one that is there keeps it.
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], max_resumable=0)
        other = scene.cidlb([scene.pool("q", [scene.backend(3)])], name="other", start=False, fast=lb.config["fast"])
        other.start()
        assert other.metric("cidlb_fast_attached", mode="none") == 0 and other.metric("cidlb_fast_attached") == 0
        assert "another XDP program is on it" in ctl(other, "status")
        assert len(re.findall("fast_path", other.log_text())) == 1, other.log_text()
        warm(lb, device)
        lb.stop()
        assert "xdp" not in subprocess.run(["ip", "link", "show", "devs"], capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(globals())
