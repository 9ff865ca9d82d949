"""Nanoseconds of the parts of the packet path, without sockets: record walk, CIDs, tables, decisions, garbage, flows.

`cidlb-core` measures. Here its groups of cases take turns, each time as a process of its own on the balancer's CPU.
"""

import json
import subprocess
import sys

from harness import BIN
from lib import frame

from .figures import GROUPS, plots, table, targets

__all__ = ["plots", "run", "run_text", "table", "targets"]

FULL, QUICK = {"rounds": 7}, {"rounds": 1}


def measure(group, quick):
    """One process: its cases, and what disturbed it."""
    argv = ["taskset", "--cpu-list", str(frame.BALANCER_CPU), str(BIN / "cidlb-core"), "--case", f"{group}/"]
    argv += ["--quick"] if quick else []
    stolen, ticks = frame.read_steal()
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    after = frame.read_steal()
    steal = (after[0] - stolen) / max(1, after[1] - ticks)
    marks = [f"steal {steal:.1%}"] if steal > frame.MOST_STEAL else []
    return {
        "group": group,
        "cases": [json.loads(line) for line in done.stdout.splitlines()],
        "steal": steal,
        "marks": marks,
    }


def run(quick):
    settings = QUICK if quick else FULL
    rounds = [{} for _ in range(settings["rounds"])]
    runs = []
    for number, group in frame.in_turn(list(GROUPS), settings["rounds"]):
        runs.append({"round": number + 1, **measure(group, quick)})
        rounds[number][group] = runs[-1]
        print(run_text(runs[-1]), file=sys.stderr, flush=True)
    return {"settings": settings, "left_out": {}, "runs": runs, "cases": summarize(rounds), "wrong": []}


def run_text(run):
    text = f"core, round {run['round']}: {run['group']}, {len(run['cases'])} cases"
    return text + "".join(f"; {mark}" for mark in run["marks"])


def summarize(rounds):
    """{case: its parameters, and the spread of its figures over the rounds}."""
    cases = {}
    for group in GROUPS:
        chosen, clean = frame.clean_rounds(rounds, group)
        for at, case in enumerate(chosen[0][group]["cases"]):
            fixed = {name: case[name] for name in ("octets", "distinct", "batch", "backends", "flows") if name in case}
            spread = frame.spread([runs[group]["cases"][at]["ns"] for runs in chosen])
            cases[case["case"]] = {"group": group, **fixed, "ns": {**spread, "clean": clean}}
    return cases
