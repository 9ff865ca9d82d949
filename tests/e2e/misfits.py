#!/usr/bin/env python3
"""Servers that do not fit their configuration: cidlb says so at once, and what mends it."""

import re

from harness import Scene, ip, main
from tunnel import key_file, started, tunnel_pool

# That one of three servers gets none of them is a chance of 1 in 280 millions.
DEVICES = 48
QUICK = {"interval_ms": 200, "ack_timeout_ms": 200, "max_seconds": 120}


def lines(lb, event):
    return [line for line in lb.log_text().splitlines() if re.search(rf" {event}[ :]", line)]


def swapped(backends):
    """Entries in which the first two have each other's id."""
    one, other, *rest = [backend.entry() for backend in backends]
    return [{**one, "id": other["id"]}, {**other, "id": one["id"]}, *rest]


def assert_swapped(scene, lb):
    """Both names are in the line of each of the two; the third server has none."""
    fleet = scene.fleet(lb.address(), devices=DEVICES, **QUICK)
    lb.wait_log("warning foreign_cid pool=p backend=a: .* lead to b, ")
    lb.wait_log("warning foreign_cid pool=p backend=b: .* lead to a, ")
    fleet.kill()
    told = [lb.backend(name)["foreign_cids"] for name in "abc"]
    assert told[0] > 0 and told[1] > 0 and told[2] == 0, told
    assert len(lines(lb, "foreign_cid")) == 2, lines(lb, "foreign_cid")


def case_swapped_ids():
    for rebind in ("follow", "backend"):
        with Scene() as scene:
            backends = [scene.backend(number) for number in (1, 2, 3)]
            assert_swapped(scene, scene.cidlb([scene.pool("p", swapped(backends), nat={"rebind": rebind})]))


def case_swapped_ids_in_a_tunnel():
    with Scene() as scene:
        keys = key_file(scene)
        backends = [scene.backend(number, options=["--tunnel", keys]) for number in (1, 2, 3)]
        pool = tunnel_pool(scene, "p", backends)
        pool["backends"] = swapped(backends)
        assert_swapped(scene, started(scene, [pool]))


def case_swapped_ids_without_a_table():
    prefix = "fd00:c1d:1b00::/56"
    ip("-6", "route", "add", "local", prefix, "dev", "lo")
    with Scene() as scene:
        backends = [scene.backend(number, ip="::1") for number in (1, 2, 3)]
        nat = {"rebind": "backend", "sources": (prefix,)}
        assert_swapped(scene, scene.cidlb([scene.pool("p", swapped(backends), nat=nat)]))


def case_id_0_everywhere():
    """As ThingsBoard has it. One entry has that id, and all others lead there."""
    with Scene() as scene:
        backends = [scene.backend(0, name) for name in "abc"]
        entries = [{**backend.entry(), "id": number} for number, backend in enumerate(backends)]
        lb = scene.cidlb([scene.pool("p", entries)])
        fleet = scene.fleet(lb.address(), devices=DEVICES, **QUICK)
        for name in "bc":
            lb.wait_log(f"warning foreign_cid pool=p backend={name}: .* lead to a, ")
        fleet.kill()
        assert lb.backend("a")["foreign_cids"] == 0


def case_ids_of_nobody():
    """A server whose CIDs begin with another octet than its id."""
    with Scene() as scene:
        one, other = scene.backend(1), scene.backend(200, "b")
        lb = scene.cidlb([scene.pool("p", [one, {**other.entry(), "id": 2}])])
        fleet = scene.fleet(lb.address(), devices=DEVICES, **QUICK)
        lb.wait_log("warning foreign_cid pool=p backend=b: .* lead to no backend, ")
        fleet.kill()
        other.stop()
        lb.wait_log("info foreign_cid pool=p backend=b: over; it happened [0-9]+ times", 30)
        assert lb.backend("a")["foreign_cids"] == 0


def case_hello_rate_at_work():
    """It says when it begins to turn handshakes away, and how many it has when it no longer does."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], hello_rate={"pool": 2})])
        fleet = scene.fleet(lb.address(), devices=40, duration=8, **QUICK)
        lb.wait_log("warning hello_limited pool=p: ")
        report = fleet.report()
        lb.wait_log("info hello_limited pool=p: over; it happened [0-9]+ times", 30)
        limited = lb.metric("cidlb_datagrams_total", verdict="limited")
        assert limited > 0 and report["sessions"] >= 1, (limited, report)
        assert lines(lb, "hello_limited")[-1].endswith(f"it happened {limited} times"), lines(lb, "hello_limited")
        assert len(lines(lb, "hello_limited")) == 2


main(globals())
