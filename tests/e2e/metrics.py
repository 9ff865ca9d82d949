#!/usr/bin/env python3
"""The metrics: what Prometheus makes of them, whether the guide tells of each, and that they count what they say."""

import json
import re
import shutil
import subprocess
import time
import urllib.request

from control import ctl
from harness import AS_ROOT, Scene, Skip, fast_path_is_built, free_ports, main, release_only, total, wait_until
from health import COAPS
from pages import GUIDE, ROOT, Page
from tunnel import key_file, tunnel_pool

RULES = ROOT / "packaging" / "prometheus" / "cidlb.rules.yml"
PER_BACKEND = 12


def promtool(*arguments, **options):
    if not shutil.which("promtool"):
        raise Skip("needs promtool (Debian's prometheus)")
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def families(text):
    """{name: type} as announced, and {name: labels} of the samples."""
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    labels = {}
    for name, of in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        assert family in types, name
        labels.setdefault(family, set()).update(set(re.findall(r'(\w+)="', of)) - {"le"})
    return types, labels


def told():
    """{name: (type, labels)} of the rows in the guide."""
    rows = {}
    for n, line in Page(GUIDE / "metrics.md").prose:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`((?:cidlb|process)_\w+)`", cells[0])
        if name:
            assert name[1] not in rows, f"metrics.md:{n}: {name[1]} again"
            rows[name[1]] = (cells[1], {word for word in re.split(r", ", cells[2]) if word})
    return rows


def running(scene):
    """A cidlb with pools of most kinds, and servers that have all that a server can have."""
    backends = [scene.backend(number) for number in (1, 2)]
    tunnelled = scene.backend(3, options=["--tunnel", key_file(scene)])
    plain = {"name": "x", "id": 1, "address": f"127.0.0.1:{free_ports()}"}
    lb = scene.cidlb([
        scene.pool("p", [backends[0], backends[1].entry(state="drain")], health=COAPS),
        tunnel_pool(scene, "t", [tunnelled]),
        scene.pool("l", [dict(plain)], cid={"scheme": "learned"}, health={"probe": "none"}),
        scene.pool("u", [plain], protocol="udp", cid=None, health={"probe": "none"}),
    ], redis={"address": "127.0.0.1:1"}, **({"fast": {"interfaces": ["lo"]}} if fast_path_is_built() else {}))
    wait_until(lambda: lb.metric("cidlb_backend_rebinding") == 2, 30, "the probes' sessions have moved")
    return lb


def case_guide():
    """promtool finds nothing to say, and the guide has each family with its type and labels, and no other."""
    with Scene() as scene:
        lb = running(scene)
        text = lb.get("/metrics")[1]
        assert not promtool("check", "metrics", input=text).strip()
        types, labels = families(text)
        rows = told()
        if not fast_path_is_built():
            rows = {name: row for name, row in rows.items() if not name.startswith("cidlb_fast_")}
        wrong = [f"metrics.md does not tell of {name}" for name in sorted(set(types) - set(rows))]
        wrong += [f"metrics.md tells of {name}, which is not there" for name in sorted(set(rows) - set(types))]
        for name, kind in types.items():
            if name in rows:
                wrong += [f"{name} is a {kind}, not a {rows[name][0]}"] * (rows[name][0] != kind)
                if name in labels and labels[name] != rows[name][1]:
                    wrong.append(f"{name} has the labels {sorted(labels[name])}, not {sorted(rows[name][1])}")
        rest = {"cidlb_stateless_dropped_total", "cidlb_dsr_fragmented_total"}  # what only other pools have
        wrong += [f"{name} has no sample here" for name in sorted(set(types) - set(labels) - rest)]
        assert not wrong, "\n" + "\n".join(wrong)


def case_series_per_backend():
    """At 50 servers that are probed with a session, half of which drain."""
    with Scene() as scene:
        servers = [scene.backend(number, f"s{number}") for number in range(1, 6)]
        entries = [
            {"name": f"s{number}", "id": number, "address": servers[number % 5].address,
             "state": "drain" if number % 2 else "ready"}
            for number in range(1, 51)
        ]
        lb = scene.cidlb([scene.pool("p", entries, health={**COAPS, "interval_ms": 1000})])
        wait_until(lambda: lb.down() == 0, 20, "all are up")
        wait_until(lambda: len([1 for name, _ in lb.metrics() if name == "cidlb_backend_cid_ok"]) == 50, 20, "CIDs")
        counts = {f"s{number}": 0 for number in range(1, 51)}
        metrics = lb.metrics()
        for _, labels in metrics:
            name = dict(labels).get("backend")
            if name:
                counts[name] += 1
        drains, others = ({counts[f"s{n}"] for n in range(1, 51) if n % 2 == odd} for odd in (1, 0))
        print(f"    {len(metrics)} series; {drains} of a server that drains, {others} of others")
        assert drains == {PER_BACKEND} and others == {PER_BACKEND - 1}


def case_sessions_that_move():
    """Each device moves several times, and counts once among the rescued. Octets are those that the devices count."""
    devices, rebinds = 20, 3
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        lb = scene.cidlb([scene.pool("p", backends)])
        report = scene.fleet(
            lb.address(), devices=devices, rebinds=rebinds, rebind_every=4, interval_ms=500, seed=6
        ).report()
        assert report["exit"] == 0 and report["handshakes"] == devices, report
        metrics = lb.metrics()
        handshakes = [total(metrics, "cidlb_handshakes_total", stage=stage) for stage in ("begun", "finished")]
        changes, rescued = (
            total(metrics, name) for name in ("cidlb_address_changes_total", "cidlb_sessions_rescued_total")
        )
        octets = [total(metrics, "cidlb_forwarded_octets_total", direction=way) for way in ("up", "down")]
        print(f"    {report}, {handshakes} handshakes, {changes} changes, {rescued} rescued, {octets} octets")
        assert handshakes == [devices, devices] and rescued == devices
        # A device that moves twice before it is answered has moved once.
        assert report["rebinds"] - 2 <= changes <= report["rebinds"], (changes, report["rebinds"])
        lb.assert_identities()
        batches = total(metrics, "cidlb_batch_datagrams_sum")
        assert batches == total(metrics, "cidlb_received_total") + total(metrics, "cidlb_replies_total"), batches
        # Copies went to addresses that the devices had left.
        assert octets[0] == report["octets_up"] and octets[1] > report["octets_down"], (octets, report)
        assert total(metrics, "cidlb_copies_total") > 0


def case_reload_is_told():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])

        def said():
            metrics = lb.metrics()
            return [total(metrics, f"cidlb_config_last_reload_{what}") for what in
                    ("successful", "success_timestamp_seconds")]

        begun = lb.metric("process_start_time_seconds")
        good, at = said()
        assert good == 1 and begun <= at <= begun + 20, (begun, at)
        lb.config["workers"], workers = -1, lb.config["workers"]
        lb.write()
        ctl(lb, "reload", status=1)
        assert said() == [0, at]
        lb.config["workers"] = workers
        wait_until(lambda: time.time() >= at + 1, 20, "a second has passed")
        lb.reload()
        assert said()[0] == 1 and said()[1] > at


def case_alerts():
    """Each fires in the state that it is for and in no other, and what it looks at is there."""
    assert "13 rules found" in promtool("check", "rules", RULES)
    tests = [ROOT / "tests" / "fixtures" / f"alerts{which}_test.yml" for which in ("", "_drain")]
    promtool("test", "rules", *tests)
    rules = RULES.read_text()
    alerts = re.findall(r"alert: (\w+)", rules)
    tested = re.findall(r'labels: \'ALERTS{alertname="(\w+)"', "".join(file.read_text() for file in tests))
    assert set(alerts) == set(tested) and len(alerts) == 13, (alerts, tested)
    with Scene() as scene:
        metrics = running(scene).metrics()
        there = {name for name, _ in metrics}
        used = set(re.findall(r"cidlb_\w+", re.sub(r"#.*", "", rules)))
        assert len(used) > 10 and used <= there, used - there
        # And with the labels that an alert selects by or sums over.
        for name, labels in (("cidlb_backend_state", {"state": "drain"}), ("cidlb_flows_limit", {"pool": "p"}),
                             ("cidlb_datagrams_total", {"verdict": "limited", "pool": "p"})):
            assert any(n == name and have >= frozenset(labels.items()) for n, have in metrics), name


class Prometheus:
    """Debian's, with the alerts of packaging/ that wait for nothing. It knows the node as lb1.example."""

    def __init__(self, scene, lb):
        if not AS_ROOT or not shutil.which("prometheus"):
            raise Skip("needs root, and prometheus (Debian's)")
        self.url = f"http://127.0.0.1:{free_ports()}"
        rules = re.sub(r"for: \w+", "for: 0s", RULES.read_text())
        (scene.dir / "rules.yml").write_text(rules)
        (scene.dir / "hosts").write_text("127.0.0.1 localhost lb1.example\n")
        target = "lb1.example:" + lb.config["admin"]["http"].rsplit(":", 1)[1]
        (scene.dir / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
            "rule_files: [rules.yml]\n"
            f"scrape_configs: [{{job_name: cidlb, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        # A mount namespace of its own, for the name.
        self.process = scene.process(
            "prometheus", "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
            scene.dir / "hosts", "prometheus", f"--config.file={scene.dir}/prometheus.yml",
            f"--storage.tsdb.path={scene.dir}/tsdb", f"--web.listen-address={self.url.removeprefix('http://')}",
        )

    def ask(self, path):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=5) as answer:
            return json.load(answer)["data"]

    def up(self):
        """[(instance, value)] of `up`."""
        try:
            found = self.ask("query?query=up")["result"]
        except OSError:
            return []
        return [(one["metric"]["instance"], one["value"][1]) for one in found]

    def firing(self):
        return {one["labels"]["alertname"] for one in self.ask("alerts")["alerts"] if one["state"] == "firing"}


@release_only
def case_prometheus():
    """It scrapes a running cidlb by host name. What is provoked fires, and nothing else does."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b], health=COAPS)])
        prometheus = Prometheus(scene, lb)
        instance = "lb1.example:" + lb.config["admin"]["http"].rsplit(":", 1)[1]
        wait_until(lambda: prometheus.up() == [(instance, "1")], 60, "up is 1")
        rules = prometheus.ask("rules")["groups"][0]["rules"]
        wait_until(lambda: all(rule["lastEvaluation"] > "1" for rule in rules) and not prometheus.firing(), 30, "peace")
        for name in "ab":
            ctl(lb, "maint", name)
        wait_until(lambda: prometheus.firing() == {"PoolDown"}, 30, "PoolDown fires, and nothing else")
        pool, lb.config["pools"][0]["protocol"] = lb.config["pools"][0]["protocol"], "nonsense"
        lb.write()
        ctl(lb, "reload", status=1)
        wait_until(lambda: prometheus.firing() == {"PoolDown", "ReloadFailed"}, 30, "ReloadFailed, too")
        lb.config["pools"][0]["protocol"] = pool
        for name in "ab":
            ctl(lb, "ready", name)
        lb.reload()
        wait_until(lambda: not prometheus.firing(), 30, "both are over")
        rules = prometheus.ask("rules")["groups"][0]["rules"]
        assert len(rules) == 13 and all(rule["health"] == "ok" for rule in rules), rules


if __name__ == "__main__":
    main(globals())
