"""The plots of scenario `fast`."""

from lib import plot

from .tables import a_second, named, row_of, settings_of_kind

NOT_CARDS = "Virtual Ethernet: no driver, no DMA, no interrupt. Bars: medians; lines: smallest and largest."


def by_contender(result, settings, figure):
    contenders = dict.fromkeys(row["contender"] for setting in settings for row in named(result, setting))
    rows = {contender: [row_of(result, setting["name"], contender) for setting in settings] for contender in contenders}
    return {contender: [row and figure(row["ns_per_datagram"]) for row in own] for contender, own in rows.items()}


def plots(result):
    if not result["summary"]:
        return []
    paced = [setting for setting in settings_of_kind(result, "both", "up") if setting["rate"]]
    groups = [setting["name"] for setting in paced]
    cost = plot.bars(
        "fast-cpu", "CPU per datagram, native frames", "CPU, ns per datagram", groups,
        by_contender(result, paced, lambda ns: ns),
        caption=f"In bursts of 16, of what was delivered. {NOT_CARDS}",
    )
    flat_out = [
        setting for kind in ("up", "flood") for setting in settings_of_kind(result, kind) if not setting["rate"]
    ]
    groups = [{"up": "forwarded up", "flood": "no DTLS, dropped"}[setting["kind"]] for setting in flat_out]
    most = plot.bars(
        "fast-most", "Datagrams in a second of one CPU", "millions", groups, by_contender(result, flat_out, a_second),
        caption=f"As many as can be made here. nginx, nftables and routing forward what is no DTLS. {NOT_CARDS}",
    )
    sessions = sorted({row["sessions"] for row in result["alone"]})
    cases = list(dict.fromkeys(row["case"] for row in result["alone"]))
    values = {
        f"{'cidlb: ' * (not at)}{count:,} sessions": [
            next((row["ns"] for row in result["alone"] if (row["case"], row["sessions"]) == (case, count)), None)
            for case in cases
        ]
        for at, count in enumerate(sessions)
    }
    alone = plot.bars(
        "fast-alone", "The program alone, above an empty loop", "ns per datagram", cases, values,
        caption="BPF_PROG_TEST_RUN, sessions in random order. Of interfaces it measures nothing.",
        extra="set xtics rotate by 25 right\nset bmargin 8\n",
    )
    return [{**drawing, "width": 900} for drawing in (cost, most, alone)]
