"""What the rounds of a setting come to: medians with their spread, ratios to others, latency added to no balancer."""

from lib import frame
from lib.histogram import PERCENTILES


OTHERS = {"nginx": "nginx", "floor": "floor"}


def summarize(rounds, name, setting, others=None):
    """One row: of a contender, in a setting. `others`: {what to call it: the contender that it is compared with}."""
    others = others or OTHERS
    row = {"setting": setting["name"], "group": setting["group"], "contender": name, "rate": setting["rate"]}
    row["ns_per_datagram"], row["over"] = None, {}
    if rounds[0][name]["ns_per_datagram"] is not None:
        row["ns_per_datagram"] = frame.spread_of(rounds, name, "ns_per_datagram")
        for label, other in others.items():
            if other in rounds[0] and other != name:
                row["over"][label] = frame.spread_of(rounds, name, "ns_per_datagram", other)
    # In bursts, the load itself looks when the next one is due.
    row["ways"] = ways(rounds, name, others) if setting["batch"] == 1 else None
    row["delivery_min"] = min(runs[name]["delivery"] for runs in rounds)
    row["marked"] = sum(bool(runs[name]["marks"]) for runs in rounds)
    return row


def ways(rounds, name, others):
    """{way: {percentile: {"us": …, "added": over no balancer, "of nginx": …}}}; the latter if those take part."""
    found = {}
    for way in ("up", "down"):
        found[way] = {percentile: latency(rounds, name, way, percentile) for percentile in PERCENTILES}
        for label, other in others.items():
            # The floor is there for its CPU time.
            if other in rounds[0] and other != name and label != "floor" and name != "direct":
                for percentile, figures in found[way].items():
                    ratio = compared(rounds, way, percentile, lambda own, its: own / its, name, other)
                    figures[f"of {label}"] = ratio
    return found


def latency(rounds, name, way, percentile):
    figures = {"us": compared(rounds, way, percentile, lambda own: own, name)}
    if "direct" in rounds[0] and name != "direct":
        figures["added"] = compared(rounds, way, percentile, lambda own, other: own - other, name, "direct")
    return figures


def compared(rounds, way, percentile, compare, *names):
    """A figure made of those of these contenders in the same round; None if nothing arrived in some."""
    chosen, clean = frame.clean_rounds(rounds, *names)
    if not all(runs[name]["ways"][way] for runs in chosen for name in names):
        return None
    figures = [compare(*(runs[name]["ways"][way][percentile] for name in names)) for runs in chosen]
    return {**frame.spread(figures), "clean": clean}
