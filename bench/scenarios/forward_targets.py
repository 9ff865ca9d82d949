"""What the figures of scenario `forward` must be, and its plots."""

import plot
from forward_load import PERCENTILES
from forward_show import middle, order

# At most
NAT_OF_NGINX, NAT_OF_FLOOR, TUNNEL_OF_NGINX, TUNNEL_OF_NGINX_MIXED = 0.60, 1.15, 0.45, 0.60
MOST_AT_MANY_SOURCES, LEAST_RATE = 1.2, 100_000
WIDTH = 900  # of plots, in pixels


def named(result, group, chosen=lambda setting: True):
    """Settings of a group, in order."""
    return sorted((setting for setting in result["settings"]["matrix"] if setting["group"] == group and chosen(setting)), key=order)


def row_of(result, setting, contender):
    return next((row for row in result["summary"] if row["setting"] == setting["name"] and row["contender"] == contender), None)


def target(what, bound, spread):
    """Marked runs prove nothing either way."""
    range_text = f" ({spread['min']:.2f}..{spread['max']:.2f})"
    met = spread["median"] <= bound if spread["clean"] else None
    return {"what": what, "target": f"≤ {bound:.2f}", "measured": middle(spread, "{:.2f}") + range_text, "met": met}


def cost_targets(result):
    found = []
    fast = [*named(result, "rate", lambda setting: setting["rate"] >= LEAST_RATE), *named(result, "burst")]
    wanted = [(setting, "cidlb nat", "nginx", NAT_OF_NGINX) for setting in fast]
    wanted += [(setting, "cidlb nat", "floor", NAT_OF_FLOOR) for setting in fast]
    wanted += [(setting, "cidlb tunnel", "nginx", TUNNEL_OF_NGINX) for setting in fast]
    for setting in named(result, "size"):
        mixed = len(setting["octets"]) > 1
        wanted.append((setting, "cidlb tunnel", "nginx", TUNNEL_OF_NGINX_MIXED if mixed else TUNNEL_OF_NGINX))
    for setting, name, other, bound in wanted:
        row = row_of(result, setting, name)
        if row and row["over"].get(other):
            found.append(target(f"{setting['name']}: CPU of {name}, of {other}", bound, row["over"][other]))
    return found


def latency_targets(result):
    found = []
    for setting in named(result, "rate", lambda setting: setting["rate"] >= LEAST_RATE):
        for name in ("cidlb nat", "cidlb tunnel"):
            row = row_of(result, setting, name)
            for way in ("up", "down") if row else ():
                spread = row["ways"][way]["p99"].get("of nginx")
                if spread:
                    found.append(target(f"{setting['name']}: p99 of {name} {way}, of nginx", 1.0, spread))
    return found


def sources_targets(result):
    """Not measured in the same rounds, so the range is that of the larger one's runs."""
    found = []
    for centre in named(result, "rate", lambda setting: setting["rate"] == LEAST_RATE):
        for many in named(result, "sources", lambda setting: setting["sources"] == 100_000):
            few_row, many_row = row_of(result, centre, "cidlb nat"), row_of(result, many, "cidlb nat")
            if few_row and many_row:
                few, cost = few_row["ns_per_datagram"], many_row["ns_per_datagram"]
                spread = {key: cost[key] / few["median"] for key in ("median", "min", "max")}
                spread["clean"] = few["clean"] and cost["clean"]
                found.append(target("CPU of cidlb nat at 100,000 sources, of that at 1,000", MOST_AT_MANY_SOURCES, spread))
    return found


def targets(result):
    return cost_targets(result) + latency_targets(result) + sources_targets(result)


def cost_plot(result, name, title, settings, groups, caption):
    contenders = dict.fromkeys(row["contender"] for row in result["summary"] if row["ns_per_datagram"])
    rows = {contender: [row_of(result, setting, contender) for setting in settings] for contender in contenders}
    values = {contender: [row and row["ns_per_datagram"] for row in rows[contender]] for contender in contenders}
    return {**plot.bars(name, title, "CPU, ns per datagram", groups, values, caption=caption), "width": WIDTH}


def latency_plot(result, setting):
    rows = [row for row in result["summary"] if row["setting"] == setting["name"]]
    places = [(way, percentile) for way in ("up", "down") for percentile in PERCENTILES]
    values = {row["contender"]: [row["ways"][way][percentile]["us"] for way, percentile in places] for row in rows}
    groups = [f"{way} {percentile}" for way, percentile in places]
    caption = "From the call that sends a datagram to the end of the one that receives it; up: device to server. direct: no balancer."
    title = f"Latency at {setting['name']}"
    scale = "set logscale y\nset yrange [1:*]\n"
    return {**plot.bars("forward-latency", title, "microseconds", groups, values, caption=caption, extra=scale), "width": WIDTH}


def plots(result):
    """Of what was measured: --quick has few settings."""
    found, bars = [], "Bars: medians; lines: smallest and largest. User and kernel time of all that belongs to the balancer."
    centre = named(result, "rate", lambda setting: setting["rate"] == LEAST_RATE)
    rates, bursts = named(result, "rate"), named(result, "burst")
    groups = [f"{setting['rate'] // 1000}k/s" + f" ×{setting['batch']}" * (setting["batch"] > 1) for setting in rates + bursts]
    text = f"1,000 sources in turn, 100 octets; evenly spaced or (×16) in bursts. {bars}"
    found.append(cost_plot(result, "forward-cpu", "CPU per forwarded datagram, by rate", rates + bursts, groups, text))
    for group, axis, label in (("size", "size", size_label), ("sources", "number of sources", sources_label)):
        settings = sorted(named(result, group) + centre, key=order)
        groups = [label(setting) for setting in settings]
        title = f"CPU per forwarded datagram, by {axis}"
        found.append(cost_plot(result, f"forward-{group}", title, settings, groups, f"100,000 datagrams a second, evenly spaced. {bars}"))
    wires = named(result, "wire")
    if any(row_of(result, setting, "cidlb nat") for setting in wires):
        text = f"Between three networks, 100,000 datagrams a second, 16 at a time. {bars}"
        found.append(cost_plot(result, "forward-wire", "CPU per forwarded datagram, over interfaces", wires, [""], text))
    return found + [latency_plot(result, setting) for setting in centre]


def size_label(setting):
    return f"{setting['octets'][0]:,} octets" if len(setting["octets"]) == 1 else "mix"


def sources_label(setting):
    return f"{setting['sources']:,}"
