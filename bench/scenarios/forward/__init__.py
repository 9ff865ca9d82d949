"""CPU time and latency per forwarded datagram: cidlb, nginx stream, nftables, and the least that sockets cost.

Many devices send a CID record each in turn, and three servers echo them. So each datagram crosses the balancer twice,
and the rates count both directions. A contender is started, warmed up, measured and ended. Then comes the next one.
"""

import sys
import time

from harness import Scene, wait_until
from lib import frame
from lib.load import delivery

from . import against, limit
from .contenders import CONTENDERS
from .load import SERVERS, make_load, ways_between
from .matrix import settings_of
from .nftables import Nftables
from .plots import plots
from .summary import summarize
from .tables import run_text, table
from .targets import targets

__all__ = ["plots", "run", "run_against", "run_text", "table", "targets"]


def steady_phase(balancer, topology, load, setting):
    """What a load that has begun comes to, once it is warm: each source has been answered, and some time has passed."""
    wait_until(
        lambda: load.counters()["returned"] >= setting["sources"] or not load.alive(),
        30,
        "each source has been answered",
    )
    time.sleep(setting["warm_s"])
    pids, threads = balancer.pids(), topology.pids()
    first, first_ran, first_ways = frame.Reading(pids + threads, load.counters), frame.read_cpu(threads)[0], load.ways()
    time.sleep(setting["steady_s"])
    ways, last_ran, last = load.ways(), frame.read_cpu(threads)[0], frame.Reading(pids + threads, load.counters)
    steady = {**frame.between(first, last), "ways": ways_between(first_ways, ways)}
    forwarded = steady["counters"]["arrived"] + steady["counters"]["returned"]
    steady["forwarded"] = forwarded
    steady["ns_per_datagram"] = steady["cpu_ns"] / max(1, forwarded) if pids or threads else None
    steady["achieved"] = steady["counters"]["sent"] / steady["seconds"] / (setting["rate"] // 2)
    # That a balancer waits for the threads that work for it, is its own affair.
    steady["waiting"] = max(0, steady["waiting"] - (last_ran - first_ran) / 1e9 / steady["seconds"])
    return steady


def measure(contender, setting):
    """One run: the figures of its steady phase, and what became of all datagrams."""
    with Scene() as scene:
        topology = setting["topology"](scene)
        balancer = contender(scene, topology, setting)
        load = make_load(scene, balancer, topology, setting).start()
        steady = steady_phase(balancer, topology, load, setting)
        load.stop()
        whole = load.counters()
        wrong = balancer.check(whole)
        balancer.end()
        topology.end()
    run = {**steady, "contender": contender.name, "setting": setting["name"], "whole": whole, "wrong": wrong}
    run["delivery"] = delivery(whole)
    run["marks"] = frame.marks(run)
    return run


def available(wanted=(*CONTENDERS, Nftables)):
    """The contenders that can be had here, and why the others cannot."""
    contenders, left_out = [], {}
    for contender in wanted:
        try:
            with Scene() as scene:
                contender.require(scene)
            contenders.append(contender)
        except frame.LeftOut as reason:
            left_out[contender.name] = str(reason)
    return contenders, left_out


def fitting(contenders, setting, left_out):
    """Those that take part in a setting. Who cannot, is left out of it alone."""
    taking = []
    try:
        with Scene() as scene:
            setting["topology"].require(scene)
    except frame.LeftOut as reason:
        left_out[setting["name"]] = str(reason)
        return []
    for contender in contenders:
        if contender.name not in setting["contenders"]:
            continue
        try:
            contender.fit(setting)
            taking.append(contender)
        except frame.LeftOut as reason:
            left_out[f"{contender.name}, {setting['name']}"] = str(reason)
    return taking


def run_setting(contenders, setting):
    """All rounds of a setting: [{contender: run}]."""
    rounds = [{} for _ in range(setting["rounds"])]
    for number, contender in frame.in_turn(contenders, setting["rounds"]):
        result = {"round": number + 1, **measure(contender, setting)}
        rounds[number][contender.name] = result
        print(run_text(result), file=sys.stderr, flush=True)
    return rounds


def run(quick):
    contenders, left_out = available()
    settings, limits = settings_of(quick), limit.run(contenders, quick)
    return {**run_settings(contenders, settings, left_out), "limits": limits}


def run_against(quick, other):
    """The modes of this build and of the programs in another folder, in turn."""
    contenders, left_out = available(against.contenders(other))
    settings = against.settings_of(quick, contenders)
    return {**run_settings(contenders, settings, left_out, against.other_of), "limits": [], "against": True}


def run_settings(contenders, settings, left_out, others_of=lambda name: None):
    """`others_of`: {what to call it: the contender that a contender is compared with}, by its name."""
    runs, summary = [], []
    for setting in settings:
        taking = fitting(contenders, setting, left_out)
        rounds = run_setting(taking, setting) if taking else []
        runs += [result for results in rounds for result in results.values()]
        summary += [summarize(rounds, one.name, setting, others_of(one.name)) for one in taking]
    wrong = []
    for result in runs:
        place = f"{result['setting']}, {result['contender']}, round {result['round']}"
        wrong += [f"{place}: {sentence}" for sentence in result["wrong"]]
    matrix = [{**setting, "topology": setting["topology"].name} for setting in settings]
    shown = {"servers": SERVERS, "matrix": matrix}
    return {"settings": shown, "left_out": left_out, "runs": runs, "summary": summary, "wrong": wrong}
