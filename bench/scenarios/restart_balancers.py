"""Who is restarted in scenario `restart`, and how. Each balancer has the events as methods, which return once all of it is done."""

import os
import signal
from pathlib import Path

import frame
from harness import Process, free_ports, wait_until
from scale_load import KEYS, identities

NGINX, NGINX_STREAM = Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_stream_module.so")

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
            pool |= {"forward": "tunnel", "tunnel": {"local": f"127.0.0.1:{first}", "keys": [{"id": 1, "key": KEYS[2:-1]}]}}
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
        return self.process.metric("cidlb_kernel_drops_total") + self.process.metric("cidlb_endpoint_kernel_drops_total")

    def check(self):
        return identities(self.process)


class CidlbNat(Cidlb):
    name, mode = "cidlb nat", "nat"


class CidlbTunnel(Cidlb):
    name, mode = "cidlb tunnel", "tunnel"


class Nginx:
    """As Debian has it, by address. Its devices stay where they are, or it would lose sessions when nothing happens."""

    name, mode, stay = "nginx", "nginx", True
    conf = """
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {dir}/nginx.pid;
error_log stderr warn;
user nobody nogroup;
events {{ worker_connections 8192; }}
stream {{
  upstream servers {{ hash $remote_addr consistent; {servers} }}
  server {{ listen {target} udp reuseport rcvbuf=4m; proxy_pass servers; }}
}}
"""

    def __init__(self, scene, entries, **_):
        self.scene, self.target = scene, f"127.0.0.1:{free_ports()}"
        self.servers = [f"server {entry['address']};" for entry in entries]
        self.file = scene.dir / "nginx.conf"
        self.write(self.servers[:-1])
        argv = [NGINX, "-e", "stderr", "-p", scene.dir, "-c", self.file]
        self.process = frame.pinned(Process(scene, "nginx", argv), frame.BALANCER_CPU)
        self.start()

    def write(self, servers):
        self.file.write_text(self.conf.format(module=NGINX_STREAM, dir=self.scene.dir, servers=" ".join(servers), target=self.target))

    def pids(self):
        return frame.processes_of(self.process.pid)

    def start(self):
        self.process.start()
        wait_until(lambda: not self.process.alive() or len(self.pids()) == 2, 10, "nginx has its worker")
        wait_until(lambda: not self.process.alive() or drops_of(int(self.target.rsplit(":", 1)[1])) is not None, 10, "nginx listens")

    def nothing(self):
        pass

    def reload(self):
        before = set(self.pids())
        self.process.child.send_signal(signal.SIGHUP)
        wait_until(lambda: set(self.pids()) - before, 10, "nginx has a new worker")

    def add(self):
        self.write(self.servers)
        self.reload()

    def drain(self):
        self.write([self.servers[0].replace(";", " down;"), *self.servers[1:-1]])
        self.reload()

    def restart(self):
        self.process.stop()
        self.start()

    def crash(self):
        workers = self.pids()[1:]
        self.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        self.start()

    def dropped(self):
        return 0

    def check(self):
        return []


def drops_of(port):
    """What the kernel has dropped at sockets of this port because they were full; None: there is none."""
    drops = None
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        _, local, *_, dropped = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            drops = (drops or 0) + int(dropped)
    return drops


def available():
    """The balancers that can be had here, and why others cannot."""
    found, left_out = [CidlbNat, CidlbTunnel], {}
    if NGINX.exists() and NGINX_STREAM.exists():
        found.append(Nginx)
    else:
        left_out["nginx"] = "not installed (packaging/deps --bench)"
    return found, left_out
