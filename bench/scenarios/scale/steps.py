"""The three series of scenario `scale`.

The steps of a series are cidlbs that all run at once. One of them is loaded at a time, in turn.
"""

import math
import signal
import sys
import time

from harness import Scene, free_ports, wait_until
from lib import frame
from lib.load import Load, identities, keys_file, servers_by_address, servers_by_port

from .load import cidlb, measure, memory

SERVERS = 3
SERIES_NAMES = ("flows", "sources", "backends")


def scattered(sources):
    """A stride that reaches every source, none of them near the one before.

    So what a step has in memory is met in no order.
    """
    stride = int(sources * (math.sqrt(5) - 1) / 2) | 1
    while math.gcd(stride, sources) != 1:
        stride += 2
    return stride


class Series:
    """The rounds of a series, and what was wrong in it. `rounds`: of each step."""

    def __init__(self, name, contender, rounds):
        self.name, self.contender, self.of_step = name, contender, rounds
        self.rounds, self.wrong = [{} for _ in range(max(rounds.values()))], []

    def compare(self, run_step):
        """run_step(step, round): one run of a step."""
        for number, step in frame.in_turn(list(self.of_step), len(self.rounds)):
            if number < self.of_step[step]:
                run = {
                    "series": self.name,
                    "contender": self.contender,
                    "step": step,
                    "round": number + 1,
                    **run_step(step, number),
                }
                self.rounds[number][step] = run
                self.wrong += [f"{step:,} {self.name}, round {number + 1}: {sentence}" for sentence in run["wrong"]]
                print(run_text(run), file=sys.stderr, flush=True)

    def spread(self, step, figure, over=None):
        rounds = [runs for runs in self.rounds if {step, over or step} <= runs.keys()]
        return frame.spread_of(rounds, step, figure, over)

    def result(self, rows):
        """`rows`: what else is known of the steps, by step."""
        first = next(iter(self.of_step))
        for step, row in rows.items():
            row["ns_per_datagram"] = self.spread(step, "ns_per_datagram")
            row["over_first"] = None if step == first else self.spread(step, "ns_per_datagram", first)
            row["marked"] = sum(bool(runs[step]["marks"]) for runs in self.rounds if step in runs)
        runs = [run for runs in self.rounds for run in runs.values()]
        return {"steps": [{"step": step, **row} for step, row in rows.items()], "runs": runs, "wrong": self.wrong}


def run_text(run):
    text = f"scale, {run['contender']}, {run['step']:,} {run['series']}, round {run['round']}"
    return f"{text}: {run['ns_per_datagram']:.0f} ns" + "".join(f"; {mark}" for mark in run["marks"])


def pass_all(load, sources, enough):
    """Lets every source speak once, and again until enough(): what became of the datagrams, and the seconds it took."""
    start = time.monotonic()
    load.start()
    wait_until(
        lambda: load.counters()["sent"] >= sources or not load.alive(),
        60 + 2 * sources / load.rate,
        f"{sources} sources have spoken",
    )
    wait_until(lambda: enough() or not load.alive(), 60, f"all of {sources} sources were heard")
    seconds = time.monotonic() - start
    load.stop()
    return {"seconds": seconds, "whole": load.counters(), "wrong": load.wrong()}


def answered(lb):
    return lb.metric("cidlb_flows", kind="cid")


def fill_rate(settings, flows):
    """Datagrams a second that make flows.

    An eighth of the flows may wait for an answer. A short stall of the machine must not be more than that.
    """
    return min(settings["fill_rate"], 10 * flows)


def measure_flows(settings):
    """Mode nat, each cidlb with room for as many flows as it gets.

    All flows are made in turn. Then devices speak in a scattered order.
    """
    few, many = settings["few_rounds"], settings["rounds"]
    series = Series(
        "flows", "cidlb nat", {flows: many if flows in settings["decide"] else few for flows in settings["flows"]}
    )
    rows, balancers = {}, {}
    with Scene() as scene:
        servers, entries = servers_by_port(SERVERS)
        port = free_ports()
        for flows in settings["flows"]:
            lb = balancers[flows] = cidlb(scene, f"flows-{flows}", "nat", entries, max_flows=flows).start()
            row = rows[flows] = {"start": memory(lb)}
            options = {"target": lb.address(), "port": port, "sources": flows}
            load = Load(scene, servers, fill_rate(settings, flows), **options)
            row["fill"] = pass_all(load, flows, lambda: answered(lb) >= flows)
            row["filled"] = memory(lb)
            series.wrong += [f"{flows} flows, made: {sentence}" for sentence in row["fill"]["wrong"]]
            print(f"scale, {flows:,} flows in {row['fill']['seconds']:.1f} s", file=sys.stderr, flush=True)

        def run_step(flows, number):
            first = number * flows // settings["rounds"]
            lb = balancers[flows]
            options = {"sources": flows, "first": first, "stride": scattered(flows)}
            load = Load(scene, servers, settings["rate"] // 2, target=lb.address(), port=port, **options)
            return measure(lb, load, settings)

        series.compare(run_step)
        for flows, lb in balancers.items():
            series.wrong += [f"{flows} flows: {sentence}" for sentence in identities(lb)]
            left = {kind: lb.metric("cidlb_flows", kind=kind) for kind in ("cid", "handshake")}
            if left != {"cid": flows, "handshake": 0}:
                series.wrong.append(f"{flows} flows: {left['cid']} answered and {left['handshake']} others are left")
    least = settings["flows"][0]
    for flows, row in rows.items():
        more = row["filled"]["resident"] - rows[least]["filled"]["resident"]
        row["octets_per_flow"] = more / (flows - least) if flows > least else None
    return series.result(rows)


def measure_sources(settings):
    """Mode tunnel, one cidlb that hears ever more sources."""
    series = Series("sources", "cidlb tunnel", dict.fromkeys(settings["sources"], settings["few_rounds"]))
    rows = {}
    with Scene() as scene:
        servers, entries = servers_by_port(SERVERS)
        port = free_ports(16)  # one for each million of sources
        lb = cidlb(scene, "tunnel", "tunnel", entries).start()
        start = memory(lb)
        fixed = {"target": lb.address(), "port": port, "tunnel": keys_file(scene)}
        for sources in settings["sources"]:
            load = Load(scene, servers, settings["fill_rate"], sources=sources, **fixed)
            row = rows[sources] = {"pass": pass_all(load, sources, lambda: True)}
            row["filled"] = memory(lb)
            series.wrong += [f"{sources} sources: {sentence}" for sentence in row["pass"]["wrong"]]
            print(f"scale, {sources:,} sources in {row['pass']['seconds']:.1f} s", file=sys.stderr, flush=True)

        def run_step(sources, number):
            first = number * sources // settings["rounds"]
            load = Load(scene, servers, settings["rate"] // 2, sources=sources, first=first, **fixed)
            return measure(lb, load, settings)

        series.compare(run_step)
        series.wrong += identities(lb)
    return {**series.result(rows), "start": start}


def reload(lb):
    """Milliseconds from the signal to the new table in force, and of these that cidlb computed."""
    entry = lb.config["pools"][0]["backends"][0]
    entry["state"] = "ready" if entry.get("state") == "drain" else "drain"
    lb.write()
    done, pids = lb.log_text().count(" reloaded: "), frame.processes_of(lb.pid)
    ran, start = frame.read_cpu(pids)[0], time.monotonic_ns()
    lb.child.send_signal(signal.SIGHUP)
    while lb.log_text().count(" reloaded: ") == done:
        if time.monotonic_ns() - start > 10e9:
            raise TimeoutError(f"{lb.name} has not reloaded within 10 s")
        time.sleep(0.0002)
    return {"ms": (time.monotonic_ns() - start) / 1e6, "cpu_ms": (frame.read_cpu(pids)[0] - ran) / 1e6}


def measure_backends(settings):
    """Mode nat, the same sources whatever the number of backends, which all are addresses of one socket."""
    series = Series("backends", "cidlb nat", dict.fromkeys(settings["backends"], settings["few_rounds"]))
    rows, balancers = {}, {}
    sources = settings["backend_sources"]
    with Scene() as scene:
        servers, entries = servers_by_address(max(settings["backends"]))
        port = free_ports()

        def load_of(lb, backends, rate, **options):
            options |= {"target": lb.address(), "port": port, "server_count": backends, "by_address": True}
            return Load(scene, servers, rate, sources=sources, **options)

        for backends in settings["backends"]:
            own = [dict(entry) for entry in entries[:backends]]
            lb = balancers[backends] = cidlb(scene, f"backends-{backends}", "nat", own).start()
            rows[backends] = {"start": memory(lb)}
            load = load_of(lb, backends, fill_rate(settings, sources))
            made = pass_all(load, sources, lambda: answered(lb) >= sources)
            series.wrong += [f"{backends} backends, flows made: {sentence}" for sentence in made["wrong"]]

        def run_step(backends, number):
            lb = balancers[backends]
            load = load_of(lb, backends, settings["rate"] // 2, stride=scattered(sources))
            return measure(lb, load, settings)

        series.compare(run_step)
        for backends, lb in balancers.items():
            series.wrong += [f"{backends} backends: {sentence}" for sentence in identities(lb)]
            rows[backends]["reloads"] = [reload(lb) for _ in range(settings["reloads"])]
            rows[backends]["reloaded"] = memory(lb)
    return series.result(rows)
