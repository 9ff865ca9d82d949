"""CPU time and latency per forwarded datagram: cidlb, nginx stream, nftables and the least that forwarding over sockets costs.

Many devices send a CID record each in turn; three servers echo them. Each datagram so crosses the balancer twice, and the rates count
both directions. A contender is started, warmed up, measured and ended; then comes the next one.
"""

import sys
import time

import frame
from forward_contenders import CONTENDERS, LeftOut
from forward_load import SERVERS, Load, ways_between
from forward_matrix import settings_of
from forward_show import run_text, table  # noqa: F401
from forward_summary import summarize
from harness import Scene, wait_until


def measure(contender, setting):
    """One run: the figures of its steady phase, and what became of all datagrams."""
    with Scene() as scene:
        place = setting["place"](scene)
        balancer = contender(scene, place, setting)
        load = Load(scene, balancer, place, setting).start()
        load.wait_log("loading")
        wait_until(lambda: load.counters()["returned"] or not load.alive(), 10, "the first datagram comes back")
        time.sleep(setting["warm_s"])
        pids = balancer.pids() + place.pids()
        first, first_ways = frame.Reading(pids, load.counters), load.ways()
        time.sleep(setting["steady_s"])
        ways, steady = ways_between(first_ways, load.ways()), frame.between(first, frame.Reading(pids, load.counters))
        load.stop()
        whole = load.counters()
        wrong = balancer.check(whole)
        balancer.end()
        place.end()
    forwarded = steady["counters"]["arrived"] + steady["counters"]["returned"]
    run = {**steady, "contender": contender.name, "setting": setting["name"], "whole": whole, "wrong": wrong, "ways": ways}
    run["forwarded"] = forwarded
    run["ns_per_datagram"] = steady["cpu_ns"] / max(1, forwarded) if pids else None
    run["achieved"] = steady["counters"]["sent"] / steady["seconds"] / (setting["rate"] // 2)
    run["delivery"] = whole["returned"] / max(1, whole["sent"] + whole["refused"])
    run["marks"] = frame.marks(run)
    return run


def available():
    """The contenders that can be had here, and why the others cannot."""
    contenders, left_out = [], {}
    for contender in CONTENDERS:
        try:
            with Scene() as scene:
                contender.require(scene)
            contenders.append(contender)
        except LeftOut as reason:
            left_out[contender.name] = str(reason)
    return contenders, left_out


def fitting(contenders, setting, left_out):
    """Those that take part in a setting. Who cannot, is left out of it alone."""
    taking = []
    for contender in contenders:
        if contender.name not in setting["contenders"]:
            continue
        try:
            contender.fit(setting)
            taking.append(contender)
        except LeftOut as reason:
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
    settings, runs, summary = settings_of(quick), [], []
    for setting in settings:
        taking = fitting(contenders, setting, left_out)
        rounds = run_setting(taking, setting)
        runs += [result for results in rounds for result in results.values()]
        summary += [summarize(rounds, contender.name, setting) for contender in taking]
    wrong = [f"{run['setting']}, {run['contender']}, round {run['round']}: {sentence}" for run in runs for sentence in run["wrong"]]
    shown = [{**setting, "place": setting["place"].name} for setting in settings]
    result = {"settings": {"servers": SERVERS, "matrix": shown}, "left_out": left_out, "runs": runs, "summary": summary, "wrong": wrong}
    return result
