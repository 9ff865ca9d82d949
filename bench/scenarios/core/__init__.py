"""Nanoseconds of the parts of the packet path, without sockets: record walk, CIDs, tables, decisions, garbage, flows.

`cidlb-core` measures. Here its groups of cases take turns, each time as a process of its own on the balancer's CPU.
Each figure is also told as a ratio to a yardstick, which `cidlb-core` measures beside every repetition of every case.
"""

import json
import subprocess
import sys

from harness import BIN
from lib import frame

from . import against
from .figures import GROUPS, plots, run_text, table, targets

__all__ = ["plots", "run", "run_against", "run_text", "table", "targets"]

FULL, QUICK = {"rounds": 7}, {"rounds": 1}
PARAMETERS = ("octets", "distinct", "batch", "backends", "flows")


def measure(programs, group, quick):
    """One process: its cases, and what disturbed it. `programs`: the folder that cidlb-core is in."""
    argv = ["taskset", "--cpu-list", str(frame.BALANCER_CPU), str(programs / "cidlb-core"), "--case", f"{group}/"]
    argv += ["--quick"] if quick else []
    stolen, ticks = frame.read_steal()
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    after = frame.read_steal()
    steal = (after[0] - stolen) / max(1, after[1] - ticks)
    marks = [f"steal {steal:.1%}"] if steal > frame.MOST_STEAL else []
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    return {"group": group, "cases": cases, "steal": steal, "marks": marks}


def run(quick):
    settings = QUICK if quick else FULL
    rounds = run_rounds(settings, quick, {"this": BIN})
    cases = summarize([{group: runs["this"] for group, runs in one.items()} for one in rounds])
    return whole(settings, rounds, cases)


def run_against(quick, other):
    """Each group twice in a round, once of the programs in another folder. Which of the two begins, alternates."""
    settings = QUICK if quick else FULL
    rounds = run_rounds(settings, quick, {"this": BIN, "other": other})
    cases = summarize([{group: runs["this"] for group, runs in one.items()} for one in rounds])
    return {**whole(settings, rounds, cases), "against": against.summarize(rounds)}


def run_rounds(settings, quick, builds):
    """[{group: {build: run}}], one for each round."""
    rounds = [{} for _ in range(settings["rounds"])]
    for number, group in frame.in_turn(list(GROUPS), settings["rounds"]):
        rounds[number][group] = {}
        for build in list(builds)[:: -1 if number % 2 else 1]:
            one = {"round": number + 1, "build": build, **measure(builds[build], group, quick)}
            rounds[number][group][build] = one
            print(run_text(one), file=sys.stderr, flush=True)
    return rounds


def whole(settings, rounds, cases):
    runs = [run for one in rounds for of_group in one.values() for run in of_group.values()]
    measured = [case["yardstick"] for run in runs if run["build"] == "this" for case in run["cases"]]
    result = {"settings": settings, "left_out": {}, "runs": runs, "cases": cases, "wrong": []}
    return {**result, "yardstick": frame.spread(measured)}


def summarize(rounds):
    """{case: its parameters, and the spread over the rounds of its figures and of their ratios to the yardstick}."""
    cases = {}
    for group in GROUPS:
        chosen, clean = frame.clean_rounds(rounds, group)
        for at, case in enumerate(chosen[0][group]["cases"]):
            cases[case["case"]] = {"group": group, **{name: case[name] for name in PARAMETERS if name in case}}
            for figure in ("ns", "ratio"):
                spread = frame.spread([runs[group]["cases"][at][figure] for runs in chosen])
                cases[case["case"]][figure] = {**spread, "clean": clean}
    return cases
