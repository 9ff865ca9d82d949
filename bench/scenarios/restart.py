"""What is lost while the balancer is reloaded, restarted or killed under load: datagrams, time, sessions.

Two series for each balancer and event: datagrams of cidlb-load, counted each way; and a fleet with real DTLS sessions, half of which begin
after the event, with handshakes under way when it happens.
"""

import signal
import sys
import time

import frame
import plot
from harness import Scene, free_ports, wait_until
from restart_balancers import EVENTS, RELOADS, available, drops_of
from scale_load import BATCH, CID, OCTETS, Load, keys_file, servers_by_address

SERVERS = 3
FULL = {"rate": 100_000, "sources": 1_000, "rounds": 3, "warm_s": 0.4, "after_s": 0.8, "devices": 200, "ramp_ms": 10, "fleet_after_s": 2.5}
QUICK = {**FULL, "rate": 20_000, "sources": 200, "rounds": 1, "warm_s": 0.2, "after_s": 0.3}
QUICK |= {"devices": 20, "ramp_ms": 20, "fleet_after_s": 0.7}
QUICK_EVENTS = ("add", "crash")
TRAFFIC = {"interval_ms": 250, "ack_timeout_ms": 250, "rebind_every": 0.8, "from": "127.0.2.1", "addresses": 250}
SHORT = {"nothing": "nothing", "reload": "reload", "add": "server added", "drain": "server drains", "restart": "restart", "crash": "kill"}
UNPROBED = {"cid": CID, "health": {"probe": "none"}}


def lose_datagrams(kind, event, settings):
    """The event under load: what was sent and did not arrive."""
    with Scene() as scene:
        servers, entries = servers_by_address(SERVERS + 1)
        balancer, port = kind(scene, entries, **UNPROBED), free_ports()
        options = {"sources": settings["sources"], "server_count": SERVERS, "by_address": True}
        if balancer.mode == "tunnel":
            options["tunnel"] = keys_file(scene)
        load = Load(scene, balancer.target, servers, port, settings["rate"] // 2, **options).start()
        time.sleep(settings["warm_s"])
        first, start = frame.Reading(balancer.pids(), load.counters), time.monotonic()
        getattr(balancer, event)()
        seconds = time.monotonic() - start
        back = load.counters()["returned"]
        time.sleep(settings["after_s"])
        # Of other processes than before if these were ended.
        steady = frame.between(first, frame.Reading(balancer.pids(), load.counters)) if event in RELOADS else None
        overflowed = sum(drops_of(int(at.rpartition(":")[2])) or 0 for at in (servers, f":{port}"))
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
        options = {"devices": devices, "ramp_ms": settings["ramp_ms"], "duration": 3600, "max_seconds": most_s, **traffic}
        fleet = scene.fleet(balancer.target, **options)
        time.sleep(ramp_s / 2)
        getattr(balancer, event)()
        time.sleep(ramp_s / 2 + settings["fleet_after_s"])
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report(most_s + 10)
        wrong = balancer.check()
    run = {"report": report, "lost_sessions": devices - report["survived"], "extra_handshakes": report["extra_handshakes"]}
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
            result = {"series": name, "contender": kind.name, "event": event, "round": number + 1, **lose(kind, event, settings)}
            runs[name].append(result)
            print(run_text(result), file=sys.stderr, flush=True)
    wrong = [f"{run_text(run)}: {sentence}" for name in SERIES for run in runs[name] for sentence in run["wrong"]]
    fixed = {"octets": OCTETS, "batch": BATCH, "servers": SERVERS, "events": events, "traffic": TRAFFIC}
    return {"settings": {**fixed, **settings}, "left_out": left_out, **runs, "wrong": wrong}


def run_text(run):
    text = f"restart, {run['contender']}, {EVENTS[run['event']]}, round {run['round']}: "
    if run["series"] == "sessions":
        text += f"{run['lost_sessions']} sessions lost, {run['extra_handshakes']} handshakes more, "
        return text + f"{run['exchanges_lost']} exchanges lost"
    text += f"{run['up']} datagrams lost up, {run['down']} down; silent {run['up_silence_ms']:.1f} and {run['down_silence_ms']:.1f} ms"
    return text + (f"; {run['excused']} of them by this machine" if run["excused"] else "")


def by(result, series, balancer, event, figure):
    """The spread of a figure over the rounds, or None."""
    chosen = [run[figure] for run in result[series] if (run["contender"], run["event"]) == (balancer, event)]
    return frame.spread(chosen)


def names(result):
    return list(dict.fromkeys(run["contender"] for run in result["datagrams"]))


def cell(spread, form="{:.0f}"):
    least, most = form.format(spread["min"]), form.format(spread["max"])
    return form.format(spread["median"]) if least == most else f"{form.format(spread['median'])} ({least}..{most})"


def table(result):
    settings = result["settings"]
    load = f"{settings['rate'] // 1000} kpps of {settings['sources']:,} sources, {settings['octets']} octets"
    text = [f"restart: what an event costs; {load}; {settings['devices']} DTLS devices"]
    for balancer in names(result):
        rows = [["", "lost up", "lost down", "silent up ms", "down ms", "sessions lost", "handshakes more", "exchanges lost"]]
        for event in settings["events"]:
            figures = [cell(by(result, "datagrams", balancer, event, figure)) for figure in ("up", "down")]
            figures += [cell(by(result, "datagrams", balancer, event, figure), "{:.1f}") for figure in ("up_silence_ms", "down_silence_ms")]
            of_sessions = ("lost_sessions", "extra_handshakes", "exchanges_lost")
            figures += [cell(by(result, "sessions", balancer, event, figure)) for figure in of_sessions]
            rows.append([EVENTS[event], *figures])
        stay = "; its DTLS devices stay where they are" if balancer == "nginx" else ""
        text += [f"\n  {balancer}{stay}; datagrams of {settings['rounds']} rounds", frame.columns(rows, "    ")]
    excuses = [run for run in result["datagrams"] if run["excused"]]
    text += ["\n  losses of this machine, whose CPU was wanted by others:"] * bool(excuses) + [f"    {run_text(run)}" for run in excuses]
    text += [f"\n  without {name}: {reason}" for name, reason in result["left_out"].items()]
    return "\n".join(text)


def plots(result):
    events = result["settings"]["events"]
    labels = [SHORT[event] for event in events]

    def bars(name, title, y, series, figures, caption):
        def value(balancer, event):
            spreads = [by(result, series, balancer, event, figure) for figure in figures]
            return {end: sum(spread[end] for spread in spreads) for end in ("median", "min", "max")}

        values = {balancer: [value(balancer, event) for event in events] for balancer in names(result)}
        return {**plot.bars(name, title, y, labels, values, caption), "width": 900}

    both = f"Both ways, at {result['settings']['rate']:,} datagrams a second."
    stay = f"Of {result['settings']['devices']} devices, which move; those of nginx stay where they are."
    return [
        bars("restart-datagrams", "Datagrams lost, by event", "datagrams", "datagrams", ("up", "down"), both),
        bars("restart-silence", "Longest time in which no server got anything", "ms", "datagrams", ("up_silence_ms",), both),
        bars("restart-sessions", "DTLS sessions lost, by event", "sessions", "sessions", ("lost_sessions",), stay),
    ]


def targets(result):
    found = []
    for balancer in (name for name in names(result) if name.startswith("cidlb")):
        events = result["settings"]["events"]
        reloads = [run for run in result["datagrams"] if run["contender"] == balancer and run["event"] in RELOADS[1:]]
        sessions = sum(by(result, "sessions", balancer, event, "lost_sessions")["max"] for event in events)
        lost = sum(max(0, run["up"] + run["down"] - run["excused"]) for run in reloads)
        found += [
            {"what": f"{balancer}: datagrams lost by reloads", "target": "0", "measured": str(lost), "met": lost == 0},
            {"what": f"{balancer}: sessions lost, whatever happens to it", "target": "0", "measured": str(sessions), "met": sessions == 0},
        ]
    return found
