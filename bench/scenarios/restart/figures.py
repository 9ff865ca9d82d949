"""What scenario `restart` says: its tables, its plots, and how it stands to its targets."""

from lib import frame, plot

from .balancers import EVENTS, RELOADS


SHORT = {
    "nothing": "nothing",
    "reload": "reload",
    "add": "server added",
    "drain": "server drains",
    "restart": "restart",
    "crash": "kill",
}


def run_text(run):
    text = f"restart, {run['contender']}, {EVENTS[run['event']]}, round {run['round']}: "
    if run["series"] == "sessions":
        text += f"{run['lost_sessions']} sessions lost, {run['extra_handshakes']} handshakes more, "
        return text + f"{run['exchanges_lost']} exchanges lost"
    text += f"{run['up']} datagrams lost up, {run['down']} down;"
    text += f" silent {run['up_silence_ms']:.1f} and {run['down_silence_ms']:.1f} ms"
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
        rows = [
            [
                "",
                "lost up",
                "lost down",
                "silent up ms",
                "down ms",
                "sessions lost",
                "handshakes more",
                "exchanges lost",
            ]
        ]
        for event in settings["events"]:
            figures = [cell(by(result, "datagrams", balancer, event, figure)) for figure in ("up", "down")]
            figures += [
                cell(by(result, "datagrams", balancer, event, figure), "{:.1f}")
                for figure in ("up_silence_ms", "down_silence_ms")
            ]
            of_sessions = ("lost_sessions", "extra_handshakes", "exchanges_lost")
            figures += [cell(by(result, "sessions", balancer, event, figure)) for figure in of_sessions]
            rows.append([EVENTS[event], *figures])
        stay = "; its DTLS devices stay where they are" if balancer == "nginx" else ""
        text += [f"\n  {balancer}{stay}; datagrams of {settings['rounds']} rounds", frame.columns(rows, "    ")]
    excuses = [run for run in result["datagrams"] if run["excused"]]
    text += ["\n  losses of this machine, whose CPU was wanted by others:"] * bool(excuses) + [
        f"    {run_text(run)}" for run in excuses
    ]
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
        bars(
            "restart-silence",
            "Longest time in which no server got anything",
            "ms",
            "datagrams",
            ("up_silence_ms",),
            both,
        ),
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
            {
                "what": f"{balancer}: sessions lost, whatever happens to it",
                "target": "0",
                "measured": str(sessions),
                "met": sessions == 0,
            },
        ]
    return found
