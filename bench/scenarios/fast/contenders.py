"""Who forwards in scenario `fast`. All are on one CPU, with one worker if they have any.

A contender is an object with a `target` that devices send to, the `pids` of its processes (what the kernel does for it
is in the threads of the interfaces), and `tunnel_keys` if servers must speak the header of mode tunnel.
"""

import resource

from harness import BIN, Process, fast_path_is_built, free_ports, total, wait_until
from lib import frame, nginx, wire
from lib.frame import LeftOut
from lib.load import each, identities, keys_file, tunnel_mode

from .cards import PREFIX6
from .load import SOURCES, over_sockets


class Contender:
    tunnel_keys = None
    kinds = ("both", "up", "flood")  # of settings (matrix.py) that it can take part in
    checks = True  # each datagram must be at the server that its CID names, and at its device

    @classmethod
    def require(cls):
        """LeftOut: it cannot be had."""

    def warm(self, scene, cards):
        """What it needs to have seen before it is what is to be measured."""

    def prepare(self, setting):
        """Before each setting."""

    def pids(self):
        return []

    def check(self, before, after, counts):
        """Sentences about what was wrong in a setting, of what its counters() said before and after."""
        names = ("elsewhere", "unread", "misdelivered") if self.checks else ()
        return [f"{counts[name]} {name}" for name in names if counts[name]]

    def counters(self):
        return None

    def end(self):
        pass


class Cidlb(Contender):
    """A pool of its own, without probes, which the servers here do not answer."""

    fast = False

    def mode(self, cards):
        """Settings of the pool, beside what is usual."""
        raise NotImplementedError

    def servers(self, cards):
        return each(cards.servers)

    def __init__(self, scene, cards):
        self.target = f"{cards.outside}:{free_ports()}"
        pool = {
            "name": "fast",
            "cid": {"scheme": "node-id", "length": 8},
            **self.mode(cards),
            "health": {"probe": "none"},
            "backends": [
                {"name": f"s{at + 1}", "id": at + 1, "address": address}
                for at, address in enumerate(self.servers(cards))
            ],
        }
        more = {"fast": {"interfaces": [cards.out, cards.in_], "attach": "native"}} if self.fast else {}
        listeners = [{"name": "fast", "address": self.target, "pool": "fast"}]
        self.process = scene.cidlb([pool], start=False, workers=1, listeners=listeners, **more)
        self.process = frame.pinned(self.process, frame.BALANCER_CPU).start()

    def pids(self):
        return frame.processes_of(self.process.pid)

    def counters(self):
        metrics = self.process.metrics()
        names = {"received": "cidlb_received_total", "replies": "cidlb_replies_total"}
        names |= {"fast": "cidlb_fast_datagrams_total", "fast_replies": "cidlb_fast_replies_total"}
        return {name: total(metrics, metric) for name, metric in names.items()}

    def check(self, before, after, counts):
        wrong = super().check(before, after, counts) + identities(self.process)
        done = {name: after[name] - before[name] for name in after}
        # A few of what is dropped go up for the log. Replies to what devices have not sent are none.
        shares = (("fast", "received"), ("fast_replies", "replies")) if self.fast else ()
        wrong += [
            f"the program took {done[own]} of {done[all_]} {all_}"
            for own, all_ in shares
            if done[own] < 0.99 * done[all_] or (all_ == "received" and not done[own])
        ]
        return wrong

    def end(self):
        self.process.stop()


class Tunnel(Cidlb):
    """The sockets of mode tunnel: what is forwarded where there is no fast path."""

    name = "cidlb tunnel"

    def __init__(self, scene, cards):
        super().__init__(scene, cards)
        self.tunnel_keys = keys_file(scene)

    def mode(self, cards):
        return tunnel_mode(f"{cards.inside}:{free_ports(2)}")

    def warm(self, scene, cards):
        """Which version of the header a server reads, is known once it has answered."""
        over_sockets(scene, cards, self, lambda counters: counters["returned"] >= 5 * SOURCES)


class FastPath(Cidlb):
    fast = True

    @classmethod
    def require(cls):
        if not fast_path_is_built():
            raise LeftOut("cidlb was built without the fast path")


class FastTunnel(FastPath, Tunnel):
    """Mode tunnel by the program."""

    name = "fast tunnel"

    def warm(self, scene, cards):
        over_sockets(scene, cards, self, lambda _: self.counters()["fast"] >= 2 * SOURCES)


class FastStateless(FastPath):
    """Mode nat without a table by the program: devices over IPv4, servers over IPv6."""

    name = "fast nat without a table"

    def mode(self, cards):
        port = free_ports()
        return {"nat": {"rebind": "backend", "sources": (PREFIX6,), "ports": f"{port}-{port}"}}

    def servers(self, cards):
        return [f"[{cards.server6}]:{address.rpartition(':')[2]}" for address in each(cards.servers)]


class FastDsr(FastPath):
    """Mode dsr by the program. What servers answer does not pass it. Its datagrams keep the service address, so where
    they are does not tell whose they are."""

    name, kinds, checks = "fast dsr", ("up", "flood"), False

    def mode(self, cards):
        return {"forward": "dsr", "dsr": {"encap": "l2"}}

    def servers(self, cards):
        port = self.target.rpartition(":")[2]
        return [f"{ip}:{port}" for ip in cards.server_ips]


class Nginx(Contender):
    """As Debian has it, by address, with a way back for each device."""

    name, checks = "nginx", False

    @classmethod
    def require(cls):
        nginx.require()

    def __init__(self, scene, cards):
        self.target = f"{cards.outside}:{free_ports()}"
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.process = nginx.Nginx(scene, self.target, each(cards.servers), most).start()

    def pids(self):
        return frame.processes_of(self.process.pid)

    def end(self):
        self.process.stop()


class Nftables(Contender):
    """DNAT in the kernel, by address."""

    name, checks = "nftables", False

    @classmethod
    def require(cls):
        wire.Dnat.require()

    def __init__(self, scene, cards):
        self.rules = wire.Dnat(cards)
        self.target = self.rules.target

    def end(self):
        self.rules.end()


class Routing(Contender):
    """The kernel forwards and rewrites nothing: devices send to one of the servers. Not even a balancer."""

    name, checks = "routing", False

    def __init__(self, scene, cards):
        self.target = each(cards.servers)[0]


class Empty(Contender):
    """An XDP program that sends each frame out of the other interface, or drops each. What XDP costs whatever one
    does."""

    name, checks = "empty program", False

    def __init__(self, scene, cards):
        self.scene, self.interfaces = scene, f"{cards.out},{cards.in_}"
        self.target = f"{cards.outside}:{free_ports()}"
        self.process = None

    def prepare(self, setting):
        self.end()
        argv = [BIN / "cidlb-frames", "--floor", self.interfaces] + ["--garbage"] * setting["garbage"]
        self.process = Process(self.scene, f"empty-{setting['name']}", argv).start()
        wait_until(lambda: "forwarding" in self.process.log_text() or not self.process.alive(), 10, "it is attached")

    def end(self):
        if self.process:
            self.process.stop()


CONTENDERS = [FastTunnel, FastStateless, FastDsr, Empty, Routing, Nftables, Tunnel, Nginx]
