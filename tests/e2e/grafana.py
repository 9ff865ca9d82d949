#!/usr/bin/env python3
"""The dashboard for Grafana: it is one by Grafana's own types, Prometheus reads each expression, and of a running cidlb
each shows something."""

import copy
import json
import re
import subprocess
import urllib.parse

from harness import Scene, fast_path_is_built, main, release_only, wait_until
from lab.peers import built
from metrics import Prometheus, families, promtool, running
from pages import ROOT

FILE = ROOT / "packaging" / "grafana" / "cidlb.json"
# What stands for Grafana's variables.
VARIABLES = {"$job": "cidlb", "$instance": ".+", "$pool": ".+", "$__rate_interval": "5s", "$__range": "1h"}
# What a running cidlb may have nothing of: nothing was refused, and nobody needs a look.
EMPTY_AT_PEACE = ("cidlb_refused_total",)


def panels():
    return [panel for panel in json.loads(FILE.read_text())["panels"] if panel["type"] != "row"]


def filled(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def expressions():
    """(where, expression) of every panel, the annotation and the variables."""
    dashboard = json.loads(FILE.read_text())
    for panel in panels():
        for target in panel["targets"]:
            if "cidlb_fast_" not in target["expr"] or fast_path_is_built():
                yield panel["title"], filled(target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], filled(annotation["expr"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            yield variable["name"], f"count by ({label}) ({filled(selector)})"


def check_schema(checker, dashboard, scene):
    file = scene.dir / "dashboard.json"
    file.write_text(json.dumps(dashboard))
    return subprocess.run([checker, file], capture_output=True, text=True, timeout=60)


def case_schema():
    """Grafana's types for Go take it as it is; and refuse what is wrong in ways that a person would get it wrong."""
    checker = built("grafana")
    with Scene() as scene:
        good = json.loads(FILE.read_text())
        done = check_schema(checker, good, scene)
        assert done.returncode == 0 and done.stdout == f"{len(good['panels'])} panels\n", done

        def wrong(change):
            dashboard = copy.deepcopy(good)
            change(dashboard)
            return check_schema(checker, dashboard, scene)

        at = next(i for i, panel in enumerate(good["panels"]) if panel["type"] == "timeseries")
        for change, said in (
            (lambda d: d.update(panel=[]), "panel"),
            (lambda d: d["panels"][at].update(titel="x"), "titel"),
            (lambda d: d["panels"][at]["options"].update(legends={}), "legends"),
            (lambda d: d["panels"][at]["fieldConfig"]["defaults"]["custom"].update(lineWith=1), "lineWith"),
            (lambda d: d["panels"][at]["targets"][0].update(query="x"), "query"),
            (lambda d: d["panels"][at]["targets"][0].pop("expr"), "expr"),
            (lambda d: d.update(refresh=30), "refresh"),
        ):
            done = wrong(change)
            assert done.returncode == 1 and said in done.stderr, (said, done)


def case_layout():
    """No panel lies on another, none is without a title, a unit and a source, and ids are distinct."""
    dashboard = json.loads(FILE.read_text())
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert panel["title"] and panel["id"] not in ids and place["x"] + place["w"] <= 24, panel["title"]
        ids.add(panel["id"])
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(one["datasource"]["uid"] == "${datasource}" for one in [panel, *panel["targets"]]), panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]
    assert len(panels()) >= 20


def case_expressions():
    """promtool reads each, and each metric, label and verdict that it names is there."""
    with Scene() as scene:
        rules = [{"record": f"e{i}", "expr": expression} for i, (_, expression) in enumerate(expressions())]
        file = scene.dir / "rules.json"  # which is YAML, too
        file.write_text(json.dumps({"groups": [{"name": "grafana", "rules": rules}]}))
        assert f"{len(rules)} rules found" in promtool("check", "rules", file)
        text = running(scene).get("/metrics")[1]
        types, labels = families(text)
        of_job, wrong = {"job", "instance", "le"}, []
        for where, expression in expressions():
            for name, selector in re.findall(r"\b((?:cidlb|process)_\w+)(?:\{([^}]*)\})?", expression):
                family = name.removesuffix("_bucket")
                if family not in types:
                    wrong.append(f"{where}: no metric {name}")
                    continue
                for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selector):
                    if label not in labels[family] | of_job:
                        wrong.append(f"{where}: {name} has no label {label}")
                    elif label not in of_job and value != ".+" and f'{label}="{value}"' not in text:
                        wrong.append(f'{where}: {name} never has {label}="{value}"')
            known = set().union(*(labels[n.removesuffix("_bucket")] for n in
                                  re.findall(r"\b(?:cidlb|process)_\w+", expression)))
            for by in re.findall(r"by \(([^)]*)\)", expression):
                wrong += [f"{where}: nothing has a label {one}" for one in by.split(", ") if one not in known | of_job]
        assert not wrong, "\n" + "\n".join(wrong)


@release_only
def case_prometheus():
    """Debian's Prometheus scrapes a running cidlb, and each expression has a result there."""
    with Scene() as scene:
        lb = running(scene)
        prometheus = Prometheus(scene, lb)
        wait_until(lambda: prometheus.up(), 20, "it is scraped")
        fleet = scene.fleet(lb.address("p"), devices=5, rebinds=3, rebind_every=1, seed=2)
        missing = {}

        def ask(expression):
            return prometheus.ask("query?query=" + urllib.parse.quote(expression))["result"]

        def all_there():
            missing.clear()
            missing.update({where: expression for where, expression in expressions() if not ask(expression)})
            return all(any(name in expression for name in EMPTY_AT_PEACE) or where == "Restarts"
                       for where, expression in missing.items())

        try:
            wait_until(all_there, 60, "each has a result")
        except TimeoutError:
            raise AssertionError(f"no result: {missing}") from None
        assert fleet.report()["exit"] == 0
        print(f"    {len(list(expressions()))} expressions; without a result: {sorted(missing)}")


main(globals())
