"""CPU time and latency per forwarded datagram: cidlb, nginx stream, nftables and the least that forwarding over sockets costs.

Many devices send a CID record each in turn; three servers echo them. Each datagram so crosses the balancer twice, and the rates count
both directions. A contender is started, warmed up, measured and ended; then comes the next one.
"""

import sys
import time

import forward_limit
import frame
from forward_contenders import CONTENDERS, LeftOut
from forward_load import SERVERS, Load, delivery, ways_between
from forward_matrix import settings_of
from forward_show import run_text, table  # noqa: F401
from forward_summary import summarize
from forward_targets import plots, targets  # noqa: F401
from forward_wire import Nftables
from harness import Scene, wait_until


def steady_phase(balancer, place, load, setting):
    """What a load that has begun comes to, once it is warm: each source has been answered, and some time has passed."""
    wait_until(lambda: load.counters()["returned"] >= setting["sources"] or not load.alive(), 30, "each source has been answered")
    time.sleep(setting["warm_s"])
    pids, threads = balancer.pids(), place.pids()
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
        place = setting["place"](scene)
        balancer = contender(scene, place, setting)
        load = Load(scene, balancer, place, setting).start()
        load.wait_begun()
        steady = steady_phase(balancer, place, load, setting)
        load.stop()
        whole = load.counters()
        wrong = balancer.check(whole)
        balancer.end()
        place.end()
    run = {**steady, "contender": contender.name, "setting": setting["name"], "whole": whole, "wrong": wrong}
    run["delivery"] = delivery(whole)
    run["marks"] = frame.marks(run)
    return run


def available():
    """The contenders that can be had here, and why the others cannot."""
    contenders, left_out = [], {}
    for contender in [*CONTENDERS, Nftables]:
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
    try:
        with Scene() as scene:
            setting["place"].require(scene)
    except LeftOut as reason:
        left_out[setting["name"]] = str(reason)
        return []
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
    settings, runs, summary, limits = settings_of(quick), [], [], forward_limit.run(contenders, quick)
    for setting in settings:
        taking = fitting(contenders, setting, left_out)
        rounds = run_setting(taking, setting) if taking else []
        runs += [result for results in rounds for result in results.values()]
        summary += [summarize(rounds, contender.name, setting) for contender in taking]
    wrong = [f"{run['setting']}, {run['contender']}, round {run['round']}: {sentence}" for run in runs for sentence in run["wrong"]]
    shown = [{**setting, "place": setting["place"].name} for setting in settings]
    shown = {"servers": SERVERS, "matrix": shown}
    return {"settings": shown, "left_out": left_out, "runs": runs, "summary": summary, "limits": limits, "wrong": wrong}
