#!/usr/bin/env python3
"""From the configuration and the state file of an earlier version to this one: it runs, what was set is in force, and
the log says what changes."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from harness import AS_ROOT, BIN, USER, Scene, Skip, main, wait_all_joined, wait_until
from restarts import managed

OLD = Path(__file__).parents[1] / "fixtures" / "upgrade"


def give(path):
    if AS_ROOT:
        os.chown(path, USER.pw_uid, USER.pw_gid)


def case_configuration_and_state():
    if not AS_ROOT:
        raise Skip("the ports of the old files need a network of their own, and so root")
    with Scene() as scene:
        run = scene.dir / "run"
        run.mkdir()
        give(run)
        file, state = scene.dir / "cidlb.conf", run / "state.json"
        file.touch(mode=0o600)
        file.write_text((OLD / "running.conf").read_text().replace("@RUN@", str(run)))
        state.write_text((OLD / "state.json").read_text())
        give(file), give(state)
        servers = [scene.backend(number, port=26000 + number) for number in (1, 2, 3)]
        good = subprocess.run([BIN / "cidlb", "-t", "-c", file], capture_output=True, text=True, timeout=20)
        assert good.returncode == 0 and good.stderr.count("does nothing any more") == 2, good
        lb = scene.process("cidlb", BIN / "cidlb", "-c", file)
        lb.wait_log("info started: ")

        def ctl(*arguments):
            argv = [BIN / "cidlbctl", *arguments, "--json", "--socket", run / "admin.sock"]
            return json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout)

        rows = {row["name"]: row for row in ctl("backends")["backends"]}
        assert [rows[name]["state"] for name in "abc"] == ["drain", "ready", "maint"], rows
        assert [rows[name]["weight"] for name in "abc"] == [100, 30, 100], rows
        # Nobody watched, so nobody knows.
        assert rows["a"]["last_cid_s"] is None and not rows["a"]["drain"]["may_stop"], rows["a"]
        for line in (
            r"warning: .*nat\.settle_ms: .*contest", r"warning: .*nat\.contest_s: .*contest",
            "info backend_state pool=coaps backend=a: drain, by a command from before the start",
            "info backend_weight pool=coaps backend=b: 30, by a command from before the start",
            "info backend_state pool=coaps backend=c: maint, by a command from before the start",
            "warning id_refused pool=coaps backend=b: had server id 03 before the start, and may_claim",
        ):
            lb.wait_log(line)
        # Devices are served, by the one that is ready; and the file goes on with what it had.
        assert scene.fleet("127.0.0.1:25684", devices=3, rebinds=2, rebind_every=1).report()["survived"] == 3
        assert servers[1].counters()["handshakes"] == 3
        kept = wait_until(
            lambda: "watched" in state.read_text() and json.loads(state.read_text()), 20, "the file goes on"
        )
        assert set(kept["backends"]["coaps"]) == set("abc") and kept["ids"] == {}, kept
        lb.stop()
        assert not state.with_suffix(".json.bad").exists()


def case_sessions_without_cid():
    """A start forgets them, and the hash leads them to their servers all the same: these have not changed."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(number) for number in (1, 2, 3)])])
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=12, no_cid=True, interval_ms=200, duration=60, story=story)
        wait_all_joined(story, 12)
        lb.stop()
        lb.start()
        before = lb.metric("cidlb_replies_total")
        wait_until(lambda: lb.metric("cidlb_replies_total") > before + 100, 20, "devices are answered")
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report(30)
        assert report["survived"] == report["handshakes"] == 12, report
        assert lb.metric("cidlb_datagrams_total", verdict="hash") > 0 == lb.metric("cidlb_datagrams_total", verdict="cid")


def case_endpoint_of_the_handshake():
    """Only flows know it (nat.endpoint = "handshake"), and they outlive a restart: servers see no other address, wherever
    devices go."""
    with Scene() as scene:
        servers = [scene.backend(number) for number in (1, 2)]
        with managed(scene, [scene.pool("p", servers, nat={"endpoint": "handshake"})]) as (lb, manager):
            story = scene.dir / "story"
            traffic = {"interval_ms": 200, "ack_timeout_ms": 300, "duration": 60, "story": story}
            fleet = scene.fleet(lb.address(), devices=10, rebinds=1000, rebind_every=0.5, **traffic)
            wait_all_joined(story, 10)
            for _ in range(2):
                time.sleep(1)  # all have moved
                manager.restart()
            time.sleep(1)
            fleet.child.send_signal(signal.SIGTERM)
            report = fleet.report(30)
            assert report["survived"] == report["handshakes"] == 10, report
            changes = [server.counters()["max_address_changes_per_session"] for server in servers]
            assert changes == [0, 0], changes


if __name__ == "__main__":
    main(globals())
