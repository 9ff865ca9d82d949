"""The fast path: CPU per datagram of native frames, beside nginx, nftables, routing and an empty XDP program.

Frames are made in the kernel, as a network card delivers them, and their way ends in XDP programs: no contender pays
for sockets at the ends. A contender is started, and meets all settings in turn. Then comes the next one. The program's
own time is measured without interfaces.
"""

import sys
import time

from harness import Scene
from lib import frame
from lib.load import BATCH, OCTETS

from . import alone, load
from .cards import Cards
from .contenders import CONTENDERS
from .matrix import QUICK_ROUNDS, ROUNDS, settings_of
from .plots import plots
from .summary import summarize
from .tables import run_text, table
from .targets import targets

__all__ = ["plots", "run", "run_text", "table", "targets"]


def steady_phase(contender, cards, frames, setting):
    """What frames that are being sent come to."""
    time.sleep(setting["warm_s"])

    def count():
        return {**frames.counters(), "received": cards.received()}

    pids, threads = contender.pids(), cards.threads
    first, first_ran, first_waited = frame.Reading(pids + threads, count), *ran_and_waited(threads, pids)
    time.sleep(setting["steady_s"])
    last, last_ran, last_waited = frame.Reading(pids + threads, count), *ran_and_waited(threads, pids)
    steady = frame.between(first, last)
    counts = steady["counters"]
    # cidlb-frames says when it has counted. On a CPU that is all taken that may be a while ago.
    seconds = steady["seconds"] if setting["garbage"] else counts["ns"] / 1e9
    steady["datagrams"] = counts["received"] if setting["garbage"] else counts["arrived"] + counts["returned"]
    steady["per_s"] = steady["datagrams"] / seconds
    steady["busy"] = steady["cpu_ns"] / 1e9 / steady["seconds"]
    steady["ns_per_datagram"] = 1e9 * steady["busy"] / steady["per_s"] if steady["per_s"] else None
    steady["of_threads"] = (last_ran - first_ran) / max(1, steady["cpu_ns"])
    steady["achieved"] = counts["sent"] / (counts["ns"] / 1e9) / setting["rate"] if setting["rate"] else 1
    # That a process waits for the threads that work for it, is its own affair. They wait for nobody.
    waited = last_waited - first_waited - (last_ran - first_ran)
    steady["waiting"] = max(0, waited) / 1e9 / steady["seconds"]
    return steady


def ran_and_waited(threads, processes):
    """Nanoseconds that the threads of the interfaces have run, and that the processes have waited for the CPU."""
    return frame.read_cpu(threads)[0], frame.read_cpu(processes)[1]


def measure_setting(scene, contender, cards, setting):
    contender.prepare(setting)
    frames = load.Frames(scene, cards, contender, setting)
    before = contender.counters()
    frames.start()
    cards.place_threads()
    steady = steady_phase(contender, cards, frames, setting)
    frames.stop()
    whole = frames.counters()
    wrong = contender.check(before, contender.counters(), whole)
    run = {**steady, "contender": contender.name, "setting": setting["name"], "whole": whole, "wrong": wrong}
    run["delivery"] = whole["arrived" if setting["one_way"] else "returned"] / max(1, whole["sent"])
    # What is lost is the contender's own, and shown. It does not disturb the run.
    run["marks"] = frame.marks({**run, "delivery": 1})
    return run


def takes_part(kind, setting):
    chosen = setting["contenders"]
    return setting["kind"] in kind.kinds and (not chosen or kind.name in chosen)


def measure(kind, settings):
    """A contender in all settings that it takes part in."""
    with Scene() as scene:
        cards = Cards(scene)
        contender = kind(scene, cards)
        contender.warm(scene, cards)
        runs = [
            measure_setting(scene, contender, cards, setting)
            for setting in settings
            if takes_part(kind, setting)
        ]
        contender.end()
        cards.end()
    return runs


def available():
    """The contenders that can be had here, and why others cannot."""
    contenders, left_out = [], {}
    try:
        with Scene() as scene:
            Cards.require(scene)
        load.require()
        alone.require()
    except frame.LeftOut as reason:
        return [], {"all contenders": str(reason)}
    for contender in CONTENDERS:
        try:
            contender.require()
            contenders.append(contender)
        except frame.LeftOut as reason:
            left_out[contender.name] = str(reason)
    return contenders, left_out


def run_rounds(contenders, settings, count, quick):
    """{setting: [{contender: run}]}, and so of the program alone, which has its turn in each round."""
    rounds = {name: [{} for _ in range(count)] for name in [*(setting["name"] for setting in settings), alone.NAME]}
    for number, contender in frame.in_turn([alone, *contenders], count):
        runs = [alone.measure(quick)] if contender is alone else measure(contender, settings)
        for result in runs:
            result = {"round": number + 1, **result}
            rounds[result["setting"]][number][result["contender"]] = result
            print(run_text(result), file=sys.stderr, flush=True)
    return rounds


def run(quick):
    contenders, left_out = available()
    settings, count = settings_of(quick), QUICK_ROUNDS if quick else ROUNDS
    shown = {"sources": load.SOURCES, "octets": OCTETS, "batch": BATCH, "rounds": count, "matrix": settings}
    result = {"settings": shown, "left_out": left_out, "runs": [], "summary": [], "alone": [], "wrong": []}
    if not contenders:
        return result
    rounds = run_rounds(contenders, settings, count, quick)
    result["runs"] = [run for of_setting in rounds.values() for runs in of_setting for run in runs.values()]
    result["alone"] = alone.summarize(rounds.pop(alone.NAME))
    for setting in settings:
        taking = [one.name for one in contenders if takes_part(one, setting)]
        result["summary"] += [summarize(rounds[setting["name"]], name, setting) for name in taking]
    for one in result["runs"]:
        place = f"{one['setting']}, {one['contender']}, round {one['round']}"
        result["wrong"] += [f"{place}: {sentence}" for sentence in one["wrong"]]
    return result
