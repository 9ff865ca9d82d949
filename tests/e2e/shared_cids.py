#!/usr/bin/env python3
"""A pool that learns CIDs, and two servers that give out the same ones: both are kept, and what is known of a source
decides. The servers play DTLS 1.2 without keys. cidlb has none either, and sees what it would see of others."""

import os
import struct
import time
from contextlib import ExitStack

import proxy2
from handshakes import HEADERS, fragment, message, msg_type, verify_request
from harness import Scene, main
from proxy2 import UP
from quic_lb import ctl
from stateless import NAT, route_prefix
from tunnel import Server, arrives, started, tunnel_pool
from udp import TLS12_CID, drain, open_socket, parse_address, records

CID_OCTETS = 6
EACH = 4  # devices of each server
HANDSHAKE, CHANGE_CIPHER_SPEC, DATA = 22, 20, 23
CLIENT_HELLO, SERVER_HELLO, KEY_EXCHANGE = 1, 2, 16
MESSAGE_SEQ_AT = 13 + 4


def record(kind, epoch, seq, body, cid=b""):
    head = struct.pack(">BHH", kind, 0xFEFD, epoch) + seq.to_bytes(6, "big")
    return head + cid + struct.pack(">H", len(body)) + body


def handshake(kind, seq, body):
    octets = len(body).to_bytes(3, "big")
    return bytes([kind]) + octets + struct.pack(">H", seq) + bytes(3) + octets + body


def server_hello(cid):
    """RFC 5246, section 7.4.1.3, with a connection_id (RFC 9146, section 3)."""
    extension = struct.pack(">HHB", 54, len(cid) + 1, len(cid)) + cid
    body = b"\xfe\xfd" + os.urandom(32) + b"\0\xc0\xa8\0" + struct.pack(">H", len(extension)) + extension
    return record(HANDSHAKE, 0, 1, handshake(SERVER_HELLO, 1, body))


CHANGE = record(CHANGE_CIPHER_SPEC, 0, 3, b"\1")


def flight(cid):
    """The last of a device, as three records."""
    key_exchange = record(HANDSHAKE, 0, 2, handshake(KEY_EXCHANGE, 2, bytes(12)))
    return [key_exchange, CHANGE, record(TLS12_CID, 1, 0, os.urandom(24), cid)]


class Giver(Server):
    """Gives out the CIDs 1, 2, 3 and so on."""

    given = 0

    def _run(self):
        while self.running:
            for datagram, source in drain(self.sock):
                if datagram[:12] == proxy2.SIGNATURE:
                    self.node = source[:2]
                    device, service, payload = proxy2.read(self.keys, UP, datagram)
                    self.hear(payload, lambda answer: self.answer(service, device, answer))
                else:
                    self.hear(datagram, lambda answer: self.sock.sendto(answer, source))
            time.sleep(0.001)

    def hear(self, datagram, say):
        self.got.append(datagram)
        last = records(datagram, CID_OCTETS)[-1]
        if last.type == TLS12_CID and last.seq:
            say(record(DATA, 1, 1, datagram[-last.length :]))
        elif last.type == TLS12_CID:
            say(CHANGE + record(HANDSHAKE, 1, 0, os.urandom(24)))
        elif last.type == HANDSHAKE and msg_type(datagram) == CLIENT_HELLO:
            if datagram[MESSAGE_SEQ_AT : MESSAGE_SEQ_AT + 2] == bytes(2):
                say(verify_request(b"a cookie"))
            else:
                self.given += 1
                say(server_hello(self.given.to_bytes(CID_OCTETS, "big")))


class Device:
    """`server`: the one that its handshake is with."""

    def __init__(self, stand, sock):
        self.stand, self.sock, self.seq = stand, sock, 0
        self.random = os.urandom(32)
        self.asked = self.ask(fragment(message(0, self.random)))
        self.server = next(server for server in stand.servers if any(self.random in got for got in server.got))

    def send(self, datagram):
        self.sock.sendto(datagram, self.stand.service)

    def ask(self, datagram):
        self.send(datagram)
        return arrives(self.sock)[0]

    def join(self, apart):
        """`apart`: each record of its last flight comes in a datagram of its own."""
        answer = self.ask(fragment(message(1, self.random, self.asked[HEADERS + 3 :])))
        assert msg_type(answer) == SERVER_HELLO, answer.hex()
        self.cid = answer[-CID_OCTETS:]
        *before, finished = flight(self.cid)
        if apart:
            for one in before:
                self.send(one)
        else:
            finished = b"".join([*before, finished])
        assert self.ask(finished).startswith(CHANGE)
        assert finished in self.server.got, "another server got the end of the handshake"

    def talk(self, sock=None):
        """It is answered. Returns the server that got what it said. `sock`: it has moved there; what its old address
        gets, too, is left there."""
        self.seq += 1
        said = record(TLS12_CID, 1, self.seq, os.urandom(24), self.cid)
        sock = sock or self.sock
        sock.sendto(said, self.stand.service)
        while arrives(sock)[0] != record(DATA, 1, 1, said[-24:]):
            pass
        (got,) = (server for server in self.stand.servers if said in server.got)
        return got


class Stand:
    def __init__(self, mode, pool):
        self.mode, self.pool, self.stack = mode, pool, ExitStack()

    def __enter__(self):
        with self.stack:
            scene = self.stack.enter_context(Scene())
            ip = "::1" if self.mode == "stateless" else "127.0.0.1"
            self.servers = [self.stack.enter_context(Giver(ip)) for _ in "ab"]
            entries = [server.entry(name, number) for number, (server, name) in enumerate(zip(self.servers, "ab"), 1)]
            options = {"cid": None, "health": {"probe": "none"}, **self.pool}
            pool = tunnel_pool if self.mode == "tunnel" else Scene.pool
            self.lb = started(scene, [pool(scene, "p", entries, **options)])
            self.service = parse_address(self.lb.address())
            self.devices = {server: [] for server in self.servers}
            while min(len(devices) for devices in self.devices.values()) < EACH:
                device = Device(self, self.open())
                self.devices[device.server].append(device)
            self.devices = {server: devices[:EACH] for server, devices in self.devices.items()}
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def open(self):
        return self.stack.enter_context(open_socket("127.0.0.1"))

    def learned(self):
        return ctl(self.lb, "status")["pools"][0]["learned"]

    def talk(self, server):
        for device in self.devices[server]:
            got = device.talk()
            assert got is server, f"{self.mode}: a device was led to another server"


def shared(mode, **pool):
    """The devices of one server have long spoken when the other one gives out the same CIDs."""
    with Stand(mode, pool) as stand:
        first, last = stand.servers
        for n, device in enumerate(stand.devices[first]):
            device.join(apart=n % 2)
        for _ in range(2):
            stand.talk(first)
        assert all(device.talk(stand.open()) is first for device in stand.devices[first]), "there is one server"
        for n, device in enumerate(stand.devices[last]):
            device.join(apart=n % 2)
        for _ in range(3):
            stand.talk(last)
            stand.talk(first)
        has = stand.learned()
        assert has["cids"] == has["added"] == has["shared"] == EACH and has["lengths"] == [CID_OCTETS], has
        assert stand.lb.metric("cidlb_learned_cids_total", what="shared") == EACH
        # Of who has moved nothing is known.
        assert all(device.talk(stand.open()) is last for device in stand.devices[last])
        stand.talk(first)
        stand.lb.assert_identities()
        assert stand.lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
        assert stand.lb.metric("cidlb_datagrams_total", verdict="mixed") == 0
        stand.lb.restart()
        has = stand.learned()
        assert has["cids"] == EACH and has["added"] == 0, has
        assert all(device.talk(stand.open()) is last for device in stand.devices[last]), "both are kept in the file"
        stand.lb.assert_identities()


def case_tunnel():
    shared("tunnel")


def case_stateless():
    """Mode nat without a table."""
    route_prefix()
    shared("stateless", nat=NAT)


def case_follow():
    shared("follow", nat={"rebind": "follow"})


def case_backend():
    shared("backend", nat={"rebind": "backend"})


if __name__ == "__main__":
    main(globals())
