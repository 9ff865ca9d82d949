"""What the rounds of a setting come to: medians with their spread, ratios to others, latency added to no balancer."""

from lib import frame
from lib.histogram import PERCENTILES


def summarize(rounds, name, setting):
    """One row: of a contender, in a setting."""
    row = {"setting": setting["name"], "group": setting["group"], "contender": name, "rate": setting["rate"]}
    row["ns_per_datagram"], row["over"] = None, {}
    if rounds[0][name]["ns_per_datagram"] is not None:
        row["ns_per_datagram"] = frame.spread_of(rounds, name, "ns_per_datagram")
        for other in ("nginx", "floor"):
            if other in rounds[0] and other != name:
                row["over"][other] = frame.spread_of(rounds, name, "ns_per_datagram", other)
    # In bursts, the load itself looks when the next one is due.
    row["ways"] = ways(rounds, name) if setting["batch"] == 1 else None
    row["delivery_min"] = min(runs[name]["delivery"] for runs in rounds)
    row["marked"] = sum(bool(runs[name]["marks"]) for runs in rounds)
    return row


def ways(rounds, name):
    """{way: {percentile: {"us": …, "added": over no balancer, "of nginx": …}}}; the latter if those take part."""
    return {
        way: {percentile: latency(rounds, name, way, percentile) for percentile in PERCENTILES}
        for way in ("up", "down")
    }


def latency(rounds, name, way, percentile):
    figures = {"us": compared(rounds, way, percentile, lambda own: own, name)}
    if "direct" in rounds[0] and name != "direct":
        figures["added"] = compared(rounds, way, percentile, lambda own, other: own - other, name, "direct")
    if "nginx" in rounds[0] and name not in ("direct", "nginx"):
        figures["of nginx"] = compared(rounds, way, percentile, lambda own, other: own / other, name, "nginx")
    return figures


def compared(rounds, way, percentile, compare, *names):
    """A figure made of those of these contenders in the same round; None if nothing arrived in some."""
    chosen, clean = frame.clean_rounds(rounds, *names)
    if not all(runs[name]["ways"][way] for runs in chosen for name in names):
        return None
    figures = [compare(*(runs[name]["ways"][way][percentile] for name in names)) for runs in chosen]
    return {**frame.spread(figures), "clean": clean}
