"""What the rounds of a setting come to: medians with their spread, and ratios to others of the same round."""

from lib import frame

FIGURES = ("ns_per_datagram", "per_s", "busy")
OTHERS = ("nginx", "nftables", "routing")


def summarize(rounds, name, setting):
    """One row: of a contender in a setting. `over`: its CPU, of others'; `nginx_over`: that of nginx, of its own."""
    row = {"setting": setting["name"], "kind": setting["kind"], "contender": name}
    row |= {figure: frame.spread_of(rounds, name, figure) for figure in FIGURES}
    there = [other for other in OTHERS if other in rounds[0] and other != name]
    row["over"] = {other: frame.spread_of(rounds, name, "ns_per_datagram", other) for other in there}
    row["nginx_over"] = frame.spread_of(rounds, "nginx", "ns_per_datagram", name) if "nginx" in there else None
    row["delivery_min"] = min(runs[name]["delivery"] for runs in rounds)
    row["marked"] = sum(bool(runs[name]["marks"]) for runs in rounds)
    return row
