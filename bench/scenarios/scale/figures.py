"""What scenario `scale` says: its tables, its plots, and how it stands to its targets."""

from lib import frame, plot

from .steps import SERIES_NAMES, run_text


MIB = 1 << 20
MOST_OCTETS, MOST_RATIO, MOST_GROWTH = 256, 1.2, MIB


def mib(octets):
    return f"{octets / MIB:.1f}"


def cost_cells(row):
    cost = row["ns_per_datagram"]
    return [
        *spread_cells(cost, "{:.0f}"),
        *spread_cells(row["over_first"], "{:.2f}"),
        str(cost["values"]),
        str(row["marked"]),
    ]


def spread_cells(spread, form):
    if not spread:
        return ["", ""]
    ends = "{}..{}".format(*(form.format(spread[end]) for end in ("min", "max")))
    return [form.format(spread["median"]) + ("" if spread["clean"] else "!"), ends]


COST = ["ns", "min..max", "of first", "min..max", "runs", "marked"]


def flows_table(series):
    rows = [["flows", "MiB at start", "with them", "octets each", *COST]]
    for row in series["steps"]:
        each = "" if row["octets_per_flow"] is None else f"{row['octets_per_flow']:.0f}"
        rows.append(
            [f"{row['step']:,}", mib(row["start"]["resident"]), mib(row["filled"]["resident"]), each, *cost_cells(row)]
        )
    return frame.columns(rows)


def sources_table(series):
    rows = [["sources", "MiB after", *COST]]
    rows += [[f"{row['step']:,}", mib(row["filled"]["resident"]), *cost_cells(row)] for row in series["steps"]]
    return frame.columns(rows)


def median(reloads, key):
    return frame.spread([one[key] for one in reloads])["median"]


def backends_table(series):
    rows = [["backends", "MiB at start", "reload ms", "of it CPU", *COST]]
    for row in series["steps"]:
        times = [f"{median(row['reloads'], key):.1f}" for key in ("ms", "cpu_ms")]
        rows.append([f"{row['step']:,}", mib(row["start"]["resident"]), *times, *cost_cells(row)])
    return frame.columns(rows)


def table(result):
    settings = result["settings"]
    text = [
        f"scale: {settings['rate'] // 1000} kpps, {settings['octets']} octets;"
        " memory is resident, ns are CPU for each datagram"
    ]
    text += ["\n  mode nat, by flows; devices in a scattered order", flows_table(result["flows"])]
    before = mib(result["sources"]["start"]["resident"])
    text += [f"\n  mode tunnel, by sources; {before} MiB before the first", sources_table(result["sources"])]
    text += [f"\n  mode nat, by backends; {settings['backend_sources']:,} sources", backends_table(result["backends"])]
    runs = [run for name in SERIES_NAMES for run in result[name]["runs"]]
    text += frame.remarks(runs, run_text, result["left_out"])
    return "\n".join(text)


def plots(result):
    series = {name: result[name]["steps"] for name in SERIES_NAMES}
    names = {"cidlb nat": series["flows"], "cidlb tunnel": series["sources"]}
    cost = {name: [(row["step"], row["ns_per_datagram"]) for row in rows] for name, rows in names.items()}
    resident = {name: [(row["step"], row["filled"]["resident"] / MIB) for row in rows] for name, rows in names.items()}
    by_backends = {"cidlb nat": [(row["step"], row["ns_per_datagram"]) for row in series["backends"]]}
    times = {
        "cidlb nat": [(row["step"], frame.spread([one["ms"] for one in row["reloads"]])) for row in series["backends"]]
    }
    keeps = "Mode nat keeps a flow for each device that has spoken, mode tunnel nothing."
    spread = "Median of the rounds, their least and most."
    decades = "set logscale y\nset yrange [1:*]\n"
    return [
        plot.lines("scale-cpu", "CPU for each datagram, by devices", "devices", "ns", cost, spread),
        plot.lines("scale-memory", "Resident memory, by devices", "devices", "MiB", resident, keeps, decades),
        plot.lines("scale-backends", "CPU for each datagram, by servers", "servers", "ns", by_backends, spread),
        plot.lines(
            "scale-reload", "Reload, until the new table is in force", "servers", "ms", times, "Median, least and most."
        ),
    ]


def targets(result):
    flows = {row["step"]: row for row in result["flows"]["steps"]}
    # Of few flows the pages that a process touches by and by are a part.
    octets = max(row["octets_per_flow"] for step, row in flows.items() if step >= min(100_000, max(flows)))
    resident = [row["filled"]["resident"] for row in result["sources"]["steps"]]
    growth = max(resident) - resident[0]
    most = result["sources"]["steps"][-1]["step"]
    found = [
        {
            "what": "memory of a flow",
            "target": f"≤ {MOST_OCTETS} octets",
            "measured": f"{octets:.0f}",
            "met": octets <= MOST_OCTETS,
        },
        {
            "what": f"memory of mode tunnel, after 1,000 sources and after {most:,}",
            "target": "constant, within 1 MiB",
            "measured": f"{growth / 1024:+.0f} KiB",
            "met": growth <= MOST_GROWTH,
        },
    ]
    if 100_000 in flows:
        ratio = flows[100_000]["over_first"]
        measured = f"{ratio['median']:.2f} ({ratio['min']:.2f}..{ratio['max']:.2f})"
        met = ratio["median"] <= MOST_RATIO if ratio["clean"] else None
        what = "CPU for a datagram at 100,000 flows, of that at 1,000"
        found.append({"what": what, "target": f"≤ {MOST_RATIO}", "measured": measured, "met": met})
    return found
