#!/usr/bin/env python3
"""Pools without a server that can take new sessions: when that begins and ends is told."""

import re
import subprocess
import time

from harness import BIN, Scene, main, wait_until

HEALTH = {"probe": "dtls", "interval_ms": 100, "timeout_ms": 5000, "rise": 1, "fall": 1}


def ctl(lb, *command):
    argv = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], *command]
    subprocess.run(argv, check=True, capture_output=True)


def lines_of(lb, pool):
    return re.findall(rf"(error|warning|info) no_backend pool={pool}: (.*)", lb.log_text())


def accepting(lb, pool):
    return lb.metric("cidlb_pool_accepting_backends", pool=pool)


def told(lb, pool, count):
    """The last of so many lines."""
    wait_until(lambda: len(lines_of(lb, pool)) >= count, 20, f"{count} lines of {pool}")
    lines = lines_of(lb, pool)
    assert len(lines) == count, lines
    return lines[-1]


def case_by_command():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b], health=HEALTH), scene.pool("q", [a.entry(name="qa")], health=HEALTH)])
        assert accepting(lb, "p") == 2
        ctl(lb, "drain", "a")
        wait_until(lambda: accepting(lb, "p") == 1, 20, "one drains")
        ctl(lb, "maint", "b")
        said = "no server can take new sessions, which are dropped: 0 of 2 servers down, 1 draining, 1 in maint"
        assert told(lb, "p", 1) == ("error", said)
        assert accepting(lb, "p") == 0
        ctl(lb, "ready", "b")
        assert told(lb, "p", 2) == ("info", "over: 1 can take new sessions")
        ctl(lb, "weight", "b", "0")
        assert told(lb, "p", 3)[0] == "error"
        ctl(lb, "weight", "b", "100")
        assert told(lb, "p", 4)[0] == "info"
        assert lines_of(lb, "q") == [] and accepting(lb, "q") == 1


def case_all_are_down():
    """health.all_down says what becomes of new sessions."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        pools = [
            scene.pool(fate, [server.entry(name=f"{fate}-{server.name}") for server in (a, b)], health=health)
            for fate, health in (("hash", HEALTH), ("drop", {**HEALTH, "all_down": "drop"}))
        ]
        lb = scene.cidlb(pools)
        for server in (a, b):
            server.stop()
        down = "2 of 2 servers down, 0 draining, 0 in maint"
        go = "go to servers that are down (health.all_down)"
        assert told(lb, "hash", 1) == ("error", f"no server can take new sessions, which {go}: {down}")
        assert told(lb, "drop", 1) == ("error", f"no server can take new sessions, which are dropped: {down}")
        a.start()
        for pool in ("hash", "drop"):
            assert told(lb, pool, 2) == ("info", "over: 1 can take new sessions")


def case_one_line_a_second():
    """At most, for a server that comes and goes all the time."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], health=HEALTH)])
        begin = time.monotonic()
        for _ in range(20):
            ctl(lb, "maint", "a")
            ctl(lb, "ready", "a")
        ctl(lb, "maint", "a")
        wait_until(lambda: accepting(lb, "p") == 0 and lines_of(lb, "p"), 20, "it is told of")
        assert len(lines_of(lb, "p")) <= time.monotonic() - begin + 2, lines_of(lb, "p")


main(globals())
