"""What is lost while the balancer is reloaded, restarted or killed under load: datagrams, time, sessions.

There are two series for each balancer and event. In the first, datagrams of cidlb-load are counted each way. In the
second, a fleet has real DTLS sessions. Half of them begin after the event, and handshakes are under way when it
happens.
"""

import signal
import sys
import time

from harness import Scene, free_ports
from lib import frame
from lib.load import BATCH, CID, OCTETS, Load, keys_file, servers_by_address
from lib.sockets import drops_of, port_of

from .balancers import EVENTS, RELOADS, available
from .figures import plots, run_text, table, targets

__all__ = ["plots", "run", "run_text", "table", "targets"]

SERVERS = 3
FULL = {
    "rate": 100_000,
    "sources": 1_000,
    "rounds": 3,
    "warm_s": 0.4,
    "after_s": 0.8,
    "devices": 200,
    "ramp_ms": 10,
    "fleet_after_s": 2.5,
}
QUICK = {**FULL, "rate": 20_000, "sources": 200, "rounds": 1, "warm_s": 0.2, "after_s": 0.3}
QUICK |= {"devices": 20, "ramp_ms": 20, "fleet_after_s": 0.7}
QUICK_EVENTS = ("add", "crash")
TRAFFIC = {"interval_ms": 250, "ack_timeout_ms": 250, "rebind_every": 0.8, "from": "127.0.2.1", "addresses": 250}
UNPROBED = {"cid": CID, "health": {"probe": "none"}}


def lose_datagrams(kind, event, settings):
    """The event under load: what was sent and did not arrive."""
    with Scene() as scene:
        servers, entries = servers_by_address(SERVERS + 1)
        balancer, port = kind(scene, entries, **UNPROBED), free_ports()
        options = {"sources": settings["sources"], "server_count": SERVERS, "by_address": True}
        options |= {"target": balancer.target, "port": port}
        if balancer.mode == "tunnel":
            options["tunnel"] = keys_file(scene)
        load = Load(scene, servers, settings["rate"] // 2, **options).start()
        time.sleep(settings["warm_s"])
        first, start = frame.Reading(balancer.pids(), load.counters), time.monotonic()
        getattr(balancer, event)()
        seconds = time.monotonic() - start
        back = load.counters()["returned"]
        time.sleep(settings["after_s"])
        # Of other processes than before if these were ended.
        steady = frame.between(first, frame.Reading(balancer.pids(), load.counters)) if event in RELOADS else None
        overflowed = sum(drops_of(of) or 0 for of in (port_of(servers), port))
        load.stop()
        counters, dropped = load.counters(), balancer.dropped()
        wrong = (balancer.check() + load.wrong()) if "cidlb" in kind.name else []
    run = {"seconds": seconds, "whole": counters, "up": counters["sent"] - counters["arrived"]}
    run |= {"down": counters["answered"] - counters["returned"], "overflowed": overflowed, "dropped": dropped}
    run |= {f"{way}_silence_ms": counters[f"{way}_silence_ns"] / 1e6 for way in ("up", "down")}
    run["waiting"] = steady["waiting"] if steady else None
    run["excused"] = excused(run)
    if counters["returned"] == back:
        wrong.append("nothing came back after the event")
    return {**run, "wrong": wrong + lost_wrongly(kind, event, run)}


def excused(run):
    """What this machine lost, not the balancer: in the load's own sockets, or while others had the balancer's CPU."""
    return run["overflowed"] + (run["dropped"] if (run["waiting"] or 0) > frame.MOST_WAITING else 0)


def lost_wrongly(kind, event, run):
    """A reload may lose nothing."""
    lost = run["up"] + run["down"]
    if "cidlb" not in kind.name or event not in RELOADS or lost <= run["excused"]:
        return []
    return [f"{lost} datagrams lost, {run['excused']} of them by this machine"]


def lose_sessions(kind, event, settings):
    """The event under a fleet that joins, speaks and moves: what became of its sessions."""
    traffic = {name: value for name, value in TRAFFIC.items() if not kind.stay or name != "rebind_every"}
    with Scene() as scene:
        options = ["--tunnel", keys_file(scene)] if kind.mode == "tunnel" else []
        backends = [scene.backend(number, options=options) for number in range(1, SERVERS + 2)]
        for backend in backends:
            backend.wait_log("server")
        cid, health = {"scheme": "node-id", "length": 6}, {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
        balancer = kind(scene, [backend.entry() for backend in backends], cid=cid, health=health)
        devices, ramp_s = settings["devices"], settings["devices"] * settings["ramp_ms"] / 1000
        # One that has lost its session repeats its last words for long.
        most_s = int(ramp_s + settings["fleet_after_s"]) + (6 if kind.stay else 60)
        options = {
            "devices": devices,
            "ramp_ms": settings["ramp_ms"],
            "duration": 3600,
            "max_seconds": most_s,
            **traffic,
        }
        fleet = scene.fleet(balancer.target, **options)
        time.sleep(ramp_s / 2)
        getattr(balancer, event)()
        time.sleep(ramp_s / 2 + settings["fleet_after_s"])
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report(most_s + 10)
        wrong = balancer.check()
    run = {
        "report": report,
        "lost_sessions": devices - report["survived"],
        "extra_handshakes": report["extra_handshakes"],
    }
    if "cidlb" in kind.name and (run["lost_sessions"] or run["extra_handshakes"]):
        wrong.append(f"{run['lost_sessions']} of {devices} sessions lost, {run['extra_handshakes']} handshakes more")
    return {**run, "exchanges_lost": report["exchanges_lost"], "wrong": wrong}


SERIES = {"datagrams": lose_datagrams, "sessions": lose_sessions}


def run(quick):
    settings = QUICK if quick else FULL
    balancers, left_out = available()
    events = [event for event in EVENTS if not quick or event in QUICK_EVENTS]
    runs = {name: [] for name in SERIES}
    for name, lose in SERIES.items():
        rounds = settings["rounds"] if name == "datagrams" else 1
        pairs = [(kind, event) for event in events for kind in balancers]
        for number, (kind, event) in frame.in_turn(pairs, rounds):
            result = {
                "series": name,
                "contender": kind.name,
                "event": event,
                "round": number + 1,
                **lose(kind, event, settings),
            }
            runs[name].append(result)
            print(run_text(result), file=sys.stderr, flush=True)
    wrong = [f"{run_text(run)}: {sentence}" for name in SERIES for run in runs[name] for sentence in run["wrong"]]
    fixed = {"octets": OCTETS, "batch": BATCH, "servers": SERVERS, "events": events, "traffic": TRAFFIC}
    return {"settings": {**fixed, **settings}, "left_out": left_out, **runs, "wrong": wrong}
