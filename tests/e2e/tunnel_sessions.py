#!/usr/bin/env python3
"""Mode tunnel: sessions live while cidlb is killed, and it remembers nothing of them."""

import re
import socket
import struct
import time
from pathlib import Path

from harness import BIN, FULL, Backend, Scene, free_ports, main, release_only, wait_until
from tunnel import IP_PKTINFO, RECORD, Server, key_file, started, tunnel, tunnel_pool
from udp import parse_address


def behind_shim(scene, number, settings):
    """A cidlb-backend that knows of nothing, with libcidlb-shim.so before it."""
    backend = Backend(scene, number, chr(ord("a") + number - 1), 6, free_ports(), "127.0.0.1", ())
    variables = {
        "LD_PRELOAD": BIN / "libcidlb-shim.so",
        "CIDLB_SHIM_PORTS": backend.port,
        "CIDLB_SHIM_KEY": f"@{key_file(scene)}",
        "CIDLB_SHIM_NODES": f"{settings['local']}-{parse_address(settings['local'])[1] + 2}",
    }
    backend.argv[:0] = ["env", *(f"{name}={value}" for name, value in variables.items())]
    return backend.start()


def survive_restarts(scene, backends, settings, devices, moves, **traffic):
    """Real devices that move, 10 % loss, and cidlb killed every other second: the servers see every move, and no
    session ends."""
    health = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
    lb = started(scene, [tunnel_pool(scene, "p", backends, settings, health=health)])
    fleet = scene.fleet(
        lb.address(), devices=devices, rebinds=moves, rebind_every=1, loss=10, max_seconds=300, **traffic
    )
    restarts = 0
    while fleet.alive():
        time.sleep(2)
        lb.assert_identities()
        lb.restart()
        restarts += 1
    report = fleet.report()
    print(f"    {restarts} restarts; {report['exchanges_ok']} exchanges, {report['exchanges_lost']} lost")
    assert report["survived"] == report["sessions"] == report["handshakes"] == devices, report
    assert report["rebinds"] == devices * moves and report["extra_handshakes"] == 0 and report["exit"] == 0, report
    reports = [backend.report() for backend in backends]
    assert sum(report["handshakes"] for report in reports) == devices, reports
    assert all(report["handshakes"] > 0 for report in reports), reports
    assert sum(report["bad_headers"] for report in reports) == 0, reports
    # They see the devices themselves; of moves at the end nothing may have been sent.
    assert max(report["max_address_changes_per_session"] for report in reports) >= moves - 1, reports


def case_sessions_survive_restarts():
    with Scene() as scene:
        settings, options = tunnel(), ["--tunnel", key_file(scene)]
        backends = [scene.backend(number, options=options) for number in (1, 2, 3)]
        if FULL:
            survive_restarts(scene, backends, settings, 1000, 20, interval_ms=1000, ack_timeout_ms=500)
        else:
            survive_restarts(scene, backends, settings, 60, 6, interval_ms=400, ack_timeout_ms=200)
        seen = [re.findall(r"device at (\S+):\d+ has a session", backend.log_text()) for backend in backends]
        assert sum(seen, []) == ["127.0.0.1"] * (1000 if FULL else 60), "their logs name the devices' own address"


@release_only  # the shim is loaded into programs that have no sanitizer
def case_sessions_survive_restarts_behind_the_shim():
    with Scene() as scene:
        settings = tunnel()
        backends = [behind_shim(scene, number, settings) for number in (1, 2, 3)]
        survive_restarts(scene, backends, settings, 60, 3, interval_ms=400, ack_timeout_ms=200)


def resident_octets(lb):
    return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{lb.pid}/status").read_text()).group(1))


@release_only  # measures memory, which sanitizers use for themselves
def case_memory_of_many_sources():
    """Sessions and ClientHellos from ever new addresses: after the last it holds what it held after the first 1,000."""
    sources = 1_000_000 if FULL else 100_000
    at_once = 500  # small enough for the socket's buffer
    with Scene() as scene, Server(echo=False) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        server.running = False  # what comes to it may be lost
        lb = started(scene, [tunnel_pool(scene, "p", [server.entry()])])
        service = parse_address(lb.address())
        hello = bytes.fromhex("16fefd00000000000000000010010000040000000000000004fefd0000")
        device.bind(("0.0.0.0", 0))
        sent = 0

        def reach(count):
            nonlocal sent
            while sent < count:
                for sent in range(sent + 1, min(sent + at_once, count) + 1):
                    info = struct.pack("=iI4s", 0, socket.htonl(0x7F800000 + sent), bytes(4))
                    device.sendmsg([RECORD if sent % 2 else hello], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, service)
                wait_until(lambda: lb.metric("cidlb_received_total") == sent, 20, f"{sent} datagrams are read")
            return resident_octets(lb)

        for _ in range(100):
            lb.metrics()  # takes memory of its own at first
        few = reach(1_000)
        many = reach(sources)
        print(f"    resident after 1,000 sources {few // 1024} KiB, after {sources:,} {many // 1024} KiB")
        assert many - few < 1 << 20, (few, many)
        lb.assert_identities()
        assert lb.metric("cidlb_datagrams_total", verdict="cid") == sources // 2


if __name__ == "__main__":
    main(globals())
