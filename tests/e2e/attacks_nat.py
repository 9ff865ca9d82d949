#!/usr/bin/env python3
"""What strangers must not do to cidlb itself: fill its table. And what looks like an attack and is none."""

import signal
import threading
import time
from contextlib import ExitStack, suppress

from harness import FULL, Scene, main, wait_until
from lab import forged
from lab.crowd import Crowd
from lab.ledger import Nat
from lab.peers import KINDS
from lab.talk import Clock, Devices, Server
from udp import parse_address

MOST_FLOWS = 4096
FULL_AFTER_S = 12  # by 500 new flows a second
ENDED_AFTER_S = 35  # flows that ended thirty seconds after they began, in use or not, were found by this
NOTIFY_MS, ALIVE_S = 500, 45  # in plain CoAP
OBSERVE = (500, 20)  # ms between notifications, and their octets
TWO_REPETITIONS_S = 4  # of a ClientHello: after half a second, and after one more; the next would be two later
SETTLED, NEWCOMERS = 10, 20


def end(fleet):
    fleet.child.send_signal(signal.SIGTERM)
    return fleet.report(60)


def lab(scene, lb):
    """A server and devices of the lab behind a cidlb that is not started yet; all are started."""
    server = Server(scene, "server", KINDS["mbedtls"]).start()
    lb.config["pools"][0]["backends"] = [server.entry()]
    lb.start()
    return server, Devices(scene, KINDS["mbedtls"]).start()


class People:
    """Devices that have sessions, observe, and say nothing more."""

    def __init__(self, lb, server, devices, stack):
        self.lb, self.server, self.devices, self.stack = lb, server, devices, stack

    def begin(self, prefix, count):
        """So many in a /24 begin to shake hands at once, and say what they have to say as soon as they can."""
        nats = [self.stack.enter_context(Nat(self.lb.address(), f"{prefix}.{100 + n}")) for n in range(count)]
        return [self.devices.begin(nat, self.speak) for nat in nats]

    def speak(self, device):
        self.devices.greet(device, OBSERVE)
        device.request()

    def missed(self, devices):
        """How many notifications were sent to them, and how many of these did not come, as long as a busy machine may
        take for that."""
        sessions = [(device, self.server.of_device(device.number)) for device in devices]
        sent = [(device, n) for device, session in sessions if session for n in list(session.sent)]
        lost = lambda: sum(n not in device.heard for device, n in sent)
        with suppress(TimeoutError):
            wait_until(lambda: not lost(), 10, "all are heard")
        return len(sent), lost()


def case_power_cut_behind_a_prefix():
    """Half handshakes come from one /24 when all of its devices make new sessions. No flow in use ends, and nine in ten
    of those sessions come up."""
    with Scene() as scene, ExitStack() as stack:
        lb = scene.cidlb([scene.pool("p", [], nat={"max_flows": MOST_FLOWS})], start=False)
        server, devices = lab(scene, lb)
        stack.enter_context(Clock(server, devices))
        people = People(lb, server, devices, stack)
        settled = people.begin("127.40.5", SETTLED)
        wait_until(lambda: all(device.ok for device in settled), 15, "they have sessions")
        crowd = stack.enter_context(Crowd(lb.address()))
        seconds = 600 if FULL else FULL_AFTER_S + ENDED_AFTER_S
        flood = threading.Thread(target=crowd.run, args=(seconds, 500, [(127, 20, 5)], forged.hello), daemon=True)
        flood.start()
        time.sleep(FULL_AFTER_S)
        inside, outside = people.begin("127.20.5", NEWCOMERS), people.begin("127.30.5", NEWCOMERS)
        time.sleep(TWO_REPETITIONS_S)
        up = [sum(bool(device.ok) for device in group) for group in (inside, outside)]
        flood.join()
        missed = [people.missed(group) for group in (settled, outside, inside)]
        print(
            f"    {crowd.sent} half handshakes from one /24, {crowd.answered} answered; new sessions within two "
            f"repetitions: {up[0]} of {NEWCOMERS} inside it, {up[1]} of {NEWCOMERS} outside"
        )
        print("    notifications sent and missed: settled %s, outside %s, inside %s" % tuple(missed))
        assert crowd.answered > crowd.sent / 4, "the flood was one"
        assert up[1] == NEWCOMERS and up[0] >= 0.9 * NEWCOMERS, up
        assert not any(lost for _, lost in missed), missed
        assert not any(session.ended for session in server.sessions.values())
        lb.assert_identities()


def case_requests_from_everywhere():
    """Spoofed requests of plain CoAP, a thousand a second: who is served goes on being served, and so are newcomers."""
    request, most = b"\x50\x01\x12\x34" + b"\xb4time", 4 * MOST_FLOWS
    prefixes, full = [(127, 200, n) for n in range(64)], 1.25 * most  # some come from where others have
    options = {"duration": 3600, "observe": True, "ack_timeout_ms": 1000, "max_seconds": 3600, "plain": True}
    options["interval_ms"] = 120_000  # but for the first they only acknowledge what they are told
    with Scene() as scene:
        backends = [scene.backend(number, options=["--plain", "--notify-ms", NOTIFY_MS]) for number in (1, 2)]
        # A newcomer's flow has seconds until it is taken for one in use.
        pool = scene.pool("p", backends, protocol="udp", cid=None, health={"probe": "none"}, nat={"max_flows": most})
        lb = scene.cidlb([pool])
        settled = scene.fleet(lb.address(), name="settled", devices=SETTLED, **options)
        wait_until(lambda: lb.metric("cidlb_replies_total", pool="p") > 4 * SETTLED, 30, "they are served")
        late = []

        def newcomers():
            # In prefixes of their own: each has but a part of what is left to those that were not answered twice.
            while crowd.sent > full and len(late) < NEWCOMERS // 5:
                place = {"name": f"late-{len(late)}", "from": f"127.30.{len(late)}.1", "devices": 5}
                late.append(scene.fleet(lb.address(), **place, **options))

        with Crowd(lb.address()) as crowd:
            seconds = 600 if FULL else full / 1000 + ALIVE_S
            crowd.run(seconds, 1000, prefixes, lambda: request, newcomers)
        reports = [end(fleet) for fleet in (settled, *late)]
        got = [report["notifications"] for report in reports]
        print(f"    {crowd.sent} requests from many places; notifications of {SETTLED} devices, and of 5 each: {got}")
        for report in reports:
            assert report["survived"] == report["devices"], report
            assert report["exchanges_lost"] == report["observations_lost"] == 0, report
            assert report["notifications"] > report["devices"] * ALIVE_S * 1000 / NOTIFY_MS * 0.85, report
        lb.assert_identities()


def case_source_port_of_a_listener():
    """Devices may use 5684 as their source port, too: from the start, or after a move."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [])], start=False)
        server, devices = lab(scene, lb)
        port = parse_address(lb.address())[1]
        with Clock(server, devices), Nat(lb.address(), "127.0.0.7", port) as one, Nat(lb.address()) as other:
            first, second = devices.join(one), devices.join(other)
            other.rebind("127.0.0.8", port)
            for device in (first, second):
                for _ in range(3):
                    before = device.ok
                    device.request()
                    wait_until(lambda: device.ok > before, 10, f"device {device.number} is answered")
            assert not any(session.ended for session in server.sessions.values())
        lb.assert_identities()


main(globals())
