#!/usr/bin/env python3
"""cidlb-fleet straight against cidlb-backend, and through cidlb-relay: no balancer. What the other tests measure with
has to be right."""

import json
import signal
import subprocess
import time
from pathlib import Path

from harness import BIN, PSK, Scene, free_ports, main, told, wait_all_joined, wait_until
from udp import drain, open_socket

QUICK = {"interval_ms": 150, "ack_timeout_ms": 200, "max_seconds": 60}


def relay(scene, target, listen="127.0.0.1", **options):
    """A started cidlb-relay: its address and the process."""
    address = f"[{listen}]:{free_ports()}" if ":" in listen else f"{listen}:{free_ports()}"
    argv = [BIN / "cidlb-relay", "--listen", address, "--target", target]
    for option, value in options.items():
        argv += [f"--{option}", value]
    process = scene.process("relay", *argv)
    port = f":{int(address.rsplit(':', 1)[1]):04X} "
    wait_until(
        lambda: any(port in Path(f"/proc/net/{name}").read_text() for name in ("udp", "udp6")), 20, "the relay listens"
    )
    return address, process


def relay_report(process):
    process.stop()
    return json.loads(process.out.read_text())


def end(fleet):
    """Asks a fleet for its last exchanges: its report."""
    fleet.child.send_signal(signal.SIGTERM)
    return fleet.report(60)


def start_backend(scene):
    backend = scene.backend(1)
    backend.wait_log("server 1")
    return backend, f"127.0.0.1:{backend.port}"


def assert_all_survived(report, devices):
    assert report["exit"] == 0, report
    assert report["devices"] == report["survived"] == report["handshakes"] == report["sessions"] == devices, report
    assert report["extra_handshakes"] == 0, report


def case_cid_survives_rebinding():
    with Scene() as scene:
        backend, target = start_backend(scene)
        report = scene.fleet(target, devices=20, rebinds=5, rebind_every=0.3, **QUICK).report()
        assert_all_survived(report, 20)
        assert report["rebinds"] == 100, report
        assert report["exchanges_ok"] >= 20 * 6, report
        counted = backend.report()
        assert counted["handshakes"] == 20, counted


def case_cid_survives_sleep():
    with Scene() as scene:
        _, target = start_backend(scene)
        report = scene.fleet(
            target, devices=10, rebinds=3, nat_timeout=0.4, ack_timeout_ms=200, max_seconds=60
        ).report()
        assert_all_survived(report, 10)
        assert report["rebinds"] == 30, report


def case_cid_survives_loss():
    with Scene() as scene:
        _, target = start_backend(scene)
        report = scene.fleet(target, devices=20, rebinds=4, rebind_every=0.5, loss=10, **QUICK).report()
        assert_all_survived(report, 20)
        assert report["rebinds"] == 80, report
        # One of five tries lost: the slowest answers had to wait for a repetition.
        assert report["latency_ms"]["p99"] >= 200, report


def case_without_cid_nothing_survives():
    with Scene() as scene:
        _, target = start_backend(scene)
        report = scene.fleet(
            target, devices=5, rebinds=1, rebind_every=0.3, no_cid=True, interval_ms=150, ack_timeout_ms=20
        ).report(60)
        assert report["exit"] == 1 and report["survived"] == 0, report
        assert report["rebinds"] == 5, report
        assert report["exchanges_lost"] >= 5, report


def case_without_cid_devices_begin_anew():
    with Scene() as scene:
        _, target = start_backend(scene)
        options = {
            "duration": 15, "rebinds": 1, "rebind_every": 0.3, "no_cid": True, "interval_ms": 150, "ack_timeout_ms": 100
        }
        report = scene.fleet(target, devices=5, **options).report(60)
        assert report["exit"] == 1 and report["survived"] == 0, report
        # Five first sessions, five after the move; all answered in the end.
        assert report["handshakes"] == 10 and report["extra_handshakes"] == 5 and report["sessions"] == 5, report
        # Two exchanges of five tries each told the device that its session was dead.
        assert report["exchanges_lost"] == 10, report


def case_counts_what_the_radio_pays():
    with Scene() as scene:
        backend, target = start_backend(scene)
        report = scene.fleet(target, devices=10, rebinds=3, rebind_every=0.4, **QUICK).report()
        assert_all_survived(report, 10)
        counted = backend.report()
        assert report["datagrams_up"] == counted["datagrams"], (report, counted)
        # A handshake of PSK with a cookie: two ClientHellos at least, and a request after it.
        assert 20 <= report["first_datagrams"] < report["datagrams_up"], report
        assert 0 < report["first_octets"] < report["octets_up"] + report["octets_down"], report
        before = report["before_end"]
        assert before["exchanges_ok"] < report["exchanges_ok"] <= before["exchanges_ok"] + 2 * 10, report
        # One recovery may stand for two moves: it ends with an answer.
        assert 0 < report["recoveries"] <= 30 and report["recovering"] == 0, report
        assert report["recoveries_at_once"] <= report["recoveries"], report
        assert 0 < report["recovery_ms"]["p50"] <= report["recovery_ms"]["max"], report


def case_moves_to_other_addresses():
    with Scene() as scene, open_socket("127.0.0.1") as server:
        moving = {"rebinds": 8, "rebind_every": 0.1, "interval_ms": 50, "ack_timeout_ms": 20}
        target = "127.0.0.1:%d" % server.getsockname()[1]
        # Nobody answers: what it repeats moves it too.
        report = scene.fleet(target, plain=True, devices=4, **{"from": "127.1.0.254"}, addresses=4, **moving).report(60)
        assert report["rebinds"] == 32 and report["recovering"] == 4 and report["recoveries"] == 0, report
        sources = {source[0] for _, source in drain(server)}
        assert sources == {"127.1.0.254", "127.1.0.255", "127.1.1.0", "127.1.1.1"}, sources


def case_without_cid_staying_survives():
    with Scene() as scene:
        _, target = start_backend(scene)
        report = scene.fleet(target, devices=5, duration=2, rebinds=0, no_cid=True, **QUICK).report()
        assert_all_survived(report, 5)
        assert report["rebinds"] == 0, report


def case_relay_forgets_silent_devices():
    with Scene() as scene:
        backend, target = start_backend(scene)
        address, nat = relay(scene, target, timeout=0.8)
        report = scene.fleet(address, devices=10, duration=7, interval_ms=2000, ack_timeout_ms=200).report()
        assert_all_survived(report, 10)
        assert report["rebinds"] == 0, report
        passed = relay_report(nat)
        assert passed["rebinds"] >= 10 and passed["mappings"] == passed["rebinds"] + 10, passed
        assert passed["up"] + passed["down"] == passed["forwarded"] + passed["lost"] + passed["refused"], passed
        assert passed["lost"] == 0 and passed["refused"] == 0, passed
        assert backend.report()["handshakes"] == 10


def case_relay_signal_moves_all():
    with Scene() as scene:
        _, target = start_backend(scene)
        address, nat = relay(scene, target)
        story = scene.dir / "story"
        fleet = scene.fleet(address, devices=10, duration=60, story=story, **QUICK)
        wait_all_joined(story, 10)
        nat.child.send_signal(signal.SIGUSR1)
        # A device sends every 150 ms. Should one take longer, its last exchange, which the end asks for, moves it.
        time.sleep(1)
        assert_all_survived(end(fleet), 10)
        passed = relay_report(nat)
        assert passed["mappings"] == 20 and passed["rebinds"] == 10, passed


def case_relay_without_cid_loses():
    with Scene() as scene:
        _, target = start_backend(scene)
        address, _ = relay(scene, target, timeout=0.3)
        report = scene.fleet(address, devices=5, duration=4, no_cid=True, interval_ms=800, ack_timeout_ms=20).report(60)
        assert report["exit"] == 1 and report["survived"] == 0, report
        assert report["extra_handshakes"] > 0, report


def case_relay_ipv6_and_loss():
    with Scene() as scene:
        _, target = start_backend(scene)
        address, nat = relay(scene, target, listen="::1", rebind=0.7, loss=10, seed=7)
        report = scene.fleet(address, devices=10, duration=5, **QUICK).report()
        assert_all_survived(report, 10)
        passed = relay_report(nat)
        assert passed["rebinds"] > 0 and passed["lost"] > 0, passed
        assert passed["up"] + passed["down"] == passed["forwarded"] + passed["lost"] + passed["refused"], passed


def case_observations_survive():
    with Scene() as scene:
        _, target = start_backend(scene)
        story = scene.dir / "story"
        fleet = scene.fleet(
            target, devices=5, observe=True, duration=600, rebind_every=1, story=story, **{**QUICK, "max_seconds": 600}
        )
        wait_until(
            lambda: told(story, "rebinds") >= 5 * 6 and told(story, "notifications") >= 5 * 3, 60,
            "moves and notifications",
        )
        report = end(fleet)
        assert_all_survived(report, 5)
        assert report["observations_lost"] == 0, report


def case_plain():
    with Scene() as scene:
        target = f"127.0.0.1:{free_ports()}"
        scene.process("plain", BIN / "cidlb-backend", "--listen", target, "--id", 1, "--plain").wait_log("server 1")
        report = scene.fleet(target, plain=True, devices=10, rebinds=3, rebind_every=0.4, loss=5, **QUICK).report()
        assert report["exit"] == 0 and report["survived"] == 10, report
        assert report["handshakes"] == 0 and report["rebinds"] == 30 and report["exchanges_ok"] >= 40, report


def case_story():
    with Scene() as scene:
        _, target = start_backend(scene)
        story = scene.dir / "story"
        report = scene.fleet(target, devices=20, rebinds=3, rebind_every=0.6, story=story, **QUICK).report()
        assert_all_survived(report, 20)
        lines = [json.loads(line) for line in story.read_text().splitlines()]
        seconds = [line for line in lines if "alive" in line]
        assert seconds and seconds[-1]["alive"] == 20, lines
        assert sorted(line["device"] for line in lines if line.get("event") == "joined") == list(range(1, 21)), lines
        hero = [line for line in lines if line.get("device") == 17]
        assert [line["event"] for line in hero] == ["joined", "moved", "moved", "moved"], hero
        joined, *moves = hero
        # --id 1 is octet 0 of a CID of 6 octets.
        assert len(joined["cid"]) == 12 and joined["cid"].startswith("01"), joined
        ports = [joined["port"]] + [move["to"] for move in moves]
        assert [move["from"] for move in moves] == ports[:-1], hero
        assert all(old != new for old, new in zip(ports, ports[1:])), hero


def case_nobody_there():
    with Scene() as scene:
        report = scene.fleet(f"127.0.0.1:{free_ports()}", devices=3, duration=1).report(30)
        assert report["exit"] == 1 and report["survived"] == report["handshakes"] == report["sessions"] == 0, report


def case_usage():
    target = ["--target", "127.0.0.1:5684", "--psk", ":".join(PSK)]
    wrong = [
        [],
        target[:2],
        ["--target", "127.0.0.1", *target[2:]],
        ["--target", "127.0.0.1:5684", "--psk", "id:0g"],
        ["--target", "127.0.0.1:5684", "--psk", "id:" + "00" * 33],
        [*target, "--devices", "0"],
        [*target, "--loss", "101"],
        [*target, "--rebinds", "1"],
        [*target, "--rebinds", "1", "--nat-timeout", "5", "--interval-ms", "3000"],
        [*target, "--from", "0.0.0.0"],
        [*target, "--from", "::1"],
        [*target, "--addresses", "2"],
        [*target, "--nonsense"],
        [*target, "left over"],
    ]
    assert subprocess.run([BIN / "cidlb-fleet", "--help"], capture_output=True, timeout=10).returncode == 0
    for argv in wrong:
        done = subprocess.run([BIN / "cidlb-fleet", *argv], capture_output=True, timeout=10)
        assert done.returncode == 2 and done.stderr and not done.stdout, (argv, done)


main(globals())
