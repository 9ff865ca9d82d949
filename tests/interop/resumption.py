#!/usr/bin/env python3
"""Devices without CIDs that move and resume their sessions (DTLS 1.2): the ClientHello is led to the server that can, by
the session id or the ticket that it offers. Servers and devices are of others, and what an abbreviated handshake is (RFC
5246, section 7.3) the wire says: a ServerHello without a ServerHelloDone."""

import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from harness import FULL, Scene, Skip, main, wait_until
from lab.peers import KINDS
from lab.talk import Clock, Devices, Server
from peers import ANSWER_S, Nat, put_shim_before
from tunnel import tunnel, tunnel_pool

DEVICES = 100 if FULL else 30
SERVERS = 3
HANDSHAKE, RECORD_OCTETS = 22, 13
SERVER_HELLO, SERVER_HELLO_DONE = 2, 14


def handshake_messages(datagram):
    """The types of the messages of epoch 0, one for each record."""
    while len(datagram) > RECORD_OCTETS and datagram[0] == HANDSHAKE and datagram[3:5] == bytes(2):
        yield datagram[RECORD_OCTETS]
        datagram = datagram[RECORD_OCTETS + int.from_bytes(datagram[11:13], "big") :]


class Watched(Nat):
    """messages: the types that came since it was emptied."""

    def __init__(self, target, number):
        self.messages = set()
        super().__init__(target, number)

    def _carry_down(self, datagram, sock):
        if sock is self.outside[-1]:
            self.messages |= set(handshake_messages(datagram))
        super()._carry_down(datagram, sock)


class Pool:
    """Three servers of a kind, and devices that each have a session. mode: follow, backend (nat) or tunnel."""

    def __init__(self, mode, kind, **more):
        self.mode, self.kind, self.more, self.stack = mode, KINDS[kind], more, ExitStack()
        self.abbreviated = 0

    def __enter__(self):
        with self.stack:
            self.scene = self.stack.enter_context(Scene())
            self.servers = [Server(self.scene, f"s{n}", self.kind, n) for n in range(1, SERVERS + 1)]
            node = tunnel() if self.mode == "tunnel" else None
            for server in self.servers:
                if node:
                    put_shim_before(self.scene, server, node)
                server.start()
            entries = [server.entry() for server in self.servers]
            # A probe makes a session at a server.
            health = {"probe": "dtls", "interval_ms": 10000, "timeout_ms": 9000}
            if node:
                pool = tunnel_pool(self.scene, "p", entries, node, cid=None, health=health, **self.more)
            else:
                pool = self.scene.pool("p", entries, cid=None, nat={"rebind": self.mode}, health=health, **self.more)
            self.lb = self.scene.cidlb([pool])
            self.peers = Devices(self.scene, self.kind).start()
            for number in range(DEVICES):
                self.peers.begin(self.stack.enter_context(Watched(self.lb.address(), number)))
            self.devices = list(self.peers.all.values())
            self.stack.enter_context(Clock(*self.servers, self.peers))
            self.homes = {device: self.joined(device, 1) for device in self.devices}
            assert len(set(self.homes.values())) == SERVERS, "not all servers have a device"
            assert all(SERVER_HELLO_DONE in device.nat.messages for device in self.devices)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def count_at(self, server, device):
        return sum(session.device == device.number for session in list(server.sessions.values()))

    def joined(self, device, handshakes):
        """The server that it has its newest session with: said by the server, and the device is answered."""
        before = {server: self.count_at(server, device) for server in self.servers}
        wait_until(lambda: device.opened == handshakes, ANSWER_S, f"device {device.number} has session {handshakes}")
        device.devices.greet(device, None)
        wait_until(
            lambda: any(self.count_at(s, device) > before[s] for s in self.servers), ANSWER_S,
            f"a server knows device {device.number}",
        )
        self.ask([device])
        return next(s for s in self.servers if self.count_at(s, device) > before[s])

    def ask(self, devices):
        before = {device: device.ok for device in devices}
        for device in devices:
            device.request()
        wait_until(lambda: all(d.ok > before[d] for d in devices), ANSWER_S, "all are answered")

    def move(self):
        """All move, and resume. How many did so at their server, by an abbreviated handshake."""
        handshakes = self.devices[0].opened + 1
        for device in self.devices:
            device.nat.move()
            device.nat.messages.clear()
            self.peers.tell(f"again {device.number}")
        resumed = 0
        for device in self.devices:
            server = self.joined(device, handshakes)
            assert SERVER_HELLO in device.nat.messages, device.nat.messages
            abbreviated = SERVER_HELLO_DONE not in device.nat.messages
            assert abbreviated == (server is self.homes[device]), (device.number, server.name, device.nat.messages)
            self.homes[device] = server
            resumed += abbreviated
        return resumed

    def resumable(self):
        return {
            kind: self.lb.metric("cidlb_resumable", kind=kind) for kind in ("session", "address")
        }


def led(mode, *kinds):
    """Each device resumes at its server whatever its address, also when cidlb was killed; and as long as it stays where
    it is, its session does, too."""
    for kind in kinds:
        with Pool(mode, kind) as pool:
            first = pool.resumable()
            assert first["session"] >= DEVICES and first["address"] == 0, first
            assert pool.move() == DEVICES
            assert pool.resumable()["address"] > 0
            pool.lb.kill()
            pool.lb.start()
            pool.ask(pool.devices)
            assert pool.move() == DEVICES
            pool.ask(pool.devices)
            assert pool.lb.metric("cidlb_handshakes_total", stage="led") >= DEVICES
            pool.lb.assert_identities()
            print(f"    {mode}: {2 * DEVICES} of {2 * DEVICES} resumed at their server: {pool.kind.title}")


def case_follow_openssl():
    led("follow", "openssl_ids", "openssl_tickets")


def case_follow_mbedtls():
    led("follow", "mbedtls_ids", "mbedtls_tickets")


def case_backend():
    led("backend", "mbedtls_openssl_ids", "openssl_mbedtls_tickets")


def case_tunnel_openssl():
    led("tunnel", "openssl_ids", "openssl_tickets")


def case_tunnel_mbedtls():
    led("tunnel", "mbedtls_ids", "mbedtls_tickets")


def case_by_hash():
    """The comparison: max_resumable = 0, and about a third is led to the right server by chance. That none of 30 is has a
    chance of 1 in 190,000, and that 24 are one of 1 in 5,000,000."""
    for mode, kind in (("follow", "openssl_tickets"), ("tunnel", "mbedtls_ids")):
        with Pool(mode, kind, max_resumable=0) as pool:
            resumed = pool.move()
            assert 0 < resumed < 0.8 * DEVICES, resumed
            pool.lb.assert_identities()
            print(f"    {mode}: by hash {resumed} of {DEVICES} resumed: {pool.kind.title}")


if __name__ == "__main__":
    main(globals())
