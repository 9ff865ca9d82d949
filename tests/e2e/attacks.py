#!/usr/bin/env python3
"""Nobody without its keys ends a session, slows it, turns its way back or uses it against somebody else: attacks on
real servers behind cidlb, and a table for each of what came of them."""

from harness import FULL, SOAK, main, release_only
from lab import attacks, forged
from lab.stage import Loads, Stage

SECONDS = 120 if SOAK else 20 if FULL else 2.5
BLOCKS = (1024, 100) if FULL else (48, 24)

CELLS = [
    ("an alert beside a CID record", attacks.plaintext(forged.ALERTS)),
    ("a ClientHello beside a CID record", attacks.hellos),
    ("other plaintext beside it", attacks.plaintext(forged.OTHERS)),
    ("lone fragments, foreign flights", attacks.flights),
    ("4 blind datagrams, then listening", attacks.overheard),
    ("blind, 1 address, 1/s", attacks.blind(1, 1)),
    ("blind, 1 address, 20/s", attacks.blind(1, 20)),
    ("blind, 20 addresses, 2/s each", attacks.blind(20, 40)),
    ("timed, 20 addresses", attacks.timed),
    ("replayed records", attacks.replays),
    ("replayed resumptions", attacks.resumptions),
    ("spoofed owners", attacks.spoofed_owner),
    ("two devices swap ports", attacks.swapped),
]


def attacked(name, mode="follow", **nat):
    limits = ("proven", "moved")
    with Stage(name, nat={"rebind": mode, **nat}) as stage:
        one = ("one address",) if mode == "follow" else ()
        stage.run("none", attacks.nothing, SECONDS, (*limits, *one), Loads(*BLOCKS, lag_s=0.075))
        stage.run("none, downloads in haste", attacks.nothing, SECONDS, limits, Loads(*BLOCKS, lag_s=0))
        # A server that does not check return routability, and is to decide itself, follows whoever repeats a record first.
        decides = mode == "backend" and not name.startswith("rrc")
        for title, attack in CELLS:
            loaded = attack is attacks.timed or attack is attacks.replays and not decides
            # Faster than 16,384 octets a second, so that blocks are withheld: among replays from both addresses, device
            # and forger, so that each has an endpoint of its own.
            stage.run(title, attack, SECONDS, limits, Loads(*BLOCKS, 0.02) if loaded else None)
        stage.run("blind, 20 addresses, 500/s", attacks.flood, SECONDS, limits, Loads(*BLOCKS, lag_s=0.02))
        if nat.get("endpoint") != "handshake":  # only flows know such an endpoint
            stage.run("after a restart of cidlb", attacks.restarted, SECONDS)
            stage.run("an insider, after a restart", attacks.insider, SECONDS)
        stage.table()


def case_mbedtls():
    attacked("mbedtls")


@release_only
def case_mbedtls_backend():
    attacked("mbedtls", "backend")


@release_only
def case_libcoap():
    attacked("libcoap", contest="home")


@release_only
def case_pion():
    attacked("pion")


@release_only
def case_pion_3_0_0():
    attacked("pion_3_0_0")


@release_only
def case_californium():
    attacked("californium")


@release_only
def case_wolfssl():
    attacked("wolfssl")


@release_only
def case_wolfssl_connected():
    attacked("wolfssl_connected", endpoint="handshake")


@release_only
def case_rrc():
    attacked("rrc")


@release_only
def case_rrc13():
    attacked("rrc13")


main(globals())
