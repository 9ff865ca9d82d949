"""What the figures of scenario `fast` must be."""

from .tables import a_second, ends, middle, row_of, settings_of_kind

TUNNEL, DSR, LEAST_TIMES_NGINX = "fast tunnel", "fast dsr", 15
MOST_OF = {"nftables": 0.4, "routing": 0.6}
LEAST_DROPPED = 5  # millions in a second of one CPU
MANY, MOST_AT_MANY_NS = 131_072, 120
MOST_ALONE_NS = {"tunnel up": 70, "nat without a table up": 80, "nat without a table down": 80, "dsr": 45}


def target(what, bound, spread, form, least=False):
    """Marked runs prove nothing either way."""
    met = spread["median"] >= bound if least else spread["median"] <= bound
    return {
        "what": what,
        "target": f"{'≥' if least else '≤'} {bound}",
        "measured": f"{middle(spread, form)} ({ends(spread, form)})",
        "met": met if spread["clean"] else None,
    }


def cost_targets(result):
    for setting in settings_of_kind(result, "both"):
        row = row_of(result, setting["name"], TUNNEL)
        if row and row["nginx_over"]:
            what = f"{setting['name']}: CPU of nginx, of {TUNNEL}"
            yield target(what, LEAST_TIMES_NGINX, row["nginx_over"], "{:.1f}", least=True)
        for other, bound in MOST_OF.items() if row else ():
            if other in row["over"]:
                yield target(f"{setting['name']}: CPU of {TUNNEL}, of {other}", bound, row["over"][other], "{:.2f}")


def dsr_targets(result):
    """Upward only."""
    for setting in settings_of_kind(result, "up"):
        row = row_of(result, setting["name"], DSR) if setting["rate"] else None
        if row and row["nginx_over"]:
            what = f"{setting['name']}: CPU of nginx, of {DSR}"
            yield target(what, LEAST_TIMES_NGINX, row["nginx_over"], "{:.1f}", least=True)


def flood_targets(result):
    for setting in settings_of_kind(result, "flood"):
        row = row_of(result, setting["name"], TUNNEL)
        if row and not setting["rate"]:
            dropped = a_second(row["ns_per_datagram"])
            what = "no DTLS, dropped in a second of one CPU, millions"
            yield target(what, LEAST_DROPPED, dropped, "{:.2f}", least=True)


def bound_alone(row):
    """At most so many ns, or None."""
    name = "dsr" if row["case"].startswith("dsr") else row["case"]
    return MOST_AT_MANY_NS if row["sessions"] == MANY and name in MOST_ALONE_NS else MOST_ALONE_NS.get(name)


def alone_targets(result):
    for row in result["alone"]:
        if bound_alone(row):
            what = f"program alone, {row['case']}, {row['sessions']:,} sessions, ns"
            yield target(what, bound_alone(row), row["ns"], "{:.0f}")


def targets(result):
    return [*cost_targets(result), *dsr_targets(result), *flood_targets(result), *alone_targets(result)]
