#!/usr/bin/env python3
"""One server process behind several tunnels of one cidlb: it answers each datagram with the key that this one came
with."""

import shutil
import sys
from pathlib import Path

from harness import BIN, PSK, Fleet, Scene, Skip, free_ports, main, release_only, told, wait_all_joined, wait_until
from tunnel import KEY, OTHER, RECORD, Server, arrives, dropped, started, tunnel, tunnel_pool
from udp import open_socket, parse_address

THIRD = bytes(range(32, 48))
WORKERS = 2
UDP_HEALTH = {"probe": "coap", "interval_ms": 500, "timeout_ms": 3000}
DTLS_HEALTH = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}


def key_file(scene, *keys, name="server.keys"):
    """`keys`: as (id, octets)."""
    file = scene.dir / name
    file.touch(mode=0o600)
    file.write_text("".join(f"{number}:{key.hex()}\n" for number, key in keys))
    return file


def under_shim(scene, argv, ports, keys, tunnels):
    """A program that knows of no tunnel."""
    first = [parse_address(settings["local"]) for settings in tunnels]
    variables = {
        "LD_PRELOAD": BIN / "libcidlb-shim.so",
        "CIDLB_SHIM_PORTS": ",".join(map(str, ports)),
        "CIDLB_SHIM_KEY": f"@{keys}",
        "CIDLB_SHIM_NODES": ",".join(f"{ip}:{port}-{port + WORKERS}" for ip, port in first),
    }
    server = scene.process("server", "env", *(f"{name}={value}" for name, value in variables.items()), *argv)
    server.wait_log("is tunnelled")
    return server


def change_keys(lb, pool, *keys):
    lb.config["pools"][pool]["tunnel"]["keys"] = [{"id": number, "key": key.hex()} for number, key in keys]
    lb.reload()


def all_up(lb, count=1):
    wait_until(
        lambda: lb.metric("cidlb_backend_up") == count * len(lb.config["pools"]), 20,
        "probes are answered through each tunnel",
    )


def fleet_goes_on(story, what, by=60):
    before = told(story, "exchanges_ok")
    wait_until(lambda: told(story, "exchanges_ok") >= before + by, 30, f"{what}: exchanges go on")


def two_tunnels(first, second):
    """`first`, `second`: keys of the pools, as (id, octets)."""
    return [tunnel(*first), tunnel(*second)]


KEYS_OF_POOLS = {
    "ids and keys of their own": ((1, KEY), (2, OTHER)),
    "one id, two keys": ((1, KEY), (1, OTHER)),
    "one key": ((1, KEY), (1, KEY)),
}


@release_only  # the shim is loaded into programs that have no sanitizer
def case_coap_server():
    """libcoap's server, one process with a port for CoAP and one for CoAP over DTLS, each a pool of its own: plain
    devices and DTLS sessions."""
    # OpenSSL 3.5, as Debian 13 has it, takes no CCM_8.
    program = next(filter(None, map(shutil.which, ("coap-server-gnutls", "coap-server-openssl"))), None)
    if not program:
        raise Skip("needs libcoap3-bin with DTLS")
    secret = "tunnelpools"
    for what, (plain_key, secure_key) in KEYS_OF_POOLS.items():
        with Scene() as scene, open_socket("127.0.0.1") as device:
            tunnels, port = two_tunnels([plain_key], [secure_key]), free_ports(2)
            keys = key_file(scene, *{plain_key, secure_key})
            under_shim(
                scene, [program, "-A", "127.0.0.1", "-p", port, "-k", secret, "-h", "hint"], (port, port + 1), keys,
                tunnels,
            ).wait_log(f"UDP port {port + 1} is tunnelled")
            entries = [{"name": "a", "address": f"127.0.0.1:{at}"} for at in (port, port + 1)]
            lb = started(
                scene,
                [
                    tunnel_pool(scene, "coap", entries[:1], tunnels[0], protocol="udp", cid=None, health=UDP_HEALTH),
                    tunnel_pool(scene, "coaps", entries[1:], tunnels[1], cid={"scheme": "none"}, health=DTLS_HEALTH),
                ],
            )
            all_up(lb)
            device.sendto(bytes.fromhex("4001 0001 b4") + b"time", parse_address(lb.address("coap")))
            answer, source = arrives(device)
            assert answer[:2] == bytes.fromhex("6045"), (what, answer)
            assert source == parse_address(lb.address("coap"))
            argv = [BIN / "cidlb-fleet", "--target", lb.address("coaps"), "--psk", f"demo:{secret.encode().hex()}"]
            fleet = Fleet(scene, "fleet", [*argv, "--no-cid", "--path", "/time", "--devices", 5, "--duration", 4])
            report = fleet.start().report()
            assert report["sessions"] == 5 and report["exchanges_ok"] >= 10, (what, report)
            assert report["extra_handshakes"] == report["exchanges_lost"] == 0, (what, report)
            assert dropped(lb) == 0, (what, lb.metrics())
            lb.assert_identities()


def live_rotation(scene, backend, tunnels):
    """Two pools with one server each of which is the same process on the same port. Real sessions that move and
    observe live through both, while one pool goes on to another key."""
    lb = started(
        scene, [tunnel_pool(scene, name, [backend], of, health=DTLS_HEALTH) for name, of in zip("pq", tunnels)]
    )
    all_up(lb)
    stories = {name: scene.dir / f"{name}.story" for name in "pq"}
    fleets = {
        name: scene.fleet(
            lb.address(name), f"fleet-{name}", devices=8, duration=600, rebind_every=1, interval_ms=300, observe=True,
            story=story,
        )
        for name, story in stories.items()
    }
    for story in stories.values():
        wait_all_joined(story, 8)
    for keys in ([(1, KEY), (3, THIRD)], [(3, THIRD), (1, KEY)], [(3, THIRD)]):
        change_keys(lb, 0, *keys)
        for name, story in stories.items():
            fleet_goes_on(story, f"keys {[number for number, _ in keys]}, pool {name}")
    for fleet in fleets.values():
        fleet.child.terminate()
        report = fleet.report()
        assert report["survived"] == report["sessions"] == report["handshakes"] == 8, report
        assert report["extra_handshakes"] == report["exchanges_lost"] == 0 and report["rebinds"] >= 8, report
    assert dropped(lb) == 0, lb.metrics()
    lb.assert_identities()


def case_keys_change_under_sessions():
    """cidlb-backend, which reads the header itself, at the end of two tunnels."""
    with Scene() as scene:
        keys = key_file(scene, (2, OTHER), (1, KEY), (3, THIRD))
        live_rotation(
            scene, scene.backend(1, options=["--tunnel", keys]), two_tunnels([(1, KEY)], [(2, OTHER)])
        )


@release_only
def case_keys_change_under_sessions_behind_the_shim():
    with Scene() as scene:
        tunnels, port = two_tunnels([(1, KEY)], [(2, OTHER)]), free_ports()
        argv = [BIN / "cidlb-backend", "--listen", f"127.0.0.1:{port}", "--id", 1, "--psk", ":".join(PSK)]
        under_shim(scene, argv, [port], key_file(scene, (2, OTHER), (1, KEY), (3, THIRD)), tunnels)
        live_rotation(scene, {"name": "a", "id": 1, "address": f"127.0.0.1:{port}"}, tunnels)


@release_only
def case_silent_device():
    """A device that said its last word with the old key is reached once that one is gone: a probe with the new one is
    enough."""
    with Scene() as scene, open_socket("127.0.0.1") as device, open_socket("127.0.0.1") as other:
        settings, port = two_tunnels([(1, KEY)], [(2, OTHER)]), free_ports()
        argv = [sys.executable, Path(__file__).parents[1] / "fixtures" / "shim_echo.py", "push", "127.0.0.1", port]
        under_shim(scene, argv, [port], key_file(scene, (1, KEY), (2, OTHER), (3, THIRD)), settings)
        entry = {"name": "a", "address": f"127.0.0.1:{port}"}
        lb = started(
            scene, [tunnel_pool(scene, name, [entry], of, protocol="udp", cid=None) for name, of in zip("pq", settings)]
        )
        device.sendto(b"register", parse_address(lb.address("p")))
        arrives(device)
        change_keys(lb, 0, (3, THIRD), (1, KEY))
        lb.config["pools"][0]["health"] = UDP_HEALTH  # the probe's answer is no RST, but the server hears it
        lb.reload()
        wait_until(lambda: "backend_down" in lb.log_text(), 20, "the server has heard a probe")
        change_keys(lb, 0, (3, THIRD))
        other.sendto(b"push", parse_address(lb.address("q")))
        assert arrives(device) == (b"pushed", parse_address(lb.address("p")))
        assert arrives(other)[0].endswith(b"push") and dropped(lb) == 0


def case_wrong_key():
    """A key that one side does not have: counted by the side that drops, and the other pool does not notice."""
    with Scene() as scene:
        backend = scene.backend(1, options=["--tunnel", key_file(scene, (1, KEY))])
        lb = started(
            scene,
            [
                tunnel_pool(scene, name, [backend], of, health=DTLS_HEALTH)
                for name, of in zip("pq", two_tunnels([(1, KEY)], [(2, OTHER)]))
            ],
        )
        lb.wait_log("backend_down pool=q backend=a: no answer through the tunnel", 20)
        assert lb.metric("cidlb_backend_up", pool="p") == 1
        assert backend.counters()["bad_headers"] > 0 and dropped(lb) == 0
    # A server that signs all answers with its first key, as the shim once did.
    with Scene() as scene, Server(keys={1: KEY, 2: OTHER}) as server, open_socket("127.0.0.1") as device:
        lb = started(
            scene,
            [
                tunnel_pool(scene, name, [server.entry()], of)
                for name, of in zip("pq", two_tunnels([(1, KEY)], [(2, OTHER)]))
            ],
        )
        device.sendto(RECORD, parse_address(lb.address("p")))
        assert arrives(device)[0] == RECORD
        device.sendto(RECORD, parse_address(lb.address("q")))
        wait_until(lambda: dropped(lb, "key") == 1, 20, "the other pool's key is no good")
        assert dropped(lb) == lb.metric("cidlb_tunnel_dropped_total", pool="q") == 1
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
