#!/usr/bin/env python3
"""One handshake, one server, and one from hello_rate: in mode tunnel, which keeps no flows."""

import os
import time

from control import ctl
from flood import COARSE_S, HELLO, RANDOM_AT, RANDOM_OCTETS
from harness import Scene, main, wait_until
from tunnel import Server, arrives, key_file, started, tunnel_pool
from udp import drain, open_socket, parse_address

HEADERS = 13 + 12  # of a record, of a handshake message
COOKIE_AT = RANDOM_AT + RANDOM_OCTETS + 1  # its length, behind an empty session id
SERVER_HELLO, HELLO_VERIFY_REQUEST = 2, 3


def message(seq, random, cookie=b"", padding=0):
    """The body of a ClientHello, and its message_seq."""
    body = HELLO[HEADERS:RANDOM_AT] + random + HELLO[RANDOM_AT + RANDOM_OCTETS : COOKIE_AT]
    return seq, body + bytes([len(cookie)]) + cookie + HELLO[COOKIE_AT + 1 :] + bytes(padding)


def fragment(said, start=0, end=None):
    """A datagram with these octets of the message."""
    seq, body = said
    part = body[start:end]
    header = b"\1" + len(body).to_bytes(3, "big") + seq.to_bytes(2, "big")
    header += start.to_bytes(3, "big") + len(part).to_bytes(3, "big")
    return HELLO[:5] + os.urandom(6) + (12 + len(part)).to_bytes(2, "big") + header + part


def halves(said):
    return [fragment(said, 0, 1000), fragment(said, 1000)]


def msg_type(datagram):
    return datagram[13]


def verify_request(cookie):
    body = b"\xfe\xfd" + bytes([len(cookie)]) + cookie
    message = b"\3" + len(body).to_bytes(3, "big") + bytes(5) + len(body).to_bytes(3, "big") + body
    return HELLO[:11] + len(message).to_bytes(2, "big") + message


def case_a_drain_between_two_messages():
    """The server that asked for the cookie is drained, or another comes back, before the device repeats it: it answers
    with its ServerHello. Another one would ask for a cookie again."""
    with Scene() as scene:
        keys = key_file(scene)
        backends = [scene.backend(number, options=["--tunnel", keys]) for number in (1, 2, 3)]
        lb = started(scene, [tunnel_pool(scene, "p", backends)])
        names = [backend.name for backend in backends]
        service = parse_address(lb.address())
        for n in range(12):
            with open_socket("127.0.0.1") as device:
                before = [backend.counters()["hellos"] for backend in backends]
                random = os.urandom(RANDOM_OCTETS)
                device.sendto(fragment(message(0, random)), service)
                asked, _ = arrives(device)
                assert msg_type(asked) == HELLO_VERIFY_REQUEST, asked.hex()
                cookie = asked[HEADERS + 3 :]
                (first,) = (b for b, was in zip(backends, before) if b.counters()["hellos"] > was)
                ctl(lb, "drain", first.name)
                if n % 2:  # and its devices have a third place to go
                    ctl(lb, "drain", names[names.index(first.name) - 1])
                device.sendto(fragment(message(1, random, cookie)), service)
                answer, _ = arrives(device)
                assert msg_type(answer) == SERVER_HELLO, answer.hex()
                for name in names:
                    ctl(lb, "ready", name)
        assert lb.metric("cidlb_datagrams_total", verdict="hint") == 12
        lb.assert_identities()


def case_rate_by_handshakes():
    """hello_rate is used up by strangers. What was admitted goes on: second ClientHellos, in fragments and with cookies.
    What was not does not, and fragments of nothing do not."""
    rate = 2
    with Scene() as scene, Server(echo=False) as server, open_socket("127.0.0.1") as device:
        lb = started(scene, [tunnel_pool(scene, "p", [server.entry()], hello_rate={"pool": rate})])
        service, address = parse_address(lb.address()), device.getsockname()[:2]
        random = os.urandom(RANDOM_OCTETS)
        start = time.monotonic()

        def mine():
            return [payload for source, _, payload in server.got if source == address]

        def send(datagrams):
            """They arrive, and in order."""
            want = len(mine()) + len(datagrams)
            for datagram in datagrams:
                device.sendto(datagram, service)
            wait_until(lambda: len(mine()) >= want, 20, "the handshake goes on")
            assert mine()[-len(datagrams) :] == datagrams

        def strangers(make):
            """40 datagrams from as many ports; the number that arrived."""
            for _ in range(40):
                with open_socket("127.0.0.1") as stranger:
                    stranger.sendto(make(), service)

        send(halves(message(0, random, padding=1400)))
        strangers(lambda: fragment(message(0, os.urandom(RANDOM_OCTETS))))
        send(halves(message(0, random, padding=1400)))  # a repetition
        server.answer(service, address, verify_request(b"a cookie"))
        assert arrives(device)[0] == verify_request(b"a cookie")
        strangers(lambda: fragment(message(0, os.urandom(RANDOM_OCTETS))))
        send(halves(message(1, random, b"a cookie", padding=1500)))
        send([fragment(message(1, os.urandom(RANDOM_OCTETS), b"a cookie"))])  # by the cookie alone
        strangers(lambda: halves(message(0, random, padding=1400))[1])
        strangers(lambda: fragment(message(0, os.urandom(RANDOM_OCTETS))) + HELLO)  # two in one datagram

        wait_until(
            lambda: lb.metric("cidlb_received_total") == 4 * 40 + len(mine()), 20, "cidlb has read all"
        )
        seconds = time.monotonic() - start
        limited = lambda: lb.metric("cidlb_datagrams_total", verdict="limited")
        theirs = lambda: [payload for source, _, payload in server.got if source != address]
        wait_until(lambda: len(theirs()) + limited() == 4 * 40, 20, "what is not limited arrives")
        others = theirs()
        assert len(others) + 1 <= rate * (seconds + COARSE_S) + rate, (len(others), seconds)
        assert all(len(payload) == len(HELLO) for payload in others), "neither lone fragments nor pairs"
        assert not drain(device)
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
