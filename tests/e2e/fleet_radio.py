#!/usr/bin/env python3
"""What scenario `field` of bench/run asks of cidlb-fleet and cidlb-backend beside moves and losses: readings of so many
octets, a radio that takes its time, certificates."""

import subprocess
import sys
from pathlib import Path

from harness import BIN, PSK, Backend, Fleet, Scene, Skip, main
from udp import drain, open_socket

sys.path.append(str(Path(__file__).parents[2] / "bench"))
from lib import certificates, frame  # noqa: E402

SHORT = {"devices": 3, "interval_ms": 100, "duration": 1, "max_seconds": 30}


def case_message_octets():
    """A reading has as many octets as it is told, and what DTLS adds is what RFC 6347 and RFC 9146 say."""
    with Scene() as scene:
        with open_socket("127.0.0.1") as server:
            target = "127.0.0.1:%d" % server.getsockname()[1]
            scene.fleet(target, plain=True, message_octets=22, ack_timeout_ms=20, **SHORT).report(60)
            assert {len(data) for data, _ in drain(server)} == {22}
        backend = scene.backend(1)
        backend.wait_log("server 1")
        fleets = {}
        for octets in (17, 22, 26, 98, 128):
            options = {**SHORT, "message_octets": octets}
            fleets[True, octets] = scene.fleet(backend.address, name=f"cid-{octets}", **options)
            fleets[False, octets] = scene.fleet(backend.address, name=f"no-cid-{octets}", no_cid=True, **options)
        for (cid, octets), fleet in fleets.items():
            paid = fleet.report(60)["before_end"]
            up = paid["octets_up"] - paid["first_octets_up"]
            # Header 13, nonce 8, tag 8; with a CID its 6 octets, and Mbed TLS fills content and type up to 16s.
            each = 13 + 6 + 8 + (octets + 1 + 15) // 16 * 16 + 8 if cid else 13 + 8 + octets + 8
            assert up and up == each * (paid["datagrams_up"] - paid["first_datagrams_up"]), (cid, octets, paid)


def case_message_octets_refused():
    for octets in (16, 129):
        argv = [BIN / "cidlb-fleet", "--target", "127.0.0.1:1", "--plain", "--message-octets", str(octets)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and "accepted: 17..128" in done.stderr, done.stderr


def case_round_trip():
    """No answer comes sooner than half of the average, and devices live on through moves and losses."""
    with Scene() as scene:
        backend = scene.backend(1)
        backend.wait_log("server 1")
        moving = {"rebinds": 2, "rebind_every": 1.5, "ack_timeout_ms": 400, "interval_ms": 300, "loss": 5}
        report = scene.fleet(backend.address, devices=10, round_trip_ms=200, max_seconds=60, **moving).report(90)
        assert report["survived"] == 10 and report["rebinds"] == 20, report
        assert report["latency_ms"]["p50"] >= 100, report
        assert report["recovery_ms"]["p50"] >= 100, report


def with_certificates(scene, name, own, target, **options):
    argv = [BIN / "cidlb-fleet", "--target", target, "--certificates", own]
    argv += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return Fleet(scene, name, argv).start()


def serve_certificates(scene, own):
    backend = Backend(scene, 1, "a", 6, None, "127.0.0.1", ("--certificates", own)).start()
    backend.wait_log("server 1")
    return backend


def case_certificates():
    """ECDSA on both sides, and CIDs that keep the session as with a PSK."""
    try:
        certificates.require()
    except frame.LeftOut as reason:
        raise Skip(str(reason)) from reason
    with Scene() as scene:
        files, octets = certificates.make(scene.dir)
        backend = serve_certificates(scene, files["server"])
        report = with_certificates(
            scene, "fleet", files["device"], backend.address, devices=5, rebinds=2, rebind_every=0.5, interval_ms=200,
            max_seconds=60,
        ).report(90)
        assert report["survived"] == report["handshakes"] == 5 and report["rebinds"] == 10, report
        assert report["first_octets"] > 5 * sum(octets.values()), (report, octets)
        # Devices of another authority, and devices with a PSK, get no session.
        others = scene.dir / "others"
        others.mkdir()
        strange, _ = certificates.make(others)
        refused = with_certificates(
            scene, "strange", strange["device"], backend.address, duration=2, max_seconds=4
        ).report(60)
        assert refused["handshakes"] == 0, refused
        refused = scene.fleet(backend.address, name="psk", duration=2, max_seconds=4).report(60)
        assert refused["handshakes"] == 0, refused
        assert backend.report()["handshakes"] == 5


def case_certificates_refused():
    with Scene() as scene:
        file = scene.dir / "none"
        file.write_text("none")
        listen = ["--listen", "127.0.0.1:1", "--id", "1"]
        for argv, sentence, status in (
            (["cidlb-fleet", "--target", "127.0.0.1:1", "--certificates", "/nowhere"], "/nowhere: No such file", 2),
            (["cidlb-fleet", "--target", "127.0.0.1:1", "--certificates", file], "Invalid argument", 1),
            (["cidlb-backend", *listen, "--certificates", file], "Invalid argument", 1),
            (["cidlb-backend", *listen, "--certificates", file, "--psk", ":".join(PSK)], "one of --psk", 2),
        ):
            done = subprocess.run([BIN / argv[0], *argv[1:]], capture_output=True, text=True, timeout=20)
            assert done.returncode == status and sentence in done.stderr, (argv, done)


main(globals())
