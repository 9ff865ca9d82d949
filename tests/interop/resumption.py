#!/usr/bin/env python3
"""Devices without CIDs that move and resume their sessions (DTLS 1.2): the ClientHello is led to the server that can, by
the session id or the ticket that it offers. Servers and devices are of others, and what an abbreviated handshake is (RFC
5246, section 7.3) the wire says: a ServerHello without a ServerHelloDone."""

import copy
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from harness import FULL, Scene, main, wait_until, wide
from lab.peers import KINDS
from lab.talk import Clock, Devices, Server
from peers import ANSWER_S, Nat, put_shim_before
from redis_nodes import Redis, redis
from tunnel import tunnel, tunnel_pool
from udp import open_socket, parse_address

# So many that each of three servers has some: that one has none is a chance of 1 in 8 millions.
DEVICES = 100 if FULL else 42
SERVERS = 3
FLOOD = 5_000 if FULL else 400
SMALL = 1024  # max_resumable
HANDSHAKE, RECORD_OCTETS, HEADERS = 22, 13, 13 + 12
CLIENT_HELLO, SERVER_HELLO, HELLO_VERIFY_REQUEST, SERVER_HELLO_DONE = 1, 2, 3, 14
TICKET = 35  # RFC 5077, section 3.2
# A ChangeCipherSpec, and a Finished that nobody verifies.
FORGED_END = bytes.fromhex("14fefd00000000000000020001" "01" "16fefd00010000000000000028") + bytes(40)


def handshake_messages(datagram):
    """The types of the messages of epoch 0, one for each record."""
    while len(datagram) > RECORD_OCTETS and datagram[0] == HANDSHAKE and datagram[3:5] == bytes(2):
        yield datagram[RECORD_OCTETS]
        datagram = datagram[RECORD_OCTETS + int.from_bytes(datagram[11:13], "big") :]


def vector(body, octets=1):
    """What stands behind a length of so many octets, and what follows it."""
    end = octets + int.from_bytes(body[:octets], "big")
    return body[octets:end], body[end:]


class Hello:
    """A ClientHello that was seen, to be sent with other values in its place."""

    def __init__(self, datagram):
        body = datagram[HEADERS:]
        self.version, self.random = body[:2], body[2:34]
        self.session_id, rest = vector(body[34:])
        _, rest = vector(rest)
        suites, rest = vector(rest, 2)
        methods, rest = vector(rest)
        self.middle = len(suites).to_bytes(2, "big") + suites + bytes([len(methods)]) + methods
        self.extensions = {}
        extensions, _ = vector(rest, 2)
        while extensions:
            number = int.from_bytes(extensions[:2], "big")
            self.extensions[number], extensions = vector(extensions[2:], 2)

    def datagram(self, seq=0, cookie=b""):
        extensions = b"".join(
            number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
            for number, value in self.extensions.items()
        )
        body = self.version + self.random + bytes([len(self.session_id)]) + self.session_id
        body += bytes([len(cookie)]) + cookie + self.middle + len(extensions).to_bytes(2, "big") + extensions
        octets = len(body).to_bytes(3, "big")
        message = bytes([CLIENT_HELLO]) + octets + seq.to_bytes(2, "big") + bytes(3) + octets + body
        return b"\x16\xfe\xfd" + bytes(7) + bytes([seq]) + len(message).to_bytes(2, "big") + message


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
    """Three servers of a kind, and devices that each have a session. mode: follow, backend (nat) or tunnel. Of several
    nodes the first one, `lb`, is what devices go to; `shared`: these share through Redis what they learn."""

    def __init__(self, mode, kind, nodes=1, shared=False, **more):
        self.mode, self.kind, self.more, self.stack = mode, KINDS[kind], more, ExitStack()
        self.node_count, self.shared, self.store = nodes, shared, None

    def __enter__(self):
        with self.stack:
            self.scene = self.stack.enter_context(Scene())
            self.servers = [Server(self.scene, f"s{n}", self.kind, n) for n in range(1, SERVERS + 1)]
            tunnels = [tunnel() if self.mode == "tunnel" else None for _ in range(self.node_count)]
            for server in self.servers:
                if self.mode == "tunnel":
                    put_shim_before(self.scene, server, *tunnels)
                server.start()
            self.store = Redis(self.scene) if self.shared else None
            self.nodes = [self.node(f"node{n}", tunnels[n]) for n in range(self.node_count)]
            self.lb = self.nodes[0]
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

    def node(self, name, through):
        entries = [server.entry() for server in self.servers]
        # A probe makes a session at a server.
        health = {"probe": "dtls", "interval_ms": 10000, "timeout_ms": 9000}
        if through:
            pool = tunnel_pool(self.scene, "p", entries, through, cid=None, health=health, **self.more)
        else:
            nat = {**wide(), "rebind": self.mode}
            pool = self.scene.pool("p", entries, cid=None, nat=nat, health=health, **self.more)
        return self.scene.cidlb([pool], name=name, **({"redis": self.store.settings()} if self.store else {}))

    def lead_to(self, node):
        """From now on devices go to it. It knows what the others have learned."""
        if self.store:
            wait_until(
                lambda: all(redis(n)["waiting"] == 0 for n in self.nodes)
                and redis(node)["taken"] == self.store.ask("XLEN", "cidlb:p:sessions"), ANSWER_S,
                f"{node.name} has read what all have learned",
            )
        for device in self.devices:
            device.nat.target = parse_address(node.address())

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


def case_follow_californium():
    """It asks for no cookie when it knows the session id."""
    led("follow", "californium_openssl_ids")


def case_tunnel_californium():
    led("tunnel", "californium_openssl_ids")


def case_follow_wolfssl():
    led("follow", "wolfssl_ids")


def case_tunnel_wolfssl():
    led("tunnel", "wolfssl_ids")


def answer_to(sock, service, datagram, wanted):
    """The first datagram that begins with such a message. What a busy machine loses is repeated, as devices do."""
    sock.settimeout(2)
    for _ in range(15):
        sock.sendto(datagram, service)
        with suppress(TimeoutError):
            while (answer := sock.recv(2048))[RECORD_OCTETS] != wanted:
                pass
            return answer
    raise TimeoutError(f"no message of type {wanted}")


def flood(pool, copies):
    """FLOOD handshakes from somebody without keys, who repeats each cookie; every other one offers what some device was
    seen to offer."""
    service = parse_address(pool.lb.address())
    said = {True: [], False: []}
    for n in range(FLOOD):
        hello, copied = copy.copy(copies[n % len(copies)]), n % 2 == 0
        hello.random = os.urandom(32)
        if not copied:
            hello.session_id = os.urandom(len(hello.session_id))
            hello.extensions = {k: os.urandom(len(v)) if k == TICKET else v for k, v in hello.extensions.items()}
        with open_socket("127.0.0.1") as sock:
            asked = answer_to(sock, service, hello.datagram(), HELLO_VERIFY_REQUEST)
            said[copied].append(len(asked))
            cookie, _ = vector(asked[HEADERS + 2 :])
            answer_to(sock, service, hello.datagram(1, cookie), SERVER_HELLO)
            sock.sendto(FORGED_END, service)
    assert set(said[True]) == set(said[False]), "what is offered makes the first answer longer"


def flushes_nothing(mode, kind):
    with Pool(mode, kind, max_resumable=SMALL) as pool:
        assert pool.move() == DEVICES
        copies = []
        for device in pool.devices:
            hellos = [up for _, up in device.nat.uplinks if up[:1] == b"\x16" and up[RECORD_OCTETS] == CLIENT_HELLO]
            copies.append(Hello(hellos[-1]))
        assert all(hello.session_id for hello in copies)
        before = {what: pool.lb.metric("cidlb_resumable_total", what=what) for what in ("added", "evicted")}
        led_before = pool.lb.metric("cidlb_handshakes_total", stage="led")
        flood(pool, copies)
        after = {what: pool.lb.metric("cidlb_resumable_total", what=what) for what in before}
        assert after == before and after["evicted"] == 0, (before, after)
        assert pool.lb.metric("cidlb_handshakes_total", stage="led") - led_before >= FLOOD // 2
        assert pool.move() == DEVICES
        pool.lb.assert_identities()
        print(f"    {mode}: {FLOOD} handshakes without keys, 0 learned, 0 forgotten: {pool.kind.title}")


def case_no_keys_follow():
    flushes_nothing("follow", "openssl_tickets")


def case_no_keys_tunnel():
    flushes_nothing("tunnel", "mbedtls_ids")


def at_another_node(mode, kind):
    """Devices that were at one node resume at another, and with what they get there at the first one again."""
    with Pool(mode, kind, nodes=2, shared=True) as pool:
        for node in reversed(pool.nodes):
            pool.lead_to(node)
            assert pool.move() == DEVICES
            pool.ask(pool.devices)
            assert node.metric("cidlb_handshakes_total", stage="led") >= DEVICES // SERVERS
        pushed = sum(redis(node)["pushed"] for node in pool.nodes)
        for node in pool.nodes:
            node.assert_identities()
            said = redis(node)
            assert said["foreign"] == said["malformed"] == said["dropped"] == 0 < DEVICES <= pushed, said
        print(f"    {mode}: {2 * DEVICES} of {2 * DEVICES} resumed at another node: {pool.kind.title}")
    with Pool(mode, kind, nodes=2) as pool:
        pool.lead_to(pool.nodes[1])
        resumed = pool.move()
        assert 0 < resumed < 0.8 * DEVICES, resumed
        print(f"    {mode}: without Redis {resumed} of {DEVICES}: {pool.kind.title}")


def case_another_node_follow():
    at_another_node("follow", "openssl_tickets")


def case_another_node_tunnel():
    at_another_node("tunnel", "mbedtls_ids")


def case_by_hash():
    """The comparison: max_resumable = 0, and about a third is led to the right server by chance. That none of 42 is has a
    chance of 1 in 25 millions, and that 34 are a smaller one."""
    for mode, kind in (("follow", "openssl_tickets"), ("tunnel", "mbedtls_ids")):
        with Pool(mode, kind, max_resumable=0) as pool:
            resumed = pool.move()
            assert 0 < resumed < 0.8 * DEVICES, resumed
            pool.lb.assert_identities()
            print(f"    {mode}: by hash {resumed} of {DEVICES} resumed: {pool.kind.title}")


if __name__ == "__main__":
    main(globals())
