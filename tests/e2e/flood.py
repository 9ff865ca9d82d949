#!/usr/bin/env python3
"""Floods of ClientHellos beside sessions that go on: hello_rate holds, of a pool, of each backend, of each prefix."""

import os
import random
import signal
import socket
import struct
import time

from harness import FULL, SOAK, Scene, main, wait_until
from udp import parse_address

# Mbed TLS's first: no cookie, no session id. The server answers with a HelloVerifyRequest and keeps nothing.
HELLO = bytes.fromhex(
    "16fefd0000000000000000005d010000510000000000000051fefd6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708d"
    "a0292a981c00000004c0a800ff01000023000d000e000c0603060105030501040304010036000100001600000017000000230000"
)
RANDOM_AT, RANDOM_OCTETS = 27, 32
IP_PKTINFO = 8  # ip(7); Python has no name for it before 3.14
COARSE_S = 0.02  # what cidlb's clock may be behind


class Flood:
    """Sends ClientHellos from any address of 127.0.0.0/8 and a few ports, and reads no answer."""

    def __init__(self, target, seed=1):
        self.target, self.dice = parse_address(target), random.Random(seed)
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
        for sock in self.sockets:
            sock.bind(("0.0.0.0", 0))
        self.sent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()

    def send(self, source):
        hello = HELLO[:RANDOM_AT] + os.urandom(RANDOM_OCTETS) + HELLO[RANDOM_AT + RANDOM_OCTETS :]
        info = struct.pack("=i4s4s", 0, source, bytes(4))
        self.dice.choice(self.sockets).sendmsg([hello], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, self.target)
        self.sent += 1

    def anywhere(self):
        """A random address, of none that cidlb and the devices use."""
        return bytes([127, self.dice.randrange(128, 255), self.dice.randrange(256), self.dice.randrange(1, 255)])

    def run(self, count, per_second, source=None):
        """Sends `count`; the seconds it took."""
        start = time.monotonic()
        for n in range(count):
            self.send((source or self.anywhere)())
            ahead = n / per_second - (time.monotonic() - start)
            if ahead > 0.002:
                time.sleep(ahead)
        return time.monotonic() - start


STILL_S = 2  # for which a cidlb that has more to read does not wait for its turn


def settle(lb, listener, sent):
    """Waits until cidlb has read all that was sent to a listener, or the rest was dropped by the kernel."""
    last, since = -1, 0

    def still():
        nonlocal last, since
        now = lb.metric("cidlb_received_total", listener=listener)
        if now != last:
            last, since = now, time.monotonic()
        return now == sent or time.monotonic() > since + STILL_S

    wait_until(still, 60, "the flood is read")


def two_listeners(scene, backends, **options):
    """A cidlb with a listener `live` for devices and `p` for what else comes; both lead to one pool."""
    lb = scene.cidlb([scene.pool("p", backends, **options)], start=False)
    host, port = parse_address(lb.address())
    lb.config["listeners"].append({"name": "live", "address": f"{host}:{port + 1}", "pool": "p"})
    return lb.start()


def live(scene, lb, backends, devices, **options):
    """A fleet all of whose devices have a session."""
    before = sum(backend.counters()["handshakes"] for backend in backends)
    fleet = scene.fleet(
        lb.address("live"), devices=devices, duration=600, interval_ms=200, ack_timeout_ms=300, **options
    )
    wait_until(
        lambda: sum(b.counters()["handshakes"] for b in backends) == before + devices, 30, "the devices have sessions"
    )
    return fleet


def end(fleet):
    fleet.child.send_signal(signal.SIGTERM)
    return fleet.report(60)


def case_sessions_beside_a_flood():
    """From random sources, many times what the servers may get: the sessions do not notice, the servers get what they
    may."""
    devices, count, per_second, rate = (300, 200_000, 20_000, 1000) if FULL else (50, 20_000, 10_000, 500)
    count *= 20 if SOAK else 1
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = two_listeners(scene, backends, hello_rate={"backend": rate}, health={"probe": "none"})
        quiet = live(scene, lb, backends, devices, name="quiet")
        time.sleep(count / per_second)
        quiet = end(quiet)

        fleet = live(scene, lb, backends, devices)
        before = [backend.counters()["hellos"] for backend in backends]
        with Flood(lb.address("p")) as flood:
            start = time.monotonic()
            took = flood.run(count, per_second)
            settle(lb, "p", flood.sent)
            after = [backend.counters()["hellos"] for backend in backends]
            seconds = time.monotonic() - start
        flooded = end(fleet)
        lb.assert_identities()

        drops = lb.metric("cidlb_kernel_drops_total")
        hellos = [b - a for a, b in zip(before, after)]
        limited = lb.metric("cidlb_datagrams_total", listener="p", verdict="limited")
        print(
            f"    {count} ClientHellos in {took:.1f} s beside {devices} sessions: "
            f"{limited} limited, {drops} dropped by the kernel"
        )
        print(f"    the servers got {hellos} in {seconds:.1f} s; allowed: {rate} a second each")
        for what, report in (("quiet", quiet), ("flood", flooded)):
            print(
                f"    {what}: {report['exchanges_ok']} exchanges, {report['exchanges_lost']} lost, "
                f"p99 {report['latency_ms']['p99']} ms"
            )
        assert flooded["survived"] == flooded["handshakes"] == devices, flooded
        assert flooded["exchanges_lost"] <= drops and flooded["exchanges_ok"] > devices, (flooded, drops)
        allowed = len(hellos) * rate * (seconds + COARSE_S + 1)
        assert count - drops - allowed <= limited <= count - sum(hellos), (limited, drops, allowed, hellos)
        for got in hellos:
            assert rate <= got <= rate * (seconds + COARSE_S) + rate, (hellos, seconds)
        assert lb.metric("cidlb_datagrams_total", listener="live", verdict="limited") == 0


def case_devices_of_a_dead_server():
    """They come to the other two, all at once: those get no more than they may, and keep their sessions; in the end all
    have one again."""
    devices, count, per_second, rate, interval_s = 45, 4_000, 2_000, 40, 0.4
    health = {"probe": "dtls", "interval_ms": int(1000 * interval_s), "timeout_ms": 3000, "fall": 2}
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        lb = two_listeners(scene, backends, hello_rate={"backend": rate}, health=health)
        fleet = live(scene, lb, backends, devices, give_up=1, ramp_ms=30)
        dead, *others = backends
        lost = dead.counters()["sessions"]
        assert 0 < lost < devices, lost
        dead.kill()
        wait_until(lambda: lb.down(backend="a"), 20, "a is down")

        before = [backend.counters()["hellos"] for backend in others]
        with Flood(lb.address("p")) as flood:
            start = time.monotonic()
            flood.run(count, per_second)
            settle(lb, "p", flood.sent)
            after = [backend.counters()["hellos"] for backend in others]
            seconds = time.monotonic() - start
        hellos = [b - a for a, b in zip(before, after)]
        print(
            f"    {count} ClientHellos at two of three servers, which got {hellos} in {seconds:.1f} s; "
            f"allowed: {rate} a second each"
        )
        probes = 2 * (seconds / interval_s + 1)
        for got in hellos:
            assert rate <= got <= rate * (seconds + COARSE_S) + rate + probes, (hellos, seconds)

        wait_until(
            lambda: sum(backend.counters()["sessions"] for backend in others) == devices, 60, "all have a session again"
        )
        report = end(fleet)
        assert report["survived"] == devices - lost, (report, lost)
        lb.assert_identities()


def case_one_prefix():
    """Floods; devices elsewhere begin their sessions as if it did not."""
    devices, count, rate = 5, 3_000, 20
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = two_listeners(scene, backends, hello_rate={"prefix": rate}, health={"probe": "none"})
        with Flood(lb.address("p")) as flood:
            source = lambda: bytes([127, 200, 5, flood.dice.randrange(256)])
            start = time.monotonic()
            flood.run(count, 3_000, source)
            fleet = live(scene, lb, backends, devices)
            flood.run(count, 3_000, source)
            settle(lb, "p", flood.sent)
            seconds = time.monotonic() - start
        admitted = lb.metric("cidlb_datagrams_total", listener="p", verdict="hash")
        assert rate <= admitted <= rate * (seconds + COARSE_S) + rate, (admitted, seconds)
        assert lb.metric("cidlb_datagrams_total", listener="live", verdict="limited") == 0
        report = end(fleet)
        assert report["survived"] == report["handshakes"] == devices and report["exchanges_lost"] == 0, report
        lb.assert_identities()


def case_rates_of_a_reload():
    with Scene() as scene:
        lb = two_listeners(scene, [scene.backend(1)], health={"probe": "none"})
        with Flood(lb.address("p")) as flood:
            for rate in (0, 3, 30, 0):
                lb.config["pools"][0]["hello_rate"] = {"pool": rate}
                lb.reload()
                time.sleep(1)  # a second's worth may come
                before = lb.metric("cidlb_datagrams_total", listener="p", verdict="hash")
                start = time.monotonic()
                flood.run(100, 10_000)
                settle(lb, "p", flood.sent)
                seconds = time.monotonic() - start
                admitted = lb.metric("cidlb_datagrams_total", listener="p", verdict="hash") - before
                most = rate * (seconds + COARSE_S) + rate if rate else 100
                assert (rate or 100) <= admitted <= most, (rate, admitted, seconds)
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
