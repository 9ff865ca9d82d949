#!/usr/bin/env python3
"""May a server that drains be stopped? Real sessions of devices that report rarely, behind every mode, while cidlb is
restarted. And what commands say that will not survive a restart."""

import ctypes
import json
import os
import re
import subprocess
import time
from pathlib import Path

from harness import AS_ROOT, BIN, USER, Scene, Skip, ip, main, wait_until
from tunnel_probes import key_file, tunnel

WINDOW = 8  # seconds: cid_idle_s
STEP = 15  # seconds: DRAIN_STEP_S of lb/control/drain.h
RARELY = {"interval_ms": 5000, "ack_timeout_ms": 500, "duration": 600}
PREFIX = "fd00:c1d:2b00::/56"


def ctl(lb, *arguments, status=0, timeout=60):
    """(stdout, stderr) of cidlbctl."""
    argv = [BIN / "cidlbctl", *map(str, arguments), "--socket", lb.config["admin"]["socket"]]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
    assert ran.returncode == status, f"{arguments}: status {ran.returncode}: {ran.stdout}{ran.stderr}"
    return ran.stdout, ran.stderr


def row(lb, name="a"):
    answer = json.loads(ctl(lb, "backends", "--json")[0])
    return next(one for one in answer["backends"] if one["name"] == name)


def nat(scene, window=WINDOW):
    a = scene.backend(1)
    return a, scene.pool("p", [a], nat={"cid_idle_s": window})


def stateless(scene, window=WINDOW):
    ip("-6", "route", "replace", "local", PREFIX, "dev", "lo")
    a = scene.backend(1, ip="::1")
    settings = {"rebind": "backend", "sources": (PREFIX,), "ports": "40684", "cid_idle_s": window}
    return a, scene.pool("p", [a], nat=settings)


def in_tunnel(scene, window=WINDOW):
    settings = {**tunnel(), "cid_idle_s": window}
    a = scene.backend(1, options=["--tunnel", key_file(scene)])
    pool = scene.pool("p", [a], forward="tunnel", tunnel=settings)
    return a, {key: value for key, value in pool.items() if key != "nat"}


def joined(scene, lb, devices, name="fleet", **traffic):
    story = scene.dir / f"{name}.story"
    fleet = scene.fleet(lb.address(), name=name, devices=devices, story=story, **{**RARELY, **traffic})
    wait_until(
        lambda: story.exists() and story.read_text().count('"joined"') >= devices, 30, f"{devices} devices have joined"
    )
    return fleet


def watch(lb, seconds):
    """What `backends` says of the server each quarter of a second."""
    end, seen = time.monotonic() + seconds, []
    while time.monotonic() < end:
        seen.append(row(lb))
        time.sleep(0.25)
    return seen


def since(then):
    """Whole seconds since then, and one for the rounding."""
    return int(time.monotonic() - then) + 1


def while_devices_live(mode):
    """Nobody says that it may be stopped while devices live that report every 5 s, though more than the window passes,
    and cidlb is killed and restarted in the middle of their silence. It is said once they are gone, and not too soon.
    They do not report at the same time: a start that takes seconds keeps cidlb from hearing some of them only."""
    with Scene() as scene:
        a, pool = mode(scene)
        lb = scene.cidlb([pool])
        fleet = joined(scene, lb, 6, ramp_ms=800)
        ctl(lb, "drain", "a")
        seen = watch(lb, 6)
        lb.restart()
        seen += watch(lb, 6)
        lb.stop()
        lb.start()
        seen += watch(lb, 6)
        wrong = [one for one in seen if one["drain"]["may_stop"] or one["last_cid_s"] is None or one["last_cid_s"] > 7]
        assert not wrong, wrong[0]
        said = ctl(lb, "backends")[0]
        assert "s ago; cannot tell before 20" in said and "may be stopped" not in said, said
        assert lb.metric("cidlb_backend_may_stop", backend="a") == 0

        fleet.kill()
        last = time.monotonic() - row(lb)["last_cid_s"]
        wait_until(lambda: row(lb)["drain"]["may_stop"], WINDOW + STEP + 10, "it may be stopped")
        assert time.monotonic() - last >= WINDOW - 1  # whole seconds are counted
        assert re.search(r"may be stopped: no CID for \d+ s\n", ctl(lb, "backends")[0])
        assert lb.metric("cidlb_backend_may_stop", backend="a") == 1
        # That stays so, whatever happens to cidlb.
        time.sleep(1)
        lb.restart()
        assert row(lb)["drain"]["may_stop"], row(lb)
        assert a.counters()["handshakes"] == 6


def case_nat():
    while_devices_live(nat)


def case_tunnel():
    while_devices_live(in_tunnel)


def case_without_a_table():
    while_devices_live(stateless)


def case_silence_goes_on_over_restarts():
    """Silence that was watched before a restart counts, and what came before a drain does not."""
    with Scene() as scene:
        _, pool = nat(scene, 30)
        lb = scene.cidlb([pool])
        joined(scene, lb, 1).kill()
        time.sleep(3)
        drained = time.monotonic()
        ctl(lb, "drain", "a")
        one = row(lb)
        assert one["drain"]["watched_s"] <= since(drained) and one["last_cid_s"] >= 2, one
        time.sleep(4)
        asked, before = time.monotonic(), row(lb)
        lb.stop()
        lb.start()
        after = row(lb)
        assert after["drain"]["watched_s"] >= before["drain"]["watched_s"] >= 4, (before, after)
        assert before["last_cid_s"] <= after["last_cid_s"] <= before["last_cid_s"] + since(asked) + 1, (before, after)
        # `ready` ends it: sessions may have begun meanwhile.
        ctl(lb, "ready", "a")
        assert "drain" not in row(lb)
        again = time.monotonic()
        ctl(lb, "drain", "a")
        watched = row(lb)["drain"]["watched_s"]
        assert watched <= since(again), watched
        lb.restart()  # the file may know of the first one, and not yet of this
        watched = row(lb)["drain"]["watched_s"]
        assert watched <= since(drained), watched


def case_forecast():
    """Where there are flows: how often their devices speak, and until when each has spoken or is late."""
    with Scene() as scene:
        _, pool = nat(scene, 600)
        lb = scene.cidlb([pool])
        often = joined(scene, lb, 5, "often", interval_ms=2000)
        rarely = joined(scene, lb, 2, "rarely", interval_ms=8000)
        time.sleep(14)
        ctl(lb, "drain", "a")

        def told():
            """What is said, once nobody is later than ever because the machine was busy just then."""
            forecast = row(lb)["drain"]["forecast"]
            return forecast["late"] == 0 and (forecast, ctl(lb, "backends")[0])

        forecast, said = wait_until(told, 20, "nobody is late")
        assert 2 <= forecast["half_s"] <= 4 and 7 <= forecast["all_s"] <= 11, forecast
        assert forecast["new"] == 0 and 0 < forecast["by_s"] <= forecast["all_s"], forecast
        assert re.search(r"\n    7 flows left, last CID \d s ago(, .* for \d s)?; cannot tell before 20\S+ \S+\n", said), said
        assert re.search(
            r"\n    half of them speak every [234] s or sooner, all every \d+ s; by 20\S+ \S+ each has spoken", said
        ), said
        # Who stays away is late, in time.
        often.kill(), rarely.kill()
        wait_until(lambda: row(lb)["drain"]["forecast"]["late"] == 7, forecast["all_s"] + 5, "all of them are late")
        assert "    7 of them later than ever now\n" in ctl(lb, "backends")[0]
        # It is not asked for again and again.
        out, _ = ctl(lb, "drain", "a", "--json")
        assert "forecast" not in json.loads(out)["backend"]["drain"], out


def waiting(scene, lb, name, *arguments):
    argv = [BIN / "cidlbctl", "drain", "a", "--wait", *arguments, "--socket", lb.config["admin"]["socket"]]
    process = scene.process(name, *argv)
    process.asked = True
    return process


def wait_drains(lb):
    """Until what waiting() has begun has told the server to drain."""
    wait_until(lambda: row(lb)["state"] == "drain", 20, "it drains")


def case_wait():
    with Scene() as scene:
        a, pool = nat(scene)
        b = scene.backend(2)
        lb = scene.cidlb([{**pool, "backends": [a.entry(), b.entry()]}])
        # So many that a server has some of them, and not all at one time.
        fleet = joined(scene, lb, 24, ramp_ms=200)
        out, error = ctl(lb, "drain", "a", "--wait", "--timeout", "2s", status=3)
        assert out == "p/a: drain, up, weight 100\n" and "cannot tell before" in error, (out, error)
        out, _ = ctl(lb, "drain", "a", "--wait", "--timeout", 1, "--json", status=3)
        assert not json.loads(out)["backend"]["drain"]["may_stop"], out
        for wrong in (["--timeout", "5"], ["--wait", "--timeout", "x"], ["--wait", "--timeout", "-1"]):
            ctl(lb, "drain", "a", *wrong, status=2)
        ctl(lb, "ready", "a", "--wait", status=2)

        # Somebody takes it back.
        ctl(lb, "ready", "a")
        process = waiting(scene, lb, "back")
        wait_drains(lb)
        assert process.alive()
        ctl(lb, "ready", "a")
        assert process.wait(30) == 1 and "does not drain any more" in process.log_text(), process.log_text()

        # It lasts until the devices are gone, over a restart of cidlb.
        process = waiting(scene, lb, "until")
        wait_drains(lb)
        time.sleep(1)
        lb.restart()
        time.sleep(WINDOW + 1)
        assert process.alive(), process.out.read_text() + process.log_text()
        fleet.kill()
        assert process.wait(WINDOW + STEP + 10) == 0, process.log_text()
        assert "p/a: may be stopped: no CID for" in process.out.read_text(), process.out.read_text()
        out, _ = ctl(lb, "drain", "a", "--wait", "--json")
        assert json.loads(out)["backend"]["drain"]["may_stop"], out

        # Its entry goes away.
        ctl(lb, "ready", "a")
        process = waiting(scene, lb, "entry")
        wait_drains(lb)
        lb.config["pools"][0]["backends"] = [b.entry()]
        lb.reload()
        assert process.wait(30) == 1 and "no backend is called p/a" in process.log_text(), process.log_text()
        # cidlb ends for good.
        process = waiting(scene, lb, "gone")
        assert process.wait(30) == 1


def give(path, user=None):
    """To root, or to a user."""
    os.chown(path, user.pw_uid if user else 0, user.pw_gid if user else 0)


def case_will_not_survive():
    """A command that holds and cannot be kept says so, by its exit status as well."""
    if not AS_ROOT:
        raise Skip("needs root, to give a directory to somebody else")
    with Scene() as scene:
        _, pool = nat(scene, window=1)
        pool["backends"].append(scene.backend(2).entry())
        lb = scene.cidlb([pool], start=False)
        directory = scene.dir / "state"
        directory.mkdir()
        directory.chmod(0o755)
        lb.config["state_file"] = str(directory / "state.json")
        state = Path(lb.config["state_file"])
        give(directory, USER)
        lb.start()
        assert ctl(lb, "drain", "a") == ("p/a: drain, up, weight 100\n", "")
        assert json.loads(ctl(lb, "drain", "a", "--json")[0])["kept"] is True
        written = state.read_text()
        give(directory), give(state)
        for command in (["drain", "b"], ["ready", "a"], ["maint", "b"], ["weight", "b", 7]):
            out, error = ctl(lb, *command, status=4)
            assert out.startswith(f"p/{command[1]}: "), out
            assert "will not survive a restart of cidlb" in error and "Permission denied" in error, error
        for command in ("leave", "join"):
            error = ctl(lb, command, status=4)[1]
            assert "will not survive a restart of cidlb" in error and "Permission denied" in error, error
        # It may be stopped, and whoever waits for that is told all the same.
        out, error = ctl(lb, "drain", "b", "--wait", status=4)
        assert "p/b: may be stopped" in out and "will not survive a restart of cidlb" in error, (out, error)
        answer = json.loads(ctl(lb, "drain", "b", "--json", status=4)[0])
        assert answer["ok"] and answer["kept"] is False and "Permission denied" in answer["unkept"], answer
        assert state.read_text() == written
        # What was there is there after a restart.
        lb.restart()
        assert (row(lb)["state"], row(lb, "b")["state"]) == ("drain", "ready")
        lb.wait_log("error state_file: .* cannot be written: Permission denied")
        ctl(lb, "drain", "b", status=4)
        # With room again it is written by itself.
        give(directory, USER)
        wait_until(lambda: '"b"' in state.read_text(), 15, "it is written after all")
        lb.wait_log("info state_file: .* is written again")
        assert ctl(lb, "drain", "b")[1] == ""

        # Nobody wanted it to be kept.
        lb.config["state_file"] = ""
        lb.restart()
        out, error = ctl(lb, "drain", "a")
        assert out.endswith("It lasts until cidlb ends: there is no state_file.\n") and error == "", (out, error)
        assert json.loads(ctl(lb, "drain", "a", "--json")[0])["kept"] is None
        out, error = ctl(lb, "leave")
        assert out.endswith("It lasts until cidlb ends: there is no state_file.\n") and error == "", (out, error)


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def case_mounted_state_file():
    """A state file that is a mount of its own, as in a container: kept in place, with the filter of system calls; and
    a damaged one is copied aside."""
    new_mounts = 0x20000  # CLONE_NEWNS
    if not AS_ROOT or ctypes.CDLL(None, use_errno=True).unshare(new_mounts) != 0:
        raise Skip("needs mounts of its own")
    mount("--make-rprivate", "/")
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1), scene.backend(2)])], start=False)
        state, outside = Path(lb.config["state_file"]), scene.dir / "outside.json"
        for file, text in ((state, ""), (outside, '{"version": 1, "backends": {}, "addresses": {')):
            file.write_text(text)
            give(file, USER)
        mount("--bind", outside, state)
        lb.start()
        aside = state.with_suffix(".json.bad")
        lb.wait_log(rf"warning state_file: {state} is damaged \(not JSON, line 1\): set aside as {aside}\n")
        assert aside.read_text() == '{"version": 1, "backends": {}, "addresses": {'
        for backend, command in (("a", "drain"), ("b", "maint"), ("b", "ready")):
            assert ctl(lb, command, backend)[1] == ""
        assert json.loads(outside.read_text())["backends"]["p"]["a"]["state"] == "drain"
        lb.restart()
        assert (row(lb)["state"], row(lb, "b")["state"]) == ("drain", "ready")
        assert "error state_file" not in lb.log_text()
        lb.stop()
        subprocess.run(["umount", state], check=True)


def case_what_the_log_says():
    """Of servers that come and go with a reload, and of what a command had set, how it goes on and how it ends."""
    with Scene() as scene:
        a, b, c = scene.backend(1), scene.backend(2), scene.backend(3)
        lb = scene.cidlb([scene.pool("p", [a, b])])
        pool = lb.config["pools"][0]
        assert "backend_added" not in lb.log_text() and "backend_state" not in lb.log_text()
        fleet = joined(scene, lb, 30)  # so many that b has some of them

        pool["backends"] = [a.entry(), b.entry(), c.entry(weight=7)]
        lb.reload()
        lb.wait_log(rf"info backend_added pool=p backend=c: at {c.address}, ready, weight 7; the pool has 3 now\n")
        flows = row(lb, "b")["flows"]
        assert flows > 0
        pool["backends"] = [a.entry(), c.entry(weight=8)]
        lb.reload()
        lb.wait_log(
            rf"info backend_removed pool=p backend=b: {flows} flows?, last CID \d+ s ago; the pool has 2 now\n"
        )
        lb.wait_log("info backend_weight pool=p backend=c: 8, by the configuration\n")
        assert lb.log_text().count("backend_added") == lb.log_text().count("backend_removed") == 1
        fleet.kill()

        # A drain that is kept over a restart, and one that is ended by an edited entry, then, and at a reload.
        ctl(lb, "drain", "a")
        ctl(lb, "weight", "c", 9)
        lb.restart()
        lb.wait_log("info backend_state pool=p backend=a: drain, by a command from before the start\n")
        lb.wait_log("info backend_weight pool=p backend=c: 9, by a command from before the start\n")
        pool["backends"] = [a.entry(weight=50), c.entry(weight=8)]
        lb.reload()
        ended = "info backend_state pool=p backend=%s: its entry %s, which ends what a command had set: %s, weight %d\n"
        lb.wait_log(ended % ("a", "has changed", "drain", 100))
        lb.wait_log("info backend_state pool=p backend=a: ready, by the configuration\n")
        lb.wait_log("info backend_weight pool=p backend=a: 50, by the configuration\n")
        lb.stop()
        pool["backends"] = [a.entry(), c.entry(weight=10)]
        lb.start()
        lb.wait_log(ended % ("c", "has changed", "ready", 9))
        ctl(lb, "maint", "c")
        pool["backends"] = [a.entry()]
        lb.reload()
        lb.wait_log(ended % ("c", "is gone", "maint", 10))
        # Once each.
        assert lb.log_text().count("by a command from before") == 2
        assert lb.log_text().count("which ends what a command had set") == 3


if __name__ == "__main__":
    main(globals())
