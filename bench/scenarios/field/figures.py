"""What scenario `field` says: its table, its plots, and how it stands to its targets."""

from lib import frame, plot

from .condition_tables import tables

NEAR = 0.02  # of direct
KEYS = ("p50", "p99", "max")
HEAD = [
    [
        "",
        "octets",
        "of direct",
        "min..max",
        "messages",
        "handshakes",
        "sessions",
        "acknow-",
        "kB a",
        "moves",
        "recovered",
        *KEYS,
        "not",
    ],
    ["", "", "", "", "", "a device", "lost", "ledged", "day", "", "at once", "s", "s", "s", "yet"],
]


def of_loss(result, loss):
    return [row for row in result["summary"] if row["loss"] == loss]


def cells(row, notifications_a_day):
    octets, ratio, recovery = row["octets"], row["of_direct"], row.get("recovery_s")
    line = [
        row["contender"],
        f"{octets['median']:.1f}",
        f"{ratio['median']:.3f}",
        f"{ratio['min']:.3f}..{ratio['max']:.3f}",
    ]
    line += [
        f"{row['messages']['median']:.2f}",
        f"{row['handshakes']['median']:.2f}",
        f"{row['lost_sessions']} of {row['devices']}",
    ]
    line += [
        f"{row['acknowledged']['median']:.1%}",
        f"{octets['median'] * notifications_a_day / 1000:,.0f}",
        f"{row['rebinds']:,}",
    ]
    if not recovery:
        return line + [""] * 5
    return line + [f"{row['at_once']:.1%}", *(f"{recovery[key]:.2f}" for key in KEYS), str(row["recovering"] or "")]


def first_text(result):
    """What the first handshake costs, of which the table says nothing."""
    texts = []
    for loss, said in ((result["settings"]["loss"], f"with {result['settings']['loss']} % loss"), (0, "without")):
        row = of_loss(result, loss)[0]
        texts.append(
            f"{row['first_octets']['median']:.0f} octets in {row['first_messages']['median']:.1f} messages {said}"
        )
    return ", ".join(texts)


def table(result):
    settings = result["settings"]
    text = [
        "field: what a battery pays per acknowledged notification, all but the first handshake:"
        " octets with IP and UDP headers, datagrams",
        f"  {settings['devices']} devices, a notification every {settings['interval_s']} s, give or take a quarter,"
        f" a NAT that forgets after {settings['nat_timeout_s']} s, {settings['minutes']} minutes;"
        f" time {settings['time_factor']} times as fast",
    ]
    for loss, seeds in ((settings["loss"], settings["lossy_seeds"]), (0, settings["lossless_seeds"])):
        rows = [cells(row, settings["notifications_a_day"]) for row in of_loss(result, loss)]
        said = f"{loss} % loss each way" if loss else "no loss"
        text += [f"\n  {said}; {len(seeds)} seed{'s' * (len(seeds) > 1)}", frame.columns([*HEAD, *rows])]
    text.append(f"\n  the first handshake, apart: {first_text(result)}")
    text.append(
        f"  kB a day: for {settings['notifications_a_day']:,} acknowledged notifications;"
        " sessions lost: devices whose first ended"
    )
    text += tables(result)
    marked = [run_text(run) for run in result["runs"] + result.get("conditions", []) if run["marks"]]
    text += ["\n  marked runs:", *(f"    {line}" for line in marked)] if marked else []
    text += [f"\n  without {name}: {reason}" for name, reason in result["left_out"].items()]
    return "\n".join(text)


def run_text(run):
    said = run.get("said") or f"{run['loss']} % loss, seed {run['seed']}"
    text = f"field, {said}: {run['contender']} {run['octets']:.1f} octets"
    return text + "".join(f"; {mark}" for mark in run["marks"])


def contenders_down(rows, label):
    """A contender in each row of a plot, the first on top."""
    names = ", ".join(f"{plot.quoted(row['contender'])} {at}" for at, row in enumerate(rows))
    sides = f"set ytics scale 0 ({names})\nset yrange [{len(rows) - 0.4}:-0.6]\nunset grid\nset grid xtics\n"
    return f"{sides}set xlabel {plot.quoted(label)}\nset rmargin 6\n"


def octets_plot(result, loss):
    name, rows = "field-octets", of_loss(result, loss)
    data = ""
    for at, row in enumerate(rows):
        colour = int(plot.colour(row["contender"])[1:], 16)
        data += f"{at} {plot.numbers(row['octets'])} {colour} {row['octets']['median']:.0f}\n"
    script = contenders_down(rows, "octets per notification") + "unset key\nset xrange [0:*]\n"
    script += f"plot '{name}.dat' using (0):1:(0):2:($1-0.36):($1+0.36):5 with boxxyerror linecolor rgb variable, \\\n"
    script += f"  '{name}.dat' using 3:1:($4-$3):(0) with vectors nohead linecolor rgb '#333333', \\\n"
    script += f"  '{name}.dat' using 4:1:6 with labels left offset 0.8,0\n"
    caption = "Octets over the radio per acknowledged notification, both directions, with IP and UDP headers."
    caption += f" Nine in ten notifications come from a new address. {loss} % loss each way."
    caption += " The first handshake of a device is not in it, every later one is."
    title = "What a battery pays per notification"
    return {"name": name, "title": title, "caption": caption, "script": script, "data": {f"{name}.dat": data}}


def recovery_plot(result, loss):
    name, rows = "field-recovery", [row for row in of_loss(result, loss) if row.get("recovery_s")]
    data = ""
    for at, row in enumerate(rows):
        data += " ".join([str(at), *(f"{row['recovery_s'][key]:.6g}" for key in KEYS)]) + "\n"
    points = []
    for column, key, mark, colour in zip((2, 3, 4), KEYS, (7, 9, 5), ("#0072b2", "#e69f00", "#d55e00")):
        points.append(
            f"'{name}.dat' using {column}:1 with points pointtype {mark} linecolor rgb '{colour}' title '{key}'"
        )
    script = contenders_down(rows, "seconds") + "set logscale x\nset xrange [0.001:1000]\nset format x '%g'\n"
    script += "plot " + ", \\\n  ".join(points) + "\n"
    caption = (
        "From the first datagram from a new address until a notification is acknowledged, in the time of the devices;"
    )
    caption += f" {loss} % loss each way. The way itself takes next to nothing here:"
    caption += " what is left are repetitions and new sessions."
    title = "Time to recover after an address change"
    return {"name": name, "title": title, "caption": caption, "script": script, "data": {f"{name}.dat": data}}


def plots(result):
    loss = result["settings"]["loss"]
    return [octets_plot(result, loss), recovery_plot(result, loss)]


def farthest(rows):
    """How far octets are from those of direct, at most, and that in words."""
    row = max(rows, key=lambda row: abs(row["of_direct"]["median"] - 1))
    away = row["of_direct"]["median"] - 1
    return abs(away), f"{away:+.2%} ({row['contender']})"


def targets(result):
    cidlb = [row for row in result["summary"] if row["keeps"] and row["contender"].startswith("cidlb")]
    more, moves = sum(row["extra_handshakes"] for row in cidlb), sum(row["rebinds"] for row in cidlb)
    lossy, said_lossy = farthest([row for row in cidlb if row["loss"]])
    lossless, said_lossless = farthest([row for row in cidlb if not row["loss"]])
    measured = f"at most {said_lossy} with {result['settings']['loss']} % loss, {said_lossless} without"
    return [
        {
            "what": "handshakes, all modes of cidlb",
            "target": "= devices",
            "measured": f"{more} more, in {moves:,} moves",
            "met": more == 0,
        },
        {
            "what": "octets per notification, of direct",
            "target": "within 2 %",
            "measured": measured,
            "met": max(lossy, lossless) <= NEAR,
        },
    ]
