"""Scenario `forward` for people: its tables."""

from lib import frame
from lib.histogram import PERCENTILES

from . import against
from . import limit as highest

GROUPS = {
    "rate": "one datagram at a time, 1,000 sources, 100 octets",
    "burst": "the same, 16 datagrams at a time",
    "sources": "100 kpps, one datagram at a time, 100 octets",
    "size": "100 kpps, one datagram at a time, 1,000 sources",
    "wire": "100 kpps in bursts of 16, 1,000 sources, 100 octets;"
    " three networks with a pair of virtual Ethernet devices between each two",
}


def run_text(run):
    cost = f" {run['ns_per_datagram']:.0f} ns" if run["ns_per_datagram"] is not None else ""
    text = f"forward, {run['setting']}, round {run['round']}: {run['contender']}{cost}"
    return text + "".join(f"; {mark}" for mark in run["marks"])


def middle(spread, form):
    return form.format(spread["median"]) + ("" if spread["clean"] else "!") if spread else ""


def cells(spread, form):
    return [
        middle(spread, form),
        "{}..{}".format(*(form.format(spread[end]) for end in ("min", "max"))) if spread else "",
    ]


def rows_of(result, setting):
    return [row for row in result["summary"] if row["setting"] == setting["name"]]


def cost_table(result, setting):
    rows = [["", "ns", "min..max", "of nginx", "min..max", "of floor", "min..max", "delivered", "marked"]]
    for row in rows_of(result, setting):
        line = [row["contender"], *cells(row["ns_per_datagram"], "{:.0f}")]
        for other in ("nginx", "floor"):
            line += cells(row["over"].get(other), "{:.2f}")
        rows.append([*line, f"{row['delivery_min']:.2%}", str(row["marked"] or "")])
    title = f"\n  {setting['name']}: {setting['rounds']} rounds of {setting['steady_s']} s"
    return f"{title}\n{frame.columns(rows)}"


def latency_table(result, setting):
    """What datagrams need, and what of it is more than without a balancer where that is known."""
    rows = [["", *(f"{way} {name}" for way in ("up", "down") for name in PERCENTILES)]]
    for kind, form, title in (("us", "{:.1f}", "{}"), ("added", "{:+.1f}", "{}, added")):
        for row in rows_of(result, setting):
            figures = [middle(row["ways"][way][name].get(kind), form) for way in ("up", "down") for name in PERCENTILES]
            rows += [[title.format(row["contender"]), *figures]] if any(figures) else []
    return f"\n  {setting['name']}: latency in microseconds\n{frame.columns(rows)}"


def table(result):
    text = [against.table(result)] if "against" in result else tables(result)
    text += frame.remarks(result["runs"], run_text, result["left_out"])
    return "\n".join(text)


def tables(result):
    matrix = result["settings"]["matrix"]
    text = ["forward: CPU per forwarded datagram, both directions (median, smallest..largest), and latency (medians)"]
    for group, title in GROUPS.items():
        members = sorted((setting for setting in matrix if setting["group"] == group), key=order)
        text += [f"\n {title}"] if members else []
        text += [cost_table(result, setting) for setting in members]
        text += [latency_table(result, setting) for setting in members if setting["batch"] == 1]
    text.append(
        "\n Highest rate without loss, in bursts of 16; 1,000 sources, 100 octets; one attempt each, as information\n"
    )
    return text + [f"  {highest.text(limit)}" for limit in result["limits"]]


def order(setting):
    """Settings of a group: by what is varied in it; the mix after single sizes."""
    return setting["rate"], setting["sources"], len(setting["octets"]), setting["octets"]


def named(result, group, chosen=lambda setting: True):
    """Settings of a group, in order."""
    return sorted(
        (setting for setting in result["settings"]["matrix"] if setting["group"] == group and chosen(setting)),
        key=order,
    )


def row_of(result, setting, contender):
    return next(
        (row for row in result["summary"] if row["setting"] == setting["name"] and row["contender"] == contender), None
    )
