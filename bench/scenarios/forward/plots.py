"""The plots of scenario `forward`. A quick run has few settings, and so few of them."""

from lib import plot
from lib.histogram import PERCENTILES

from .tables import named, order, row_of
from .targets import LEAST_RATE

WIDTH = 900  # pixels


def cost_plot(result, name, title, settings, groups, caption):
    contenders = dict.fromkeys(row["contender"] for row in result["summary"] if row["ns_per_datagram"])
    rows = {contender: [row_of(result, setting, contender) for setting in settings] for contender in contenders}
    values = {contender: [row and row["ns_per_datagram"] for row in rows[contender]] for contender in contenders}
    return {**plot.bars(name, title, "CPU, ns per datagram", groups, values, caption=caption), "width": WIDTH}


def latency_plot(result, setting):
    rows = [row for row in result["summary"] if row["setting"] == setting["name"]]
    columns = [(way, percentile) for way in ("up", "down") for percentile in PERCENTILES]
    values = {row["contender"]: [row["ways"][way][percentile]["us"] for way, percentile in columns] for row in rows}
    groups = [f"{way} {percentile}" for way, percentile in columns]
    caption = "From the call that sends a datagram to the end of the one that receives it."
    caption += " up: device to server. direct: no balancer."
    title = f"Latency at {setting['name']}"
    scale = "set logscale y\nset yrange [1:*]\n"
    return {
        **plot.bars("forward-latency", title, "microseconds", groups, values, caption=caption, extra=scale),
        "width": WIDTH,
    }


def plots(result):
    if "against" in result:
        return []
    """Of what was measured: --quick has few settings."""
    found, bars = (
        [],
        "Bars: medians; lines: smallest and largest. User and kernel time of all that belongs to the balancer.",
    )
    centre = named(result, "rate", lambda setting: setting["rate"] == LEAST_RATE)
    rates, bursts = named(result, "rate"), named(result, "burst")
    groups = [
        f"{setting['rate'] // 1000}k/s" + f" ×{setting['batch']}" * (setting["batch"] > 1) for setting in rates + bursts
    ]
    text = f"1,000 sources in turn, 100 octets; evenly spaced or (×16) in bursts. {bars}"
    found.append(cost_plot(result, "forward-cpu", "CPU per forwarded datagram, by rate", rates + bursts, groups, text))
    for group, axis, label in (("size", "size", size_label), ("sources", "number of sources", sources_label)):
        settings = sorted(named(result, group) + centre, key=order)
        groups = [label(setting) for setting in settings]
        title = f"CPU per forwarded datagram, by {axis}"
        found.append(
            cost_plot(
                result,
                f"forward-{group}",
                title,
                settings,
                groups,
                f"100,000 datagrams a second, evenly spaced. {bars}",
            )
        )
    wires = named(result, "wire")
    if any(row_of(result, setting, "cidlb nat") for setting in wires):
        text = f"Between three networks, 100,000 datagrams a second, 16 at a time. {bars}"
        found.append(
            cost_plot(result, "forward-wire", "CPU per forwarded datagram, over interfaces", wires, [""], text)
        )
    return found + [latency_plot(result, setting) for setting in centre]


def size_label(setting):
    return f"{setting['octets'][0]:,} octets" if len(setting["octets"]) == 1 else "mix"


def sources_label(setting):
    return f"{setting['sources']:,}"
