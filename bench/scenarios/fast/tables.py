"""Scenario `fast` for people: its tables."""

from lib import frame

NOT_MEASURED = """
 Not measured here: network cards. There is no driver, no DMA, no interrupt, no cable and one queue. Virtual Ethernet
 wakes a thread for each burst, and at 30 and 60 kpps that is most of what the programs cost: see `empty program`. A
 card's driver takes its time too, with every contender: ratios to routing are better here than on cards, those to
 sockets hardly. Packets a second of a card do not follow from these."""


def run_text(run):
    text = f"fast, {run['setting']}, round {run['round']}: {run['contender']}"
    if "cases" in run:
        text += f", {len(run['cases'])} cases"
    elif run["ns_per_datagram"] is not None:
        text += f" {run['ns_per_datagram']:.0f} ns"
    return text + "".join(f"; {mark}" for mark in run["marks"])


def middle(spread, form):
    return form.format(spread["median"]) + ("" if spread["clean"] else "!") if spread else ""


def ends(spread, form):
    return f"{form.format(spread['min'])}..{form.format(spread['max'])}" if spread else ""


def cells(spread, form):
    return [middle(spread, form), ends(spread, form)]


def row_of(result, setting, contender):
    return next(
        (row for row in result["summary"] if (row["setting"], row["contender"]) == (setting, contender)), None
    )


def settings_of_kind(result, *kinds):
    return [setting for setting in result["settings"]["matrix"] if setting["kind"] in kinds]


def named(result, setting):
    return [row for row in result["summary"] if row["setting"] == setting["name"]]


def cost_table(result, setting):
    head = ["", "ns", "min..max", "nginx needs", "min..max", "of nftables", "of routing"]
    rows = [[*head, "forwarded/s", "CPU busy", "delivered", "marked"]]
    for row in named(result, setting):
        line = [row["contender"], *cells(row["ns_per_datagram"], "{:.0f}"), *cells(row["nginx_over"], "{:.1f}×")]
        line += [middle(row["over"].get(other), "{:.2f}") for other in ("nftables", "routing")]
        line += [middle(row["per_s"], "{:,.0f}"), middle(row["busy"], "{:.0%}"), f"{row['delivery_min']:.1%}"]
        rows.append([*line, str(row["marked"] or "")])
    return f"\n  {setting['name']}\n{frame.columns(rows)}"


def flood_table(result, setting):
    rows = [["", "ns", "min..max", "M/s of one CPU", "came/s", "CPU busy", "marked"]]
    for row in named(result, setting):
        spread = row["ns_per_datagram"]
        line = [row["contender"], *cells(spread, "{:.0f}"), middle(a_second(spread), "{:.2f}")]
        line += [middle(row["per_s"], "{:,.0f}"), middle(row["busy"], "{:.0%}")]
        rows.append([*line, str(row["marked"] or "")])
    return f"\n  {setting['name']}: dropped\n{frame.columns(rows)}"


def a_second(ns):
    """Millions in a second of one CPU, from nanoseconds each."""
    return {"median": 1e3 / ns["median"], "min": 1e3 / ns["max"], "max": 1e3 / ns["min"], "clean": ns["clean"]}


def alone_table(result):
    rows = [["", "sessions", "ns", "min..max", "empty loop", "min..max"]]
    for row in result["alone"]:
        figures = (cell for what in ("ns", "empty_ns") for cell in cells(row[what], "{:.0f}"))
        rows.append([row["case"], f"{row['sessions']:,}", *figures])
    title = "The program alone (BPF_PROG_TEST_RUN), above an empty loop; sessions in random order"
    return f"\n  {title}\n{frame.columns(rows)}"


def table(result):
    shown = result["settings"]
    text = [
        f"fast: CPU per datagram of native frames; {shown['sources']:,} devices, {shown['octets']} octets, in bursts of"
        f" {shown['batch']}; {shown['rounds']} rounds"
    ]
    if result["summary"]:
        text += [cost_table(result, setting) for setting in settings_of_kind(result, "both", "up")]
        text += [flood_table(result, setting) for setting in settings_of_kind(result, "flood")]
        text += [alone_table(result), NOT_MEASURED]
    return "\n".join(text + frame.remarks(result["runs"], run_text, result["left_out"]))
