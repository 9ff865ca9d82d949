#!/usr/bin/env python3
"""The daemon around the packet path: command line, privileges, limits, logs, health. Reloads are in reloads.py."""

import datetime
import json
import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

from harness import AS_ROOT, BIN, PSK, SANITIZE, USER, Scene, Skip, free_ports, main, release_only, wait_until
from udp import forge, open_socket, parse_address

QUICK = {"interval_ms": 200, "ack_timeout_ms": 300}
FAST_HEALTH = {"probe": "dtls", "interval_ms": 150, "timeout_ms": 3000, "rise": 2, "fall": 3}
MANY = 48  # devices: that one of three servers gets none of them is a chance of 1 in 280 millions
HASH_KEY = "000102030405060708090a0b0c0d0e0f"

# Twelve mistakes, each in a line of its own.
MISTAKES = """\
workers = 65;
user = "nobody";
hash_key = "%(key)s0";
listener = 1;
listeners = ( {
  name = "l";
  address = "127.0.0.1";
  pool = "p"; } );
pools = ( {
  name = "p";
  protocol = "dtls";
  affinity = "port";
  cid = {
    scheme = "node-id";
    length = 6; };
  nat = {
    ports = "70000";
    cid_idle_s = 4294967297;
    sources = [ "127.64.0.1/10" ]; };
  health = {
    fall = 0; };
  backends = (
    { name = "a"; id = 300; address = "127.0.0.1:6001"; },
    { name = "b"; id = 2; address = "127.0.0.1:0"; },
    { name = "a"; id = 3; address = "127.0.0.1:6003"; } ); } );
"""
MISTAKEN_LINES = [1, 3, 4, 7, 12, 17, 18, 19, 21, 23, 24, 25]


def overwrite(lb, text):
    """Puts a text of the test's in the place of the configuration."""
    lb.write()
    lb.file.write_text(text)


def hang_up(lb, pattern):
    """SIGHUP; waits for a new line of the log, and returns all new ones."""
    before = len(lb.log_text())
    lb.child.send_signal(signal.SIGHUP)
    wait_until(lambda: re.search(pattern, lb.log_text()[before:]), 20, f"log says {pattern!r}")
    return lb.log_text()[before:].splitlines()


def one_pool(scene, count=2, **options):
    backends = [scene.backend(number) for number in range(1, count + 1)]
    return backends, scene.cidlb([scene.pool("p", backends, **options)])


def survives(fleet, devices):
    fleet.child.send_signal(signal.SIGTERM)
    report = fleet.report(60)
    assert report["survived"] == report["handshakes"] == devices and report["exchanges_lost"] == 0, report


def new_session(scene, lb, name, listener=None, devices=12):
    """New devices get sessions and lose nothing."""
    report = scene.fleet(lb.address(listener), name=name, devices=devices, duration=1, **QUICK).report(60)
    assert report["survived"] == report["handshakes"] == devices and report["exchanges_lost"] == 0, report


def wait_sessions(lb, devices, **labels):
    wait_until(
        lambda: lb.metric("cidlb_flows", kind="cid", **labels) >= devices, 20, f"{devices} devices have sessions"
    )


def case_mistakes_on_the_command_line():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        overwrite(lb, MISTAKES % {"key": HASH_KEY})
        for argv in (["-t", "-c", lb.file], ["-c", lb.file]):
            done = subprocess.run([BIN / "cidlb", *argv], capture_output=True, text=True, timeout=20)
            lines = done.stderr.splitlines()
            assert done.returncode == 1 and not done.stdout, done
            assert [int(line.removeprefix(f"{lb.file}:").split(":")[0]) for line in lines] == MISTAKEN_LINES, lines
            assert any(line.endswith("300 does not fit size 1; accepted: 0..255") for line in lines), lines


def case_command_line():
    with Scene() as scene:
        backend = {"name": "a", "id": 1, "address": "127.0.0.1:6001"}
        lb = scene.cidlb([scene.pool("p", [backend], health={})], start=False)
        lb.write()
        good, missing = str(lb.file), str(scene.dir / "missing")
        for argv, status, said in (
            (["-t", "-c", good], 0, "good"),
            (["-V"], 0, r"^cidlb \d"),
            (["--version"], 0, r"^cidlb \d"),
            (["-h"], 0, "^usage: "),
            (["-t", "-c", missing], 1, "No such file"),
            (["-c", missing], 1, "No such file"),
            (["-x"], 2, "usage: "),
            (["-c"], 2, "usage: "),
            (["-t", "-c", good, "left over"], 2, "^cidlb: left over: not an option\nusage: "),
            (["--log-format", "xml", "-t"], 2, "^cidlb: xml: no log format; accepted: text, json\nusage: "),
        ):
            done = subprocess.run([BIN / "cidlb", *argv], capture_output=True, text=True, timeout=20)
            out, other = (done.stderr, done.stdout) if status else (done.stdout, done.stderr)
            assert done.returncode == status and re.search(said, out) and not other, (argv, done)
        # What is good, but may not be meant, is said to who asks.
        lb.config["pools"][0]["health"] = FAST_HEALTH
        lb.write()
        done = subprocess.run([BIN / "cidlb", "-t", "-c", good], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and "good" in done.stdout, done
        assert re.match(r"warning: \S+:\d+: pools\[0\].health.timeout_ms: probes time out after ", done.stderr), done


def case_second_cidlb():
    with Scene() as scene:
        _, lb = one_pool(scene, 1)
        fleet = scene.fleet(lb.address(), devices=3, duration=600, rebind_every=0.5, **QUICK)
        wait_sessions(lb, 3)
        pool = lb.config["pools"][0]
        for name, same in (("listener", "listeners"), ("http", "admin"), ("ports", "pools")):
            second = scene.cidlb([scene.pool("p", pool["backends"])], name=name, start=False)
            second.config[same] = lb.config[same]
            second.start(ready=False)
            assert second.wait(30) == 1, second.log_text()
            lines = second.log_text().splitlines()
            named = {"listeners": "listeners[0].address", "admin": "admin.http", "pools": "pools[0].nat.ports"}[same]
            why = r"cannot bind \S+:\d+: Address already in use by another program, perhaps another cidlb$"
            assert re.search(f" error refused: {re.escape(named)}: {why}", lines[-1]), lines
        second = scene.cidlb([pool], name="same", start=False)
        second.config = lb.config
        second.start(ready=False)
        assert second.wait(30) == 1
        lb.assert_identities()
        survives(fleet, 3)


def status_of(task):
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


@release_only  # sanitizers need a process that can be traced
def case_gives_up_root():
    if not AS_ROOT:
        raise Skip("needs root")
    with Scene() as scene:
        _, lb = one_pool(scene, 1)
        tasks = [status_of(task) for task in Path(f"/proc/{lb.pid}/task").iterdir()]
        assert len(tasks) >= 4, "control thread, the log's, and two workers"
        for task in tasks:
            assert task["Uid"].split() == [str(USER.pw_uid)] * 4, task
            assert task["Gid"].split() == [str(USER.pw_gid)] * 4, task
            assert set(task["Groups"].split()) <= {str(USER.pw_gid)}, task
            assert all(int(task[caps], 16) == 0 for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), task
            assert task["NoNewPrivs"].strip() == "1", task
        # Each worker, and who writes the log, has a list of system calls of its own, on top of that of all threads.
        filters = sorted(int(task["Seccomp_filters"]) for task in tasks)
        assert filters[0] == int(status_of(Path(f"/proc/{lb.pid}"))["Seccomp_filters"]) > 0, filters
        assert filters[-4:] == [filters[0], *[filters[0] + 1] * 3], filters
        # What it needs as root no more: a listener that a reload adds, on a port of the usual kind.
        lb.config["listeners"].append({"name": "more", "address": f"127.0.0.1:{free_ports()}", "pool": "p"})
        lb.reload()
        lb.assert_identities()


def case_signals_end_it():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Scene() as scene:
            _, lb = one_pool(scene, 1)
            fleet = scene.fleet(lb.address(), devices=3, duration=600, **QUICK)
            wait_sessions(lb, 3)
            lb.child.send_signal(number)
            assert lb.wait(30) == 0, number
            assert " info stopped: " in lb.log_text().splitlines()[-1]
            fleet.kill()


def case_more_servers_than_descriptors():
    """The soft limit of a service is 1,024."""
    with Scene() as scene:
        a = scene.backend(1)
        entries = [{**a.entry(), "name": f"s{number}", "id": number} for number in range(1, 301)]
        cid = {"scheme": "node-id", "length": 6, "size": 2}
        lb = scene.cidlb([scene.pool("p", entries, cid=cid)], start=False)
        lb.argv[:0] = ["prlimit", "--nofile=256:4096"]
        lb.start()
        assert lb.metric("cidlb_backend_up") == 300


def starts_or_says_why(lb, *under):
    """Whether it starts under what limits it; it ends well then. If not, its last line has the reason."""
    limit = " ".join(under)
    lb.log.unlink(missing_ok=True)
    program = lb.argv
    lb.argv = [*under, *program]
    lb.start(ready=False)
    lb.argv = program
    wait_until(lambda: " started: " in lb.log_text() or not lb.alive(), 20, f"starts or ends under {limit}")
    if lb.alive():
        lb.stop()
        return True
    status, lines = lb.wait(30), lb.log_text().splitlines()
    if status == 127:  # ld.so, before there is a cidlb
        assert "error while loading shared libraries" in lines[-1], (limit, lines)
    elif status == -signal.SIGSEGV and not lines:  # the same, if it has no memory for the first thread
        assert subprocess.run([*under, program[0], "-V"], capture_output=True).returncode == status, limit
    else:
        why = r" error \S+: \S|:1: (Cannot allocate memory|out of memory|Too many open files|may need \d+ descriptors .*)$"
        assert status == 1 and lines and re.search(why, lines[-1]), (limit, status, lines)
    return False


def starts_somewhere(lb, limits):
    assert any(starts_or_says_why(lb, "prlimit", limit) for limit in limits), f"starts under none, {lb.log_text()}"


def case_starts_or_says_why_with_few_descriptors():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        starts_somewhere(lb, (f"--nofile={count}" for count in range(3, 120)))


def case_starts_or_says_why_with_few_descriptors_left():
    """Whoever starts it has left the others open, which its check knows nothing of."""
    leave = 'for ((i = $0; i < 100; i++)); do eval "exec $i</dev/null"; done; exec prlimit --nofile=100 "$@"'
    fewest = 6 if SANITIZE else 4  # a leak check at the end needs some, too; and without any ld.so ends
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        assert any(starts_or_says_why(lb, "bash", "-c", leave, str(left)) for left in range(fewest, 70)), lb.log_text()


@release_only  # a sanitizer's address space cannot be limited
def case_starts_or_says_why_with_little_memory():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], nat={"max_flows": 1000})], start=False)
        starts_somewhere(lb, (f"--as={octets}" for octets in range(4 << 20, 400 << 20, 384 << 10)))


@release_only
def case_check_of_deep_lists_with_little_memory():
    """What takes most memory of libconfig, which does not survive the lack of it."""
    with Scene() as scene:
        conf = scene.dir / "deep.conf"
        conf.write_text("".join(f"a{n} = {'(' * 3000}{')' * 3000};\n" for n in range(60)))
        said = set()
        for mib in range(16, 256, 8):
            argv = ["prlimit", f"--as={mib << 20}", BIN / "cidlb", "-t", "-c", conf]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
            assert done.returncode == 1, (mib, done.returncode, done.stderr[:500])
            said.add(
                "out of memory"
                if done.stderr.endswith(": out of memory\n")
                else "unknown" if "unknown" in done.stderr else done.stderr
            )
        assert said == {"out of memory", "unknown"}, said


def case_no_user_of_its_own():
    """Root without a user to become: refused with the command that makes one. Nobody does not take its place."""
    if not AS_ROOT:
        raise Skip("needs root")
    if any(entry.pw_name == "cidlb" for entry in pwd.getpwall()):
        raise Skip("this machine has a user cidlb")
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        del lb.config["user"]
        lb.write()
        for argv in (["-t", "-c", lb.file], ["-c", lb.file]):
            done = subprocess.run([BIN / "cidlb", *argv], capture_output=True, text=True, timeout=10)
            assert done.returncode == 1 and "useradd --system \"cidlb\"" in done.stderr, (argv, done)


def case_options_for_the_next_start():
    with Scene() as scene:
        _, lb = one_pool(scene, 1)
        lb.wait_log(" info started: cidlb [^ ]+: 1 listener, 1 pool, 2 workers, fingerprint ")
        lb.config.update(workers=1, user="daemon")
        lb.write()
        lines = hang_up(lb, "reloaded")
        assert "workers: 1 takes effect at the next start" in lines[0], lines
        assert r'user: \"daemon\" takes effect at the next start' in lines[1], lines
        assert " info reloaded: 1 listener, 1 pool, fingerprint " in lines[-1], lines
        assert lines[-1].endswith(": workers 2->1, user nobody->daemon") or not AS_ROOT, lines
        again = hang_up(lb, "reloaded")
        assert [line.split(" ", 1)[1] for line in again[:-1]] == [line.split(" ", 1)[1] for line in lines[:-1]], again
        assert again[-1].endswith(": nothing changed"), again


def case_json_logs():
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a], health=FAST_HEALTH)], start=False)
        lb.argv += ["--log-format", "json"]
        lb.start()
        overwrite(lb, MISTAKES % {"key": HASH_KEY})
        hang_up(lb, "reload_refused")
        lb.reload()
        a.kill()
        lb.wait_log("backend_down")
        lb.stop()
        events = [json.loads(line) for line in lb.log_text().splitlines()]
        for event in events:
            assert {"time", "level", "event"} < set(event), event
            assert event["level"] in ("info", "warning", "error"), event
            assert all(isinstance(value, (str, int)) for value in event.values()), event
            datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
        assert [event["event"] for event in events if event["event"] != "configuration"] == [
            "learned_file",
            "started",
            "reload_refused",
            "reloaded",
            "backend_down",
            "stopped",
        ], events
        assert sum(event["event"] == "configuration" for event in events) == len(MISTAKEN_LINES), events
        down = next(event for event in events if event["event"] == "backend_down")
        assert (down["level"], down["pool"], down["backend"]) == ("warning", "p", "a"), down
        started, reloaded = (next(e for e in events if e["event"] == name) for name in ("started", "reloaded"))
        assert started["pools"] == started["listeners"] == 1 and started["workers"] == 2, started
        assert reloaded["changes"] == "nothing changed" and reloaded["change_count"] == 0, reloaded
        assert not any("reason" in event for event in (started, reloaded)) and events[-1]["by"] == "signal", events


def case_secrets_stay_secret():
    with Scene() as scene:
        a = scene.backend(1)
        key = scene.dir / "probe.key"
        key.touch(mode=0o600)
        key.write_text(PSK[1])
        if AS_ROOT:
            os.chown(key, USER.pw_uid, USER.pw_gid)
        health = {**FAST_HEALTH, "psk_identity": "who-nobody-must-see", "psk_key": f"@{key}"}
        lb = scene.cidlb([scene.pool("p", [a], health=health)])
        scene.fleet(lb.address(), devices=2, duration=1, **QUICK).report(60)
        key.write_text("0123456789abcdef-mistyped")
        lb.config["hash_key"] = "fedcba9876543210-mistyped"
        lb.config["pools"][0]["health"]["psk_key"] = "89abcdef01234567-mistyped"
        lb.write()
        hang_up(lb, "reload_refused")
        pages = "".join(lb.get(path)[1] for path in ("/", "/metrics", "/readyz", "/healthz"))
        shown = (lb.log_text() + pages).lower()
        for secret in (HASH_KEY, PSK[1], "who-nobody-must-see", "mistyped", "fedcba98", "89abcdef"):
            assert secret not in shown, secret


def state(lb, backend):
    return "up" if lb.metric("cidlb_backend_up", backend=backend.name) else "down"


def case_ready_once_all_are_probed():
    with Scene() as scene, open_socket("127.0.0.1") as silent:
        a = scene.backend(1)
        mute = {"name": "mute", "id": 2, "address": "127.0.0.1:%d" % silent.getsockname()[1]}
        health = {"probe": "dtls", "interval_ms": 300, "timeout_ms": 8000}
        lb = scene.cidlb([scene.pool("p", [a, mute], health=health)], start=False).start(ready=False)
        wait_until(lambda: lb.get("/healthz")[0] == 200, 20, "the door is open")
        assert lb.get("/readyz")[0] == 503
        wait_until(lambda: lb.get("/readyz")[0] == 200, 60, "both were probed")
        assert state(lb, a) == "up" and lb.down(backend="mute") == 1
        assert lb.get("/nonsense")[0] == 404


def forwarded(lb, backend):
    return lb.metric("cidlb_forwarded_total", backend=backend.name, direction="up")


def case_server_dies_and_returns():
    with Scene() as scene:
        (a, b, c), lb = one_pool(scene, 3, health=FAST_HEALTH)
        new_session(scene, lb, "before", devices=MANY)
        assert forwarded(lb, a) > 0
        a.kill()
        lb.wait_log(r"warning backend_down pool=p backend=a: connection refused")
        assert [state(lb, backend) for backend in (a, b, c)] == ["down", "up", "up"]

        lost = forwarded(lb, a)
        with open_socket("127.0.0.1") as sock:
            fleet = scene.fleet(lb.address(), name="while", devices=12, duration=600, rebind_every=0.5, **QUICK)
            wait_sessions(lb, 12)
            for n in range(200):
                sock.sendto(forge(b"\1\2\3\4\5\6", seq=n), parse_address(lb.address()))
                time.sleep(0.002)
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="cid_down") == 200, 20,
            "datagrams to a server that is down",
        )
        survives(fleet, 12)
        assert forwarded(lb, a) + lb.metric("cidlb_refused_total", direction="up") == lost + 200
        lb.assert_identities()

        a.start()
        lb.wait_log(r"info backend_up pool=p backend=a: ")
        assert state(lb, a) == "up"
        back = forwarded(lb, a)
        new_session(scene, lb, "after", devices=MANY)
        assert forwarded(lb, a) > back
        lb.assert_identities()


def case_server_at_another_address():
    """What was found out about the old address says nothing of the new one."""
    with Scene() as scene:
        (a, _), lb = one_pool(scene, 2, health={**FAST_HEALTH, "rise": 200})
        a.kill()
        lb.wait_log("backend_down")
        moved = scene.backend(1, name="moved")
        moved.wait_log("server 1")
        lb.config["pools"][0]["backends"][0]["address"] = moved.address
        lb.reload()
        wait_until(lb.probed, 20, "every server was probed")
        assert lb.metric("cidlb_backend_up", backend="a") == 1
        new_session(scene, lb, "after", devices=MANY)
        assert moved.counters()["sessions"] > 0


def case_all_servers_down():
    for all_down, verdict in (("hash", "hash"), ("drop", "no_backend")):
        with Scene() as scene:
            (a,), lb = one_pool(scene, 1, health={**FAST_HEALTH, "all_down": all_down})
            a.kill()
            lb.wait_log("backend_down")
            report = scene.fleet(lb.address(), devices=1, duration=1, max_seconds=5, **QUICK).report(60)
            assert report["survived"] == 0
            assert lb.metric("cidlb_datagrams_total", verdict=verdict) == lb.metric("cidlb_received_total") > 0
            lb.assert_identities()


if __name__ == "__main__":
    main(globals())
