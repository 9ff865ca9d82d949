"""The highest rate at which a contender of scenario `forward` loses nothing.

This is information, and no comparison. Each step takes a second.
"""

import sys
import time

from harness import Scene
from lib import frame
from lib.load import delivery

from .load import make_load
from .matrix import BALANCERS, BURST, CENTRE

# Steps upwards until one fails; then between the last that did not and that one.
FULL = {"first": 150_000, "growth": 1.25, "most": 2_500_000, "halvings": 3, "warm_s": 0.2, "steady_s": 0.8}
QUICK = {"first": 100_000, "growth": 1.5, "most": 100_000, "halvings": 0, "warm_s": 0.1, "steady_s": 0.2}
LEAST_DELIVERY, LEAST_PASSED = 0.999, 0.99


def step(scene, balancer, topology, rate, settings):
    """One rate.

    `passed`: what came back in the steady phase, of what was sent in it. It falls where queues grow and nothing is lost
    yet.
    """
    load = make_load(scene, balancer, topology, {**CENTRE, "rate": rate, "batch": BURST}).start()
    time.sleep(settings["warm_s"])
    first = frame.Reading([], load.counters)
    time.sleep(settings["steady_s"])
    steady = frame.between(first, frame.Reading([], load.counters))
    load.stop()
    sent = max(1, steady["counters"]["sent"])
    figures = {"rate": rate, "delivery": delivery(load.counters()), "steal": steady["steal"]}
    figures["passed"] = steady["counters"]["returned"] / sent
    figures["achieved"] = sent / steady["seconds"] / (rate // 2)
    return figures


def limit_of(figures):
    """Who could not do this rate: None if both could."""
    if figures["achieved"] < 1 - frame.MOST_SLOW:
        return "load"
    return "contender" if figures["delivery"] < LEAST_DELIVERY or figures["passed"] < LEAST_PASSED else None


def climb(try_rate, settings):
    """The highest rate that passed (0: none), and who set the limit (None: none was found)."""
    best, rate, failed, limit = 0, settings["first"], None, None
    while rate <= settings["most"] and not failed:
        found = limit_of(try_rate(rate))
        if found:
            failed, limit = rate, found
        else:
            best, rate = rate, int(rate * settings["growth"])
    for _ in range(settings["halvings"] if best and failed else 0):
        rate = (best + failed) // 2
        found = limit_of(try_rate(rate))
        if found:
            failed, limit = rate, found
        else:
            best = rate
    return best, limit


def run(contenders, quick):
    settings, limits = QUICK if quick else FULL, []
    for contender in (contender for contender in contenders if contender.name in BALANCERS):
        steps = []
        with Scene() as scene:
            topology = CENTRE["topology"](scene)
            balancer = contender(scene, topology, CENTRE)

            def try_rate(rate):
                steps.append(step(scene, balancer, topology, rate, settings))
                return steps[-1]

            best, limit = climb(try_rate, settings)
            balancer.end()
        limits.append({"contender": contender.name, "rate": best, "limit": limit, "steps": steps})
        print(f"forward, highest rate: {text(limits[-1])}", file=sys.stderr, flush=True)
    return limits


def text(limit):
    by = {"load": ", where the load is at its end", "contender": "", None: " or more"}[limit["limit"]]
    return f"{limit['contender']} {limit['rate'] / 1000:.0f} kpps{by}"
