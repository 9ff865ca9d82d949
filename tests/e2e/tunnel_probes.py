#!/usr/bin/env python3
"""Probes of pools in mode tunnel: through the tunnel, from the port after the workers', each as a device with cidlb's
own address."""

import json
import re
import shutil
import socket
import subprocess

from harness import BIN, PSK, Scene, Skip, free_ports, main, release_only, wait_until
from lab.shimmed import Shimmed
from udp import parse_address

KEYS = {1: bytes(range(16))}
COAPS = {"probe": "coaps", "interval_ms": 100, "timeout_ms": 3000, "psk_identity": PSK[0], "psk_key": PSK[1]}
COAP = {"probe": "coap", "interval_ms": 100, "timeout_ms": 2000}
DTLS = {**COAP, "probe": "dtls"}
WORKERS = 2  # of the harness's cidlb
INNER_PORTS = range(1024, 32768)


def text_of(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def key_file(scene, name="tunnel.keys", keys=None):
    file = scene.dir / name
    file.touch(mode=0o600)
    file.write_text("".join(f"{number}:{key.hex()}\n" for number, key in (keys or KEYS).items()))
    return file


def tunnel(ip="127.0.0.1", keys=None):
    entries = [{"id": number, "key": key.hex()} for number, key in (keys or KEYS).items()]
    return {"local": text_of(ip, free_ports(WORKERS + 1)), "keys": entries}


def nodes_of(settings, last=WORKERS):
    """As in CIDLB_SHIM_NODES."""
    return f"{settings['local']}-{parse_address(settings['local'])[1] + last}"


def tunnel_pool(scene, entries, settings, health, **options):
    options = {"forward": "tunnel", "tunnel": settings, "health": health, **options}
    return {key: value for key, value in scene.pool("p", entries, **options).items() if key != "nat"}


def row(lb, name="a"):
    """What cidlbctl says of one backend."""
    out = subprocess.run(
        [BIN / "cidlbctl", "--json", "--socket", lb.config["admin"]["socket"], "backends"], capture_output=True,
        text=True,
    )
    return next(one for one in json.loads(out.stdout)["backends"] if one["name"] == name)


def wait_row(lb, what, condition, name="a"):
    try:
        return wait_until(lambda: condition(row(lb, name)) and row(lb, name), 20, what)
    except TimeoutError as error:
        raise AssertionError(f"{error}: {row(lb, name)}") from None


def probed(lb, times, result="ok"):
    count = lb.metric("cidlb_probes_total", result=result)
    wait_until(lambda: lb.metric("cidlb_probes_total", result=result) >= count + times, 20, f"{times} probes")


def case_coaps():
    """Its moves are moves inside the tunnel; nothing that devices send or cidlb reloads touches its session."""
    for ip in ("127.0.0.1", "::1"):
        with Scene() as scene:
            settings = tunnel(ip)
            server = scene.backend(1, ip=ip, options=["--tunnel", key_file(scene)])
            lb = scene.cidlb([tunnel_pool(scene, [server], settings, COAPS)])
            one = wait_row(lb, "it is found good", lambda one: one["rebinding"] == {"finding": "yes"})
            assert one["health"] == "up" and one["cid"] == {"finding": "ok"}, one
            devices = scene.fleet(lb.address(), devices=5, rebinds=2, rebind_every=0.3, interval_ms=200).report()
            assert devices["survived"] == devices["handshakes"] == 5, devices
            lb.config["pools"][0]["tunnel"]["keys"].append({"id": 2, "key": "00" * 16})
            lb.reload()
            probed(lb, 6)
            counted = server.counters()
            assert counted["handshakes"] == 6 and counted["bad_headers"] == 0, counted
            assert counted["max_address_changes_per_session"] >= 5, counted
            moves = re.findall(r"device moved from (\S+) to (\S+)", server.log_text())
            own = [(parse_address(source), parse_address(to)) for source, to in moves]
            own = [
                (source[1], to[1])
                for source, to in own
                if source[0] == to[0] == ip and to[1] in INNER_PORTS and source[1] in INNER_PORTS
            ]
            assert len(own) >= 5 and len({to for _, to in own}) == len(own), moves
            assert lb.metric("cidlb_tunnel_dropped_total") == 0
            lb.assert_identities()


def case_a_wildcard_listener():
    """Whoever listens everywhere has an address that the servers can name all the same."""
    with Scene() as scene:
        server = scene.backend(1, options=["--tunnel", key_file(scene)])
        lb = scene.cidlb([tunnel_pool(scene, [server], tunnel(), COAPS)], start=False)
        port = parse_address(lb.address())[1]
        for address in (f"[::]:{port}", f"0.0.0.0:{port}"):
            lb.listener("p")["address"] = address
            lb.reload() if lb.alive() else lb.start()
            probed(lb, 2)
            assert row(lb)["rebinding"] == {"finding": "yes"}, (address, row(lb))


def shimmed(scene, settings, argv, port, ip, last=WORKERS):
    return Shimmed(scene, [nodes_of(settings, last)], argv, port, ip, keys=KEYS).wait_tunnelled()


@release_only  # the shim is loaded into programs that have no sanitizer
def case_behind_the_shim():
    """Every probe, with servers that know of nothing."""
    servers = [
        (DTLS, ["--psk", ":".join(PSK)], {}),
        (COAPS, ["--psk", ":".join(PSK)], {}),
        (COAP, ["--plain"], {"protocol": "udp", "cid": None}),
    ]
    for ip in ("127.0.0.1", "::1"):
        for health, options, pool in servers:
            with Scene() as scene:
                settings, port = tunnel(ip), free_ports()
                argv = [BIN / "cidlb-backend", "--listen", text_of(ip, port), "--id", 1, *options]
                server = shimmed(scene, settings, argv, port, ip)
                lb = scene.cidlb(
                    [
                        tunnel_pool(
                            scene, [{"name": "a", "id": 1, "address": text_of(ip, port)}], settings, health, **pool
                        )
                    ]
                )
                probed(lb, 3)
                one = row(lb)
                assert one["health"] == "up", (ip, health["probe"], one)
                if health is COAPS:
                    assert one["rebinding"] == {"finding": "yes"} and one["cid"] == {"finding": "ok"}, one
                assert "dropped" not in server.log_text(), server.log_text()


@release_only
def case_coap_server_behind_the_shim():
    """libcoap's, which leaves a second ping within a quarter of a second without its RST."""
    program = next(filter(None, map(shutil.which, ("coap-server", "coap-server-notls", "coap-server-openssl"))), None)
    if not program:
        raise Skip("needs libcoap3-bin")
    with Scene() as scene:
        settings, port = tunnel(), free_ports(2)
        shimmed(scene, settings, [program, "-A", "127.0.0.1", "-p", port], port, "127.0.0.1")
        entry = {"name": "a", "address": text_of("127.0.0.1", port)}
        lb = scene.cidlb(
            [tunnel_pool(scene, [entry], settings, {**COAP, "interval_ms": 600}, protocol="udp", cid=None)]
        )
        wait_row(lb, "it is up", lambda one: one["health"] == "up" and one["reason"] == "RST")
        probed(lb, 3)
        assert lb.log_text().count("backend_down") <= 1, lb.log_text()


@release_only
def case_a_port_too_few():
    """CIDLB_SHIM_NODES with the workers' ports alone: both sides say what they see."""
    with Scene() as scene:
        settings, port = tunnel(), free_ports()
        argv = [BIN / "cidlb-backend", "--listen", f"127.0.0.1:{port}", "--id", 1, "--psk", ":".join(PSK)]
        server = shimmed(scene, settings, argv, port, "127.0.0.1", WORKERS - 1)
        lb = scene.cidlb([tunnel_pool(scene, [{"name": "a", "id": 1, "address": f"127.0.0.1:{port}"}], settings, DTLS)])
        lb.wait_log("backend_down pool=p backend=a: no answer through the tunnel for 2000 ms")
        local = parse_address(settings["local"])
        server.wait_log(
            f"dropped a datagram from 127.0.0.1:{local[1] + WORKERS}: its sender is not in CIDLB_SHIM_NODES"
        )


def case_down_and_up():
    with Scene() as scene:
        options = ["--tunnel", key_file(scene)]
        servers = [scene.backend(number, options=options) for number in (1, 2)]
        lb = scene.cidlb([tunnel_pool(scene, servers, tunnel(), DTLS)])
        servers[0].kill()
        wait_row(lb, "it is down", lambda one: one["health"] == "down" and one["reason"] == "connection refused")
        assert row(lb, "b")["health"] == "up", row(lb, "b")
        servers[0].start()
        wait_row(lb, "it is up again", lambda one: one["health"] == "up")
        assert lb.log_text().count("backend_down") == 1, lb.log_text()


def case_another_key():
    with Scene() as scene:
        server = scene.backend(1, options=["--tunnel", key_file(scene, keys={1: bytes(16)})])
        lb = scene.cidlb([tunnel_pool(scene, [server], tunnel(), DTLS)])
        lb.wait_log("backend_down pool=p backend=a: no answer through the tunnel for 2000 ms")
        assert server.counters()["bad_headers"] > 0


def case_port_of_the_probes_is_taken():
    """Nothing is known of the servers then, and none is taken for down."""
    with Scene() as scene, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        settings = tunnel()
        port = parse_address(settings["local"])[1] + WORKERS
        other.bind(("127.0.0.1", port))
        server = scene.backend(1, options=["--tunnel", key_file(scene)])
        lb = scene.cidlb([tunnel_pool(scene, [server], settings, DTLS)], start=False).start(ready=False)
        lb.wait_log(f"not probed: cannot ask from 127.0.0.1:{port}: Address already in use", 20)
        assert row(lb)["health"] == "up" and "backend_down" not in lb.log_text(), row(lb)
        other.close()
        probed(lb, 2)
        assert "HelloVerifyRequest" in row(lb)["reason"], row(lb)


def case_a_port_of_its_own_is_asked_directly():
    with Scene() as scene:
        server = scene.backend(1, options=["--tunnel", key_file(scene)])
        beside = scene.backend(2, options=["--plain"])
        lb = scene.cidlb([tunnel_pool(scene, [server], tunnel(), {**COAP, "port": beside.port})])
        probed(lb, 2)
        assert row(lb)["health"] == "up" and server.counters()["datagrams"] == 0, row(lb)


if __name__ == "__main__":
    main(globals())
