#!/usr/bin/env python3
"""Real DTLS sessions through cidlb: what a move, a restart, a reload or a neighbour behind the same NAT must not
cost."""

import signal
import time

from harness import FULL, Scene, ip, main, told, total, wait_all_joined, wait_until, wide
from udp import HELLO, Relay

DEVICES, MOVES = (1000, 20) if FULL else (100, 6)
REBIND_EVERY = 2.5  # s: four addresses have places, each for the five seconds after it spoke
TRAFFIC = {"interval_ms": 1000, "ack_timeout_ms": 500} if FULL else {"interval_ms": 400, "ack_timeout_ms": 200}
STAYING, LATE = 45, 10  # so many that each of three servers gets some of the first
QUICK = {"interval_ms": 150, "ack_timeout_ms": 200, "max_seconds": 60}


def assert_survived(report, devices):
    assert report["survived"] == report["sessions"] == report["handshakes"] == devices, report
    assert report["extra_handshakes"] == 0 and report["exit"] == 0, report


def assert_handshakes(reports, devices):
    """The servers saw no handshake more than there are devices."""
    assert sum(report["handshakes"] for report in reports) == devices, reports
    assert sum(report["forged_records"] for report in reports) == 0, reports


def assert_changes(reports, most):
    assert max(report["max_address_changes_per_session"] for report in reports) == most, reports


def forwarded(lb, backend, direction="up"):
    return lb.metric("cidlb_forwarded_total", backend=backend, direction=direction)


def busiest(lb, *backends):
    """Which of the backends got the most."""
    return max(backends, key=lambda backend: forwarded(lb, backend.name))


def set_state(lb, backend, state):
    for entry in lb.config["pools"][0]["backends"]:
        if entry["name"] == backend.name:
            entry["state"] = state
    lb.reload()


def end(fleet):
    """Asks a fleet for its last exchanges: its report."""
    fleet.child.send_signal(signal.SIGTERM)
    return fleet.report(60)


def wait_more(of, more, timeout=15):
    """Waits until the list has `more` new members."""
    due = len(of) + more
    wait_until(lambda: len(of) >= due, timeout, f"{more} more datagrams")


def case_moves_and_loss():
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        lb = scene.cidlb([scene.pool("p", backends)])
        report = scene.fleet(
            lb.address(), devices=DEVICES, rebinds=MOVES, rebind_every=REBIND_EVERY, loss=10, **TRAFFIC
        ).report()
        assert_survived(report, DEVICES)
        assert report["rebinds"] == DEVICES * MOVES, report
        lb.assert_identities()
        assert lb.metric("cidlb_refused_total", direction="up") == 0
        reports = [backend.report() for backend in backends]
        assert_handshakes(reports, DEVICES)
        assert_changes(reports, 1)
        assert all(report["handshakes"] > 0 for report in reports), reports


def case_kill_add_drain():
    with Scene() as scene:
        a, b, c = (scene.backend(number) for number in (1, 2, 3))
        lb = scene.cidlb([scene.pool("p", [a, b, c], nat=wide())])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=DEVICES, duration=3600, rebind_every=REBIND_EVERY, loss=10, story=story, **TRAFFIC
        )
        wait_all_joined(story, DEVICES)
        lb.assert_identities()
        lb.restart()
        time.sleep(1)
        d = scene.backend(4)
        lb.config["pools"][0]["backends"].append(d.entry())
        lb.reload()
        lb.assert_identities()
        time.sleep(1)
        set_state(lb, a, "drain")
        draining = forwarded(lb, "a")

        late = scene.fleet(
            lb.address(), name="late", devices=DEVICES // 2, rebinds=2, rebind_every=0.5, **TRAFFIC
        ).report()
        assert_survived(late, DEVICES // 2)
        wait_until(lambda: told(story, "rebinds") >= DEVICES * MOVES, 300, "the devices have moved")
        assert_survived(end(fleet), DEVICES)
        lb.assert_identities()
        assert forwarded(lb, "a") > draining
        assert lb.metric("cidlb_datagrams_total", verdict="cid_draining") > 0
        for verdict in (
            "bad_source", "mixed", "unknown_cid", "malformed", "type", "epoch0_data", "no_backend", "cid_down"
        ):
            assert lb.metric("cidlb_datagrams_total", verdict=verdict) == 0, verdict
        story_a = sum('"cid":"01' in line for line in story.read_text().splitlines())
        reports = [backend.report() for backend in (a, b, c, d)]
        assert_handshakes(reports, DEVICES + DEVICES // 2)
        assert_changes(reports, 1)
        assert reports[0]["handshakes"] == story_a, "a draining server took a new session"
        assert reports[3]["handshakes"] > 0, "the new server got nobody"


def rebind(mode, every_s):
    """A server behind cidlb with nat.rebind = mode; 10 devices that move three times, and cidlb killed in between: the
    server's report."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a], nat={**wide(), "rebind": mode})])
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=10, rebinds=3, rebind_every=every_s, story=story, **QUICK)
        wait_until(lambda: told(story, "rebinds") >= 10, 30, "the devices have moved")
        lb.assert_identities()
        lb.restart()
        assert_survived(fleet.report(), 10)
        lb.assert_identities()
        report = a.report()
        assert_handshakes([report], 10)
        return report


def case_follow_shows_one_change():
    report = rebind("follow", 1)
    assert report["sessions_by_changes"] == [0, 10], report


def case_backend_shows_every_change():
    # Three moves, and from the handshake's endpoint to the first of the session. Nobody moves twice while cidlb is away.
    report = rebind("backend", 5)
    assert report["sessions_by_changes"] == [0, 0, 0, 0, 10], report


def case_follow_after_eviction():
    """An hour's sleep under cid_idle_s of minutes is one of seconds under cid_idle_s = 1: only the eviction between
    matters."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a], nat={**wide(), "idle_s": 1, "cid_idle_s": 1})])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=8, ramp_ms=0, rebinds=2, nat_timeout=3.5, interval_ms=6000, ack_timeout_ms=300,
            story=story,
        )
        flows = []

        def evicted_and_back():
            flows.append(lb.metric("cidlb_flows"))
            return 0 in flows[1:] and any(flows[flows.index(0, 1) :])

        wait_all_joined(story, 8)
        wait_until(evicted_and_back, 40, "all flows were evicted and came back")
        assert_survived(fleet.report(), 8)
        lb.assert_identities()
        report = a.report()
        assert report["sessions_by_changes"] == [0, 8], report


def move_with_one_datagram(relay):
    """From now on the device is elsewhere, and only the first datagram of its reaches cidlb from there: the list of
    those it sent."""
    old, sent = relay.source, []

    def drop(datagram):
        if relay.source == old:
            return False
        sent.append(datagram)
        return len(sent) > 1

    relay.drop_up = drop
    relay.rebind()
    return sent


def case_notifications_after_a_move():
    with Scene() as scene:
        a = scene.backend(1, options=["--notify-ms", 300])
        lb = scene.cidlb([scene.pool("p", [a])])
        with Relay(lb.address()) as relay:
            story = scene.dir / "story"
            fleet = scene.fleet(
                relay.address, devices=1, observe=True, duration=90, interval_ms=800, ack_timeout_ms=400, story=story
            )
            wait_until(lambda: told(story, "notifications") >= 3, 20, "notifications")
            sent = move_with_one_datagram(relay)
            wait_until(lambda: len(sent) > 0, 20, "the device sends one datagram")
            # What the server answers, and a notification: three times the octets of that one datagram allow it.
            wait_more(relay.downlinks, 2)
            relay.drop_up = lambda datagram: False
            # Once the device has spoken again, and again, it is where the session lives, without that limit.
            before = told(story, "notifications")
            wait_until(lambda: told(story, "notifications") >= before + 5, 40, "notifications after the move")
            report = end(fleet)
        assert_survived(report, 1)
        assert report["observations_lost"] == 0 and report["notifications"] >= 8, report
        lb.assert_identities()
        assert a.report()["handshakes"] == 1


def swap(one, other):
    """Two devices behind one NAT get each other's port."""
    one.outside, other.outside = other.outside, one.outside


def ports_swapped(mode):
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends, nat={"rebind": mode})])
        with Relay(lb.address()) as one, Relay(lb.address()) as other:
            options = {"devices": 1, "duration": 60, **QUICK}
            fleets = [
                scene.fleet(relay.address, name=name, **options) for relay, name in ((one, "one"), (other, "other"))
            ]
            for relay in (one, other):
                wait_more(relay.downlinks, 10)
            for _ in range(4):
                swap(one, other)
                for relay in (one, other):
                    wait_more(relay.downlinks, 6)
            for fleet in fleets:
                report = end(fleet)
                assert_survived(report, 1)
                assert report["exchanges_lost"] == 0, report
        lb.assert_identities()
        reports = [backend.report() for backend in backends]
        assert_handshakes(reports, 2)
        if mode == "follow":
            assert_changes(reports, 1)


def case_ports_swapped_follow():
    ports_swapped("follow")


def case_ports_swapped_backend():
    ports_swapped("backend")


class SharedAddress(Relay):
    """Several devices behind one address and port: what comes down goes to all of them, and is nonsense to all but
    one."""

    def __init__(self, target):
        super().__init__(target)
        self.devices = set()

    def _carry_up(self, datagram, source):
        self.devices.add(source)
        super()._carry_up(datagram, source)

    def _carry_down(self, datagram, sock):
        for self.device in list(self.devices):
            super()._carry_down(datagram, sock)


def hello_on_a_live_flow(move_the_hash):
    """Device `old` has a session without CID; `new` begins one from the same address and port."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        with SharedAddress(lb.address()) as relay:
            old = scene.fleet(relay.address, name="old", devices=1, no_cid=True, duration=60, **QUICK)
            wait_more(relay.downlinks, 10)
            home = busiest(lb, a, b)
            away = b if home is a else a
            if move_the_hash:
                set_state(lb, home, "drain")
            for _ in range(5):
                relay.send(HELLO)
                wait_more(relay.downlinks, 3)
            before = forwarded(lb, home.name)
            wait_more(relay.downlinks, 4)
            assert forwarded(lb, home.name) > before
            assert (forwarded(lb, away.name) == 5) == move_the_hash
            assert_survived(end(old), 1)

            new = scene.fleet(relay.address, name="new", devices=1, no_cid=True, duration=60, **QUICK)
            wait_more(relay.downlinks, 12)
            assert_survived(end(new), 1)
        lb.assert_identities()
        there, elsewhere = home.report(), away.report()
        expected = (1, 1) if move_the_hash else (2, 0)
        assert (there["handshakes"], elsewhere["handshakes"]) == expected, (there, elsewhere)


def case_hello_on_a_live_flow():
    hello_on_a_live_flow(move_the_hash=False)


def case_hello_on_a_live_flow_leads_elsewhere():
    hello_on_a_live_flow(move_the_hash=True)


def through_a_drain(scene, lb, backends, **options):
    """STAYING devices stay where they are while a server drains: nobody loses anything, and newcomers go elsewhere."""
    before = {backend.name: forwarded(lb, backend.name) for backend in backends}
    fleet = scene.fleet(lb.address(), devices=STAYING, duration=600, **options, **{**QUICK, "max_seconds": 600})
    wait_until(lambda: forwarded(lb, "a") >= before["a"] + 20, 20, "server a has devices")
    time.sleep(1)
    set_state(lb, backends[0], "drain")
    during = forwarded(lb, "a")
    late = scene.fleet(lb.address(), name="late", devices=LATE, duration=2, **options, **QUICK)
    for report, devices in ((late.report(), LATE), (end(fleet), STAYING)):
        assert report["exit"] == 0 and report["survived"] == report["sessions"] == devices, report
        assert report["extra_handshakes"] == report["exchanges_lost"] == 0, report
    assert forwarded(lb, "a") > during, "server a keeps its devices"
    lb.assert_identities()


def case_no_cid_through_a_drain():
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        lb = scene.cidlb([scene.pool("p", backends)])
        through_a_drain(scene, lb, backends, no_cid=True)
        assert lb.metric("cidlb_datagrams_total", verdict="hint") > 0
        assert_handshakes([backend.report() for backend in backends], STAYING + LATE)


def case_plain_through_a_drain():
    with Scene() as scene:
        backends = [scene.backend(number, options=["--plain"]) for number in (1, 2, 3)]
        health = {"probe": "coap", "interval_ms": 300, "timeout_ms": 3000}
        lb = scene.cidlb([scene.pool("p", backends, protocol="udp", cid=None, health=health)])
        through_a_drain(scene, lb, backends, plain=True)
        metrics = lb.metrics()
        # Each device's first datagram, and nothing else, asked the hash.
        assert total(metrics, "cidlb_datagrams_total", verdict="hash") == STAYING + LATE, metrics


def case_wildcard_listener():
    """Answers leave from the address that a device had addressed, or it would not take them."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a])], start=False)
        port = lb.address().rsplit(":", 1)[1]
        lb.config["listeners"][0]["address"] = f"0.0.0.0:{port}"
        lb.start()
        fleets = [
            scene.fleet(f"127.0.0.{n}:{port}", name=f"to-{n}", devices=5, rebinds=3, rebind_every=0.4, **QUICK)
            for n in (2, 3)
        ]
        for fleet in fleets:
            assert_survived(fleet.report(), 5)
        without = scene.fleet(f"127.0.0.4:{port}", name="without", devices=5, duration=1, no_cid=True, **QUICK)
        assert_survived(without.report(), 5)
        lb.assert_identities()


def case_ipv6():
    ip("-6", "route", "add", "local", "fd00:c1d:1b::/64", "dev", "lo")
    with Scene() as scene:
        backends = [scene.backend(number, ip="::1") for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends, nat={"sources": ("fd00:c1d:1b::/64",)})], start=False)
        lb.config["listeners"][0]["address"] = lb.address().replace("127.0.0.1", "[::1]")
        lb.start()
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=10, rebinds=4, rebind_every=REBIND_EVERY, loss=5, story=story, **QUICK)
        wait_all_joined(story, 10)
        lb.assert_identities()
        lb.restart()
        assert_survived(fleet.report(), 10)
        without = scene.fleet(lb.address(), name="without", devices=5, duration=1, no_cid=True, **QUICK)
        assert_survived(without.report(), 5)
        lb.assert_identities()
        reports = [backend.report() for backend in backends]
        assert_handshakes(reports, 15)
        assert_changes(reports, 1)


main(globals())
