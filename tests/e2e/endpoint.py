#!/usr/bin/env python3
"""nat.endpoint: servers that never accept another address than that of the handshake. With "handshake" their sessions
live while devices move. With "cid" they break at the first record, and cidlb says so, and what mends it."""

import contextlib
import time

from harness import FULL, Scene, main, wait_until
from lab.ledger import Nat
from lab.peers import KINDS
from lab.talk import Clock, Devices, Server

DEVICES, MOVES = (20, 20) if FULL else (5, 4)


@contextlib.contextmanager
def behind(name, **nat):
    """A server of this kind behind a cidlb, and its devices: (server, devices, cidlb, a function that makes a NAT)."""
    with Scene() as scene, contextlib.ExitStack() as opened:
        server = Server(scene, "server", KINDS[name]).start()
        lb = scene.cidlb([scene.pool("p", [server.entry()], nat=nat)])
        devices = Devices(scene, KINDS[name]).start()
        opened.enter_context(Clock(server, devices))
        yield server, devices, lb, lambda: opened.enter_context(Nat(lb.address()))
        lb.assert_identities()


def ask(device, what):
    before = device.ok
    device.request()
    wait_until(lambda: device.ok > before, 20, f"device {device.number} is answered {what}")


def pushed(server, device):
    """The server speaks unasked, and the device hears it."""
    before = len(device.heard)
    server.of_device(device.number).interval_s = 0.2
    wait_until(lambda: len(device.heard) > before + 1, 20, f"device {device.number} hears its server")
    server.of_device(device.number).interval_s = None


def lives(name):
    with behind(name, endpoint="handshake") as (server, devices, lb, nat):
        all_of_them = [devices.join(nat()) for _ in range(DEVICES)]
        for device in all_of_them:
            for _ in range(3):
                ask(device, "where its handshake was")
        assert lb.metric("cidlb_flows", kind="cid") == DEVICES and lb.metric("cidlb_flows") == DEVICES
        for move in range(MOVES):
            for device in all_of_them:
                device.nat.rebind()
                ask(device, f"after move {move + 1}")
                pushed(server, device)
        seen = [session.addresses for session in server.sessions.values()]
        assert len(seen) == DEVICES and all(len(addresses) == 1 for addresses in seen), seen
        assert not any(session.ended for session in server.sessions.values())
        assert not any(device.ended or device.opened != 1 for device in all_of_them)
        assert lb.metric("cidlb_silent_sessions_total") == 0 and "silent_sessions" not in lb.log_text()
        # A restart forgets the endpoints. A device that is where its handshake was goes on all the same.
        late = devices.join(nat())
        ask(late, "before the restart")
        lb.restart()
        ask(late, "after the restart")
        assert len(server.sessions) == DEVICES + 1 and len(server.of_device(late.number).addresses) == 1


def breaks(name):
    """By default. The device does not move until cidlb has said what is wrong: then it is lost for good."""
    for rebind in ("follow", "backend"):
        with behind(name, rebind=rebind) as (server, devices, lb, nat):
            device = devices.join(nat())
            device.speak_s = 2  # the first may still be answered as a part of the handshake
            lb.wait_log("warning silent_sessions pool=p backend=server: .* set nat.endpoint to handshake", 30)
            device.speak_s = None
            assert lb.metric("cidlb_silent_sessions_total", pool="p") == lb.backend("server")["silent_sessions"] == 1
            device.nat.rebind()
            before = device.ok  # pion has answered, and not where the session is
            device.request()
            time.sleep(3)  # three tries
            assert device.ok == before and len(server.sessions[1].addresses) == 1


def case_wolfssl():
    lives("wolfssl_connected")


def case_wolfssl_by_cid():
    breaks("wolfssl_connected")


def case_pion():
    lives("pion_rejects")


def case_pion_by_cid():
    breaks("pion_rejects")


def case_pion_dtls13():
    lives("pion_rejects13")


def case_pion_dtls13_by_cid():
    breaks("pion_rejects13")


def case_others():
    """What takes another address serves as well, and nothing is said of it by default."""
    lives("mbedtls")
    with behind("mbedtls") as (server, devices, lb, nat):
        for _ in range(DEVICES):
            device = devices.join(nat())
            for _ in range(3):
                ask(device, "where its handshake was")
        assert lb.metric("cidlb_silent_sessions_total") == 0 and "silent_sessions" not in lb.log_text()


main(globals())
