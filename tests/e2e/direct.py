#!/usr/bin/env python3
"""Mode tunnel with reply = "direct": servers under the shim answer devices themselves. What they send is read on their
cables."""

import contextlib
import re
import socket
import struct
import sys

import proxy2
from dsr import FLEET, MOVES, PORT, entry, fleet, text_of
from harness import BIN, Backend, Scene, main, release_only, told, wait_all_joined, wait_until
from lab.segment import SERVICE, SERVICE6, Segment
from lab.shimmed import PROGRAMS, Shimmed
from proxy2 import DIRECT, UP, V1, V2
from tunnel_probes import KEYS, WORKERS, key_file, nodes_of, tunnel, tunnel_pool
from udp import HELLO, drain, forge, parse_address

ETH_P_ALL, PACKET_OUTGOING, SO_RCVBUFFORCE = 3, 4, 33  # packet(7)
PROBES = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
MAC = "02:00:00:00:00:99"  # of the devices


class Cable:
    """What a server sends, as this host's end of its cable sees it: (Ethernet address it goes to, source, destination)
    of each UDP datagram."""

    def __init__(self, host):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        self.sock.bind((host.device, ETH_P_ALL))
        self.sock.setblocking(False)
        self.seen = []

    def look(self):
        """All that it has seen."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, name = self.sock.recvfrom(65536)
                if name[2] != PACKET_OUTGOING:
                    self.seen.extend(datagrams_of(frame))
        return self.seen


def datagrams_of(frame):
    ip = frame[14:]
    if frame[12:14] == b"\x08\0" and ip[9] == 17:
        family, ends, udp = socket.AF_INET, (ip[12:16], ip[16:20]), ip[20:]
    elif frame[12:14] == b"\x86\xdd" and ip[6] == 17:
        family, ends, udp = socket.AF_INET6, (ip[8:24], ip[24:40]), ip[40:]
    else:
        return
    ports = struct.unpack_from("!HH", udp)
    yield frame[:6].hex(":"), *((socket.inet_ntop(family, end), port) for end, port in zip(ends, ports))


class Stage:
    """Servers of the segment under the shim, and a cidlb before them."""

    def __init__(self, scene, segment, v6=False, shim=True, reply="direct", **options):
        self.service = (SERVICE6 if v6 else SERVICE, PORT)
        self.node = "fd09::1" if v6 else "10.9.0.1"
        self.settings = {**tunnel(self.node), "reply": reply}
        segment.devices.ip("link", "set", "eth", "address", MAC)
        self.cables = [Cable(host) for host in segment.servers]
        self.servers = [self.server(scene, host, v6, shim) for host in segment.servers]
        pool = tunnel_pool(scene, [entry(host, v6) for host in segment.servers], self.settings, PROBES, **options)
        self.lb = scene.cidlb([pool], start=False)
        self.lb.config["listeners"][0]["address"] = text_of(*self.service)
        self.lb.start()

    def server(self, scene, host, v6, shim):
        options = () if shim else ("--tunnel", key_file(scene))
        server = Backend(scene, host.number, "abc"[host.number - 1], 6, PORT, host.own(v6), options)
        if shim:
            variables = {
                "LD_PRELOAD": BIN / "libcidlb-shim.so",
                "CIDLB_SHIM_PORTS": PORT,
                "CIDLB_SHIM_KEY": f"@{key_file(scene)}",
                "CIDLB_SHIM_NODES": nodes_of(self.settings),
            }
            server.argv[:0] = ["env", *(f"{name}={value}" for name, value in variables.items())]
        with host.there():
            return server.start()

    def sent(self):
        """What the servers have sent: to devices, to cidlb's workers, and to where its probes come from."""
        first = parse_address(self.settings["local"])[1]
        to_devices, to_workers, to_probes = [], [], []
        for cable in self.cables:
            for mac, source, to in cable.look():
                if to[0] != self.node:
                    to_devices.append((mac, source, to))
                elif to[1] in range(first, first + WORKERS):
                    to_workers.append((mac, source, to))
                elif to[1] == first + WORKERS:
                    to_probes.append((mac, source, to))
        return to_devices, to_workers, to_probes

    def assert_direct(self):
        """Every answer went from the service address to the devices' own Ethernet address; only those to probes came
        to cidlb."""
        to_devices, to_workers, to_probes = self.sent()
        assert to_devices and to_probes and not to_workers, (len(to_devices), to_workers[:3], len(to_probes))
        wrong = [one for one in to_devices if one[0] != MAC or one[1] != self.service]
        assert not wrong, wrong[:3]


def sessions(v6=False):
    """Devices move, cidlb is killed, a server is drained, answers come through cidlb for a while: nobody notices."""
    with Segment() as segment, Scene() as scene:
        stage = Stage(scene, segment, v6)
        lb, story = stage.lb, scene.dir / "story"
        pool = lb.config["pools"][0]
        devices = fleet(
            scene, segment, v6, devices=FLEET, duration=3600, rebind_every=1, loss=5, give_up=8, story=story
        )
        wait_all_joined(story, FLEET)
        wait_until(lambda: told(story, "rebinds") >= FLEET, 60, "the devices have moved")
        lb.assert_identities()
        assert lb.metric("cidlb_forwarded_total", direction="down") == lb.metric("cidlb_replies_total") == 0
        stage.assert_direct()
        lb.restart()
        wait_until(lambda: told(story, "rebinds") >= 2 * FLEET, 60, "the devices have moved again")
        pool["backends"][0]["state"] = "drain"
        lb.reload()
        wait_until(lambda: told(story, "rebinds") >= MOVES * FLEET, 300, "and again")
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="cid_draining") > 0, 20, "the draining server is served"
        )
        assert lb.metric("cidlb_forwarded_total", direction="down") == lb.metric("cidlb_replies_total") == 0
        stage.assert_direct()
        assert lb.down() == 0 and "unanswered" not in lb.log_text()
        pool["tunnel"]["reply"] = "node"
        lb.reload()
        moved = told(story, "rebinds")
        wait_until(lambda: told(story, "rebinds") >= moved + 2 * FLEET, 120, "the devices have moved once more")
        assert lb.metric("cidlb_forwarded_total", direction="down") > 0
        devices.stop()
        report = devices.report()
        assert report["survived"] == FLEET and report["handshakes"] == FLEET, report
        lb.assert_identities()
        assert lb.metric("cidlb_tunnel_dropped_total") == 0
        counted = [server.report() for server in stage.servers]
        assert sum(one["sessions"] for one in counted) == FLEET, counted
        assert sum(one["address_changes"] for one in counted) >= FLEET, counted
        assert not any("cannot answer" in server.log_text() for server in stage.servers)


@release_only  # the shim is loaded into programs that have no sanitizer
def case_sessions():
    sessions()


@release_only
def case_sessions_ipv6():
    sessions(v6=True)


def case_servers_that_do_not_know_it():
    """They answer through cidlb, which delivers it."""
    with Segment() as segment, Scene() as scene:
        stage = Stage(scene, segment, shim=False)
        report = fleet(scene, segment, devices=4, rebinds=2, rebind_every=0.5).report()
        assert report["survived"] == report["handshakes"] == 4, report
        to_devices, to_workers, _ = stage.sent()
        assert to_workers and not to_devices, (to_devices[:3], len(to_workers))
        assert stage.lb.metric("cidlb_forwarded_total", direction="down") > 0
        assert stage.lb.metric("cidlb_tunnel_dropped_total") == 0
        stage.lb.assert_identities()


@release_only
def case_not_on_lo():
    """A server without the service address says so, and its answers go through cidlb."""
    with Segment(servers=1) as segment, Scene() as scene:
        segment.servers[0].ip("address", "del", f"{SERVICE}/32", "dev", "lo")
        stage = Stage(scene, segment)
        report = fleet(scene, segment, devices=2, rebinds=1, rebind_every=0.5).report()
        assert report["survived"] == report["handshakes"] == 2, report
        stage.servers[0].wait_log(f"cannot answer devices from {SERVICE}:{PORT}, so answers go to the node", 20)
        to_devices, to_workers, _ = stage.sent()
        assert to_workers and not to_devices, (to_devices[:3], len(to_workers))


@release_only
def case_sockets_on_all_addresses():
    """An IPv4 socket, and one of both families, as Java has it."""
    for ip, mapped in (("0.0.0.0", b""), ("::", b"::ffff:")):
        with Segment(servers=1) as segment, Scene() as scene:
            [host], settings = segment.servers, {**tunnel("10.9.0.1"), "reply": "direct"}
            cable = Cable(host)
            with host.there():
                argv = [sys.executable, PROGRAMS / "shim_echo.py", "recvfrom", ip, PORT]
                Shimmed(scene, [nodes_of(settings)], argv, PORT, ip, keys=KEYS).wait_out("ready")
            lb = scene.cidlb([tunnel_pool(scene, [entry(host)], settings, {"probe": "none"})], start=False)
            lb.config["listeners"][0]["address"] = text_of(SERVICE, PORT)
            lb.start()
            record, answers = forge(bytes([1]) + bytes(5)), []
            with segment.devices.socket("10.9.1.3") as device:
                device.sendto(record, (SERVICE, PORT))
                wait_until(lambda: answers.extend(drain(device)) or answers, 20, "the answer")
                expected = mapped + b"10.9.1.3 %d " % device.getsockname()[1] + record
                assert answers == [(expected, (SERVICE, PORT))], answers
                assert [one[1:] for one in cable.look()] == [((SERVICE, PORT), device.getsockname())], cable.seen
            assert lb.metric("cidlb_replies_total") == 0


class Liar:
    """Sends from any address, on the devices' host."""

    def __init__(self, host):
        with host.there():
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, source, to, payload):
        ips = [socket.inet_aton(end[0]) for end in (source, to)]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, *ips)
        self.sock.sendto(ip + struct.pack("!HHHH", source[1], to[1], 8 + len(payload), 0) + payload, (to[0], 0))


def forged_headers(victim, service):
    """By somebody without the key, who has seen headers of other devices and of the victim."""
    other = ("10.9.1.7", victim[1])
    for version in (V1, V2, DIRECT):
        yield proxy2.write(bytes(16), 1, UP, victim, service, version=version)
        seen = proxy2.write(KEYS[1], 1, UP, other, service, version=version)
        yield seen.replace(socket.inet_aton(other[0]), socket.inet_aton(victim[0]))
        seen = proxy2.write(KEYS[1], 1, UP, other, service, version=version)
        for marks in (0x10, 0x11, 0x12, 0x20, 0x21, 0x22):
            changed = bytearray(seen)
            changed[-10] = marks
            if changed != seen:
                yield bytes(changed)
    # The answers of a server, which everybody sees who is on the way.
    for version in (V1, V2):
        yield proxy2.write(KEYS[1], 1, proxy2.DOWN, service, victim, version=version)


@release_only
def case_forged():
    """Nobody without the key makes a server send anything to anybody, whatever address he sends from. Who spoofs a
    device's address gets it what the server itself says to a stranger: a cookie, less than it was asked with."""
    with Segment(servers=1) as segment, Scene() as scene:
        stage = Stage(scene, segment)
        wait_until(lambda: stage.sent()[2], 20, "probes are answered")
        node, server = parse_address(stage.settings["local"]), (segment.servers[0].own(), PORT)
        liar = Liar(segment.devices)
        with segment.devices.socket("10.9.1.5") as sock:
            victim = sock.getsockname()
            forged = [*forged_headers(victim, stage.service)]
            for header in forged:
                for payload in (HELLO, forge(bytes([1]) + bytes(5))):
                    liar.send(node, server, header + payload)
                    liar.send(("10.9.1.7", 7200), server, header + payload)
            good = proxy2.write(KEYS[1], 1, UP, victim, stage.service, version=DIRECT)
            liar.send(("10.9.1.7", node[1]), server, good + HELLO)
            liar.send((node[0], node[1] + WORKERS + 1), server, good + HELLO)
            # The kernel keeps their order: once this one is answered, all were read.
            liar.send(node, server, good + HELLO)
            wait_until(lambda: [one for one in stage.sent()[0] if one[2] == victim], 20, "a good one is answered")
            stage.servers[0].wait_log("its tag does not verify", 20)
            assert [one[1:] for one in stage.sent()[0]] == [(stage.service, victim)], stage.sent()[0]
            assert not stage.sent()[1], stage.sent()[1]
            [(answer, source)] = drain(sock)
            assert source == stage.service and len(answer) < len(HELLO), (source, answer.hex())
            # Through cidlb, which signs whatever address a datagram has.
            hellos, received = 50, []
            for _ in range(hellos):
                liar.send(victim, stage.service, HELLO)
                liar.send(victim, stage.service, forge(bytes([1]) + bytes(5)))
            wait_until(
                lambda: received.extend(drain(sock)) or len(received) >= hellos, 20, "each hello has its answer"
            )
            stage.lb.restart()
            liar.send(victim, stage.service, HELLO)
            wait_until(lambda: received.extend(drain(sock)) or len(received) > hellos, 20, "and so has the last")
            assert len(received) == hellos + 1, len(received)
            assert sum(len(answer) for answer, _ in received) < (hellos + 1) * len(HELLO)
            assert all(re.match(b"\x16\xfe[\xfd\xff]" + bytes(2), answer) for answer, _ in received)
        assert {one[2] for one in stage.sent()[0]} == {victim} and not stage.sent()[1]


if __name__ == "__main__":
    main(globals())
