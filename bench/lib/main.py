"""bench/run, once everything is built.

It runs scenarios, or reads what they have measured. Then it prints that and writes it to files.
"""

import argparse
import json
import shlex
import signal
import sys
import time
import traceback
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(BENCH), str(BENCH.parent / "tests" / "e2e")]  # packages of bench/, and the harness of the tests
from lib import frame, machine, plot  # noqa: E402
from lib.report import NO_RESULT, Report  # noqa: E402
from scenarios import churn, core, fast, field, forward, restart, scale  # noqa: E402

SCENARIOS = {
    **{"core": core, "forward": forward, "fast": fast, "field": field},
    **{"scale": scale, "churn": churn, "restart": restart},
}


COMPARING = [name for name, scenario in SCENARIOS.items() if hasattr(scenario, "run_against")]


def make_parser():
    lines = "\n".join(f"  {name:10} {scenario.__doc__.splitlines()[0]}" for name, scenario in SCENARIOS.items())
    form = argparse.RawDescriptionHelpFormatter
    text = "Measures cidlb and its peers."
    parser = argparse.ArgumentParser(
        prog="bench/run", description=text, epilog=f"scenarios:\n{lines}", formatter_class=form
    )

    def option(name, metavar, about, **more):
        parser.add_argument(name, metavar=metavar, type=Path, help=about, **more)

    quick = "within a minute each, to see that it works: its figures are no result"
    parser.add_argument("--quick", action="store_true", help=quick)
    option("--json", "FILE", "write everything that was measured to FILE")
    option("--report", "DIR", "write results.json, tables, plots and a page of them to DIR")
    read = "show what such a JSON file holds; measure only the scenarios that are named, in place of its own"
    option("--from", "FILE", read, dest="read")
    against = "measure the programs in DIR, BUILD/bin of another build, in turn with this build's, and tell the ratios"
    option("--against", "DIR", f"{against}; scenarios: {', '.join(COMPARING)}")
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="*", help="by default all")
    return parser


def check_arguments(arguments):
    """What is wrong with them, or None."""
    for name in arguments.scenarios:
        if name not in SCENARIOS:
            return f"no scenario {name!r}; there are: {', '.join(SCENARIOS)}"
    if arguments.read and arguments.quick and not arguments.scenarios:
        return "--from without a SCENARIO measures nothing"
    if arguments.against:
        if not arguments.scenarios or set(arguments.scenarios) - set(COMPARING):
            return f"--against is for scenarios that compare builds; name some of: {', '.join(COMPARING)}"
        if not (arguments.against / "cidlb").exists():
            return f"--against: no program cidlb in {arguments.against}"
    return None


def read_arguments():
    parser = make_parser()
    arguments = parser.parse_args()
    wrong = check_arguments(arguments)
    if wrong:
        parser.error(wrong)
    arguments.against = arguments.against and arguments.against.resolve()
    try:  # now, not after an hour
        if arguments.report:
            arguments.report.mkdir(parents=True, exist_ok=True)
        if arguments.json:
            arguments.json.touch()
    except OSError as error:
        parser.error(str(error))
    return arguments


def end_on_signals():
    """SystemExit runs the clean-up of the scene that is open, once."""

    def end(caught, _):
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + caught)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        signal.signal(number, end)


def write_json(results, arguments):
    """Complete, or as it was before."""
    for file in filter(None, (arguments.json, arguments.report and arguments.report / "results.json")):
        new = file.with_name(f"{file.name}.new")
        new.write_text(json.dumps(results, indent=1) + "\n")
        new.replace(file)


def begun(arguments, before):
    """Results of which nothing is measured yet but what `before` has of other scenarios."""
    facts = machine.describe()
    facts["own_network"] = frame.enter()
    options = ["--quick"] * arguments.quick + (["--against", str(arguments.against)] if arguments.against else [])
    command = shlex.join(["bench/run", *options, *arguments.scenarios])
    results = {
        "command": command,
        "quick": arguments.quick,
        "machine": facts,
        "took_s": {},
        "scenarios": {},
        "failed": {},
        "measured": {},
    }
    if before:
        results["command"] = f"{before['command']}\n    {command}"
        results["quick"] |= before["quick"]
        for kept in ("took_s", "scenarios", "failed", "measured"):
            results[kept] = {
                name: value for name, value in before.get(kept, {}).items() if name not in arguments.scenarios
            }
        for name in results["scenarios"]:
            results["measured"].setdefault(name, machine.when(before["machine"]))
    return results


def run_scenario(scenario, arguments):
    if arguments.against:
        return scenario.run_against(arguments.quick, arguments.against)
    return scenario.run(arguments.quick)


def measure(arguments, before=None):
    names = arguments.scenarios or list(SCENARIOS)
    results = begun(arguments, before)
    print(Report(results, SCENARIOS).machine_text())
    for name in names:
        start = time.monotonic()
        try:
            # As it is read back from a file.
            results["scenarios"][name] = json.loads(json.dumps(run_scenario(SCENARIOS[name], arguments)))
        except Exception as error:
            traceback.print_exc()
            results["failed"][name] = f"{type(error).__name__}: {error}"
        results["took_s"][name] = round(time.monotonic() - start, 1)
        results["measured"][name] = machine.when(results["machine"])
        write_json(results, arguments)
        if name in results["scenarios"]:
            print("\n" + Report({**results, "scenarios": {name: results["scenarios"][name]}}, SCENARIOS).tables()[name])
    return results


def main():
    arguments = read_arguments()
    end_on_signals()
    sys.stdout.reconfigure(line_buffering=True)
    before = arguments.read and json.loads(arguments.read.read_text())
    if before and not arguments.scenarios:
        results = before
        report = Report(results, SCENARIOS)
        print("\n\n".join([report.machine_text(), *report.tables().values()]))
        write_json(results, arguments)
    else:
        report = Report(measure(arguments, before), SCENARIOS)
    if report.targets():
        print("\n" + report.targets_text())
    if arguments.report:
        report.write(arguments.report)
        without = "" if plot.available() else ", without plots: no gnuplot (packaging/deps --bench)"
        print(f"\nreport: {arguments.report / 'report.md'}{without}")
    if report.results["quick"]:
        print(NO_RESULT)
    for sentence in report.problems:
        print(f"wrong: {sentence}")
    sys.exit(1 if report.problems else 0)


main()
