#!/usr/bin/env python3
"""Whether devices should be led to a node: /readyz, `cidlbctl leave` and `join`, and what packaging/keepalived makes of
it. Several nodes under BGP: nodes.py."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from control import ask, ctl, end, fleet_joined
from harness import AS_ROOT, Backend, Scene, Skip, ip, main, release_only, wait_until

KEEPALIVED = Path(__file__).parents[2] / "packaging" / "keepalived"
LEFT = "left: /readyz answers 503; whatever comes is served\n"
TOLD = "told to leave; `cidlbctl join` takes that back"
FAST = {"probe": "dtls", "interval_ms": 200, "timeout_ms": 3000, "rise": 1, "fall": 1}


def is_ready(lb):
    """None if it is; else why it is not. All that tell it agree."""
    status, text = lb.get("/readyz")
    why = None if (status, text) == (200, "ready\n") else text.rstrip("\n")
    assert why is None or status == 503, (status, text)
    return why


def wait_ready(lb, why):
    wait_until(lambda: is_ready(lb) == why, 60, f"/readyz says {why}")
    assert lb.metric("cidlb_ready") == (why is None)
    told = ask(lb, "status")
    assert told["ready"] == (why is None) and told["unready"] == (why or ""), told
    assert f", {why or 'ready'}\n" in ctl(lb, "status").partition("configuration")[0]


def case_blind():
    """A node whose pool has nobody to serve devices says so, for each pool, and goes on serving."""
    with Scene() as scene:
        a, b, c = scene.backend(1), scene.backend(2), scene.backend(3)
        lb = scene.cidlb([scene.pool("p", [a, b], health=FAST), scene.pool("q", [c], health=FAST)])
        wait_ready(lb, None)
        a.kill()
        wait_until(lambda: lb.down(backend="a") == 1, 20, "a is down")
        assert is_ready(lb) is None, "b is up"
        b.kill()
        wait_ready(lb, "pool p has no backend that is up")
        assert lb.get("/healthz")[0] == 200
        c.kill()
        b.start()
        wait_ready(lb, "pool q has no backend that is up")
        ctl(lb, "drain", "b")  # keeps its sessions, and is served
        c.start()
        wait_ready(lb, None)
        ctl(lb, "maint", "c")  # gets nothing
        wait_ready(lb, "pool q has no backend that is up")
        ctl(lb, "ready", "c")
        wait_ready(lb, None)


def case_not_probed_yet():
    """A reload that adds a server takes readiness away until that was probed, whatever came of it."""
    with Scene() as scene, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        health = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 10_000}
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], health=health)])
        late = {"name": "late", "id": 2, "address": "127.0.0.1:%d" % silent.getsockname()[1]}
        lb.config["pools"][0]["backends"].append(late)
        lb.write()
        ctl(lb, "reload")
        assert is_ready(lb) == "not every backend was probed yet: 1 of 2 missing"
        wait_ready(lb, None)


def case_leave_and_join():
    """Lame duck: monitors are told to lead devices elsewhere. Those that come are served, also new ones. It outlives a
    restart, and a reload."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1), scene.backend(2)])])
        state = Path(lb.config["state_file"])
        before = fleet_joined(scene, lb, "before", 5)
        assert ctl(lb, "leave") == LEFT
        wait_ready(lb, TOLD)
        assert lb.get("/healthz")[0] == 200 and lb.metric("cidlb_left") == 1 and ask(lb, "status")["left"] is True
        lb.wait_log(" info left: by command")
        assert json.loads(state.read_text())["left"] is True
        assert ctl(lb, "leave") == LEFT
        assert lb.log_text().count(" left: ") == 1
        after = fleet_joined(scene, lb, "after", 5)

        lb.kill()
        lb.start()
        wait_ready(lb, TOLD)
        lb.wait_log(" warning left: by a command from before the start")
        lb.write()
        assert ctl(lb, "reload") == "reloaded: nothing changed\n"
        wait_ready(lb, TOLD)

        assert ctl(lb, "join") == "joined\n"
        wait_ready(lb, None)
        assert lb.metric("cidlb_left") == 0 and "left" not in json.loads(state.read_text())
        lb.wait_log(" info joined: by command")
        lb.restart()
        wait_ready(lb, None)
        for fleet in (before, after):
            end(fleet)
        lb.assert_identities()


class Pair:
    """Two hosts on one wire, each with a server on its loopback, cidlb and keepalived as packaging/keepalived has it."""

    def __init__(self, scene, place):
        self.scene, self.place = scene, place
        self.names = [f"cidlb-{os.getpid()}-pair{n}" for n in (1, 2)]
        self.lbs, self.servers = [], []

    def __enter__(self):
        try:
            for name in self.names:
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            first, second = self.names
            ip("link", "add", "eth0", "netns", first, "type", "veth", "peer", "name", "eth0", "netns", second)
            shutil.copy(KEEPALIVED / "cidlb-check", self.place / "cidlb-check")
            for number in (0, 1):
                self._begin(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self, number):
        name, here, there = self.names[number], 2 + number, 3 - number
        ip("-n", name, "address", "add", f"10.0.1.{here}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        server = Backend(self.scene, 1, f"server{number}", 6, 6001, "127.0.0.1", ())
        lb = self.scene.cidlb([self.scene.pool("p", [server], health=FAST)], name=f"node{number}", start=False)
        lb.config["listeners"][0].update(address="192.0.2.1:5684", freebind=True)
        lb.config["admin"]["http"] = "127.0.0.1:9180"
        text = (KEEPALIVED / "keepalived.conf").read_text().replace("/usr/local/sbin", str(self.place))
        text = text.replace("priority 200", f"priority {200 - 20 * number}")
        text = text.replace("10.0.1.3", f"10.0.1.{there} ").replace("10.0.1.2\t", f"10.0.1.{here}\t")
        conf = self.place / f"keepalived{number}.conf"
        conf.write_text(text)
        inside = ["ip", "netns", "exec", name]
        tested = subprocess.run([*inside, "keepalived", "--config-test", "-f", conf], capture_output=True, text=True)
        # keepalived 2.2 ends a good test with a signal to itself. What is wrong it says.
        assert tested.returncode in (0, -signal.SIGTERM) and not tested.stderr, tested
        for process in (server, lb):
            process.argv = [*inside, *process.argv]
        server.start()
        lb.start(ready=False)
        pids = [f"--{kind}={self.place}/{kind}{number}" for kind in ("pid", "vrrp_pid", "checkers_pid", "bfd_pid")]
        argv = [*inside, "keepalived", "--dont-fork", "--log-console", "--vrrp", *pids, "--use-file", conf]
        self.scene.process(f"keepalived{number}", *argv)
        self.lbs.append(lb)
        self.servers.append(server)

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)

    def wait_served_by(self, number):
        def holds(of):
            argv = ["ip", "-n", self.names[of], "address", "show", "dev", "eth0"]
            return " 192.0.2.1/32 " in subprocess.run(argv, capture_output=True, text=True, check=True).stdout

        wait_until(lambda: holds(number) and not holds(1 - number), 60, f"node {number} alone has the address")


@release_only  # the hosts are entered as root, which cidlb then is
def case_keepalived():
    """The node that is ready has the address. If none is, one has it all the same. One without cidlb comes last."""
    if not AS_ROOT or not shutil.which("keepalived", path=os.environ["PATH"] + ":/usr/sbin"):
        raise Skip("needs root and keepalived")
    # A script that others than root could replace would not be run.
    place = Path(tempfile.mkdtemp(prefix="cidlb-", dir="/run"))
    place.chmod(0o755)
    try:
        with Scene() as scene, Pair(scene, place) as pair:
            pair.wait_served_by(0)
            pair.servers[0].kill()
            pair.wait_served_by(1)
            pair.servers[1].kill()
            pair.wait_served_by(0)
            pair.lbs[0].kill()
            pair.wait_served_by(1)
            pair.servers[0].start()
            pair.lbs[0].start(ready=False)
            pair.wait_served_by(0)
            pair.servers[1].start()
            ctl(pair.lbs[0], "leave")
            pair.wait_served_by(1)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main(globals())
