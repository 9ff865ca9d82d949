"""bench/run, once everything is built: reads the command line, runs scenarios, prints tables, writes JSON."""

import argparse
import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "e2e"))
import forward  # noqa: E402
import frame  # noqa: E402

SCENARIOS = {"forward": forward}


def read_arguments():
    lines = "\n".join(f"  {name:10} {scenario.__doc__.splitlines()[0]}" for name, scenario in SCENARIOS.items())
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures cidlb and its peers.", epilog=f"scenarios:\n{lines}", formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="within a minute, to see that it works: its figures are no result")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write everything that was measured to FILE")
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="*", help="by default all")
    arguments = parser.parse_args()
    for name in arguments.scenarios:
        if name not in SCENARIOS:
            parser.error(f"no scenario {name!r}; there are: {', '.join(SCENARIOS)}")
    return arguments


def main():
    arguments = read_arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # SystemExit runs the clean-up of the scene that is open
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    sys.stdout.reconfigure(line_buffering=True)
    machine = frame.describe_machine()
    print(frame.machine_text(machine))
    frame.enter()
    results = {"quick": arguments.quick, "machine": machine, "scenarios": {}}
    wrong = []
    for name in arguments.scenarios or SCENARIOS:
        result = SCENARIOS[name].run(arguments.quick)
        results["scenarios"][name] = result
        wrong += [f"{name}: {sentence}" for sentence in result["wrong"]]
        print("\n" + SCENARIOS[name].table(result))
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    for sentence in wrong:
        print(f"wrong: {sentence}")
    sys.exit(1 if wrong else 0)


main()
