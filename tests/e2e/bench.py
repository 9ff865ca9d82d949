#!/usr/bin/env python3
"""The bench suite works: every scenario gives figures and a report of them, and no datagram goes astray.

How fast anything is, is not tested.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

from fast import needs_bpf
from harness import BIN, Scene, Skip, main, release_only

BENCH = Path(__file__).parents[2] / "bench"
RUN = BENCH / "run"
sys.path.append(str(BENCH))
from lib import plot  # noqa: E402
from scenarios.core import figures as scenario_core  # noqa: E402


def bench_run(*options):
    return subprocess.run(
        [RUN, *options], env={**os.environ, "CIDLB_BIN": str(BIN)}, capture_output=True, text=True, timeout=240
    )


def quick(name, *options):
    """What `bench/run --quick` measures of a scenario, and what it prints, after a look at its report."""
    if os.geteuid() != 0:
        raise Skip("needs root, for a network of its own")
    with Scene() as scene:
        directory = scene.dir / "report"
        done = bench_run("--quick", *options, "--report", directory, name)
        assert done.returncode == 0, done.stdout + done.stderr
        results = read_results(directory)
        check_report(directory, results)
        command = shlex.join(map(str, ["bench/run", "--quick", *options, name]))
        assert results["command"] == command and results["quick"], results["command"]
        for what in ("cpu", "kernel", "build"):
            assert results["machine"][what], what
        assert results["machine"]["versions"]["cidlb"] and results["machine"]["own_network"]
        assert not results["scenarios"][name]["wrong"], results["scenarios"][name]["wrong"]
    return results["scenarios"][name], done.stdout


def read_results(directory):
    def refuse(constant):
        raise AssertionError(f"{constant} in results.json")

    return json.loads((directory / "results.json").read_text(), parse_constant=refuse)


def check_report(directory, results):
    """The page holds every table and shows every plot that there is; none of them shows what is no number."""
    page = (directory / "report.md").read_text()
    assert not re.search(r"\b(nan|inf|None|undefined)\b", page), page
    for name in results["scenarios"]:
        assert f"\n## {name}\n" in page, page
    titles = {file: title for title, file in re.findall(r"^!\[(.+)\]\(([^)]+)\)$", page, re.MULTILINE)}
    assert {file.name for file in directory.glob("*.svg")} == set(titles), page
    named = ""
    for file in map(directory.joinpath, titles):
        assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG"), file
        words = check_drawing(file)
        assert titles[file.name] in words, (file, words)
        named += words
    contenders = set(re.findall(r'"contender": "([^"]+)"', json.dumps(results)))
    assert not titles or not contenders or any(contender in named for contender in contenders), named


def check_drawing(file):
    """The words in it."""
    text = file.read_text()
    assert not re.search(r"\b(nan|inf|undefined)\b", text, re.IGNORECASE), file
    return " ".join(xml.etree.ElementTree.fromstring(text).itertext())


MACHINE = {
    **{
        what: "some"
        for what in ("time", "machine", "cpu", "hypervisor", "kernel", "clock", "governor", "commit", "build")
    },
    **{
        "cpus": 2,
        "caches": {},
        "memory_mib": 1024,
        "mitigations": {},
        "sysctls": {},
        "versions": {},
        "load_average": [0, 0, 0],
    },
    **{"steal_since_boot": 0, "changed": False, "other_build": False, "one_cpu": False, "own_network": True},
}
RESULTS = {
    "command": "bench/run",
    "quick": False,
    "machine": MACHINE,
    "took_s": {"forward": 1.5},
    "scenarios": {"of_later": {}},
}


def case_report():
    with Scene() as scene:
        read, directory = scene.dir / "read.json", scene.dir / "report"
        read.write_text(json.dumps({**RESULTS, "failed": {"forward": "OSError: so it was"}}))
        done = bench_run("--from", read, "--report", directory)
        assert done.returncode == 1, done.stdout + done.stderr
        page = (directory / "report.md").read_text()
        for sentence in ("forward failed: OSError: so it was", "of_later: no such scenario here"):
            assert f"wrong: {sentence}" in done.stdout and f"- {sentence}\n" in page, done.stdout + page
        assert read_results(directory) == json.loads(read.read_text())


@release_only
def case_a_scenario_anew():
    """The others stay what they were, and say when that was, and on which machine."""
    of_later = "some, commit some, some, load 0.00 0.00 0.00"
    if os.geteuid() != 0:
        raise Skip("needs root, for a network of its own")
    with Scene() as scene:
        read, directory = scene.dir / "read.json", scene.dir / "report"
        read.write_text(json.dumps({**RESULTS, "failed": {"churn": "OSError: so it was"}}))
        done = bench_run("--quick", "--from", read, "--json", read, "--report", directory, "churn")
        results = read_results(directory)
        assert results == json.loads(read.read_text())
        assert set(results["scenarios"]) == {"of_later", "churn"} and results["failed"] == {}, done.stdout + done.stderr
        assert results["measured"]["of_later"] == of_later != results["measured"]["churn"], results["measured"]
        assert results["command"] == "bench/run\n    bench/run --quick churn" and results["quick"], results["command"]
        page = (directory / "report.md").read_text()
        assert "\n## churn\n" in page and "Measured at" not in page, page


def case_plots():
    if not plot.available():
        raise Skip("needs gnuplot")
    spread = {"median": 20, "min": 10, "max": 40}
    values = {"cidlb nat": [spread, 5, None], "it's {_^&}": [None, 0, 7.5], "nobody": [None, None, None]}
    bars = plot.bars("bars", "Bars, 100 % of_it", "ns", ["10", "20_kpps", "more"], values)
    lines = plot.lines(
        "lines", "Lines", "devices", "ns", {name: [*zip((10, 1000, 1_000_000), row)] for name, row in values.items()}
    )
    with Scene() as scene:
        for drawing in (bars, lines):
            complaint = plot.draw(drawing, scene.dir)
            assert not complaint, complaint
            words = check_drawing(scene.dir / f"{drawing['name']}.svg")
            for text in (drawing["title"], "cidlb nat", "it's {_^&}"):
                assert text in words, (text, words)
            assert "nobody" not in words, words
        zeros = {"cidlb nat": [0, {"median": 0, "min": 0, "max": 0}, None]}
        for drawing in (
            plot.bars("no-bars", "Nothing lost", "sessions", ["10", "20", "30"], zeros),
            plot.lines(
                "no-lines",
                "Nothing lost",
                "devices",
                "sessions",
                {"cidlb nat": [*zip((10, 1000, 100_000), zeros["cidlb nat"])]},
            ),
        ):
            complaint = plot.draw(drawing, scene.dir)
            assert not complaint, complaint
            assert "cidlb nat" in check_drawing(scene.dir / f"{drawing['name']}.svg")
        assert not plot.draw(plot.bars("empty", "Nothing", "ns", ["10"], {"nobody": [None]}), scene.dir)
        assert not (scene.dir / "empty.svg").exists()
        broken = plot.draw({**bars, "name": "broken", "script": "plot nothing of the kind\n"}, scene.dir)
        assert broken and not (scene.dir / "broken.svg").exists(), broken


@release_only  # what it measures is not what runs there
def case_core():
    core, printed = quick("core")
    groups = {run["group"] for run in core["runs"]}
    for name, case in core["cases"].items():
        ns = case["ns"]
        assert 0 < ns["min"] <= ns["median"] <= ns["max"] and ns["values"] <= core["settings"]["rounds"], (name, case)
        assert name.startswith(f"{case['group']}/") and f"\n  {name} " in printed, name
        assert case["group"] in ("lookup", "build") or case["octets"] >= 98, (name, case)
        assert case["group"] != "flow" or case["flows"] == case["distinct"], (name, case)
    assert {case["group"] for case in core["cases"].values()} == groups == set(scenario_core.GROUPS), groups


@release_only
def case_core_ratios():
    """Each figure is told as a ratio to the yardstick of the same round too, which is what the two come to."""
    core, printed = quick("core")
    assert "of yardstick" in printed and f"{core['yardstick']['median']:.2f} ns" in printed, printed
    for run in core["runs"]:
        for case in run["cases"]:
            assert 0 < case["yardstick_min"] <= case["yardstick"] <= case["yardstick_max"], case
            # A median of ratios lies between the smallest and the largest that there can be; 1e-3 is for the rounding.
            least, most = case["min"] / case["yardstick_max"], case["max"] / case["yardstick_min"]
            assert least * (1 - 1e-3) <= case["ratio"] <= most * (1 + 1e-3), case
            exact = case["ns"] / case["yardstick"]
            assert case["repetitions"] > 1 or abs(case["ratio"] / exact - 1) < 1e-3, case
    of_runs = {case["case"]: case["ratio"] for run in core["runs"] for case in run["cases"]}
    for name, case in core["cases"].items():
        assert case["ratio"]["min"] <= case["ratio"]["median"] <= case["ratio"]["max"], (name, case)
        assert case["ratio"]["median"] == of_runs[name], (name, case)  # there is one round
        line = re.search(rf"^  {re.escape(name)} .*$", printed, re.MULTILINE)[0]
        assert f" {scenario_core.ratio(of_runs[name])}" in line.replace("!", ""), line


@release_only
def case_core_against():
    """A build against itself: each case has the ratio of its two figures, and so has the page."""
    core, printed = quick("core", "--against", BIN)
    runs = {(run["build"], case["case"]): case for run in core["runs"] for case in run["cases"]}
    assert set(core["against"]) == set(core["cases"]), core["against"].keys()
    for name, compared in core["against"].items():
        this, other = runs["this", name], runs["other", name]
        for figure, spread in (("ns", compared["plain"]), ("ratio", compared["by_yardstick"])):
            assert spread["median"] == spread["min"] == spread["max"] == this[figure] / other[figure], (name, compared)
        lines = re.findall(rf"^  {re.escape(name)} .*$", printed, re.MULTILINE)
        assert f" {compared['by_yardstick']['median']:.3f} " in lines[1], lines
    assert "this build, of the other in the same round" in printed and "≤ 1.03" in printed, printed


def case_against_refused():
    for options, sentence in (
        (("--against", BIN), "--against is for scenarios that compare builds"),
        (("--against", BIN, "churn"), "--against is for scenarios that compare builds"),
        (("--against", BENCH, "core"), "--against: no program cidlb in"),
    ):
        done = bench_run(*options)
        assert done.returncode == 2 and sentence in done.stderr, done.stderr


@release_only
def case_forward():
    forward, printed = quick("forward")
    settings = {setting["name"]: setting for setting in forward["settings"]["matrix"]}
    for name, setting in settings.items():
        if name in forward["left_out"]:
            continue
        taking = {row["contender"] for row in forward["summary"] if row["setting"] == name}
        out = {left_out.partition(",")[0] for left_out in forward["left_out"]}
        assert taking <= set(setting["contenders"]) <= taking | out, (name, taking, out)
        assert taking >= {"cidlb nat", "floor"}, (name, taking)
        assert f"\n  {name}: " in printed, printed
    for run in forward["runs"]:
        whole = run["whole"]
        assert whole["returned"] <= whole["answered"] <= whole["arrived"] <= whole["sent"], run
        assert whole["returned"] >= settings[run["setting"]]["sources"], run
        assert run["cpu_ns"] > 0 or run["contender"] == "direct", run
        assert whole["misdelivered"] == whole["garbled"] == 0, run
        assert whole["elsewhere"] == 0 or run["contender"] in ("nginx", "nftables"), run
    for row in forward["summary"]:
        assert row["contender"] == "direct" or row["ns_per_datagram"]["min"] > 0, row
        assert row["contender"] in ("direct", "floor") or row["over"]["floor"], row
        for way in row["ways"] or ():
            up_to = [row["ways"][way][percentile]["us"] for percentile in ("p50", "p99", "p99.9")]
            # A machine that is busy otherwise may have let nothing through while it was measured.
            assert None in up_to or 0 < up_to[0]["median"] <= up_to[1]["median"] <= up_to[2]["median"], row


@release_only
def case_forward_against():
    """A build against itself: every mode takes part twice, and each figure has its ratio in the page."""
    forward, printed = quick("forward", "--against", BIN)
    modes = {"cidlb nat", "cidlb tunnel"}
    assert {run["contender"] for run in forward["runs"]} == modes | {f"{name}, other build" for name in modes}
    runs = {(run["setting"], run["round"], run["contender"]): run["ns_per_datagram"] for run in forward["runs"]}
    for row in forward["summary"]:
        if row["contender"] in modes:
            assert row["over"]["other build"]["min"] > 0, row
            both = {
                number: ns
                for (setting, number, name), ns in runs.items()
                if (setting, name) == (row["setting"], row["contender"])
            }
            ratios = [
                ns / runs[row["setting"], number, f"{row['contender']}, other build"] for number, ns in both.items()
            ]
            spread = row["over"]["other build"]
            assert min(ratios) <= spread["min"] <= spread["median"] <= spread["max"] <= max(ratios), (row, ratios)
            assert not row["ways"] or row["ways"]["up"]["p99"]["of other build"], row
    for text in ("p99 up, us", "p99 down, us", "CPU, ns", "this build, of the other in the same round", "≤ 1.03"):
        assert text in printed, printed


@release_only
def case_fast():
    """Frames go where their CIDs say, by the program and not by the sockets, and each ratio is of the same round."""
    needs_bpf()
    fast, printed = quick("fast")
    why = fast["left_out"].get("all contenders", "")
    if why.startswith("the kernel's threads"):  # in a namespace of processes
        raise Skip(why)
    assert not set(fast["left_out"]) - {"nginx", "nftables"}, fast["left_out"]
    settings = {setting["name"]: setting for setting in fast["settings"]["matrix"]}
    runs = {(run["setting"], run["contender"]): run for run in fast["runs"]}
    for run in (run for run in fast["runs"] if "cases" not in run):
        whole, setting = run["whole"], settings[run["setting"]]
        assert run["cpu_ns"] > 0 and run["datagrams"] > 0 and f"\n  {setting['name']}" in printed, run
        assert whole["returned"] <= whole["arrived"] <= whole["sent"] and whole["unread"] == 0, run
        assert (whole["arrived"] > 0) != setting["garbage"] and (whole["returned"] > 0) != setting["one_way"], run
        if run["contender"] == "fast dsr":  # where a frame is does not tell to which server it was sent
            assert whole["misdelivered"] == 0, run
        elif run["contender"].startswith(("fast", "cidlb")):
            assert whole["elsewhere"] == whole["misdelivered"] == 0, run
        elif run["contender"] == "routing":  # to one server of three
            assert whole["arrived"] / 2 < whole["elsewhere"] < whole["arrived"], run
    for name, setting in settings.items():
        taking = {row["contender"] for row in fast["summary"] if row["setting"] == name}
        assert taking >= {"fast tunnel", "empty program"}, (name, taking)
        assert ("routing" in taking) != setting["garbage"], (name, taking)
    for row in fast["summary"]:
        own = runs[row["setting"], row["contender"]]["ns_per_datagram"]
        for other, spread in row["over"].items():
            assert spread["median"] == own / runs[row["setting"], other]["ns_per_datagram"], row
        if row["nginx_over"]:
            assert row["nginx_over"]["median"] == runs[row["setting"], "nginx"]["ns_per_datagram"] / own, row
    for row in fast["alone"]:
        assert f"\n  {row['case']} " in printed and row["ns"]["min"] <= row["ns"]["median"], row
    assert {row["sessions"] for row in fast["alone"]} == {1024, 131072}, fast["alone"]
    for text in ("Not measured here: network cards", "CPU of fast tunnel, of routing", "program alone, tunnel up, "):
        assert text in printed, printed


@release_only
def case_field():
    field, printed = quick("field")
    keep = {"direct", "no balancer", "cidlb nat follow", "cidlb nat backend", "cidlb stateless", "cidlb tunnel"}
    assert keep | {"cidlb by address"} <= {row["contender"] for row in field["summary"]}, field["left_out"]
    for run in field["runs"]:
        report, before = run["report"], run["report"]["before_end"]
        assert 0 < before["exchanges_ok"] < before["datagrams_up"] <= report["datagrams_up"], run
        assert run["octets"] > 0 and run["contender"] in printed, run
        assert (before["rebinds"] > 0) == (run["contender"] != "direct"), run
        if run["contender"] in keep:
            assert report["handshakes"] == report["survived"] == report["devices"], run
    for row in field["summary"]:
        ratio = row["of_direct"]
        assert ratio["min"] > 0 and (row["contender"] != "direct" or ratio["max"] == 1), row
    check_conditions(field, printed)


def check_conditions(field, printed):
    """Every table has its contenders, and the octets are what the records make of them."""
    runs = {(run["table"], run["said"], run["contender"]): run for run in field["conditions"]}
    for table in ("cid", "nat", "radio", "day") + (() if "certificates" in field["left_out"] else ("handshake",)):
        own = {contender for name, _, contender in runs if name == table}
        assert {"no balancer", "cidlb nat follow"} <= own, (table, own, field["left_out"])
    for (table, said, contender), run in runs.items():
        assert said in printed and run["report"]["before_end"]["exchanges_ok"] > 0, run
        if contender.startswith("cidlb") or contender == "no balancer":
            assert run["report"]["survived"] == run["report"]["handshakes"] == run["report"]["devices"], run
        if table == "cid":
            octets = int(said.split()[0])
            record = 13 + 6 + 8 + -(-(octets + 1) // 16) * 16 + 8 if said.endswith("with CID") else 13 + 8 + octets + 8
            assert run["up_octets"] == 28 + record, run
            assert run["report"]["rebinds"] == 0, run
    if "certificates" not in field["left_out"]:
        first = {said: runs["handshake", said, "no balancer"]["first_octets"] for said in ("PSK", "certificates")}
        assert first["certificates"] > first["PSK"], first


@release_only
def case_scale():
    scale, printed = quick("scale")
    for series in ("flows", "sources", "backends"):
        steps = [row["step"] for row in scale[series]["steps"]]
        assert steps == scale["settings"][series] and {run["step"] for run in scale[series]["runs"]} == set(
            steps
        ), steps
        for run in scale[series]["runs"]:
            assert run["cpu_ns"] > 0 and run["forwarded"] > 100, run
            assert (
                run["whole"]["returned"] <= run["whole"]["answered"] <= run["whole"]["arrived"] <= run["whole"]["sent"]
            ), run
    for row in scale["flows"]["steps"]:
        # Their own memory at least: less would mean that something else was measured.
        assert row["octets_per_flow"] is None or 64 < row["octets_per_flow"] < 512, row
        assert f"\n  {row['step']:,} " in printed, printed
    for row in scale["backends"]["steps"]:
        assert (
            all(one["cpu_ms"] > 0 for one in row["reloads"]) and len(row["reloads"]) == scale["settings"]["reloads"]
        ), row


@release_only
def case_churn():
    churn, printed = quick("churn")
    runs = {(run["schedule"], run["moves"]): run for run in churn["runs"]}
    for run in runs.values():
        for name, counts in run["contenders"].items():
            assert 0 <= counts["ever"] <= min(counts["needless"], churn["settings"]["sessions"]), (
                run["schedule"],
                name,
                counts,
            )
            assert counts["event_median"] <= counts["event_max"] <= counts["needless"] == counts["grew"][-1][1], (
                run["schedule"],
                counts,
            )
            assert name in printed, printed
    for schedule in ("fail-one", "fail-tenth", "grow", "shrink", "upgrade"):
        assert runs[schedule, False]["contenders"]["modulo"]["needless"] > churn["settings"]["sessions"] / 2, schedule
        for name, counts in runs[schedule, True]["contenders"].items():
            assert (name == "cidlb by CID") == (counts["needless"] == 0), (schedule, name, counts)


@release_only
def case_restart():
    restart, printed = quick("restart")
    settings = restart["settings"]
    for series in ("datagrams", "sessions"):
        assert {run["event"] for run in restart[series]} == set(settings["events"]), restart[series]
        assert {"cidlb nat", "cidlb tunnel"} <= {run["contender"] for run in restart[series]}, restart[series]
    for run in restart["datagrams"]:
        whole = run["whole"]
        assert (
            whole["sent"] > 100
            and run["up"] == whole["sent"] - whole["arrived"]
            and run["down"] == whole["answered"] - whole["returned"]
        ), run
        assert run["contender"] in printed, printed
        if run["event"] == "crash":
            assert run["up"] > 0 and run["up_silence_ms"] > 1, run
    for run in restart["sessions"]:
        assert run["lost_sessions"] == settings["devices"] - run["report"]["survived"], run
        assert run["contender"] == "nginx" or run["report"]["rebinds"] > 0, run


main(globals())
