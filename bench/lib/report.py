"""What was measured, for people: tables, the speed targets, plots and a page of them all, from the results alone.

Scenarios are asked for table(), and for plots(), targets() and run_text() if they have them. What one cannot give
becomes a sentence in `problems`, and the rest is shown nevertheless.
"""

import re
import traceback

from lib import frame, machine, plot

NO_RESULT = "A quick run, to see that it works: its figures are no result."


class Report:
    """The parts of a report. `results`: as bench/run writes them; `scenarios`: {name: module}."""

    def __init__(self, results, scenarios):
        self.results, self.problems, self.answers = results, [], {}
        self.measured = {
            name: (scenario, results["scenarios"][name])
            for name, scenario in scenarios.items()
            if name in results["scenarios"]
        }
        self.problems += [f"{name}: no such scenario here" for name in results["scenarios"] if name not in scenarios]
        for name, (_, result) in self.measured.items():
            self.problems += [f"{name}: {sentence}" for sentence in result.get("wrong", [])]
        self.problems += [f"{name} failed: {error}" for name, error in results["failed"].items()]

    def ask(self, name, what, default):
        """What a scenario makes of its result; it is asked once."""
        scenario, result = self.measured[name]
        if (name, what) not in self.answers:
            try:
                self.answers[name, what] = getattr(scenario, what)(result) if hasattr(scenario, what) else default
            except Exception as error:
                traceback.print_exc()
                self.problems.append(f"{name}: no {what}: {type(error).__name__}: {error}")
                self.answers[name, what] = default
        return self.answers[name, what]

    def machine_text(self):
        return frame.columns(machine.rows(self.results["machine"]), right=False)

    def tables(self):
        return {name: self.ask(name, "table", "") for name in self.measured}

    def targets(self):
        """(scenario, what, target, measured, met) of each, all of them text."""
        rows = []
        for name in self.measured:
            for target in self.ask(name, "targets", []):
                met = {True: "yes", False: "no"}.get(target["met"], "open")
                rows.append((name, target["what"], target["target"], target["measured"], met))
        return rows

    def targets_text(self):
        rows = self.targets()
        return (
            "speed targets\n" + frame.columns([("", "", "target", "measured", "met"), *rows], right=False)
            if rows
            else ""
        )

    def marked(self):
        """A sentence about each run that is not to be trusted, unless its table says it."""
        sentences = []
        for name, (scenario, result) in self.measured.items():
            said = getattr(scenario, "run_text", lambda run: f"{name}, {run_text(run)}")
            sentences += [
                sentence for sentence in map(said, find_marked(result)) if sentence not in self.tables()[name]
            ]
        return sentences

    def draw(self, directory):
        """{scenario: its plots that were drawn}."""
        drawn = {name: [] for name in self.measured}
        for name in self.measured if plot.available() else ():
            for drawing in self.ask(name, "plots", []):
                complaint = plot.draw(drawing, directory)
                if complaint:
                    self.problems.append(f"plot {drawing['name']}: {complaint}")
                if (directory / f"{drawing['name']}.svg").exists():
                    drawn[name].append(drawing)
        return drawn

    def write(self, directory):
        """Plots, tables.txt and report.md, in place of those of an earlier report."""
        page = directory / "report.md"
        for name in re.findall(r"^!\[.*\]\(([\w.-]+)\.svg\)$", page.read_text() if page.exists() else "", re.MULTILINE):
            for kind in plot.TERMINALS:
                (directory / f"{name}.{kind}").unlink(missing_ok=True)
        drawn, tables, marked = self.draw(directory), self.tables(), self.marked()
        texts = [self.machine_text(), *tables.values(), self.targets_text()]
        (directory / "tables.txt").write_text("\n\n".join(filter(None, texts)) + "\n")
        page.write_text(self.page(drawn, tables, marked))

    def page(self, drawn, tables, marked):
        results, seconds = self.results, sum(self.results["took_s"].values())
        took = f"{seconds / 60:.0f} minutes" if seconds >= 100 else f"{seconds:.0f} seconds"
        parts = [
            "# What cidlb costs, measured",
            f"    {results['command']}",
            f"{results['machine']['time']}, within {took}."
            " `bench/REFERENCE.md` says how it is measured and what it is not.",
            f"**{NO_RESULT}**" if results["quick"] else "",
            markdown_table([("", ""), *machine.rows(results["machine"])]),
            "Plots show medians over the rounds; thin lines reach from the smallest to the largest."
            " `bench/run --report` also writes them as PNG."
            if any(drawn.values())
            else "",
            "" if plot.available() else "Without plots: there was no gnuplot (`packaging/deps --bench`).",
        ]
        targets, here = self.targets(), machine.when(results["machine"])
        if targets:
            parts += ["## Speed targets", "Open: what it takes to tell was not measured, or bears marks (`!`)."]
            parts.append(markdown_table([("scenario", "what", "target", "measured", "met"), *targets]))
        for name, (scenario, _) in self.measured.items():
            parts += [f"## {name}", " ".join(scenario.__doc__.split("\n\n")[0].split())]
            measured = results.get("measured", {}).get(name, here)
            parts.append(f"Measured at {measured}." if measured != here else "")
            for drawing in drawn[name]:
                parts += [f"![{drawing['title']}]({drawing['name']}.svg)", drawing.get("caption") or ""]
            parts.append(f"```\n{tables[name].rstrip()}\n```" if tables[name] else "")
        parts += ["## Marked runs", listed(marked)] if marked else []
        parts += ["## What went wrong", listed(self.problems)] if self.problems else []
        return "\n\n".join(filter(None, parts)) + "\n"


def find_marked(value):
    """Every run that bears a mark, wherever it is in a result."""
    if isinstance(value, dict):
        if value.get("marks") and "contender" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from find_marked(member)


def run_text(run):
    place = f"round {run['round']}: " if "round" in run else ""
    return f"{place}{run['contender']}; {'; '.join(run['marks'])}"


def listed(sentences):
    return "\n".join(f"- {sentence}" for sentence in sentences)


def markdown_table(rows):
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
