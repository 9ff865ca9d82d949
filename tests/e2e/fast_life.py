#!/usr/bin/env python3
"""The fast path outlives a cidlb that is killed, for a while, and the next one takes it over. As in fast.py."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

from edges import settled as unchanged
from fast import CID_A, device_at, exchange, made, server_at, service_of, settled, stage, warm
from harness import main, release_only, wait_until
from lab import xdp_program
from lab.xdp_program import bpf_file_system


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
    """The program goes on without cidlb. After linger_s it has nobody to go on for. SIGTERM takes it away. What it
    costs under load is in fast_load.py."""
    with stage() as (scene, net), server_at(net, 1) as server, device_at(net) as device:
        lb = made(scene, [server.entry()], start=False, max_resumable=0)
        with bpf_file_system(lb) as pins:
            lb.start()
            assert len(pins()) == 2, pins()
            warm(lb, device)
            lb.kill()
            exchange(device, server, CID_A, 3)
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


def needed(lb):
    """Descriptors that cidlb says it may need, where that is more than it may have."""
    argv = ["prlimit", "--nofile=50", *lb.argv, "-t"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd="/").stderr
    return int(re.search(r"may need (\d+) descriptors", said)[1])


@release_only
def case_descriptors():
    """What the fast path needs of them is in what the check asks for, whatever the number of interfaces."""
    with stage() as (scene, net), server_at(net, 1) as server:
        lb = made(scene, [server.entry()], start=False, max_resumable=0)
        interfaces, counts = lb.config.pop("fast"), []
        with bpf_file_system(lb):
            for count in range(3):
                if count:
                    lb.config["fast"] = {"interfaces": interfaces["interfaces"][:count]}
                lb.start()
                assert lb.metric("cidlb_fast_attached", mode="native") == count or not count, lb.log_text()
                used = unchanged(lambda: len(os.listdir(f"/proc/{lb.pid}/fd")))
                counts.append((used, needed(lb)))
                lb.stop()
        (without, asked), *more = counts
        # Two more, which are there while a program is loaded.
        assert [needs - asked for _, needs in more] == [used - without + 2 for used, _ in more], counts


if __name__ == "__main__":
    main(globals())
