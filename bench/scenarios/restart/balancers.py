"""Who is restarted in scenario `restart`, and how.

Each balancer has the events as methods, which return once all of it is done.
"""

import os
import signal

from harness import free_ports, wait_until
from lib import frame, nginx
from lib.load import identities, tunnel_mode

# Methods of a balancer, and what to call them.
EVENTS = {
    "nothing": "nothing",
    "reload": "reload, nothing changed",
    "add": "reload, a server added",
    "drain": "reload, a server drains",
    "restart": "stopped and started",
    "crash": "killed and started",
}
RELOADS = ("nothing", "reload", "add", "drain")  # where not even a datagram may be lost


class Cidlb:
    """`entries`: of its servers; the last one joins in event `add`."""

    stay = False  # its devices move

    def __init__(self, scene, entries, **pool):
        first = free_ports(8)
        if self.mode == "tunnel":
            pool |= tunnel_mode(f"127.0.0.1:{first}")
        else:
            pool["nat"] = {"sources": ("127.64.0.0/10",), "ports": f"{first}-{first + 7}"}
        self.entries = [dict(entry) for entry in entries]
        self.pool = {"name": "p", **pool, "backends": self.entries[:-1]}
        self.process = frame.pinned(scene.cidlb([self.pool], start=False, workers=1), frame.BALANCER_CPU).start()
        self.target = self.process.address()

    def pids(self):
        return frame.processes_of(self.process.pid)

    def nothing(self):
        pass

    def reload(self):
        self.process.reload()

    def add(self):
        self.pool["backends"] = self.entries
        self.process.reload()

    def drain(self):
        self.entries[0]["state"] = "drain"
        self.process.reload()

    def restart(self):
        self.process.stop()
        self.process.start()

    def crash(self):
        self.process.restart()

    def dropped(self):
        """By the kernel, because its sockets were full."""
        return self.process.metric("cidlb_kernel_drops_total") + self.process.metric(
            "cidlb_endpoint_kernel_drops_total"
        )

    def check(self):
        return identities(self.process)


class CidlbNat(Cidlb):
    name, mode = "cidlb nat", "nat"


class CidlbTunnel(Cidlb):
    name, mode = "cidlb tunnel", "tunnel"


class Nginx:
    """As Debian has it, by address. Its devices stay where they are, or it would lose sessions when nothing happens."""

    name, mode, stay = "nginx", "nginx", True

    def __init__(self, scene, entries, **_):
        self.target, self.servers = f"127.0.0.1:{free_ports()}", [entry["address"] for entry in entries]
        self.process = nginx.Nginx(scene, self.target, self.servers[:-1]).start()

    def pids(self):
        return self.process.pids()

    def nothing(self):
        pass

    def reload(self):
        before = set(self.pids())
        self.process.child.send_signal(signal.SIGHUP)
        wait_until(lambda: set(self.pids()) - before, 10, "nginx has a new worker")

    def add(self):
        self.process.write(self.servers)
        self.reload()

    def drain(self):
        self.process.write([f"{self.servers[0]} down", *self.servers[1:-1]])
        self.reload()

    def restart(self):
        self.process.stop()
        self.process.start()

    def crash(self):
        workers = self.pids()[1:]
        self.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        self.process.start()

    def dropped(self):
        return 0

    def check(self):
        return []


def available():
    """The balancers that can be had here, and why others cannot."""
    found, left_out = [CidlbNat, CidlbTunnel], {}
    try:
        nginx.require()
        found.append(Nginx)
    except frame.LeftOut as reason:
        left_out["nginx"] = str(reason)
    return found, left_out
