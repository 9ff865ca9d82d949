#!/usr/bin/env python3
"""Nobody who shows a device's CID takes its downlink: the device is always answered, and a forger gets at most three
times what it sent."""

import itertools
import signal
import time

from harness import FULL, SOAK, Scene, main, wait_until
from udp import Forger, Relay, forge

CID = 6
LAST_SEQ = (1 << 48) - 1
EVENTS = 8  # before and after each of the four datagrams of a separate response: request, ACK, response, ACK
MODES = ("follow", "backend")
# A contest is over soon, so that the next forgery meets a flow that trusts again.
NAT = {"settle_ms": 300, "contest_s": 1}
SLOW = {"path": "/slow", "interval_ms": 600, "ack_timeout_ms": 1000}
QUIET = 0.05  # s without a downlink: what the device sends then is a request

_addresses = itertools.count(1)


class Victim:
    """A device behind a man in the middle, who has its records, and the forgers who get them from him."""

    def __init__(self, scene, lb, listener, name, **options):
        self.target = lb.address(listener)
        self.relay = Relay(self.target).__enter__()
        self.fleet = scene.fleet(self.relay.address, name=name, devices=1, duration=600, **options)
        self.forgers, self.plan, self.seen, self.before, self.held = [], {}, 0, 0, False

    def forger(self):
        n = next(_addresses)
        forger = Forger(f"127.9.{n >> 8}.{n & 255}", self.target)
        self.forgers.append(forger)
        return forger

    def record(self):
        return self.relay.wait_record(CID)

    def forge(self, forger, last=False):
        record = self.record()
        forger.send(forge(record.cid, record.epoch, LAST_SEQ if last else record.seq + 1))

    def follow_plan(self, plan):
        """`plan`: what to do at which event from now on, {number: function}."""

        def watch():
            act = self.plan.pop(self.seen, None)
            self.seen += 1
            if act:
                act()

        self.seen, self.plan, self.relay.watch = 0, dict(plan), watch

    def arm(self, plan, move=False):
        """Follows a plan from the device's next request on, before which it moves, if asked to."""

        def begin(_):
            if time.monotonic() < self.relay.downlinks[-1][0] + QUIET:
                return False
            if move:
                self.relay.rebind()
            self.relay.drop_up = lambda datagram: False
            self.follow_plan(plan)
            return False

        self.plan, self.relay.drop_up = plan, begin

    def hold(self):
        """Loses what the device sends from its next request on."""
        self.held = False

        def begins(_):
            self.held = self.held or time.monotonic() > self.relay.downlinks[-1][0] + QUIET
            return self.held

        self.relay.drop_up = begins

    def wait_fired(self, timeout=30):
        wait_until(lambda: not self.plan, timeout, f"{self.fleet.name}: forgeries at {list(self.plan)}")

    def close(self):
        for forger in self.forgers:
            forger.__exit__()
        self.relay.__exit__()


class Stage:
    """A scene with a balancer, a listener and a pool for each mode, and victims."""

    def __init__(self, *options, **nat):
        self.backend_options, self.nat, self.proven = options, {**NAT, **nat}, 0

    def __enter__(self):
        self.scene, self.victims = Scene().__enter__(), []
        self.backends = {mode: self.scene.backend(n, options=self.backend_options) for n, mode in enumerate(MODES, 1)}
        pools = [self.scene.pool(mode, [self.backends[mode]], nat={"rebind": mode, **self.nat}) for mode in MODES]
        self.lb = self.scene.cidlb(pools)
        return self

    def __exit__(self, *error):
        try:
            if error[0] is None:
                self.judge()
        except BaseException as failure:
            self.scene.__exit__(type(failure), failure, None)
            raise
        else:
            self.scene.__exit__(*error)
        finally:
            for victim in self.victims:
                victim.close()

    def victim(self, mode, **options):
        victim = Victim(self.scene, self.lb, mode, f"fleet-{len(self.victims)}", **{**SLOW, **options})
        self.victims.append(victim)
        return victim

    def wait_downlinks(self, count):
        """Waits until every device has got so many datagrams more."""
        for victim, before in [(victim, len(victim.relay.downlinks)) for victim in self.victims]:
            victim.relay.wait_downlink(before + count - 1, 20)

    def settle(self):
        """Every device has been answered: none of the flows that are proven now may get lost."""
        self.wait_downlinks(4)
        self.proven = self.lb.metric("cidlb_flows", kind="proven")
        assert self.proven >= len(self.victims), self.proven

    def wait_fired(self):
        for victim in self.victims:
            victim.wait_fired()

    def judge(self):
        """What has to be true after every case."""
        proven = self.lb.metric("cidlb_flows", kind="proven")
        assert proven >= self.proven, (proven, self.proven)
        for victim in self.victims:
            victim.fleet.child.send_signal(signal.SIGTERM)
        for victim in self.victims:
            report = victim.fleet.report(60)
            assert report["survived"] == report["handshakes"] == 1 and report["extra_handshakes"] == 0, report
            assert report["exchanges_lost"] == report["observations_lost"] == 0 and report["exchanges_ok"] > 0, report
            for forger in victim.forgers:
                assert forger.received_octets <= 3 * forger.sent_octets, (forger.received_octets, forger.sent_octets)
        self.lb.assert_identities()
        for backend in self.backends.values():
            backend.report()


def case_timed_forgeries():
    """One forged datagram, from one address or two, at every moment of an exchange with a separate response, at home
    and after a move."""
    with Stage() as stage:
        victims = [(event, stage.victim(mode)) for mode in MODES for event in range(EVENTS)]
        stage.settle()
        for moved, others, last in itertools.product((0, 1), (0, 1, 2), (0, 1)):
            if not FULL and last != (moved + others) % 2:
                continue
            for event, victim in victims:
                forgers = [victim.forger() for _ in range(1 + (others > 0))]
                plan = {event: lambda v=victim, f=forgers[0], s=last: v.forge(f, s)}
                if others:
                    # The second one around the same downlink, or the next.
                    plan[event + 2 * others] = lambda v=victim, f=forgers[1], s=last: v.forge(f, s)
                victim.arm(plan, moved)
            stage.wait_fired()
            # Until the contest, if there was one, is over.
            time.sleep(1.1)


def case_repeated_notifications():
    """The device is silent, and what it says to a notification is lost: every repetition reaches it, whatever is forged
    in between."""
    with Stage("--notify-ms", 400) as stage:
        victims = [stage.victim(mode, observe=True, interval_ms=60000) for mode in MODES for _ in range(4)]
        stage.settle()
        for victim in victims:
            victim.relay.drop_up = lambda datagram: True
        time.sleep(0.5)
        for n, victim in enumerate(victims):
            victim.before = len(victim.relay.downlinks)
            # One address or two, before and after a repetition, with the next sequence number or the last.
            one, last = victim.forger(), n & 1 == 1
            other = victim.forger() if n & 2 else one
            plan = {
                1: lambda v=victim, f=one, s=last: v.forge(f, s),
                3: lambda v=victim, f=other, s=last: v.forge(f, s),
            }
            victim.forge(one, last)
            victim.follow_plan(plan)
        for victim in victims:
            victim.relay.wait_downlink(victim.before + 1, 20)
            victim.wait_fired()
        for victim in victims:
            victim.relay.drop_up = lambda datagram: False
        # The observation goes on.
        for victim in victims:
            victim.relay.wait_downlink(victim.before + 4, 20)


def case_flood():
    """500 forgeries a second from 20 addresses while the device moves."""
    seconds, moves = (300, 120) if SOAK else (30, 12) if FULL else (3, 4)
    with Stage() as stage:
        for mode, options in itertools.product(MODES, ({}, {"path": "/echo", "interval_ms": 150})):
            stage.victim(mode, **options)
        stage.settle()
        for victim in stage.victims:
            for _ in range(20):
                victim.forger()
        begin, sent, moved = time.monotonic(), 0, 0
        while (now := time.monotonic() - begin) < seconds:
            while sent < now * 500:
                for victim in stage.victims:
                    victim.forge(victim.forgers[sent % 20], sent % 40 < 20)
                sent += 1
            if moved < now / seconds * moves:
                for victim in stage.victims:
                    victim.arm({}, move=True)
                moved += 1
            time.sleep(0.002)
        stage.wait_downlinks(4)
        assert stage.lb.metric("cidlb_contests_total", pool="follow") > 0


def case_first_record_after_a_restart():
    """A forger is the first whom a new cidlb hears, once or again and again."""
    with Stage() as stage:
        victims = [(stage.victim(mode), times) for mode in MODES for times in (1, 8)]
        stage.settle()
        for _ in range(3 if FULL else 1):
            for victim, _ in victims:
                victim.hold()
            for victim, _ in victims:
                wait_until(lambda v=victim: v.held, 10, "every device has begun an exchange")
            stage.lb.restart()
            for victim, times in victims:
                forger = victim.forger()
                for _ in range(times):
                    victim.forge(forger)
                # Between the device's datagrams too, and around what answers them.
                victim.relay.drop_up = lambda datagram: False
                victim.arm({event: lambda v=victim, f=forger: v.forge(f) for event in range(1, times)})
            stage.wait_fired()
            stage.settle()


def case_replays():
    """A record of the device's own, once more from elsewhere, at every moment."""
    with Stage() as stage:
        victims = [(event, stage.victim(mode)) for mode in MODES for event in (1, 3, 5, 7)]
        stage.settle()
        for moved in (False, True):
            for event, victim in victims:
                forger = victim.forger()

                def replay(victim=victim, forger=forger):
                    forger.send(victim.relay.uplinks[-1][1])

                victim.arm({event: replay, event + 1: replay, event + 4: replay}, moved)
            stage.wait_fired()
            stage.wait_downlinks(4)


main(globals())
