#!/usr/bin/env python3
"""Probes against DTLS servers of others (tests/interop/peers/README.md): what each answers to the hello is life, a
hundred probes leave it as able to serve as before, and it is down soon after it ends."""

import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import BIN, PSK, Process, Scene, Skip, free_ports, main, release_only, wait_until

BUILT = Path(__file__).parents[2] / "build-test-servers"
IDENTITY, KEY = PSK
VERIFY, HELLO = "HelloVerifyRequest or HelloRetryRequest", "ServerHello"
PROBES = 100
HEALTH = {"probe": "dtls", "interval_ms": 20, "timeout_ms": 3000}

# Suites with a tag of 8 octets are below OpenSSL's default level of security.
ANY_SUITE = "@SECLEVEL=0"
WITH_PSK = ["-psk_identity", IDENTITY, "-psk", KEY, "-cipher", f"PSK:{ANY_SUITE}"]
WITH_CERTIFICATE = ["-cipher", f"DEFAULT:{ANY_SUITE}"]


@dataclass
class Server:
    name: str
    argv: list  # "PORT" stands for its port
    client: list = field(default_factory=lambda: WITH_PSK)  # options of openssl s_client
    answer: str = VERIFY  # to the hello
    # It serves one address at a time, or meets one new address at a time: probes hold up a handshake, and the other way
    # round.
    single: bool = False
    port: int = 0  # of its DTLS
    process: Process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


def built(name):
    """The path of what tests/interop/peers/build makes."""
    reason = BUILT / f"{name}.reason"
    if reason.exists():
        raise Skip(f"no {name}: {reason.read_text().strip()}")
    if not (BUILT / f"{name}.sum").exists():
        raise Skip("tests/interop/peers/build was not run")
    return BUILT / name


def certificate(kind):
    """The files of a certificate and its key; kind is ecdsa or rsa."""
    built("certificates")
    return BUILT / f"{kind}.pem", BUILT / f"{kind}.key"


def is_bound(port):
    return re.search(f":{port:04X} 0", Path("/proc/net/udp").read_text() + Path("/proc/net/udp6").read_text())


def start(scene, server):
    port = free_ports(2)
    server.port = port + server.argv.count("PLAIN-PORT")  # libcoap's DTLS is one above
    argv = [port if word in ("PORT", "PLAIN-PORT") else word for word in server.argv]
    argv = [str(word).replace("ADDRESS", f"127.0.0.1:{port}") for word in argv]
    # OpenSSL ends with its standard input.
    fifo = scene.dir / f"{server.name}.in"
    server.process = Process(scene, server.name, ["sh", "-c", 'mkfifo "$0" && exec "$@" <>"$0"', fifo, *argv]).start()
    wait_until(lambda: is_bound(server.port) or not server.process.alive(), 60, f"{server.name} listens")


def probes(lb, server, result="ok"):
    return lb.metric("cidlb_probes_total", pool=server.name, result=result)


def handshake(address, options):
    """The suite of a handshake of OpenSSL's client."""
    argv = ["openssl", "s_client", "-dtls1_2", "-connect", address, *options]
    out = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    suite = re.search(r"Cipher is (?!\(NONE\))(\S+)", out.stdout)
    assert suite, f"no handshake: {out.stdout[-500:]} {out.stderr[-500:]}"
    return suite[1]


def set_health(lb, servers, health):
    """Other health settings for their pools; returns once each was probed with them."""
    before = {server.name: lb.metric("cidlb_probes_total", pool=server.name) for server in servers}
    for pool in lb.config["pools"]:
        if pool["name"] in before:
            pool["health"] = health
    lb.reload()
    wait_until(
        lambda: all(lb.metric("cidlb_probes_total", pool=name) > n for name, n in before.items()), 30,
        "each was probed",
    )


def check(servers, use=lambda lb: None, count=PROBES, health=HEALTH):
    """Probes them all at once, each the only backend of its pool. `use` does more with them in between."""
    with Scene() as scene:
        for server in servers:
            start(scene, server)
        pools = [scene.pool(s.name, [{"name": s.name, "id": 1, "address": s.address}], health=health) for s in servers]
        lb = scene.cidlb(pools)
        for server in servers:
            wait_until(
                lambda: probes(lb, server) >= count or probes(lb, server, "failed") > 9, 60,
                f"{server.name} was probed",
            )
            one, failed = lb.backend(server.name), probes(lb, server, "failed")
            # A loaded machine may keep a server from answering in time, now and then.
            assert one["health"] == "up" and one["reason"] == server.answer and failed <= count / 20, (one, failed)
        use(lb)

        singles = [server for server in servers if server.single]
        if singles:
            set_health(lb, singles, {**health, "interval_ms": 600_000})
        suites = {server.name: handshake(lb.address(server.name), server.client) for server in servers}
        if singles:
            set_health(lb, singles, health)
        for server in servers:
            server.process.kill()
            begin = time.monotonic()
            wait_until(lambda: lb.backend(server.name)["health"] == "down", 20, f"{server.name} is down")
            took = time.monotonic() - begin
            print(
                f"    {server.name}: {server.answer}; {suites[server.name]} after the probes; "
                f"down {took:.2f} s after its end"
            )
        lb.assert_identities()


@release_only
def case_openssl():
    """-listen: without it there is one session for whoever comes, and the record numbers of all count as one's."""

    def server(name, *options, **more):
        return Server(
            name, ["openssl", "s_server", "-dtls1_2", "-listen", "-accept", "ADDRESS", *options], single=True, **more
        )

    def certified(kind):
        cert, key = certificate(kind)
        return server(kind, "-cert", cert, "-key", key, client=WITH_CERTIFICATE)

    check([server("psk", "-nocert", *WITH_PSK), certified("ecdsa"), certified("rsa")])


@release_only
def case_gnutls():
    def server(name, *options, **more):
        return Server(
            name, ["gnutls-serv", "--udp", "--echo", "--quiet", "--port", "PORT", *options], single=True, **more
        )

    def certified(kind):
        cert, key = certificate(kind)
        return server(kind, "--x509certfile", cert, "--x509keyfile", key, client=WITH_CERTIFICATE)

    keys = certificate("rsa")[0].with_name("psk.txt")
    psk = server("psk", "--pskpasswd", keys, "--priority", "NORMAL:-KX-ALL:+PSK:+ECDHE-PSK:+AES-128-CCM-8")
    check([psk, certified("ecdsa"), certified("rsa")])


def libcoap(name, tls, *options, **more):
    return Server(name, [f"coap-server-{tls}", "-A", "127.0.0.1", "-p", "PLAIN-PORT", *options], **more)


@release_only
def case_libcoap():
    """It has room for 100 handshakes that were begun within the last 30 s, and each probe begins one."""

    def certified(name, tls, kind):
        cert, key = certificate(kind)
        return libcoap(name, tls, "-n", "-c", cert, "-j", key, client=WITH_CERTIFICATE)

    word = "sixteen-octets-1"
    with_word = ["-psk_identity", IDENTITY, "-psk", word.encode().hex(), *WITH_PSK[4:]]
    check(
        [
            *(libcoap(f"{tls}-psk", tls, "-k", word, client=with_word) for tls in ("openssl", "gnutls")),
            *(certified(f"{tls}-{kind}", tls, kind) for tls in ("openssl", "gnutls") for kind in ("ecdsa", "rsa")),
        ],
        count=20,
        health={**HEALTH, "interval_ms": 400},
    )


@release_only
def case_mbedtls():
    program = built("mbedtls")

    def certified(name, kind, *options, **more):
        argv = [program, "PORT", *certificate(kind), *options]
        return Server(name, argv, client=WITH_CERTIFICATE, single=True, **more)

    reference = [
        BIN / "cidlb-backend", "--listen", "ADDRESS", "--id", "1", "--cid-length", "6", "--psk", f"{IDENTITY}:{KEY}"
    ]
    check(
        [
            Server("psk", reference),
            certified("ecdsa", "ecdsa"),
            certified("rsa", "rsa"),
            certified("ecdsa-no-cookie", "ecdsa", "no-cookie", answer=HELLO),
            certified("rsa-no-cookie", "rsa", "no-cookie", answer=HELLO),
        ]
    )


@release_only
def case_wolfssl():
    program = built("wolfssl")

    def certified(kind):
        return Server(kind, [program, "PORT", *certificate(kind)], client=WITH_CERTIFICATE, single=True)

    check([Server("psk", [program, "PORT"], single=True), certified("ecdsa"), certified("rsa")])


@release_only
def case_pion():
    program = built("pion")

    def certified(kind):
        return Server(kind, [program, "PORT", *certificate(kind)], client=WITH_CERTIFICATE)

    check(
        [
            Server("psk", [program, "PORT", "psk"]), Server("psk-cid", [program, "PORT", "psk", "6"]),
            certified("ecdsa"), certified("rsa"),
        ]
    )


@release_only
def case_pion_newest():
    """It answers one ClientHello without a cookie per address and port."""
    check([Server("newest", [built("pion_newest"), "PORT", "1"])])


def californium(name, *options, **more):
    jars = built("californium")
    java = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*:{jars}", "Server"]
    return Server(name, [*java, "PORT", *options], **more)


@release_only
def case_californium():
    built("certificates")

    def devices_move(lb):
        report = lb.scene.fleet(lb.address("psk-cid"), devices=5, rebinds=3, rebind_every=0.3, interval_ms=100).report()
        assert report["survived"] == report["handshakes"] == 5 and report["exchanges_lost"] == 0, report

    check(
        [
            californium("psk", "psk"),
            californium("psk-cid", "psk", "6", "1"),
            californium("ecdsa", "cert", BUILT / "ecdsa-both.pem", client=WITH_CERTIFICATE),
        ],
        devices_move,
    )


@release_only
def case_coaps():
    """What a session of our own finds out about CoAP servers of others."""
    # A virtual machine that has just begun, on a busy one, takes its time for the first handshake.
    coaps = {"probe": "coaps", "interval_ms": 100, "timeout_ms": 10_000, "psk_identity": IDENTITY}
    word = "sixteen-octets-1"
    no, good = {"finding": "no", "reason": "CID not negotiated"}, {"finding": "yes"}
    none = {"finding": "wrong", "reason": "none, configured length 6"}
    expected = [
        (californium("californium-node-id", "psk", "6", "1"), KEY, good, {"finding": "ok"}),
        (
            californium("californium-other-id", "psk", "6", "2"), KEY, good,
            {"finding": "wrong", "reason": "id 2, configured 1"},
        ),
        (
            californium("californium-long-cid", "psk", "8", "1"), KEY, good,
            {"finding": "wrong", "reason": "length 8, configured 6"},
        ),
        (californium("californium-no-cid", "psk"), KEY, no, none),
        *((libcoap(f"libcoap-{tls}", tls, "-k", word), word.encode().hex(), no, none) for tls in ("openssl", "gnutls")),
    ]
    with Scene() as scene:
        pools = []
        for server, key, _, _ in expected:
            start(scene, server)
            entry = {"name": server.name, "id": 1, "address": server.address}
            pools.append(scene.pool(server.name, [entry], health={**coaps, "psk_key": key}))
        lb = scene.cidlb(pools, start=False).start(timeout=90)
        for server, _, rebinding, cid in expected:
            wait_until(
                lambda: probes(lb, server) >= 20 or probes(lb, server, "failed"), 90, f"{server.name} was probed"
            )
            one = lb.backend(server.name)
            print(f"    {server.name}: {one['reason']}; rebinding {one.get('rebinding')}, cid {one.get('cid')}")
            assert one["health"] == "up" and one["rebinding"] == rebinding and one["cid"] == cid, one
        for server, *_ in expected:
            server.process.kill()


if __name__ == "__main__":
    main(globals())
