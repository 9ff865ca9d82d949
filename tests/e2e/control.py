#!/usr/bin/env python3
"""cidlbctl's live commands, against a cidlb that carries sessions: what an operator may do without any session being
lost."""

import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

from harness import AS_ROOT, BIN, USER, Scene, Skip, free_ports, main, wait_until
from udp import Relay

TRAFFIC = {"interval_ms": 300, "ack_timeout_ms": 300}


def ctl(lb, *arguments, status=0):
    """What cidlbctl says: stdout, and stderr of a command that must fail."""
    argv = [BIN / "cidlbctl", *map(str, arguments), "--socket", lb.config["admin"]["socket"]]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert ran.returncode == status, f"{arguments}: status {ran.returncode}: {ran.stdout}{ran.stderr}"
    assert (ran.stderr == "") == (status == 0), f"{arguments}: {ran.stderr}"
    return ran.stdout if status == 0 else ran.stderr


def ask(lb, *arguments):
    return json.loads(ctl(lb, *arguments, "--json"))


def backend_of(lb, name):
    return next(row for row in ask(lb, "backends")["backends"] if row["name"] == name)


def entry_of(lb, name):
    return next(entry for entry in lb.config["pools"][0]["backends"] if entry["name"] == name)


def fleet_joined(scene, lb, name, devices, rebind_every=1):
    """A fleet that has all its sessions and goes on until it is told to end."""
    story = scene.dir / f"{name}.story"
    moves = {"rebinds": 1000, "rebind_every": rebind_every}
    fleet = scene.fleet(lb.address(), name=name, devices=devices, story=story, **moves, **TRAFFIC)

    def joined():
        return story.exists() and story.read_text().count('"joined"') >= devices

    wait_until(joined, 60, f"{devices} devices have a session")
    return fleet


def end(fleet):
    fleet.child.terminate()
    report = fleet.report(60)
    assert report["survived"] == report["sessions"] == report["handshakes"] and report["extra_handshakes"] == 0, report


def case_drain_moves_no_session():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        first = fleet_joined(scene, lb, "first", 30)
        assert ctl(lb, "drain", "a") == "p/a: drain, up, weight 100\n"
        had = a.counters()["handshakes"]
        assert 0 < had < 30, had
        second = fleet_joined(scene, lb, "second", 20)
        draining = backend_of(lb, "a")
        assert draining["state"] == "drain" and draining["health"] == "up", draining
        assert a.counters()["handshakes"] == had, "a draining server took a new session"
        wait_until(lambda: backend_of(lb, "a")["forwarded_up"] > draining["forwarded_up"], 20, "its sessions go on")
        assert lb.metric("cidlb_datagrams_total", verdict="cid_draining") > 0

        assert ctl(lb, "ready", "p/a") == "p/a: ready, up, weight 100\n"
        assert ctl(lb, "weight", "b", 0) == "p/b: ready, up, weight 0\n"
        before = b.counters()["handshakes"]
        third = fleet_joined(scene, lb, "third", 10)
        assert b.counters()["handshakes"] == before, "a server of weight 0 took a new session"
        assert a.counters()["handshakes"] == had + 10
        for fleet in (first, second, third):
            end(fleet)
        lb.assert_identities()
        for backend in (a, b):
            assert backend.report()["max_address_changes_per_session"] <= 1


def case_maint_drops():
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a])])
        fleet = fleet_joined(scene, lb, "fleet", 3)
        ctl(lb, "maint", "a")
        wait_until(lambda: ask(lb, "status")["verdicts"]["maint"] > 0, 20, "its datagrams are dropped")
        ctl(lb, "ready", "a")
        end(fleet)
        lb.assert_identities()


def case_reload_keeps_runtime_state():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        ctl(lb, "drain", "a")
        ctl(lb, "weight", "a", 7)
        ctl(lb, "drain", "b")
        entry_of(lb, "b")["weight"] = 50
        lb.write()
        assert ctl(lb, "reload") == "reloaded\np/b: weight 100->50\n"
        assert ctl(lb, "reload") == "reloaded: nothing changed\n"
        assert (backend_of(lb, "a")["state"], backend_of(lb, "a")["weight"]) == ("drain", 7)
        assert (backend_of(lb, "b")["state"], backend_of(lb, "b")["weight"]) == ("ready", 50)
        lb.reload()  # by signal
        assert (backend_of(lb, "a")["state"], backend_of(lb, "a")["weight"]) == ("drain", 7)
        lb.restart()
        assert (backend_of(lb, "a")["state"], backend_of(lb, "a")["weight"]) == ("drain", 7)
        entry_of(lb, "a")["weight"] = 99
        lb.write()
        lb.restart()
        assert (backend_of(lb, "a")["state"], backend_of(lb, "a")["weight"]) == ("ready", 99)
        wait_until(
            lambda: json.loads(Path(lb.config["state_file"]).read_text())["backends"] == {}, 20,
            "what is void is forgotten",
        )
        entry_of(lb, "a")["weight"] = 100
        lb.write()
        lb.restart()
        assert (backend_of(lb, "a")["state"], backend_of(lb, "a")["weight"]) == ("ready", 100)


def case_state_file():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        state = Path(lb.config["state_file"])
        ctl(lb, "drain", "a")
        assert json.loads(state.read_text())["backends"]["p"]["a"]["state"] == "drain"
        assert not AS_ROOT or state.stat().st_uid == USER.pw_uid
        lb.kill()
        state.write_text("{")
        lb.start()
        lb.wait_log("warning state_file: .* is damaged \\(.*\\): set aside as .*/state.json.bad")
        assert backend_of(lb, "a")["state"] == "ready"
        ctl(lb, "maint", "a")
        assert state.with_suffix(".json.bad").read_text() == "{"
        assert json.loads(state.read_text())["backends"]["p"]["a"]["state"] == "maint"

        # It goes on without a place for it.
        lb.config["state_file"] = str(scene.dir / "missing" / "too" / "state.json")
        lb.restart()
        lb.wait_log("error state_file: .* cannot be written: No such file or directory")
        assert "will not survive a restart of cidlb" in ctl(lb, "drain", "a", status=4)
        assert backend_of(lb, "a")["state"] == "drain"


def case_numbers_do_not_run_out():
    """More names of pools and addresses of listeners than there are numbers; whoever gets one again begins at 0."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a])])
        end(fleet_joined(scene, lb, "first", 5))
        assert lb.metric("cidlb_forwarded_total") > 0
        port = lb.address().split(":")[1]
        for number in range(70):
            lb.config["pools"][0]["name"] = lb.config["listeners"][0]["pool"] = f"p{number}"
            lb.config["listeners"][0]["address"] = f"127.0.1.{number + 1}:{port}"
            lb.write()
            ctl(lb, "reload")
            assert lb.metric("cidlb_forwarded_total") == lb.metric("cidlb_datagrams_total") == 0, number
            assert backend_of(lb, "a")["last_cid_s"] is None, number
        end(fleet_joined(scene, lb, "second", 5))
        lb.assert_identities()


def case_wrong_file():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        ctl(lb, "drain", "a")
        entry_of(lb, "a")["weight"] = 257
        lb.write()
        said = ctl(lb, "reload", status=1)
        assert f"{lb.file}:" in said and "pools[0].backends[0].weight: 257 is out of range" in said, said
        assert "the running configuration stays as it was" in said, said
        assert backend_of(lb, "a")["state"] == "drain"


def send_from(lb, ip, datagram):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((ip, 0))
        one.sendto(datagram, (lb.address().split(":")[0], int(lb.address().split(":")[1])))


def case_device():
    """One meter is dark: what `device` says of it while it lives, moves, loses its server, and is dropped."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        with Relay(lb.address()) as relay:
            fleet = scene.fleet(relay.address, devices=1, duration=60, interval_ms=150, ack_timeout_ms=300)
            cid = relay.wait_record(6).cid.hex()
            name, server = ("a", a) if cid[:2] == "01" else ("b", b)
            wait_until(lambda: "=> it speaks, and is answered" in ctl(lb, "device", cid), 30, "it is served")
            said = ctl(lb, "device", cid)
            home = "%s:%d" % relay.source
            assert said.startswith(f"session {cid}, pool p, server {name}, which is up, ready\n"), said
            assert f"at {home}, where its handshake was\n" in said and "another address never\n" in said, said
            relay.rebind()
            there = "%s:%d" % relay.source
            found = f"at {home}, where its handshake was; also seen at {there} (answered)\n"
            moved = wait_until(
                lambda: [text for text in [ctl(lb, "device", there)] if found in text], 30, "it moved, and is answered"
            )[0]
            assert "another address 1 time\n" in moved, moved
            os.kill(server.child.pid, signal.SIGSTOP)
            try:
                silent = lambda: "its server does not answer: for " in ctl(lb, "device", cid)
                wait_until(silent, 30, "it is not answered")
            finally:
                os.kill(server.child.pid, signal.SIGCONT)
            end(fleet)

        for datagram, why in (
            (b"hello?", "type: no DTLS"), (b"\x19\xfe\xfd\0\1" + bytes(6) + b"\x77" * 30, "unknown_cid: its CID leads to"),
        ):
            for _ in range(3):
                send_from(lb, "127.0.0.9", datagram)
            said = wait_until(
                lambda: [text for text in [ctl(lb, "device", "127.0.0.9")] if why in text], 30, f"it was dropped: {why}"
            )[0]
            assert re.search(rf"(?m)^dropped \d times?, last \d s ago, from 127\.0\.0\.9:\d+ at listener p: {why}", said), said
        drops = ask(lb, "device", "127.0.0.9")["dropped"]
        assert drops[-1]["times"] >= 1 and len({drop["why"] for drop in drops}) == len(drops), drops
        assert "no flow, no handshake, and nothing of it was dropped" in ctl(lb, "device", "127.0.0.8")
        assert "no flow, no handshake, and nothing of it was dropped" in ctl(lb, "device", "ff" * 6)
        assert "1..20 octets" in ctl(lb, "device", "xx", status=1)


def case_device_without_flows():
    """Nothing is kept of it. But its CID says where it is."""
    quiet = {"forward": "tunnel", "health": {"probe": "none"}}
    with Scene() as scene:
        def pool(name, cid):
            backends = [{"name": f"{name}{n}", "address": f"127.0.0.1:{free_ports()}"} for n in (1, 2)]
            for n, backend in enumerate(backends, 1):
                backend.update({"id": n} if cid["scheme"] == "node-id" else {})
            tunnel = {"local": f"127.0.0.1:{free_ports(3)}", "keys": [{"id": 1, "key": "00" * 16}]}
            pool = scene.pool(name, backends, cid=cid, tunnel=tunnel, **quiet)
            return {key: value for key, value in pool.items() if key != "nat"}

        lb = scene.cidlb(
            [pool("i", {"scheme": "node-id", "length": 6}), pool("h", {"scheme": "hash", "length": 6}),
             pool("l", {"scheme": "learned"}), pool("n", {"scheme": "none"})]
        )
        said = ctl(lb, "device", "02" * 6)
        trace = "mode tunnel keeps nothing of a device. Does it speak, and from where? cidlbctl trace --cid "
        trace += "02" * 6 + "\n"
        assert said.startswith(f"CID {'02' * 6}, pool i, server i2, which is up, ready\n  {trace}"), said
        assert re.search(rf"\nCID {'02' * 6}, pool h, server h[12], which is up, ready\n", said), said
        assert "\npool l, mode tunnel, the CID leads to no server: " in said, said
        assert "\npool n, mode tunnel, does not read CIDs: " in said and "no flow" not in said, said
        ctl(lb, "maint", "i2")
        said = ctl(lb, "device", "02" * 6)
        assert "server i2, which is up, maint\n  => its server is in maint: what it sends is dropped\n" in said, said
        rows = {row["pool"]: row for row in ask(lb, "device", "03" * 6)["without_flows"]}
        assert rows["i"] == {"pool": "i", "forward": "tunnel", "cid": "unknown"}, rows
        rows = {row["pool"]: row["cid"] for row in ask(lb, "device", "02" * 7)["without_flows"]}
        assert rows == {"i": "misfit", "h": "misfit", "l": "unknown", "n": "unread"}, rows
        assert "pool i, mode tunnel, keeps nothing of a device. Its CID says" in ctl(lb, "device", "127.0.0.1")


def case_events():
    """What has happened, as JSON whatever form the log has, and with --follow what happens."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        pool = scene.pool("p", [a, b], health={"probe": "dtls", "interval_ms": 100, "timeout_ms": 5000, "fall": 1})
        lb = scene.cidlb([{**pool, "nat": {**pool.get("nat", {}), "cid_idle_s": 2}}])
        argv = [BIN / "cidlbctl", "events", "--follow", "--socket", lb.config["admin"]["socket"]]
        followers = [scene.process(f"events{n}", *argv) for n in range(2)]
        for follower in followers:
            wait_until(lambda: '"started"' in follower.out.read_text(), 30, "it has what was before")
        ctl(lb, "drain", "a")
        entry_of(lb, "b")["weight"] = 50
        lb.write()
        ctl(lb, "reload")
        b.kill()
        wait_until(lambda: '"drained"' in followers[0].out.read_text(), 30, "it is drained")
        wait_until(lambda: '"backend_down"' in followers[1].out.read_text(), 30, "it is down")
        events = [json.loads(line) for line in ctl(lb, "events").splitlines()]
        for follower in followers:
            seen = [json.loads(line) for line in follower.out.read_text().splitlines()]
            assert seen == events[: len(seen)] and len(seen) >= 4, (seen, events)
        by_name = {event["event"]: event for event in events}
        state, weight = by_name["backend_state"], by_name["backend_weight"]
        assert (state["backend"], state["state"], state["was"], state["by"]) == ("a", "drain", "ready", "command")
        assert (weight["backend"], weight["weight"], weight["was"]) == ("b", 50, 100), weight
        assert by_name["reloaded"]["changes"] == "p/b: weight 100->50", by_name
        assert by_name["drained"]["backend"] == "a" and by_name["backend_down"]["backend"] == "b", by_name
        assert [row.split()[0] for row in ctl(lb, "backends", "--down").splitlines() if row[0] != " "] == [
            "BACKEND", "p/b"
        ]
        assert "learned_file" in lb.log_text() and "learned_file" not in by_name, "the log has more"
        lb.stop()
        assert all(follower.wait(10) == 1 for follower in followers)


def case_mistakes():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b]), scene.pool("q", [a])])
        generation = ask(lb, "status")["generation"]
        assert "no backend is called x" in ctl(lb, "drain", "x", status=1)
        assert "no backend is called q/b" in ctl(lb, "drain", "q/b", status=1)
        assert "say which, as in p/a" in ctl(lb, "drain", "a", status=1)
        assert "0..256" in ctl(lb, "weight", "b", 257, status=1)
        for arguments in (
            ["drain"], ["drain", "a", "b"], ["status", "x"], ["backends", "--sort", "x"], ["weight", "b"], ["weight", "b", "much"], ["stop"], []
        ):
            ctl(lb, *arguments, status=2)
        assert ask(lb, "status")["generation"] == generation
        lb.stop()
        assert "no cidlb answers at" in ctl(lb, "status", status=1)


def case_status_and_tables():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        fleet = fleet_joined(scene, lb, "fleet", 30)
        wait_until(lambda: ask(lb, "status")["pools"][0]["flows"]["cid"] == 30, 20, "sessions have flows")
        time.sleep(1.1)
        status = ask(lb, "status")
        assert status["ok"] and status["ready"] and status["workers"] == 2 and status["uptime_s"] >= 1, status
        assert status["file"] == str(lb.file), status
        version = subprocess.run([BIN / "cidlb", "-V"], capture_output=True, text=True).stdout.split()[1]
        assert status["version"] == version
        assert status["pools"][0]["backends"] == status["pools"][0]["accepting"] == 2, status
        assert sum(status["verdicts"].values()) == status["listeners"][0]["received"] > 0, status
        assert status["verdicts"]["cid"] > 0 and status["verdicts"]["malformed"] == 0, status

        text = ctl(lb, "status")
        assert text.startswith(f"cidlb {status['version']}, up ") and ", 2 workers, ready\n" in text, text
        assert f"p         {lb.address()}" in text and "cid " in text.splitlines()[-1] and "malformed" not in text, text
        head, *rows = (line.split() for line in ctl(lb, "backends").splitlines())
        assert head == ["BACKEND", "HEALTH", "STATE", "WEIGHT", "ADDRESS", "IDS", "FLOWS", "LAST", "CID", "PROBE"], head
        assert [row[:6] for row in rows] == [
            ["p/a", "up", "ready", "100", a.address, "01"],
            ["p/b", "up", "ready", "100", b.address, "02"],
        ], rows
        assert all(int(row[6]) > 0 and row[8:10] == ["s", "ago"] for row in rows), rows
        end(fleet)
        octets = [row["octets_up"] + row["octets_down"] for row in ask(lb, "backends", "--sort", "octets")["backends"]]
        assert octets == sorted(octets, reverse=True) and octets[1] > 0, octets


def case_flows():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        assert ctl(lb, "flows") == "no flow\n"
        with Relay(lb.address()) as relay:
            fleet = scene.fleet(relay.address, devices=1, duration=60, interval_ms=150, ack_timeout_ms=300)
            cid = relay.wait_record(6).cid.hex()

            def session():
                flows = ask(lb, "flows", "--cid", cid)["flows"]
                return next((flow for flow in flows if flow["kind"] == "cid"), None)

            def answered():
                flow = session()
                return flow and flow["class"] == "cid" and flow

            home = wait_until(answered, 20, "the session is answered")
            assert home["device"] == "%s:%d" % relay.source and home["proven"] and home["unproven"] == [], home
            assert home["pool"] == home["listener"] == "p" and home["backend"] == {"01": "a", "02": "b"}[cid[:2]], home
            assert home["backend_address"] == {"01": a, "02": b}[cid[:2]].address, home
            assert home["first_ms_ago"] >= home["last_up_ms_ago"], home
            assert home["first_ms_ago"] >= home["last_down_ms_ago"] and home["copies"] == 0, home
            assert ipaddress.ip_address(home["endpoint"].split(":")[0]) in ipaddress.ip_network("127.64.0.0/10"), home

            relay.rebind()
            there = "%s:%d" % relay.source

            def answered_there():
                flow = session()
                return flow and [one["address"] for one in flow["unproven"]] == [there] and flow["moves"] and flow

            moved = wait_until(answered_there, 30, "the moved device is answered at its place")
            assert moved["device"] == home["device"] and moved["proven"], moved
            assert moved["endpoint"] == home["endpoint"] and moved["backend"] == home["backend"], (home, moved)
            assert home["moves"] == 0 and moved["moves"] == 1 and moved["octets"] > home["octets"] > 0, (home, moved)
            ip, port = relay.source
            other = next(n for n in (port ^ 1, port ^ 2) if home["device"] != f"{ip}:{n}")
            for where, found in (
                (f"{ip}:{port}", True), (ip, True), (f"{ip}:{other}", False), ("192.0.2.1", False), ("::1", False)
            ):
                flows = ask(lb, "flows", "--from", where)["flows"]
                assert any(flow["cid"] == cid for flow in flows) == found, (where, flows)

            bystander = fleet_joined(scene, lb, "bystander", 2, rebind_every=1000)
            answer = ask(lb, "flows", "--limit", 1)
            assert len(answer["flows"]) == 1 < answer["matched"], answer
            assert f"{answer['matched'] - 1} more" in ctl(lb, "flows", "--limit", 1)
            table = ctl(lb, "flows").splitlines()
            assert table[0].startswith("POOL  KIND") and len(table) == 1 + answer["matched"], table
            for key in ("moves", "octets"):
                rows = [flow[key] or 0 for flow in ask(lb, "flows", "--sort", key)["flows"]]
                assert rows == sorted(rows, reverse=True) and rows[0] > 0, (key, rows)
            most = ask(lb, "flows", "--sort", "moves", "--limit", 1)
            assert [flow["cid"] for flow in most["flows"]] == [cid] and most["matched"] > 1, most
            rows = [flow["last_up_ms_ago"] for flow in ask(lb, "flows", "--sort", "last")["flows"]]
            assert rows == sorted(rows, reverse=True), rows
            assert ask(lb, "flows", "--older", "1h")["matched"] == 0
            assert ctl(lb, "flows", "--cid", "ff" * 6) == "no flow\n"
            assert "1..20 octets" in ctl(lb, "flows", "--cid", "f", status=1)
            assert "1..1000" in ctl(lb, "flows", "--limit", 0, status=1)
            for arguments in (
                ["flows", "x"], ["flows", "--limit", "x"], ["flows", "--sort", "name"], ["flows", "--older", "x"], ["flows", "--cid", "00", "--from", ip],
                ["status", "--cid", "00"],
            ):
                ctl(lb, *arguments, status=2)
            end(fleet)
            end(bystander)


def case_socket():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        path = Path(lb.config["admin"]["socket"])
        made = path.stat()
        assert stat.S_ISSOCK(made.st_mode) and stat.S_IMODE(made.st_mode) == 0o660, oct(made.st_mode)
        owner = USER.pw_uid if AS_ROOT else os.geteuid()
        assert made.st_uid == path.parent.stat().st_uid == owner, made

        second = scene.cidlb([scene.pool("p", [scene.backend(2)])], name="second", start=False)
        second.config["admin"]["socket"] = str(path)
        second.start(ready=False)
        assert second.wait(30) == 1
        assert "another process answers there" in second.log_text(), second.log_text()
        assert path.stat().st_ino == made.st_ino

        lb.kill()
        assert path.exists()
        lb.start()  # over the stale file
        assert ask(lb, "status")["ok"]
        lb.stop()
        assert not path.exists()


def case_no_socket():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        lb.config["admin"]["socket"] = ""
        lb.start()
        assert "cidlbctl" not in lb.log_text()
        lb.stop()

        # The default, where it cannot be made, is a warning; a socket that was asked for is needed.
        lb.config["admin"]["socket"] = "/proc/nowhere/admin.sock"
        lb.start(ready=False)
        assert lb.wait(30) == 1
        assert "no socket for cidlbctl at /proc/nowhere/admin.sock" in lb.log_text(), lb.log_text()


def case_default_socket():
    default = Path("/run/cidlb/admin.sock")
    leave_directory = default.parent.exists()
    with Scene() as scene:
        first = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        second = scene.cidlb([scene.pool("p", [scene.backend(2)])], name="second", start=False)
        for lb in (first, second):
            del lb.config["admin"]["socket"]
            lb.start()
        assert f"no socket for cidlbctl at {default}" in second.log_text(), second.log_text()
    if default.parent.exists() and not leave_directory:
        with contextlib.suppress(OSError):  # another one's socket is there
            default.parent.rmdir()


def case_strangers_keep_out():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        if not AS_ROOT:
            raise Skip("needs root, to be others")
        argv = [shutil.copy(BIN / "cidlbctl", scene.dir), "status", "--socket", lb.config["admin"]["socket"]]
        other = subprocess.run(
            argv, capture_output=True, text=True, user=USER.pw_uid + 1, group=12345, extra_groups=[], timeout=20
        )
        assert other.returncode == 1 and "Permission denied" in other.stderr, other
        same = subprocess.run(
            argv, capture_output=True, text=True, user=12345, group=USER.pw_gid, extra_groups=[], timeout=20
        )
        assert same.returncode == 0, same


if __name__ == "__main__":
    main(globals())
