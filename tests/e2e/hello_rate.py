#!/usr/bin/env python3
"""hello_rate admits handshakes, not datagrams, in every mode: what a rate of one lets pass of ClientHellos in three
fragments, with strangers beside them who take whatever there is to have. What arrived is counted at the server."""

import os
import time

from flood import COARSE_S, RANDOM_OCTETS
from handshakes import HEADERS, fragment, message, verify_request
from harness import FULL, Scene, ip, main, wait_until
from lab.road import random_of
from stateless import NAT as STATELESS, PREFIX
from tunnel import Server, arrives, started, tunnel_pool
from udp import drain, open_socket, parse_address

RATE, BURST = 1, 2  # handshakes a second, and at once
FREE_TIMES, LIFE_S, UNIT = 4, 60, 32  # of what passes free, and for how long; octets are counted in such units
CUTS = (0, 500, 1000, None)
COOKIE = b"a cookie"


def thirds(said):
    return [fragment(said, start, end) for start, end in zip(CUTS, CUTS[1:])]


class Plain:
    """A server without a tunnel, as tunnel.Server: `got` has (source, None, datagram)."""

    def __init__(self, ip):
        self.sock, self.ip, self.all = open_socket(ip), ip, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def entry(self):
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return {"name": "a", "id": 1, "address": "%s:%d" % (host, self.sock.getsockname()[1])}

    @property
    def got(self):
        self.all += [(source, None, datagram) for datagram, source in drain(self.sock)]
        return self.all


class Rate:
    """One device, strangers, and the server that gets what is admitted."""

    def __init__(self, lb, server, device):
        self.lb, self.server, self.device = lb, server, device
        self.service, self.start, self.sent, self.fragments = parse_address(lb.address()), time.monotonic(), [], 0
        self.stranger_hellos = 0

    def mine(self):
        sent = set(self.sent)
        return [datagram for _, _, datagram in self.server.got if datagram in sent]

    def settle(self):
        """Waits until cidlb has read all that was sent, and its server what was forwarded."""
        sent = len(self.sent) + self.stranger_hellos + self.fragments
        wait_until(lambda: self.lb.metric("cidlb_datagrams_total", listener="p") == sent, 20, f"{sent} are read")
        forwarded = lambda: self.lb.metric("cidlb_forwarded_total", direction="up")
        wait_until(lambda: len(self.server.got) == forwarded(), 20, "what is forwarded arrives")

    def send(self, datagrams):
        """What of it arrives. Fragments of a batch that has been read are not many."""
        before = len(self.mine())
        for datagram in datagrams:
            self.sent.append(datagram)
            self.device.sendto(datagram, self.service)
        self.settle()
        return self.mine()[before:]

    def take_all(self):
        """Strangers take what is to be had. They are too many for the rate, and come at once."""
        for _ in range(40):
            with open_socket("127.0.0.1") as stranger:
                stranger.sendto(fragment(message(0, os.urandom(RANDOM_OCTETS))), self.service)
        self.stranger_hellos += 40
        self.settle()

    def send_lone(self, said):
        """Later fragments of as many strangers, which nobody has begun."""
        for _ in range(20):
            for datagram in thirds(said)[1:]:
                # Not from an address whose ports others have begun handshakes from.
                with open_socket("127.0.0.2") as stranger:
                    stranger.sendto(datagram, self.service)
        self.fragments += 40
        self.settle()

    def others(self):
        sent = set(self.sent)
        return [datagram for _, _, datagram in self.server.got if datagram not in sent]

    def assert_others(self):
        """No lone fragment arrived, and no more handshakes than the rate allows."""
        others, seconds = self.others(), time.monotonic() - self.start
        assert all(random_of(datagram) for datagram in others), "a fragment arrived that nobody has begun"
        assert 0 < len(others) <= BURST + RATE * (seconds + COARSE_S), (len(others), seconds)
        limited = self.lb.metric("cidlb_datagrams_total", verdict="limited")
        unsent = len(self.sent) - len(self.mine())
        assert limited == self.stranger_hellos + self.fragments + unsent - len(others), limited


def whole_units(said):
    return -(-(len(said[1]) + HEADERS) // UNIT)


def units(datagrams):
    return sum(-(-len(datagram) // UNIT) for datagram in datagrams)


def check(lb, server):
    with open_socket("127.0.0.1") as device:
        rate, random = Rate(lb, server, device), os.urandom(RANDOM_OCTETS)
        first = message(0, random, padding=1400)
        flight = thirds(first)
        assert rate.send(flight) == flight, "a ClientHello in three fragments"
        endpoint = server.got[-1][:2]
        rate.take_all()
        rate.send_lone(message(0, os.urandom(RANDOM_OCTETS), padding=1400))
        # Repetitions, as much of them as is free. If another one is admitted, as much again.
        begun = time.monotonic()
        free, came = FREE_TIMES * whole_units(first), []
        for _ in range(3):
            flight = thirds(first)
            assert rate.send(flight) == flight, "a repetition"
            came += flight
        rounds = 0
        while rounds < 20 or len(rate.sent) == len(rate.mine()) and rounds < 200:
            rate.take_all()
            came += rate.send(thirds(first))
            rounds += 1
        admitted = 1 + BURST + RATE * (time.monotonic() - begun + COARSE_S)
        assert units(came) <= admitted * (free + units(flight[:1])), (units(came), admitted, free)
        assert len(rate.sent) > len(rate.mine()), "nothing was limited"
        # The second ClientHello, in fragments, and one with the cookie alone: free.
        if isinstance(server, Plain):
            server.sock.sendto(verify_request(COOKIE), endpoint[0])
        else:
            server.answer(rate.service, device.getsockname()[:2], verify_request(COOKIE))
        assert arrives(device)[0] == verify_request(COOKIE)
        rate.take_all()
        flight = thirds(message(1, random, COOKIE, padding=1500))
        assert rate.send(flight) == flight, "a second ClientHello"
        rate.take_all()
        by_cookie = [fragment(message(1, os.urandom(RANDOM_OCTETS), COOKIE))]
        assert rate.send(by_cookie) == by_cookie, "a second ClientHello with another random and the cookie"
        rate.send_lone(message(1, random, COOKIE, padding=1500))
        if FULL:
            time.sleep(LIFE_S + 2)
            rate.take_all()
            assert rate.send(thirds(message(1, random, COOKIE, padding=1500))[1:]) == [], "what is long over"
        rate.assert_others()
        lb.assert_identities()


def case_nat():
    with Scene() as scene, Plain("127.0.0.1") as server:
        pool = scene.pool("p", [server.entry()], hello_rate={"pool": RATE}, health={"probe": "none"})
        check(scene.cidlb([pool]), server)


def case_tunnel():
    with Scene() as scene, Server(echo=False) as server:
        check(started(scene, [tunnel_pool(scene, "p", [server.entry()], hello_rate={"pool": RATE})]), server)


def case_stateless():
    ip("-6", "route", "add", "local", PREFIX, "dev", "lo")
    with Scene() as scene, Plain("::1") as server:
        pool = scene.pool("p", [server.entry()], nat=STATELESS, hello_rate={"pool": RATE}, health={"probe": "none"})
        check(scene.cidlb([pool]), server)


if __name__ == "__main__":
    main(globals())
