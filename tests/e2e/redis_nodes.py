#!/usr/bin/env python3
"""Nodes that share the CIDs that they learn through a real Redis or Valkey server, which is killed, stopped, emptied,
full, or wants another password. Devices reach one node or another by a relay, which changes their addresses, too."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

from harness import AS_ROOT, BIN, FULL, USER, Process, Scene, Skip
from harness import free_ports, ip, main, told, wait_all_joined, wait_until
from learned import HEALTH, pool_of, server
from quic_lb import ctl
from tunnel import key_file, tunnel_pool

DEVICES = 100 if FULL else 30
LATER = 10  # devices that join while the server is away
PASSWORD = "open sesame, 4711"
SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
FLEET = {"interval_ms": 400, "ack_timeout_ms": 400, "duration": 900, "max_seconds": 900, "give_up": 4}


class Redis(Process):
    """Keeps nothing on disk: it is empty after each start. `on` and `enter`: of the network that has the address."""

    def __init__(self, scene, password=PASSWORD, host="127.0.0.1", on=(), enter=lambda call: call()):
        if not SERVER:
            raise Skip("needs redis-server or valkey-server")
        self.password, self.host, self.port, self.enter = password, host, free_ports(), enter
        argv = [*on, SERVER, "--port", self.port, "--bind", host, "--dir", scene.dir, "--requirepass", password]
        super().__init__(scene, "redis", [*argv, "--save", "", "--appendonly", "no"])
        self.start()

    def start(self):
        super().start()

        def answers():
            try:
                return self.ask("PING") == "PONG"
            except OSError:
                return not self.alive()

        wait_until(lambda: self.enter(answers), 30, "Redis answers")
        assert self.alive()
        return self

    def ask(self, *words):
        return self.ask_all([words])[0]

    def ask_all(self, commands):
        """The answers: numbers, or what is behind the first octet of a line."""
        with socket.create_connection((self.host, self.port), timeout=30) as link, link.makefile("rwb") as lines:
            for one in (("AUTH", self.password), *commands):
                lines.write(b"*%d\r\n" % len(one))
                for word in map(str, one):
                    lines.write(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
            lines.flush()
            assert lines.readline() == b"+OK\r\n"
            answers = []
            for one in commands:
                answer = lines.readline().decode().strip()
                assert answer[0] in "+:$", (one, answer)
                answers.append(lines.readline().decode().strip() if answer[0] == "$" else answer[1:])
            return [int(answer) if answer.isdigit() else answer for answer in answers]

    def file(self, text=None):
        """A password file as cidlb wants it."""
        path = self.scene.dir / "redis.password"
        path.touch(mode=0o600)
        path.write_text((text or self.password) + "\n")
        if AS_ROOT:
            os.chown(path, USER.pw_uid, USER.pw_gid)
        return path

    def settings(self, **more):
        return {"address": f"{self.host}:{self.port}", "password": f"@{self.file()}", **more}


class Road:
    """What devices send to, and the node that it leads to: from other ports for each node."""

    def __init__(self, scene):
        self.scene, self.port, self.relay = scene, free_ports(), None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def lead_to(self, node):
        if self.relay:
            self.relay.stop()
        name = f"relay-{time.monotonic_ns()}"
        argv = [BIN / "cidlb-relay", "--listen", self.address, "--target", node.address()]
        self.relay = self.scene.process(name, *argv)


def redis(lb):
    return ctl(lb, "status")["redis"]


def cids(lb):
    return ctl(lb, "status")["pools"][0]["learned"]["cids"]


def wait_cids(lb, count):
    wait_until(lambda: cids(lb) >= count, 60, f"{lb.name} knows {count} CIDs")
    assert cids(lb) == count


def wait_connected(*nodes):
    wait_until(lambda: all(redis(lb)["connected"] for lb in nodes), 60, "the nodes are connected")


def wait_exchanges(fleet):
    """Every device has had three more answers, on average."""
    due = told(fleet.story, "exchanges_ok") + 3 * fleet.devices
    wait_until(lambda: told(fleet.story, "exchanges_ok") >= due, 120, "exchanges go on")


def join(scene, road, name, devices):
    story = scene.dir / f"{name}.story"
    fleet = scene.fleet(road.address, name=name, devices=devices, story=story, **FLEET)
    fleet.story, fleet.devices = story, devices
    wait_all_joined(story, devices, 120)
    return fleet


def end(*fleets):
    """Every session has lived, with no handshake beyond its first."""
    for fleet in fleets:
        wait_exchanges(fleet)
        fleet.stop()
        report = fleet.report(120)
        assert report["survived"] == report["sessions"] == report["handshakes"] == fleet.devices, report
        assert report["extra_handshakes"] == 0, report


def check(*nodes):
    for lb in nodes:
        lb.assert_identities()
        assert lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
        assert lb.metric("cidlb_redis_dropped_total") == 0


def servers_of(scene, **more):
    return [server(scene, number, octets, **more) for number, octets in ((1, 4), (2, 6), (3, 6))]


def node(scene, name, pool, settings, start=True):
    return scene.cidlb([pool], name=name, redis=settings, start=start)


def nodes_die(scene, make_pool):
    """One node learns. It dies: another one serves all. That dies, too: one that has never seen anybody does."""
    store = Redis(scene)
    first, second = (node(scene, name, make_pool(), store.settings()) for name in ("first", "second"))
    third = node(scene, "third", make_pool(), store.settings(), start=False)
    road = Road(scene)
    road.lead_to(first)
    fleet = join(scene, road, "fleet", DEVICES)
    wait_cids(second, DEVICES)
    first.kill()
    road.lead_to(second)
    wait_exchanges(fleet)
    check(second)
    third.start()
    wait_cids(third, DEVICES)
    second.kill()
    road.lead_to(third)
    end(fleet)
    check(third)
    assert third.metric("cidlb_redis_read_total", what="taken") == store.ask("XLEN", "cidlb:coaps") == DEVICES
    argv = [BIN / "cidlbctl", "--socket", third.config["admin"]["socket"], "status"]
    line = f"redis 127.0.0.1:{store.port}: connected; pushed 0, waiting 0, dropped 0; read {DEVICES}, foreign 0, "
    assert line + "malformed 0\n" in subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert third.metric("cidlb_redis_connected") == 1 and third.metric("cidlb_redis_pushed_total") == 0


def case_nodes_die():
    with Scene() as scene:
        servers = servers_of(scene)
        nodes_die(scene, lambda: pool_of(scene, servers))


def case_nodes_die_tunnel():
    with Scene() as scene:
        servers = servers_of(scene, options=("--tunnel", key_file(scene)))
        more = {"cid": {"scheme": "learned"}, "health": HEALTH}
        nodes_die(scene, lambda: tunnel_pool(scene, "coaps", servers, **more))


def away(how):
    """While the server is away known sessions go on, and devices join. Once it is back, another node knows these, too,
    and has forgotten none of the others."""
    with Scene() as scene:
        servers, store = servers_of(scene), Redis(scene)
        first, second = (
            node(scene, name, pool_of(scene, servers), store.settings()) for name in ("first", "second")
        )
        road = Road(scene)
        road.lead_to(first)
        fleet = join(scene, road, "fleet", DEVICES)
        wait_cids(second, DEVICES)
        back, reason = how(store)
        wait_exchanges(fleet)
        later = join(scene, road, "later", LATER)
        wait_until(lambda: redis(first)["waiting"] == LATER, 60, "what is learned waits")
        first.wait_log(rf"redis: 127.0.0.1:{store.port} {reason}: sessions go on")
        said = wait_until(lambda: not redis(first)["connected"] and redis(first), 60, "the node says so")
        assert re.fullmatch(reason, said["reason"]) and said["dropped"] == 0, said
        assert first.metric("cidlb_redis_connected") == 0 and first.metric("cidlb_redis_waiting") == LATER
        # Another address for each, at the node that knows them all.
        road.lead_to(first)
        wait_exchanges(fleet)
        wait_exchanges(later)
        assert cids(second) == DEVICES
        back()
        wait_cids(second, DEVICES + LATER)
        wait_connected(first, second)
        wait_until(lambda: redis(first)["waiting"] == 0, 60, "nothing waits any more")
        first.wait_log("is connected; entries that wait for it")
        check(first)
        first.kill()
        road.lead_to(second)
        end(fleet, later)
        check(second)


def case_redis_killed():
    """It comes back empty."""

    def kill(store):
        store.kill()
        return store.start, "(has closed the connection|Connection re.*)"

    away(kill)


def case_redis_hangs():
    def stop(store):
        store.child.send_signal(signal.SIGSTOP)
        return lambda: store.child.send_signal(signal.SIGCONT), "does not (answer|take connections)"

    away(stop)


def case_redis_unreachable():
    """A firewall drops what goes there."""
    ip("link", "set", "lo", "up")  # skips where the network is not ours

    def nft(text):
        subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)

    def drop(store):
        try:
            nft(
                "table inet away { chain in { type filter hook input priority 0; "
                f"tcp dport {store.port} drop; }}; }}"
            )
        except (OSError, subprocess.CalledProcessError):
            raise Skip("no nft") from None
        return lambda: nft("delete table inet away"), "does not take connections"

    away(drop)


def case_redis_full():
    def fill(store):
        store.ask("CONFIG", "SET", "maxmemory", 1)
        return lambda: store.ask("CONFIG", "SET", "maxmemory", 0), r"is full \(OOM\)"

    away(fill)


def case_password():
    """A wrong one is refused by the server, and a file that others can read by cidlb. Nobody shows it."""
    wrong = "a wrong one 8472"
    with Scene() as scene:
        servers, store = servers_of(scene)[:1], Redis(scene)
        settings = store.settings()
        store.file(wrong)
        lb = node(scene, "first", pool_of(scene, servers), settings)
        lb.wait_log("refuses the user or the password .WRONGPASS.")
        assert redis(lb)["reason"] == "refuses the user or the password (WRONGPASS)", redis(lb)
        store.file().chmod(0o644)
        lb.child.send_signal(signal.SIGHUP)
        lb.wait_log(r"redis.password: .*others can access it; chmod o-rwx it")
        store.file().chmod(0o600)
        lb.child.send_signal(signal.SIGHUP)
        wait_connected(lb)
        lb.wait_log(r"reloaded: .*redis.password is another one")
        for shown in (lb.log_text(), lb.get("/metrics")[1], str(ctl(lb, "status"))):
            assert PASSWORD not in shown and "4711" not in shown and wrong not in shown
        lb.config["redis"]["user"] = "nobody-of-that-name"
        lb.reload()
        wait_until(lambda: "WRONGPASS" in redis(lb)["reason"], 60, "the user is refused")
        store.ask("ACL", "SETUSER", "node", "on", f">{PASSWORD}", "~cidlb:*", "nocommands")
        lb.config["redis"]["user"] = "node"
        lb.reload()
        wait_until(lambda: "NOPERM" in redis(lb)["reason"], 60, "the user may do nothing")
        store.ask("ACL", "SETUSER", "node", "+auth", "+ping", "+xadd", "+xread", "+xrange")
        wait_connected(lb)
        lb.config.pop("redis")
        lb.reload()
        assert redis(lb) is None and not any(name.startswith("cidlb_redis") for name, _ in lb.metrics())


def case_another_configuration():
    """A node takes nothing for servers that it does not have, or that have changed names, and says so. After a reload
    it has all."""
    with Scene() as scene:
        servers, store = servers_of(scene), Redis(scene)
        first = node(scene, "first", pool_of(scene, servers), store.settings())
        road = Road(scene)
        road.lead_to(first)
        fleet = join(scene, road, "fleet", DEVICES)
        a, b, c = (one.entry() for one in servers)
        swapped = [{**a, "name": "b"}, {**b, "name": "a"}]
        other = node(scene, "other", pool_of(scene, swapped), store.settings())
        wait_until(lambda: redis(other)["foreign"] == DEVICES, 60, "it has read them all")
        assert cids(other) == 0 and redis(other)["taken"] == 0
        other.wait_log("redis_foreign pool=coaps: cidlb:coaps has entries of servers that this node does not have")
        other.config["pools"][0]["backends"] = [c, b, a]
        other.reload()
        wait_cids(other, DEVICES)
        # Another service at the same server.
        apart = node(scene, "apart", pool_of(scene, servers), store.settings(prefix="apart"))
        wait_connected(apart)
        first.kill()
        road.lead_to(other)
        end(fleet)
        check(other)
        assert redis(apart)["taken"] == cids(apart) == 0


def case_bounded():
    """A stream keeps cid.max_cids CIDs, or somewhat more: it ends whole blocks of 100."""
    with Scene() as scene:
        servers, store = servers_of(scene)[:1], Redis(scene)
        small = {"cid": {"scheme": "learned", "max_cids": 1024}}
        lb = node(scene, "first", pool_of(scene, servers, **small), store.settings())
        wait_connected(lb)
        add = ("XADD", "cidlb:coaps", "*", "server", "a", "at", "127.0.0.1:1", "cid")
        store.ask_all([(*add, f"{number:08x}") for number in range(3000)])
        road = Road(scene)
        road.lead_to(lb)
        fleet = join(scene, road, "fleet", 3)
        wait_until(lambda: redis(lb)["pushed"] == 3, 60, "it has pushed its own")
        assert 1024 <= store.ask("XLEN", "cidlb:coaps") <= 1024 + 100 + 3
        wait_until(lambda: redis(lb)["taken"] >= 3000, 60, "it has read the others")
        end(fleet)


if __name__ == "__main__":
    main(globals())
