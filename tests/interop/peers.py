#!/usr/bin/env python3
"""Servers and devices of others behind cidlb. Devices get another address again and again, and cidlb is killed and
started in between. Each keeps the session of its one handshake: both sides say so, and handshakes are counted on the
wire."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from lab.cids import learners
from harness import FULL, Scene, Skip, main, wait_until, wide
from lab.peers import KINDS
from lab.shimmed import SHIM
from lab.talk import Clock, Devices, Server
from tunnel import KEY, tunnel, tunnel_pool
from udp import TLS12_CID, Relay, parse_address

DEVICES, MOVES = (20, 6) if FULL else (6, 4)
MOVE_S = 2.5  # from move to move
ANSWER_S = 20  # requests are repeated for 15 s
SESSION_S = 60  # for handshakes of all at once, with virtual machines that have just begun

SERVER_HELLO, OFFSET_AT, RANDOM_AT, RANDOM_OCTETS = 2, 13 + 6, 13 + 12 + 2, 32  # RFC 6347, section 4.2.2
UNIFIED, UNIFIED_WITH_CID, CID_OCTETS = 0xF0, 0x30, 6  # RFC 9147, section 4
# RFC 8446, section 4.1.3: the random of a ServerHello that is a HelloRetryRequest.
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Nat(Relay):
    """hellos: the randoms of the ServerHellos that came, one for each handshake. cids: those that were shown in DTLS
    1.3. named: whether the device's own CID was."""

    def __init__(self, target, number):
        self.number, self.hellos, self.cids, self.named = number, set(), set(), False
        super().__init__(target, f"127.1.{number >> 8}.{number & 255}")

    def _carry_down(self, datagram, sock):
        if datagram[0] == 22 and datagram[3:5] == bytes(2) and datagram[13] == SERVER_HELLO:
            if datagram[OFFSET_AT : OFFSET_AT + 3] == bytes(3):
                self.hellos.add(datagram[RANDOM_AT : RANDOM_AT + RANDOM_OCTETS])
        self.hellos.discard(RETRY)
        self.named |= datagram[0] == TLS12_CID or datagram[0] & UNIFIED == UNIFIED_WITH_CID
        super()._carry_down(datagram, sock)
        del self.downlinks[:-100], self.stale[:-100]

    def _carry_up(self, datagram, source):
        if datagram[0] & UNIFIED == UNIFIED_WITH_CID:
            self.cids.add(datagram[1 : 1 + CID_OCTETS])
        super()._carry_up(datagram, source)
        del self.uplinks[:-100]

    def move(self):
        """Another address, and another port."""
        first, second, *rest = self.source[0].split(".")
        self.rebind(".".join([first, str(int(second) + 1), *rest]))


def put_shim_before(scene, server, *nodes):
    """`nodes`: of each the settings of its pool's tunnel."""
    keys = scene.dir / f"{server.name}.keys"
    keys.write_text(f"1:{KEY.hex()}\n")
    keys.chmod(0o640)
    locals_ = [parse_address(node["local"]) for node in nodes]
    settings = {
        "LD_PRELOAD": SHIM, "CIDLB_SHIM_PORTS": server.port, "CIDLB_SHIM_KEY": f"@{keys}",
        "CIDLB_SHIM_NODES": ",".join(f"{ip}:{port}-{port + 2}" for ip, port in locals_),
    }
    server.argv = ["env", *(f"{name}={value}" for name, value in settings.items()), *server.argv]


class Party:
    """A server of some kind, which is a pool of its own, and its devices."""

    def __init__(self, stand, name, number, options):
        # None: cidlb is told nothing of their CIDs, and learns them.
        self.cid = {"cid": None, "unknown_cid": stand.unknown_cid} if stand.learns(number) else {}
        self.stand, self.name, self.kind, self.options = stand, name, KINDS[name], options
        self.server = Server(stand.scene, name, self.kind)
        self.first = number * DEVICES
        if stand.mode == "tunnel":
            self.tunnel = tunnel()
            put_shim_before(stand.scene, self.server, self.tunnel)
        self.peers = Devices(stand.scene, self.kind)
        self.server.launch()
        self.peers.launch()

    def pool(self):
        entries = [self.server.entry()]
        health = {"probe": "dtls", "interval_ms": 1000, "timeout_ms": 5000}
        if self.stand.mode == "tunnel":
            return tunnel_pool(self.stand.scene, self.name, entries, self.tunnel, health=health, **self.cid)
        nat = {**wide(8), "rebind": self.stand.mode, **self.options}
        return self.stand.scene.pool(self.name, entries, nat=nat, health=health, **self.cid)

    def join(self):
        self.peers.wait_ready()
        for number in range(self.first, self.first + DEVICES):
            self.peers.begin(self.stand.open(Nat(self.stand.lb.address(self.name), number)))
        self.devices = list(self.peers.all.values())

    def check_kept(self):
        """What is wrong, in words: each device has the one session that it made, and its server thinks so too."""
        for device in self.devices:
            session = self.server.of_device(device.number)
            if device.opened != 1 or device.ended:
                yield f"{self.name}: device {device.number}: {device.opened} handshakes, {device.ended}"
            if len(device.nat.hellos) != 1:
                yield f"{self.name}: device {device.number}: {len(device.nat.hellos)} ServerHellos"
            if not session or session.ended:
                yield f"{self.name}: device {device.number}: {session.ended if session else 'it has no session'}"
            elif self.stand.mode == "follow" and len(session.addresses) > self.stand.endpoints:
                yield f"{self.name}: the server saw {session.addresses}"
            if device.nat.named != ("cid" in self.kind.device):
                yield f"{self.name}: device {device.number}: its CID was {'' if device.nat.named else 'not '}shown"
            if device.failed:
                yield f"{self.name}: device {device.number}: {device.failed} requests failed"
        if len(self.server.sessions) != DEVICES:
            yield f"{self.name}: {len(self.server.sessions)} sessions of {DEVICES} devices"


class Stand:
    """Several kinds at once. `mode`: follow, backend (both of nat) or tunnel. `parties`: {kind: settings of nat}.
    learns(number): whether the CIDs of that one are learned. `unknown_cid`: what becomes of others then."""

    def __init__(self, mode, parties, learns=lambda number: False, unknown_cid="drop"):
        self.learns, self.unknown_cid = learns, unknown_cid
        self.mode, self.kinds, self.stack, self.moved = mode, parties, ExitStack(), 0
        self.endpoints = 2  # that a server sees of one session in mode follow: the handshake's, then the CID's

    def __enter__(self):
        with self.stack:
            self.open = self.stack.enter_context
            self.scene = self.open(Scene())
            self.parties, self.absent = [], []
            for number, (name, options) in enumerate(self.kinds.items()):
                try:
                    self.parties.append(Party(self, name, number, options))
                except Skip as reason:
                    self.absent.append(str(reason))
            if not self.parties:
                raise Skip("; ".join(dict.fromkeys(self.absent)))
            for party in self.parties:
                party.server.wait_ready()
            self.lb = self.scene.cidlb([party.pool() for party in self.parties])
            for party in self.parties:
                party.join()
                self.open(Clock(party.server, party.peers))
            self.devices = [device for party in self.parties for device in party.devices]
            self.wait_all(lambda device: device.opened, "has a session", timeout=SESSION_S)
            for device in self.devices:
                device.devices.greet(device, None)
            self.ask()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error):
        handled = self.stack.__exit__(*error)
        # Those that are here kept their sessions. That others are not must be seen.
        if not error[0] and self.absent:
            raise Skip("; ".join(dict.fromkeys(self.absent)))
        return handled

    def wait_all(self, done, what, devices=None, timeout=ANSWER_S):
        """Fails with those of whom done(device) has not become true."""
        left = list(self.devices if devices is None else devices)

        def all_done():
            left[:] = [device for device in left if not done(device)]
            return not left

        try:
            wait_until(all_done, timeout, what)
        except TimeoutError:
            names = sorted(f"{party.name} {device.number}" for party in self.parties for device in left
                           if device in party.peers.all.values())
            raise AssertionError(f"none of these {what}: {', '.join(names)}") from None

    def ask(self, devices=None):
        """Each asks its server and is answered; then the server speaks unasked and is heard."""
        devices = self.devices if devices is None else devices
        before = {device: device.ok for device in devices}
        for device in devices:
            device.request()
        self.wait_all(lambda device: device.ok > before[device], "is answered", devices)
        self.push(devices)

    def push(self, devices):
        asked = [(party, device) for party in self.parties for device in party.devices if device in devices]
        sessions = {device: party.server.of_device(device.number) for party, device in asked}
        before = {device: len(device.heard) for device in devices}
        for session in sessions.values():
            session.interval_s = 0.2
        self.wait_all(lambda device: len(device.heard) > before[device] + 1, "hears its server", devices)
        for session in sessions.values():
            session.interval_s = None

    def move(self):
        time.sleep(max(0, self.moved + MOVE_S - time.monotonic()))
        self.moved = time.monotonic()
        for device in self.devices:
            device.nat.move()

    def change_cids(self):
        before = {device: set(device.nat.cids) for device in self.devices}
        for party in self.parties:
            for device in party.devices:
                party.peers.tell(f"path {device.number} -")
        self.wait_all(lambda device: device.nat.cids - before[device], "shows another CID")

    def kill(self):
        """cidlb is away while devices move, and half of them speak meanwhile."""
        self.lb.kill()
        self.move()
        early = self.devices[::2]
        before = {device: device.ok for device in early}
        for device in early:
            device.request()
        self.lb.start()
        self.wait_all(lambda device: device.ok > before[device], "is answered after the kill", early)
        self.ask()

    def wander(self):
        for move in range(MOVES - 1):
            if move == MOVES // 2:
                self.kill()
            self.move()
            self.ask()
        self.check_kept()

    def check_kept(self):
        wrong = [sentence for party in self.parties for sentence in party.check_kept()]
        assert not wrong, "; ".join(wrong)
        self.lb.assert_identities()
        told = "; ".join(party.kind.title for party in self.parties)
        print(f"    {self.mode}: {DEVICES} devices, {MOVES} moves, 0 sessions lost: {told}")


# Kinds. More are too many for a busy machine, and the NATs wait with select(), which takes up to 1,024 descriptors.
AT_ONCE = 3 if FULL else 9


def kept(mode, parties):
    """Of every other kind cidlb learns the CIDs; in mode backend it is the others. In full size all kinds run in both
    ways."""
    names, absent = list(parties), []
    for learns in learners(mode != "backend"):
        for first in range(0, len(names), AT_ONCE):
            try:
                some = {name: parties[name] for name in names[first : first + AT_ONCE]}
                with Stand(mode, some, learns) as stand:
                    stand.wander()
            except Skip as reason:
                absent.append(str(reason))
    if absent:
        raise Skip("; ".join(dict.fromkeys(absent)))


# libcoap up to 4.3.5 needs one place per session: packaging/guide/peers.md.
NAT = {
    "mbedtls": {}, "libcoap": {"contest": "home"}, "pion": {}, "pion_3_0_0": {}, "californium": {},
    "californium_3": {}, "wolfssl": {}, "rrc": {},
    # SERVER_DEVICES, where these are not Mbed TLS
    "mbedtls_wolfssl": {}, "mbedtls_californium": {}, "mbedtls_californium_3": {}, "pion_pion": {}, "pion_wolfssl": {},
    "californium_californium": {}, "californium_3_californium_3": {}, "wolfssl_pion": {}, "wolfssl_wolfssl": {},
}
NAT13 = {
    "rrc13": {}, "rrc13_cid": {}, "unchecked13": {}, "unchecked13_cid": {}, "wolfssl13": {}, "wolfssl13_cid": {},
    "purecrypto": {}, "purecrypto_cid": {}, "unchecked13_wolfssl": {}, "unchecked13_wolfssl_cid": {},
    "wolfssl13_wolfssl": {}, "wolfssl13_wolfssl_cid": {},
}


def case_follow():
    kept("follow", NAT)


def case_backend():
    """A server that moves before it verifies would be led away by anyone here."""
    kept("backend", {name: {} for name in NAT if name != "libcoap"})


def case_tunnel():
    """Go speaks to the kernel by itself: the shim cannot be before pion."""
    kept("tunnel", {name: {} for name in NAT if not KINDS[name].program.startswith("pion")})


def case_follow_dtls13():
    kept("follow", NAT13)


def case_backend_dtls13():
    kept("backend", NAT13)


def case_tunnel_dtls13():
    kept("tunnel", {name: {} for name in NAT13 if not KINDS[name].program.startswith("pion")})


def rotated(mode):
    """Devices that notice their moves show another CID of their server after each (RFC 9147, section 9)."""
    with Stand(mode, {"rrc13": {}, "rrc13_cid": {}}) as stand:
        for move in range(MOVES):
            stand.move()
            stand.change_cids()
            stand.endpoints += 1
            stand.ask()
        stand.check_kept()


def case_follow_rotation():
    rotated("follow")


def case_backend_rotation():
    rotated("backend")


def case_learned_rotation():
    """Of a CID that was agreed in secret cidlb learns nothing. With unknown_cid = "hash" it is found by its address."""
    with Stand("follow", {"rrc13": {}, "rrc13_cid": {}}, lambda _: True, "hash") as stand:
        for _ in range(MOVES):
            stand.change_cids()
            stand.endpoints += 1
            stand.ask()
        stand.check_kept()


def case_never_follows():
    """Servers that stay with the address of the handshake: the recipe of packaging/guide/peers.md. The endpoint of a
    handshake is known to nobody once cidlb is killed, so it is not."""
    names = ("wolfssl_connected", "pion_rejects", "pion_rejects13", "rrc_wolfssl", "rrc13_wolfssl")
    for learns in learners(0):
        with Stand("follow", {name: {"endpoint": "handshake"} for name in names}, learns) as stand:
            for _ in range(MOVES):
                stand.move()
                stand.ask()
            stand.check_kept()


if __name__ == "__main__":
    main(globals())
