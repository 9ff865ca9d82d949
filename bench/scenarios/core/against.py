"""Two builds in turn: for each case of scenario `core`, what this build needs, of what the other one needs.

Both are measured in the same round, one right after the other. In a ratio `by_yardstick` each build's figure was first
divided by the yardstick beside it, so that a CPU that changes its speed in between does not count. That ratio decides
where both builds measure the yardstick, else the plain one.
"""

from lib import frame

LIMIT = 1.03  # at most, of the other build's
LOOPS = "empty/"  # these cases measure nothing of cidlb


def summarize(rounds):
    """{case: its figures in both builds, and the spread of their ratios over the rounds}, of the cases that both have.

    `rounds`: [{group: {"this": run, "other": run}}].
    """
    summary = {}
    for group in rounds[0]:
        names = [case["case"] for case in rounds[0][group]["this"]["cases"]]
        other_names = {case["case"] for case in rounds[0][group]["other"]["cases"]}
        chosen, clean = frame.clean_rounds([runs[group] for runs in rounds], "this", "other")
        for name in filter(other_names.__contains__, names):
            pairs = [(case_of(runs["this"], name), case_of(runs["other"], name)) for runs in chosen]
            summary[name] = {**compare(pairs), "clean": clean}
    return summary


def case_of(run, name):
    return next(case for case in run["cases"] if case["case"] == name)


def compare(pairs):
    """`pairs`: (this build's figures, the other's) of each round."""
    by_yardstick = None
    if all("ratio" in other for _, other in pairs):
        by_yardstick = frame.spread([this["ratio"] / other["ratio"] for this, other in pairs])
    return {
        "this_ns": frame.spread([this["ns"] for this, _ in pairs])["median"],
        "other_ns": frame.spread([other["ns"] for _, other in pairs])["median"],
        "plain": frame.spread([this["ns"] / other["ns"] for this, other in pairs]),
        "by_yardstick": by_yardstick,
    }


def deciding(case):
    return case["by_yardstick"] or case["plain"]


def counted(summary):
    """The cases that measure something of cidlb."""
    return {name: case for name, case in summary.items() if not name.startswith(LOOPS)}


def cells(spread):
    return [f"{spread['median']:.3f}", f"{spread['min']:.3f}..{spread['max']:.3f}"] if spread else ["", ""]


def table(summary, number):
    """`number`: a figure in nanoseconds as text."""
    rows = [["", "this, ns", "other, ns", "plain", "min..max", "by yardstick", "min..max"]]
    for name, case in summary.items():
        mark = "" if case["clean"] else "!"
        figures = [number(case["this_ns"]), number(case["other_ns"]) + mark]
        rows.append([name, *figures, *cells(case["plain"]), *cells(case["by_yardstick"])])
    medians = [deciding(case)["median"] for case in counted(summary).values()]
    slower, undecided = over(summary)
    text = "\n  this build, of the other in the same round: median of the ratios, smallest, largest"
    verdict = f"\n  all cases: median {frame.spread(medians)['median']:.3f}"
    verdict += f"\n  over {LIMIT}, and dearer in every round: {', '.join(slower) or 'none'}"
    verdict += f"\n  over {LIMIT}, but not in every round: {', '.join(undecided) or 'none'}"
    return f"{text}\n{frame.columns(rows)}\n{verdict}"


def over(summary):
    """The cases whose median is over the limit: those that surely are dearer, and those that cannot be told."""
    beyond = {name: case for name, case in counted(summary).items() if deciding(case)["median"] > LIMIT}
    slower = [name for name, case in beyond.items() if verdict(case) is False]
    return slower, [name for name in beyond if name not in slower]


def verdict(case):
    return frame.verdict({**deciding(case), "clean": case["clean"]}, LIMIT)


def targets(summary):
    """Of the case that has become the dearest, or the dearest of those that surely have."""
    slower, undecided = over(summary)
    names = slower or undecided or list(counted(summary))
    name = max(names, key=lambda name: deciding(summary[name])["median"])
    spread = deciding(summary[name])
    measured = f"{spread['median']:.3f} ({spread['min']:.3f}..{spread['max']:.3f}), {name}"
    what = "the case that is dearest by comparison, of the other build"
    return [{"what": what, "target": f"≤ {LIMIT}", "measured": measured, "met": verdict(summary[name])}]
