#!/usr/bin/env python3
"""Servers and devices of others that have no CIDs. Nobody can tell whose their records are once the address has
changed, with cidlb or without it: the session is lost, and the device makes a new one. While it stays where it is it
keeps its session, also over a SIGKILL of cidlb: servers and endpoints are computed from the address."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from lab.cids import learners
from harness import Scene, Skip, main, wide
from lab.peers import KINDS
from lab.talk import Clock, Devices, Server
from peers import SESSION_S, Nat, Stand, put_shim_before
from tunnel import tunnel, tunnel_pool

# So many devices of all kinds behind cidlb, beside the first of each: that every pool has all of its own at one of its
# two servers has a chance of 1 in 2**MORE. In mode nat one more of each kind is at a server without cidlb.
MORE = 20
SILENCE_S = 2  # for which who has lost his session is not answered


class Party:
    """Two servers of a kind, which are a pool, and devices: `devices` behind cidlb, and `all`."""

    def __init__(self, stand, name, number):
        self.stand, self.name, self.kind, self.first = stand, name, KINDS[name], number * (MORE + 2)
        self.cid = {"cid": None} if stand.learns(number) else {}
        self.servers = [Server(stand.scene, f"{name}-{number}", self.kind, number) for number in (1, 2)]
        self.tunnel = tunnel() if stand.mode == "tunnel" else None
        for server in self.servers:
            if self.tunnel:
                put_shim_before(stand.scene, server, self.tunnel)
            server.start()
        self.peers = Devices(stand.scene, self.kind)

    def pool(self):
        entries = [server.entry() for server in self.servers]
        health = {"probe": "dtls", "interval_ms": 1000, "timeout_ms": 5000}
        if self.tunnel:
            return tunnel_pool(self.stand.scene, self.name, entries, self.tunnel, health=health, **self.cid)
        if self.stand.mode == "plain":
            plain = {"protocol": "udp", "cid": None, "health": {**health, "probe": "coap"}, "nat": wide(8)}
            return self.stand.scene.pool(self.name, entries, **plain)
        nat = {**wide(8), "rebind": self.stand.mode}
        return self.stand.scene.pool(self.name, entries, nat=nat, health=health, **self.cid)

    def join(self):
        self.peers.start()
        targets = [self.stand.lb.address(self.name)] * self.stand.count
        if not self.tunnel:  # the shim keeps out who does not come from cidlb
            targets.append(f"127.0.0.1:{self.servers[0].port}")
        for number, target in enumerate(targets, self.first):
            device = self.peers.begin(self.stand.open(Nat(target, number)))
            device.party = self
        self.all = list(self.peers.all.values())
        self.devices = self.all[:self.stand.count]

    def sessions(self, device):
        """[(server, session)] of a device, the oldest first at each server."""
        return [
            (server, session) for server in self.servers for session in list(server.sessions.values())
            if session.device == device.number
        ]


class Pools(Stand):
    """`mode`: follow, backend, plain (all of nat) or tunnel. All devices have a session once it is entered."""

    def __enter__(self):
        with self.stack:
            self.open = self.stack.enter_context
            self.scene = self.open(Scene())
            self.parties, self.absent = [], []
            for name in self.kinds:
                try:
                    self.parties.append(Party(self, name, len(self.parties)))
                except Skip as reason:
                    self.absent.append(str(reason))
            if not self.parties:
                raise Skip("; ".join(dict.fromkeys(self.absent)))
            self.count = max(4, 1 - -MORE // len(self.parties))
            self.lb = self.scene.cidlb([party.pool() for party in self.parties])
            for party in self.parties:
                party.join()
                self.open(Clock(*party.servers, party.peers))
            self.devices = [device for party in self.parties for device in party.devices]
            self.all = [device for party in self.parties for device in party.all]
            self.sessions = {}  # {device: its session}
            self.greet(1)
            self.stack = self.stack.pop_all()
        return self

    def greet(self, count):
        """Each has its session number `count`, and says at its server whose it is."""
        self.wait_all(lambda device: device.opened == count, "has a session", self.all, SESSION_S)
        for device in self.all:
            device.devices.greet(device, None)
        self.wait_all(lambda device: len(device.party.sessions(device)) == count, "is known", self.all)
        for device in self.all:
            known = list(self.sessions.values())
            (self.sessions[device],) = [s for _, s in device.party.sessions(device) if s not in known]

    def push(self, devices):
        before = {device: len(device.heard) for device in devices}
        self.notify(devices, 0.2)
        self.wait_all(lambda device: len(device.heard) > before[device] + 1, "hears its server", devices)
        self.notify(devices, None)

    def notify(self, devices, interval_s):
        for device in devices:
            self.sessions[device].interval_s = interval_s

    def check(self, handshakes):
        """So many of each device, and on the wire; nobody has lost a session that he had since the last of them."""
        for device in self.all:
            name, session = f"{device.party.name} {device.number}", self.sessions[device]
            assert device.opened == handshakes, f"{name}: {device.opened} sessions"
            assert len(device.party.sessions(device)) == handshakes, f"{name}: more sessions at its servers"
            if self.mode != "plain":
                assert len(device.nat.hellos) == handshakes, f"{name}: {len(device.nat.hellos)} ServerHellos"
            assert not session.ended, f"{name}: {session.ended}"
        both = {server for party in self.parties for device in party.devices for server, _ in party.sessions(device)}
        assert len(both) > len(self.parties), "no pool has devices at both of its servers"

    def kill(self):
        """Devices stay where they are, and no file helps. In nat only their words tell cidlb the way to them."""
        self.lb.kill()
        Path(self.lb.config["state_file"]).unlink(missing_ok=True)
        self.lb.start()
        before = {device: len(device.heard) for device in self.devices}
        self.notify(self.devices, 0.2)
        if self.mode == "tunnel":
            self.wait_all(lambda device: len(device.heard) > before[device], "hears its server", self.devices)
        else:
            time.sleep(1)
            heard = [device.number for device in self.devices if len(device.heard) > before[device]]
            assert not heard, f"{heard} heard their servers before they had spoken"
        self.notify(self.devices, None)
        self.ask()

    def move(self):
        """All move and speak. Of whom servers hear them, and who hears his server."""
        for device in self.all:
            device.nat.move()
        time.sleep(0.5)  # what has reached a device before its move is heard
        before = {device: (device.ok, len(device.heard), len(device.nat.uplinks)) for device in self.all}
        for device in self.all:
            device.request()
        self.notify(self.all, 0.2)
        time.sleep(SILENCE_S)
        self.notify(self.all, None)
        assert all(len(device.nat.uplinks) > before[device][2] for device in self.all), "not all have spoken"
        answered = [device for device in self.all if device.ok > before[device][0]]
        return answered, [device for device in self.all if len(device.heard) > before[device][1]]

    def lose(self):
        served = [f"{device.party.name} {device.number}" for devices in self.move() for device in devices]
        assert not served, f"{served} were served after a move"

    def again(self):
        for device in self.all:
            device.waiting.clear()
            device.heard.clear()
            device.devices.tell(f"again {device.number}")
        self.greet(2)
        self.ask(self.all)


def lost_and_new(mode, kinds):
    for learns in learners(mode != "backend"):
        lost_and_new_where(mode, kinds, learns)


def lost_and_new_where(mode, kinds, learns):
    with Pools(mode, dict.fromkeys(kinds), learns) as stand:
        stand.ask(stand.all)
        stand.check(1)
        stand.kill()
        stand.check(1)
        stand.lose()
        stand.again()
        stand.check(2)
        stand.lb.assert_identities()
        for party in stand.parties:
            told = f"{stand.count} devices, a SIGKILL survived, lost by a move, a new session there"
            print(f"    {mode}: {told}: {party.kind.title}")


OPENSSL = ("openssl", "openssl_mbedtls", "mbedtls_openssl")
COAP = ("libcoap_openssl", "libcoap_gnutls", "aiocoap", "aiocoap_libcoap", "libcoap_aiocoap")


def case_follow():
    lost_and_new("follow", OPENSSL + COAP)


def case_backend():
    lost_and_new("backend", OPENSSL + COAP)


def case_tunnel():
    lost_and_new("tunnel", OPENSSL + COAP)


def case_plain():
    """Plain CoAP has no sessions: requests are answered from anywhere, but what a server observes for a device goes to
    where the device was."""
    with Pools("plain", dict.fromkeys(("libcoap_plain", "aiocoap_plain"))) as stand:
        stand.ask(stand.all)
        stand.check(1)
        stand.kill()
        stand.check(1)
        answered, heard = stand.move()
        assert answered == stand.all, f"{len(answered)} of {len(stand.all)} are answered after a move"
        assert not heard, f"{len(heard)} hear their servers after a move"
        stand.again()
        stand.check(2)
        stand.lb.assert_identities()


if __name__ == "__main__":
    main(globals())
