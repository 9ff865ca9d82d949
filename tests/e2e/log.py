#!/usr/bin/env python3
"""A log that cannot be written: nothing but the log itself is lost."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

from harness import BIN, Scene, main, wait_until

QUICK = {"interval_ms": 200, "ack_timeout_ms": 300}
HEALTH = {"probe": "dtls", "interval_ms": 150, "timeout_ms": 3000}
F_SETPIPE_SZ = 1031


def small_pipe():
    """Both ends; a page is room in it."""
    reads, writes = os.pipe()
    fcntl.fcntl(writes, F_SETPIPE_SZ, 4096)
    return reads, writes


def fill(descriptor):
    """Until nothing goes into it. How it blocks is left as it was."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        while True:
            os.write(descriptor, b"\n" * 100)
    except BlockingIOError:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def start(scene, stderr, **options):
    lb = scene.cidlb([scene.pool("p", [scene.backend(1)], health=HEALTH)], start=False, **options)
    lb.stderr = stderr
    return lb.start()


def flood(lb):
    """Reloads that have more to say than waits anywhere."""
    before = lb.metric("cidlb_log_lines_lost_total")
    good, pool = lb.config["pools"], lb.config["pools"][0]
    lb.config["pools"] = [{**pool, "backends": [{"name": f"x{n}", "id": 1, "address": "nowhere"} for n in range(100)]}]
    lb.write()

    def lost():
        lb.child.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        return lb.metric("cidlb_log_lines_lost_total") > before

    wait_until(lost, 60, "lines are lost")
    lb.config["pools"] = good


def goes_on(scene, lb, name="fleet"):
    """Devices, probes, reloads and commands."""
    probes = lb.metric("cidlb_probes_total")
    lb.reload()
    report = scene.fleet(lb.address(), name=name, devices=3, duration=1, **QUICK).report(60)
    assert report["survived"] == report["handshakes"] == 3, report
    for word in ("drain", "ready"):
        asked = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], word, "a"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, done
    wait_until(lambda: lb.metric("cidlb_probes_total") > probes + 2, 20, "probes go on")


def told_lost(text):
    return sum(map(int, re.findall(r" warning log_lost: (\d+) lines could not be written\r?\n", text)))


def read_until(descriptor, condition, timeout=30):
    """What comes out of it, until `condition` is true of it."""
    text, end = "", time.monotonic() + timeout
    while not condition(text):
        assert time.monotonic() < end, text[-500:]
        if select.select([descriptor], [], [], 0.1)[0]:
            text += os.read(descriptor, 1 << 16).decode(errors="replace")
    return text


def unread(scene, ours, theirs):
    """Nobody reads what cidlb logs; then all of it comes, with the number of what is lost, and cidlb ends."""
    lb = start(scene, theirs)
    assert not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK, "others write there, too"
    flood(lb)
    goes_on(scene, lb)
    lost = lb.metric("cidlb_log_lines_lost_total")
    text = read_until(ours, lambda text: told_lost(text) >= lost)
    assert " info started: " in text and told_lost(text) == lost, (lost, told_lost(text))
    goes_on(scene, lb, "again")
    read_until(ours, lambda text: " info reloaded: " in text)
    flood(lb)
    lb.stop()


def case_pipe():
    with Scene() as scene:
        unread(scene, *small_pipe())


def case_socket():
    """As journald's."""
    with Scene() as scene:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with ours, theirs:
            unread(scene, ours.fileno(), theirs.fileno())


def case_stopped_terminal():
    """Ctrl-S, and Ctrl-Q later."""
    with Scene() as scene:
        ours, theirs = pty.openpty()
        lb = start(scene, theirs)
        read_until(ours, lambda text: " info started: " in text)
        os.write(ours, b"\x13")
        flood(lb)
        goes_on(scene, lb)
        os.write(ours, b"\x11")
        read_until(ours, lambda text: " log_lost: " in text)
        os.write(ours, b"\x13")
        lb.stop()


def case_full_disk():
    with Scene() as scene, open("/dev/full", "wb") as full:
        lb = start(scene, full.fileno())
        flood(lb)
        goes_on(scene, lb)
        lb.stop()


def case_reader_gone():
    with Scene() as scene:
        reads, writes = os.pipe()
        lb = start(scene, writes)
        os.close(reads)
        flood(lb)
        goes_on(scene, lb)
        lb.stop()


def case_nonblocking_pipe():
    """Who shares stderr has made it so: what finds no room is no reason to lose a line."""
    with Scene() as scene:
        reads, writes = small_pipe()
        os.set_blocking(writes, False)
        unread_at_first = start(scene, writes)
        for _ in range(100):
            unread_at_first.child.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        goes_on(scene, unread_at_first)
        read_until(reads, lambda text: " backend_state " in text)
        assert unread_at_first.metric("cidlb_log_lines_lost_total") == 0


def case_start_on_a_full_pipe():
    """Warnings of the configuration do not keep it from starting, and a refusal is one."""
    with Scene() as scene:
        reads, writes = small_pipe()
        fill(writes)
        health = {**HEALTH, "path": "/no-effect"}
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], health=health)], start=False)
        lb.stderr = writes
        lb.start()
        goes_on(scene, lb)
        text = read_until(reads, lambda text: " info started: " in text)
        assert re.search(r"warning: \S+: pools\[0\].health.path: no effect", text), text
        fill(writes)
        refused = scene.cidlb([], name="refused", start=False)
        refused.stderr = writes
        refused.start(ready=False)
        assert refused.wait(30) == 1


main(globals())
