"""What scenario `core` says: its table, its plots, and how it stands to its targets."""

from lib import frame, plot

from . import against


GROUPS = {
    "empty": "what the loops cost that all others are measured in",
    "walk": "the record walk alone",
    "open": "opening a CID, after the walk",
    "lookup": "the tables alone",
    "route": "walk and route(): one at a time, and in batches of 32",
    "garbage": "walk and route() of what is refused, and of good datagrams as large",
    "flow": "mode nat at so many sessions, a datagram of any of them each time",
    "build": "the table of consistent hashing: all of it, and after one backend's weight changed",
}
# Of a decision, in batches as the worker makes it; the worst of those named counts.
LIMITS = [
    ("walk and node-id", ["route/node-id/batch"], 10),
    ("no CID", [f"route/{name}/batch" for name in ("client-hello", "client-hello-v6", "no-cid", "no-cid-v6")], 40),
    (
        "quic-lb, four passes, of every length",
        [f"route/four-pass-{name}/batch" for name in ("2+6", "3+4", "9+9", "15+4")],
        95,
    ),
    ("walk, node-id and flow, 500,000 flows in random order", ["flow/batch-500k"], 250),
]
SIZES = (100, 1400)


YARDSTICK = "SipHash-2-4 of an IPv4 address and port (6 octets)"


def number(ns):
    return f"{ns:.1f}" if ns < 1000 else f"{ns:,.0f}"


def ratio(value):
    """To the yardstick."""
    return f"{value:.3f}" if value < 1000 else f"{value:,.0f}"


def cells(case):
    """The figures of a case. Results may have no yardstick: it came later than they did."""
    mark = "" if case["ns"]["clean"] else "!"
    text = []
    for figure, form in (("ns", number), ("ratio", ratio)):
        spread = case.get(figure)
        text += [form(spread["median"]) + mark, f"{form(spread['min'])}..{form(spread['max'])}"] if spread else ["", ""]
    return text


def heading(result):
    text = "core: ns of CPU time for each datagram, CID, key or table, and ratios to the yardstick of the same round;"
    text += f"\n  medians of {result['settings']['rounds']} rounds: their median, smallest, largest"
    if result.get("yardstick"):
        spread = result["yardstick"]
        text += f"\n  the yardstick, {YARDSTICK}: {spread['median']:.2f} ns, {spread['min']:.2f}..{spread['max']:.2f}"
    return text


def group_table(result, group):
    rows = [["", "ns", "min..max", "of yardstick", "min..max", "octets", "distinct", "batch", "backends", "flows"]]
    for name, case in result["cases"].items():
        if case["group"] == group:
            rows.append([name, *cells(case), *(f"{case[of]:,}" if of in case else "" for of in rows[0][5:])])
    # Without the columns that no case of the group has.
    used = [at for at in range(len(rows[0])) if at == 0 or any(row[at] for row in rows[1:])]
    return frame.columns([[row[at] for at in used] for row in rows])


def table(result):
    text = [heading(result)]
    for group, what in GROUPS.items():
        text += [f"\n  {group}: {what}", group_table(result, group)]
    if "against" in result:
        text.append(against.table(result["against"], number))
    return "\n".join(text)


def run_text(run):
    other = ", the other build" if run.get("build") == "other" else ""
    text = f"core, round {run['round']}: {run['group']}{other}, {len(run['cases'])} cases"
    return text + "".join(f"; {mark}" for mark in run["marks"])


def spread_of(result, name):
    return result["cases"].get(name, {}).get("ns")


def named(result, *names):
    """[case or None for each]."""
    return [spread_of(result, name) for name in names]


def plots(result):
    quic_lb = ["plain-2+6", "single-pass-4+12", "four-pass-3+4", "four-pass-15+4"]
    decisions = ["node-id", *quic_lb, "hash", "client-hello", "client-hello-v6", "mix"]
    garbage = [
        name[len("garbage/") : -len("-100")]
        for name in result["cases"]
        if name.startswith("garbage/") and name.endswith("-100")
    ]
    room = "set offsets graph 0, graph 0, graph 0.6, graph 0\nset key inside top center vertical\n"
    slanted = "set xtics rotate by 35 right\nset bmargin 8\n" + room
    ways = {"cidlb: in batches of 32": "/batch", "one at a time": ""}
    decided = {way: named(result, *(f"route/{name}{suffix}" for name in decisions)) for way, suffix in ways.items()}
    sizes = {"cidlb: 100 octets": 100, "1,400 octets": 1400}
    refused = {text: named(result, *(f"garbage/{name}-{size}" for name in garbage)) for text, size in sizes.items()}
    ns, title = "ns per datagram", "cidlb: refused, and good of the same size"
    return [
        plot.bars("core-route", "cidlb: walk and decision", ns, decisions, decided, "", slanted),
        plot.bars("core-garbage", title, ns, garbage, refused, "tiny: as many records as fit, 16 at most.", slanted),
        flows_plot(result),
        build_plot(result),
    ]


def over(result, parameter, start):
    """[(parameter, spread)] of the cases whose names begin so."""
    return [(case[parameter], case["ns"]) for name, case in result["cases"].items() if name.startswith(start)]


def flows_plot(result):
    ways = {"cidlb: in batches of 32": "flow/batch-", "one at a time": "flow/single-"}
    series = {way: over(result, "flows", start) for way, start in ways.items()}
    caption = "Walk, decision and the flow of a session drawn at random."
    return plot.lines("core-flows", "cidlb: walk, decision and flow", "flows", "ns per datagram", series, caption)


def build_plot(result):
    series = {"cidlb: all of the table": "build/full-", "one backend changed": "build/change-"}
    in_ms = {
        name: [(backends, milliseconds(ns)) for backends, ns in over(result, "backends", start)]
        for name, start in series.items()
    }
    title = "cidlb: table of consistent hashing, 262,144 slots"
    return plot.lines(
        "core-build", title, "backends", "ms of CPU time", in_ms, "", "set logscale y\nset yrange [*:*]\n"
    )


def milliseconds(spread):
    return {key: spread[key] / 1e6 for key in ("median", "min", "max")}


def targets(result):
    found = []
    for what, names, limit in LIMITS:
        worst = max((spread["median"] for spread in named(result, *names) if spread), default=None)
        measured = "" if worst is None else f"{worst:.1f} ns"
        found.append(
            {
                "what": what,
                "target": f"≤ {limit} ns",
                "measured": measured,
                "met": None if worst is None else worst <= limit,
            }
        )
    like = ("good-cid", "good-client-hello", "good-no-cid")
    found.append(
        garbage_target(result, "garbage over the dearest good datagram of its size", (*like, "good-many-records"))
    )
    found.append(garbage_target(result, "garbage over the dearest good one of its size that has one record", like))
    return found + (against.targets(result["against"]) if "against" in result else [])


def garbage_target(result, what, good):
    """The refused datagram that is the dearest by comparison with good ones (names without their size)."""
    worst = (0, "")
    for size in SIZES:
        most = max(spread_of(result, f"garbage/{name}-{size}")["median"] for name in good)
        for name, case in result["cases"].items():
            if name.startswith("garbage/") and "/good-" not in name and case["octets"] == size:
                worst = max(worst, (case["ns"]["median"] / most, name))
    return {"what": what, "target": "≤ 1", "measured": f"{worst[0]:.2f}, {worst[1]}", "met": worst[0] <= 1}
