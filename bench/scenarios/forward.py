"""CPU time per forwarded datagram: cidlb, nginx stream and the least that forwarding over sockets costs.

Many devices send a CID record each in turn; three servers echo them. Each datagram so crosses the balancer twice, and the rates count
both directions. A contender is started, warmed up, measured and ended; then comes the next one.
"""

import struct
import sys
import time

import frame
from forward_contenders import CONTENDERS, LeftOut
from harness import BIN, Process, Scene, free_ports, wait_until

SOURCES, OCTETS, BATCH, SERVERS = 1000, 100, 16, 3
COUNTERS = ("sent", "arrived", "elsewhere", "answered", "returned", "misdelivered", "garbled", "refused")
FULL = {"rates": [100_000, 200_000], "rounds": 7, "warm_s": 1.0, "steady_s": 3.5}
QUICK = {"rates": [100_000], "rounds": 2, "warm_s": 0.4, "steady_s": 1.0}


class Load(Process):
    """cidlb-load, whose counters can be read at any time."""

    def __init__(self, scene, target, servers, port, rate, tunnel_keys):
        self.file = scene.dir / "load.counters"
        argv = [BIN / "cidlb-load", "--target", target, "--servers", servers, "--server-count", SERVERS, "--port", port]
        argv += ["--sources", SOURCES, "--octets", OCTETS, "--rate", rate, "--batch", BATCH, "--counters", self.file]
        super().__init__(scene, "load", argv + (["--tunnel", tunnel_keys] if tunnel_keys else []))
        frame.pinned(self, frame.LOAD_CPU)

    def counters(self):
        return dict(zip(COUNTERS, struct.unpack_from(f"={len(COUNTERS)}Q", self.file.read_bytes())))


def measure(contender, rate, settings):
    """One run: the figures of its steady phase, and what became of all datagrams."""
    with Scene() as scene:
        servers = f"127.0.0.1:{free_ports(SERVERS)}"
        balancer = contender(scene, servers, SERVERS)
        load = Load(scene, balancer.target, servers, free_ports(), rate // 2, balancer.tunnel_keys).start()
        load.wait_log("loading")
        wait_until(lambda: load.counters()["returned"] or not load.alive(), 10, "the first datagram comes back")
        time.sleep(settings["warm_s"])
        pids = frame.processes_of(balancer.pid)
        first = frame.Reading(pids, load.counters)
        time.sleep(settings["steady_s"])
        steady = frame.between(first, frame.Reading(pids, load.counters))
        load.stop()
        whole = load.counters()
        wrong = balancer.check(whole)
        balancer.end()
    forwarded = steady["counters"]["arrived"] + steady["counters"]["returned"]
    run = {**steady, "contender": contender.name, "rate": rate, "whole": whole, "wrong": wrong}
    run["forwarded"] = forwarded
    run["ns_per_datagram"] = steady["cpu_ns"] / max(1, forwarded)
    run["achieved"] = steady["counters"]["sent"] / steady["seconds"] / (rate // 2)
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


def run(quick):
    settings = QUICK if quick else FULL
    contenders, left_out = available()
    runs, summary = [], []
    for rate in settings["rates"]:
        rounds = [{} for _ in range(settings["rounds"])]
        for number, contender in frame.in_turn(contenders, settings["rounds"]):
            result = {"round": number + 1, **measure(contender, rate, settings)}
            rounds[number][contender.name] = result
            runs.append(result)
            print(run_text(result), file=sys.stderr, flush=True)
        summary += [summarize(rounds, contender.name, rate) for contender in contenders]
    wrong = [f"{run['contender']}, {run['rate']} a second, round {run['round']}: {sentence}" for run in runs for sentence in run["wrong"]]
    fixed = {"sources": SOURCES, "octets": OCTETS, "batch": BATCH, "servers": SERVERS}
    return {"settings": {**fixed, **settings}, "left_out": left_out, "runs": runs, "summary": summary, "wrong": wrong}


def run_text(run):
    text = f"forward, {run['rate'] // 1000} kpps, round {run['round']}: {run['contender']} {run['ns_per_datagram']:.0f} ns"
    return text + "".join(f"; {mark}" for mark in run["marks"])


def summarize(rounds, name, rate):
    row = {"contender": name, "rate": rate, "ns_per_datagram": frame.spread_of(rounds, name, "ns_per_datagram"), "over": {}}
    for other in ("nginx", "floor"):
        if other in rounds[0] and other != name:
            row["over"][other] = frame.spread_of(rounds, name, "ns_per_datagram", other)
    row["delivery_min"] = min(runs[name]["delivery"] for runs in rounds)
    row["marked"] = sum(bool(runs[name]["marks"]) for runs in rounds)
    return row


def cells(spread, form):
    if not spread:
        return ["", ""]
    return [form.format(spread["median"]) + ("" if spread["clean"] else "!"), "{}..{}".format(*(form.format(spread[end]) for end in ("min", "max")))]


def table(result):
    settings = result["settings"]
    text = [f"forward: CPU per forwarded datagram; {settings['sources']} sources in turn, {settings['octets']} octets, both directions"]
    for rate in settings["rates"]:
        rows = [["", "ns", "min..max", "of nginx", "min..max", "of floor", "min..max", "delivered", "marked"]]
        for row in (row for row in result["summary"] if row["rate"] == rate):
            line = [row["contender"], *cells(row["ns_per_datagram"], "{:.0f}")]
            for other in ("nginx", "floor"):
                line += cells(row["over"].get(other), "{:.2f}")
            rows.append([*line, f"{row['delivery_min']:.2%}", f"{row['marked']} of {settings['rounds']}"])
        text += [f"\n  {rate // 1000:,} kpps, {rate // 2000:,} each way, {settings['rounds']} rounds of {settings['steady_s']} s", frame.columns(rows)]
    marked = [run for run in result["runs"] if run["marks"]]
    if marked:
        text.append("\n  marked runs, left out of the medians where at least half of the rounds are clean (!: they are in):")
        text += [f"    {run_text(run)}" for run in marked]
    text += [f"\n  without {name}: {reason}" for name, reason in result["left_out"].items()]
    return "\n".join(text)
