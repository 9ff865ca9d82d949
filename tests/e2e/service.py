#!/usr/bin/env python3
"""cidlb as a service of systemd: what it says of itself, the watchdog, and what the unit shuts off."""

import ctypes
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from harness import AS_ROOT, BIN, Scene, Skip, main, release_only, wait_until
from lab.manager import Manager

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
UNIT = PACKAGING / "systemd" / "cidlb.service"
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WATCHDOG_S = 2  # a thread of a busy machine does not wait for its turn so long

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def case_unit_shuts_off_what_it_can():
    if not shutil.which("systemd-analyze"):
        raise Skip("needs systemd-analyze")
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


def case_unit_keeps_the_name_of_the_host():
    """Without ProtectHostname, because of what else is there."""
    unit = UNIT.read_text()
    assert "\nSystemCallFilter=@system-service\n" in unit and "sethostname" not in unit, unit
    assert not re.search(r"^CapabilityBoundingSet=.*CAP_SYS_ADMIN", unit, re.M), unit
    if not shutil.which("systemd-analyze"):
        raise Skip("needs systemd-analyze")

    def calls_in(group):
        argv = ["systemd-analyze", "syscall-filter", group]
        words = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20).stdout.split()
        return set(words).union(*map(calls_in, {word for word in words if word[0] == "@"} - {group}))

    calls = calls_in("@system-service")
    assert "sendto" in calls and not calls & {"sethostname", "setdomainname"}, calls


def case_unit_says_what_it_must():
    """Options that a mistake would silently leave out."""
    unit = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"\w+=", line))
    assert unit["Type"] == "notify" and unit["User"] == "cidlb" and unit["StartLimitIntervalSec"] == "0", unit
    # What a kill costs devices: guide/figures.md. Any other wait of systemd's is up to 250 ms longer.
    assert unit["Restart"] == "always" and unit["RestartSec"] == "0" and int(unit["WatchdogSec"]) > 0, unit
    assert unit["ExecReload"] == "/usr/local/bin/cidlbctl reload", unit
    assert unit["ExecStartPre"] == "+" + unit["ExecStart"].replace(" -c", " -t -c"), unit


def case_user_and_directories():
    """systemd-sysusers and systemd-tmpfiles take what is shipped."""
    if not (AS_ROOT and shutil.which("systemd-sysusers") and shutil.which("systemd-tmpfiles")):
        raise Skip("needs systemd, and root")
    with Scene() as scene:
        (scene.dir / "etc").mkdir()
        for argv in (["systemd-sysusers"], ["systemd-tmpfiles", "--create"]):
            file = PACKAGING / f"{argv[0].removeprefix('systemd-')}.d" / "cidlb.conf"
            subprocess.run([*argv, f"--root={scene.dir}", file], check=True, timeout=20)
        users = (scene.dir / "etc/passwd").read_text()
        uid = re.search(r"^cidlb:x:(\d+):.*:/var/lib/cidlb:.*/nologin$", users, re.M)[1]
        for place in ("run/cidlb", "var/lib/cidlb"):
            assert (scene.dir / place).stat().st_uid == int(uid)


@contextmanager
def managed(scene, watchdog_s=None):
    a, b = scene.backend(1), scene.backend(2)
    lb = scene.cidlb([scene.pool("p", [a, b])], start=False)
    with Manager(lb, watchdog_s) as manager:
        manager.start()
        manager.wait_ready()
        yield lb, manager, (a, b)
        if lb.alive():
            lb.stop()


def ctl(lb, *words, status=0):
    argv = [BIN / "cidlbctl", *words, "--socket", lb.config["admin"]["socket"]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode == status, done
    return done.stdout + done.stderr


def case_status_is_true():
    with Scene() as scene, managed(scene) as (lb, manager, (a, b)):
        first = next(line for _, line in manager.said if line.startswith("STATUS="))
        assert "not ready: not every backend was probed yet" in first, first
        wait_until(lambda: "ready" not in manager.status(), 30, "it is ready")
        assert manager.status() == "serves 1 listener, 1 pool: 2 of 2 servers up", manager.status()
        ctl(lb, "drain", "a")
        manager.wait_status("2 of 2 servers up, 1 draining")
        ctl(lb, "ready", "a")
        b.kill()
        manager.wait_status("1 of 2 servers up")
        ctl(lb, "leave")
        manager.wait_status("; left: devices are to go to other nodes")
        ctl(lb, "join")
        wait_until(lambda: "left" not in manager.status(), 30, "it has joined")
        good = lb.file.read_text()
        lb.file.write_text(good.replace('"node-id"', '"node id"'))
        assert "scheme" in ctl(lb, "reload", status=1)
        manager.wait_status(f"; the last reload was refused: {lb.file}:")
        assert "scheme" in manager.status(), manager.status()
        lb.file.write_text(good)
        ctl(lb, "reload")
        wait_until(lambda: "refused" not in manager.status(), 30, "it was not refused any more")
        lb.stop()
        wait_until(lambda: manager.status() == "stopping", 20, "it stops")
        assert manager.count("STOPPING=1") == 1


def threads_of(lb):
    """(the control thread, the workers): what each waits for tells which is which."""
    tasks = [int(task.name) for task in Path(f"/proc/{lb.pid}/task").iterdir()]
    return lb.pid, [task for task in tasks if task != lb.pid]


@contextmanager
def held(thread):
    """One thread stands still, and the others of its process go on."""
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        raise Skip(f"may not trace: {os.strerror(ctypes.get_errno())}")
    assert libc.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(thread, 0x40000000)  # __WALL
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)


@release_only
def case_watchdog_hears_of_each_worker():
    """A worker that does not come round its loop starves the watchdog, though all other threads go on; so does the
    control thread."""
    with Scene() as scene, managed(scene, WATCHDOG_S) as (lb, manager, _):
        def fed():
            return manager.count("WATCHDOG=1")

        wait_until(lambda: fed() >= 4, 30, "the watchdog is fed")
        assert fed() <= 5 + 3 * (time.monotonic() - manager.said[0][0]) / WATCHDOG_S, "and not more often than needed"
        control, others = threads_of(lb)
        starving = []
        for thread in others:
            with held(thread):
                time.sleep(0.45 * WATCHDOG_S)  # what was on its way
                before = fed()
                time.sleep(1.2 * WATCHDOG_S)
                if fed() == before:
                    starving.append(thread)
                    assert lb.get("/healthz")[0] == 200
            before = fed()
            wait_until(lambda: fed() > before, 30, "it is fed again")
        assert len(starving) == lb.config["workers"], (starving, others)
        assert len(re.findall("error watchdog: 1 worker does not come round", lb.log_text())) == 2, lb.log_text()
        with held(control):
            before = fed()
            time.sleep(1.2 * WATCHDOG_S)
            assert fed() <= before + 1, "the control thread stands still"


main(globals())
