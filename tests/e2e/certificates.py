#!/usr/bin/env python3
"""Handshakes with certificates, whose flights are long: so many come up at once, and cidlb gives them what they ask for
once they have repeated a cookie. Half handshakes at servers without cookies."""

import json
import os
import subprocess
from pathlib import Path

from edges import logged
from flood import RANDOM_OCTETS
from handshakes import fragment
from harness import FULL, Scene, Skip, free_ports, main, wait_until
from lab.floods import ATTACKED, ELSEWHERE, HalfHandshakes
from probes import built, is_bound

CHAIN_OCTETS = range(2800, 3400)
SPECIFIED_A_SECOND = 200
ADDRESSES = 40  # names in each certificate, for its size

# Of a client that takes certificates: one suite, two curves, one signature algorithm.
SUITES = bytes.fromhex("0004c02b00ff0100")
EXTENSIONS = bytes.fromhex("000a00060004001d0017000b00020100000d000400020403")


def certificate_hello():
    random = os.urandom(RANDOM_OCTETS)
    return fragment((0, b"\xfe\xfd" + random + bytes(2) + SUITES + len(EXTENSIONS).to_bytes(2, "big") + EXTENSIONS))


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30).stdout


def make_chain(scene):
    """A root and a certificate that it has signed, ECDSA, of some 3 KB together; (file, file of the key)."""
    names = "subjectAltName=" + ",".join(f"DNS:device-{n:03}.fleet.example" for n in range(ADDRESSES))
    where = {name: scene.dir / name for name in ("ca.key", "ca.pem", "key", "csr", "pem", "names", "chain")}
    where["names"].write_text(names)
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    root, own = ("-subj", "/CN=root", "-addext", names), ("-subj", "/CN=server")
    openssl("req", "-x509", *new, *root, "-keyout", where["ca.key"], "-out", where["ca.pem"])
    openssl("req", *new, *own, "-keyout", where["key"], "-out", where["csr"])
    openssl(
        "x509", "-req", "-in", where["csr"], "-CA", where["ca.pem"], "-CAkey", where["ca.key"], "-set_serial", 2,
        "-extfile", where["names"], "-out", where["pem"],
    )
    files = where["pem"], where["ca.pem"]
    octets = sum(len(openssl("x509", "-in", file, "-outform", "DER")) for file in files)
    assert octets in CHAIN_OCTETS, octets
    where["chain"].write_text("".join(file.read_text() for file in files))
    return where["chain"], where["key"]


def servers(scene, count, *options):
    """Entries of so many openssl_server."""
    program, chain = built("openssl_server"), make_chain(scene)
    entries = []
    for number in range(1, count + 1):
        port = free_ports()
        process = scene.process(f"server-{number}", program, port, *chain, *options)
        wait_until(lambda: is_bound(port) or not process.alive(), 20, "a server listens")
        process.asked = True  # it does not end by itself, and minds no SIGTERM
        entries.append({"name": f"server-{number}", "id": number, "address": f"127.0.0.1:{port}"})
    return entries


def overflows():
    """Datagrams that sockets of this network had no room for."""
    return sum(int(line.split()[-1]) for line in Path("/proc/net/udp").read_text().splitlines()[1:])


def clients(scene, lb, count, per_second, source="127.30.0.1"):
    program = built("openssl_clients")
    return scene.process(f"clients-{source}", program, lb.address(), count, per_second, source)


def report(process, timeout=120):
    assert process.wait(timeout) == 0
    return json.loads(process.out.read_text())


def handshakes_with_chains(*options):
    """All complete, though an address gets ten times what it sent before it has shown a key. Returns how many datagrams
    were withheld, and how many reflected."""
    seconds = 60 if FULL else 3
    count = SPECIFIED_A_SECOND * seconds
    with Scene() as scene:
        pool = scene.pool("d", servers(scene, 2, *options), nat={"unproven_rate": 0})
        lb = scene.cidlb([pool])
        got = report(clients(scene, lb, count, SPECIFIED_A_SECOND))
        print(f"    {got}")
        assert got["complete"] == count and got["failed"] == 0, got
        assert lb.metric("cidlb_flows_evicted_total", kind="address") == 0
        lb.assert_identities()
        return lb.metric("cidlb_withheld_total"), lb.metric("cidlb_reflected_total")


def case_chains():
    withheld, reflected = handshakes_with_chains()
    assert withheld == reflected == 0, (withheld, reflected)


def case_chains_without_cookies():
    """As without cidlb; it counts that its servers reflect."""
    withheld, reflected = handshakes_with_chains("no-cookies")
    assert withheld == 0 and reflected > 0, (withheld, reflected)


def case_half_handshakes_without_cookies():
    """The server answers each ClientHello with its chain. Handshakes come up in other prefixes, and in the same one."""
    seconds, per_second = (120, 5) if FULL else (5, 8)
    with Scene() as scene:
        max_flows = 100_000 if FULL else 8000
        pool = scene.pool("d", servers(scene, 2, "no-cookies"), nat={"max_flows": max_flows})
        lb = scene.cidlb([pool])
        with HalfHandshakes(lb.address(), hello=certificate_hello) as flood:
            comers = [clients(scene, lb, seconds * per_second, per_second, source) for source in (ELSEWHERE, ATTACKED)]
            elsewhere, attacked = (report(those, seconds + 90) for those in comers)
            print(f"    {flood.sent} half handshakes, {flood.answers} answers")
            print(f"    elsewhere: {elsewhere}, in the prefix: {attacked}")
            assert flood.answers > flood.sent
            lost = overflows()
        if lost:
            raise Skip(f"the machine is too busy: sockets had no room for {lost} datagrams")
        assert elsewhere["within_two"] == seconds * per_second, elsewhere
        assert attacked["within_two"] >= 0.9 * seconds * per_second, attacked
        evicted = lb.metric("cidlb_flows_evicted_total", kind="handshake")
        assert evicted > 0 and evicted == lb.metric("cidlb_flows_evicted_total")
        assert logged(lb, "flows_evicted") == 1
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
