"""Two builds in turn: what datagrams cost this build, and how long they take, of what they do with the other one."""

from lib import frame

from .contenders import Cidlb, CidlbTunnel, of_build
from .matrix import around_centre

LIMIT = 1.03  # at most, of the other build's
LABEL, SUFFIX = "other build", ", other build"
WAYS = ("up", "down")


def contenders(programs):
    """Each mode of both builds, side by side."""
    found = []
    for contender in (Cidlb, CidlbTunnel):
        found += [contender, of_build(contender, programs, contender.name + SUFFIX)]
    return found


def settings_of(quick, taking):
    """The centre of the matrix, one datagram at a time and in bursts."""
    return around_centre(quick, [contender.name for contender in taking])


def other_of(name):
    """What a contender is compared with. The other build is compared with nothing."""
    return {LABEL: name if name.endswith(SUFFIX) else name + SUFFIX}


def compared(result):
    """(setting, contender, figure, this build's spread, the other's, that of the ratios) of each figure."""
    rows = {(row["setting"], row["contender"]): row for row in result["summary"]}
    for (setting, name), row in rows.items():
        other = rows.get((setting, name + SUFFIX))
        if other and LABEL in row["over"]:
            yield setting, name, "CPU, ns", row["ns_per_datagram"], other["ns_per_datagram"], row["over"][LABEL]
            for way in WAYS if row["ways"] else ():
                own, its = (one["ways"][way]["p99"] for one in (row, other))
                yield setting, name, f"p99 {way}, us", own["us"], its["us"], own[f"of {LABEL}"]


def cell(spread, form):
    return form.format(spread["median"]) + ("" if spread["clean"] else "!") if spread else ""


def table(result):
    rows = [["", "", "", "this", "other", "ratio", "min..max"]]
    for setting, name, figure, own, its, ratio in compared(result):
        ends = f"{ratio['min']:.3f}..{ratio['max']:.3f}" if ratio else ""
        rows.append([setting, name, figure, cell(own, "{:.1f}"), cell(its, "{:.1f}"), cell(ratio, "{:.3f}"), ends])
    title = "forward: this build, of the other in the same round: medians of both, and of the ratios"
    return f"{title}\n{frame.columns(rows, right=False)}"


def targets(result):
    found = []
    for setting, name, figure, _, _, ratio in compared(result):
        if ratio:
            measured = f"{ratio['median']:.3f} ({ratio['min']:.3f}..{ratio['max']:.3f})"
            what = f"{setting}: {figure.partition(',')[0]} of {name}, of the other build"
            met = frame.verdict(ratio, LIMIT)
            found.append({"what": what, "target": f"≤ {LIMIT}", "measured": measured, "met": met})
    return found
