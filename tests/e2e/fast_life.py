#!/usr/bin/env python3
"""The fast path outlives a cidlb that is killed, for a while, and the next one takes it over. As in fast.py."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from fast import CID_A, SEQ, device_at, exchange, fast, made, server_at, service_of, settled, stage, warm
from harness import Skip, main, release_only, wait_until
from lab import xdp_program
from udp import drain, forge


@contextlib.contextmanager
def bpf_file_system(lb):
    """cidlb runs where a bpf file system is mounted, which outlives it. Yields a function: the links there."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "mount -t bpf -o mode=700 bpf /sys/fs/bpf && echo && exec sleep 3600"],
        stdout=subprocess.PIPE
    )
    try:
        if not holder.stdout.readline():
            raise Skip("no bpf file system can be mounted here")
        lb.argv[:0] = ["nsenter", "--target", str(holder.pid), "--mount"]
        root = Path(f"/proc/{holder.pid}/root/sys/fs/bpf/cidlb")
        yield lambda: [file.name for file in root.rglob("*") if not file.is_dir()]
    finally:
        holder.kill()
        holder.wait()


class Load:
    """A device that says something a thousand times a second, and never the same. After a pause of this process it
    does not make up for it, and it waits for answers before more are on their way than the sockets hold."""

    def __init__(self, device, to=service_of(), at=None):
        """`at`: where its datagrams are heard of, if nobody answers them."""
        self.device, self.to, self.at, self.running = device, to, at or device, True
        self.sent, self.heard = 0, set()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()

    def run(self):
        begun, missed = time.monotonic(), 0
        while self.running:
            due = int(1000 * (time.monotonic() - begun)) - missed - self.sent
            missed += max(0, due - 50)
            for _ in range(min(50, due, 100 - (self.sent - self.hear()))):
                self.device.sendto(forge(CID_A, seq=SEQ + self.sent), self.to)
                self.sent += 1
            time.sleep(0.002)

    def hear(self):
        self.heard.update(int.from_bytes(answer[5:11], "big") for answer, _ in drain(self.at))
        return len(self.heard)


@release_only
def case_other_maps():
    """A program with other maps than this cidlb's was left: it is replaced on its links, and has nothing to say."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], start=False, max_resumable=0)
        with bpf_file_system(lb) as pins:
            program, left = xdp_program.pass_all(), []
            for name in ("devs", "srvs"):
                place = f"{os.stat('/proc/self/ns/net').st_ino}-{socket.if_nametoindex(name)}"
                there = Path(f"/proc/{lb.argv[2]}/root/sys/fs/bpf/cidlb") / place
                there.mkdir(parents=True)
                left += xdp_program.leave(program, name, there / "native")
            os.close(program)
            lb.start()
            assert len(pins()) == 2 and xdp_program.links_of(lb.pid) == sorted(left), (pins(), left)
            warm(lb, device)
            exchange(device, server, CID_A, 3)


@release_only
def case_another_kind():
    """What was left is native, and the next cidlb wants it generic, and native again."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], start=False, max_resumable=0)
        with bpf_file_system(lb):
            for kind in ("native", "generic", "native"):
                lb.config["fast"]["attach"] = kind
                lb.start()
                assert lb.metric("cidlb_fast_attached", mode=kind) == 2, lb.log_text()
                warm(lb, device)
                lb.kill()


@release_only
def case_killed():
    """cidlb is killed under load: the program goes on, the next cidlb takes it over, and no datagram is lost. After
    linger_s it has nobody to go on for. SIGTERM takes it away."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], start=False, max_resumable=0)
        with bpf_file_system(lb) as pins:
            lb.start()
            assert len(pins()) == 2, pins()
            warm(lb, device)
            with Load(device) as load:
                wait_until(lambda: load.sent > 500, 30, "the load has begun")
                lb.kill()
                at = len(load.heard)
                wait_until(lambda: len(load.heard) > at + 1000, 30, "the program goes on")
                lb.start()
                wait_until(lambda: fast(lb) > 500, 30, "the program that took over forwards")
            wait_until(lambda: load.hear() == load.sent, 30, "each datagram was answered")
            print(f"    {load.sent} datagrams, each was answered")
            lb.assert_identities()
            lb.kill()
            lb.config["fast"]["linger_s"] = 1
            lb.start()
            warm(lb, device)
            lb.kill()

            def is_over():
                at = len(server.got)
                device.sendto(settled(CID_A), service_of())
                time.sleep(0.1)
                return len(server.got) == at

            wait_until(is_over, 30, "it does not go on for ever")
            lb.start()
            warm(lb, device)
            assert len(pins()) == 2, pins()
            lb.stop()
            assert pins() == [] and b"xdp" not in subprocess.check_output(["ip", "link", "show", "devs"])
            lb.start()
            warm(lb, device)
            lb.kill()
            subprocess.run([*lb.argv[:4], "rm", "-r", "/sys/fs/bpf/cidlb"], check=True)
            attached = lambda: b"xdp" in subprocess.check_output(["ip", "link", "show", "devs"])
            wait_until(lambda: not attached(), 20, "nothing keeps the program any more")
            lb.start()
            warm(lb, device)


if __name__ == "__main__":
    main(globals())
