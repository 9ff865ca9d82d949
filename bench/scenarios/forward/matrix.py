"""What scenario `forward` varies: one dimension at a time, around 100 kpps of 1,000 sources with 100 octets."""

from lib.wire import Wire

from .topology import Loopback

CENTRE = {"rate": 100_000, "sources": 1000, "octets": [100], "batch": 1, "topology": Loopback}
BALANCERS = ["cidlb nat", "cidlb tunnel", "nginx", "floor"]
BURST = 16

# (octets, of twenty datagrams). DTLS 1.2 adds 38 octets to a CoAP message: 13 of header, 8 of CID, 8 of nonce, 1 of
# type and 8 of tag.
MIX = {
    42: 6,  # an Empty message of 4: acknowledgement, ping, reset
    64: 2,  # 2.04 Changed or a registration update without parameters
    90: 4,  # a notification of one resource
    118: 3,  # a registration update with its parameters, a notification of several
    230: 2,  # SenML, some records
    400: 1,  # SenML, a day of readings
    1084: 2,  # a block of 1,024 (RFC 7959)
}


def spread_out(mix):
    """A sequence in which each size is as far from itself as can be: the same one for all contenders."""
    places = sorted(((at + 0.5) / count, octets) for octets, count in mix.items() for at in range(count))
    return [octets for _, octets in places]


def around_centre(quick, contenders):
    """Of the settings the first two, for other contenders."""
    return [{**setting, "contenders": contenders} for setting in settings_of(quick)[:2]]


def settings_of(quick):
    """The runs to be made. `name` is unique; `group` is the table that a setting belongs to."""
    short, long = {"warm_s": 0.3, "steady_s": 0.7}, {"warm_s": 0.4, "steady_s": 1.2}
    if quick:
        short = long = {"warm_s": 0.2, "steady_s": 0.3}
    with_zero = [*BALANCERS, "direct"]

    def setting(group, name, contenders=BALANCERS, length=short, **changed):
        return {"group": group, "name": name, "contenders": contenders, "rounds": 7, **length, **CENTRE, **changed}

    matrix = [
        setting("rate", "100 kpps", with_zero, long),
        setting("burst", f"100 kpps, bursts of {BURST}", length=long, batch=BURST),
        setting("size", "a mix of sizes", octets=spread_out(MIX)),
        setting(
            "wire",
            "over interfaces",
            ["cidlb nat", "cidlb tunnel", "nginx", "nftables", "floor"],
            batch=BURST,
            topology=Wire,
        ),
        setting("sources", "100,000 sources", sources=100_000),
    ]
    if quick:
        for chosen, rounds in zip(matrix, (2, 1, 1, 1, 0)):
            chosen["rounds"] = rounds
        return [chosen for chosen in matrix if chosen["rounds"]]
    return matrix + [
        setting("rate", "20 kpps", with_zero, rate=20_000),
        setting("rate", "150 kpps", with_zero, rate=150_000),
        setting("rate", "200 kpps", with_zero, long, rate=200_000),
        setting("burst", f"200 kpps, bursts of {BURST}", length=long, rate=200_000, batch=BURST),
        setting("sources", "10 sources", sources=10),
        *(setting("size", f"{octets:,} octets", octets=[octets]) for octets in (60, 300, 1200)),
    ]
