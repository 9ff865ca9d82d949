"""The program of the fast path without interfaces: what it costs above an empty loop, by BPF_PROG_TEST_RUN."""

import json
import subprocess

from harness import BIN
from lib import frame
from lib.frame import LeftOut

NAME = "program alone"
REPEAT, QUICK_REPEAT = 500_000, 20_000  # frames of a case, five times
NO_BPF = 77  # exit status of fast_time


def fast_time(*options):
    argv = ["taskset", "--cpu-list", str(frame.BALANCER_CPU), BIN / "fast_time", "--json", *map(str, options)]
    return subprocess.run(argv, capture_output=True, text=True)


def require():
    """LeftOut: it cannot be measured here."""
    if not (BIN / "fast_time").exists():
        raise LeftOut("no fast_time among the programs: clang 14 or libbpf 1.1 was missing at the build")
    asked = fast_time("--repeat", 1)
    if asked.returncode == NO_BPF:
        raise LeftOut(asked.stdout.strip())


def measure(quick):
    """A run: the median of each case."""
    stolen, ticks = frame.read_steal()
    done = fast_time("--repeat", QUICK_REPEAT if quick else REPEAT)
    assert done.returncode == 0, done.stderr or done.stdout
    stolen, ticks = (last - first for first, last in zip((stolen, ticks), frame.read_steal()))
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    for case in cases:
        rounds, empty = case.pop("above_ns"), case.pop("empty_ns")
        case |= {"ns": rounds[len(rounds) // 2], "min": rounds[0], "max": rounds[-1]}
        case["empty_ns"] = empty[len(empty) // 2]
    run = {"contender": NAME, "setting": NAME, "cases": cases, "wrong": []}
    run |= {"steal": stolen / max(1, ticks), "delivery": 1, "waiting": 0, "achieved": 1}
    return {**run, "marks": frame.marks(run)}


def summarize(rounds):
    """Of each case and number of sessions the spreads over the rounds."""
    chosen, clean = frame.clean_rounds(rounds, NAME)
    found = {}
    for runs in chosen:
        for case in runs[NAME]["cases"]:
            found.setdefault((case["case"], case["sessions"]), []).append(case)

    def over_rounds(cases, figure):
        return {**frame.spread([case[figure] for case in cases]), "clean": clean}

    return [
        {"case": case, "sessions": sessions, **{what: over_rounds(cases, what) for what in ("ns", "empty_ns")}}
        for (case, sessions), cases in found.items()
    ]
