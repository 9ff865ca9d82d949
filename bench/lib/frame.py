"""What the scenarios share: CPU time and steal, contenders in turn, medians with their spread.

A reading is taken twice, and what lies between counts. CPU time is that of all threads of all processes of a balancer.
It is from their schedstat, which is exact. /proc/stat is sampled: it only tells what the hypervisor took away.
"""

import os
import statistics
import time
from pathlib import Path

import harness

ROOT = Path(__file__).parents[2]
ALLOWED = sorted(os.sched_getaffinity(0))
LOAD_CPU, BALANCER_CPU = ALLOWED[0], ALLOWED[min(1, len(ALLOWED) - 1)]
SHARED = LOAD_CPU == BALANCER_CPU

# Shares; what is beyond gets a run its mark.
MOST_LOST, MOST_STEAL, MOST_WAITING, MOST_SLOW = 0.001, 0.01, 0.02, 0.01


class LeftOut(Exception):
    """Why a contender cannot take part."""


def enter():
    """A network of our own, and a place that is not the balancer's CPU. To be called before anything is started.

    False: the network is the machine's.
    """
    machines = os.readlink("/proc/self/ns/net")
    harness.enter_own_network()
    os.sched_setaffinity(0, {LOAD_CPU})
    return os.readlink("/proc/self/ns/net") != machines


def pinned(process, cpu):
    """A process of the harness, before its start, that runs on one CPU."""
    process.argv[:0] = ["taskset", "--cpu-list", str(cpu)]
    return process


def processes_of(pid):
    """A process and all that it has started."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def read_cpu(pids):
    """Nanoseconds that all their threads have run, and have waited for a CPU that was busy with others."""
    ran = waited = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            numbers = (thread / "schedstat").read_text().split()
            ran, waited = ran + int(numbers[0]), waited + int(numbers[1])
    return ran, waited


def read_steal():
    """Of the CPUs that are used here: ticks stolen, ticks in all."""
    stolen = total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in (f"cpu{LOAD_CPU}", f"cpu{BALANCER_CPU}"):
            stolen, total = stolen + int(ticks[7]), total + sum(map(int, ticks[:8]))
    return stolen, total


class Reading:
    """All of the above at one moment, with the counters of the load."""

    def __init__(self, pids, counters):
        self.ns = time.monotonic_ns()
        self.counters = counters()
        self.ran, self.waited = read_cpu(pids)
        self.stolen, self.ticks = read_steal()


def between(first, last):
    """What happened between two readings."""
    seconds = (last.ns - first.ns) / 1e9
    return {
        "seconds": seconds,
        "cpu_ns": last.ran - first.ran,
        "waiting": (last.waited - first.waited) / 1e9 / seconds,
        "steal": (last.stolen - first.stolen) / max(1, last.ticks - first.ticks),
        "counters": {name: last.counters[name] - first.counters[name] for name in last.counters},
    }


def marks(run):
    """Why the figure of a run is not to be trusted: sentences."""
    reasons = {
        f"delivered {run['delivery']:.2%}": run["delivery"] < 1 - MOST_LOST,
        f"steal {run['steal']:.1%}": run["steal"] > MOST_STEAL,
        f"waited {run['waiting']:.1%} of the time for its CPU": run["waiting"] > MOST_WAITING,
        f"load {run['achieved']:.1%} of its rate": run["achieved"] < 1 - MOST_SLOW,
        "one CPU": SHARED,
    }
    return [reason for reason, holds in reasons.items() if holds]


def in_turn(contenders, rounds):
    """(round, contender): each once in a round, and each round begins with another one."""
    for number in range(rounds):
        at = number % len(contenders)
        for contender in contenders[at:] + contenders[:at]:
            yield number, contender


def spread(values):
    return (
        {"median": statistics.median(values), "min": min(values), "max": max(values), "values": len(values)}
        if values
        else None
    )


def clean_rounds(rounds, *keys):
    """Of the rounds ({key: run}), those whose runs of these keys bear no mark, and True.

    All rounds and False if that leaves less than half of them.
    """
    clean = [runs for runs in rounds if not any(runs[key]["marks"] for key in keys)]
    return (clean, True) if 2 * len(clean) >= len(rounds) else (rounds, False)


def spread_of(rounds, key, figure, over=None):
    """The median of a contender's figure. With `over`, of its ratio to that of another contender in the same round.

    `clean`: no run with a mark is in it.
    """
    chosen, clean = clean_rounds(rounds, *filter(None, (key, over)))
    return {**spread([runs[key][figure] / (runs[over][figure] if over else 1) for runs in chosen]), "clean": clean}


def verdict(spread, limit):
    """Whether ratios to another build, one for each round, keep a limit: None if that cannot be told.

    A median over the limit proves nothing if a round was cheaper, or if rounds with marks had to be taken. Among many
    figures some have such a median by chance.
    """
    if spread["median"] <= limit:
        return True if spread["clean"] else None
    return False if spread["clean"] and spread["min"] > 1 else None


def remarks(runs, run_text, left_out):
    """Lines for below a table: the runs with marks, and who is left out ({name: reason})."""
    text, marked = [], [run for run in runs if run["marks"]]
    if marked:
        rule = "left out of the medians where at least half of the rounds are clean (!: they are in)"
        text = [f"\n  marked runs, {rule}:", *(f"    {run_text(run)}" for run in marked)]
    return text + [f"\n  without {name}: {reason}" for name, reason in left_out.items()]


def columns(rows, indent="  ", right=True):
    """Rows of text as a table: the first column to the left, the others to the right, or to the left as well."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]

    def cell(at, text):
        return text.rjust(widths[at]) if at and right else text.ljust(widths[at])

    return "\n".join(indent + "  ".join(cell(at, text) for at, text in enumerate(row)).rstrip() for row in rows)
