"""What the figures of scenario `forward` must be."""

from . import against
from .tables import middle, named, row_of

# At most
NAT_OF_NGINX, NAT_OF_FLOOR, TUNNEL_OF_NGINX, TUNNEL_OF_NGINX_MIXED = 0.60, 1.15, 0.45, 0.60
MOST_AT_MANY_SOURCES, LEAST_RATE = 1.2, 100_000


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
                found.append(
                    target("CPU of cidlb nat at 100,000 sources, of that at 1,000", MOST_AT_MANY_SOURCES, spread)
                )
    return found


def targets(result):
    if "against" in result:
        return against.targets(result)
    return cost_targets(result) + latency_targets(result) + sources_targets(result)
