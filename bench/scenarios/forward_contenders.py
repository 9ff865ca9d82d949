"""Who forwards in scenario `forward`. Each contender is an object with a `target` to send to, the `pid` of its (first) process, and
`tunnel_keys` if servers must speak the header of mode tunnel. All of them are on one CPU with one worker."""

import subprocess
from pathlib import Path

import frame
from harness import BIN, Process, free_ports, total, wait_until

KEYS = "1:000102030405060708090a0b0c0d0e0f\n"
NGINX, NGINX_STREAM = Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class LeftOut(Exception):
    """Why a contender cannot take part."""


class Contender:
    tunnel_keys = None

    @classmethod
    def require(cls, scene):
        """LeftOut: it cannot be had."""

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        self.process.stop()

    def check(self, counters):
        """Sentences about datagrams that went where they should not, or were counted wrongly. `counters`: of the whole load."""
        return [f"{counters[name]} {name}" for name in ("misdelivered", "garbled", "refused") if counters[name]]


def addresses(servers, count):
    ip, port = servers.rsplit(":", 1)
    return [f"{ip}:{int(port) + at}" for at in range(count)]


class Cidlb(Contender):
    """The defaults of its mode, but no probes: the servers of the load are none."""

    name, mode = "cidlb nat", {"nat": {"sources": ("127.64.0.0/10",), "ports": "40684-40691"}}

    @classmethod
    def make(cls, scene, servers, count):
        entries = [{"name": f"s{at + 1}", "id": at + 1, "address": address} for at, address in enumerate(addresses(servers, count))]
        cid = {"scheme": "node-id", "length": 8}
        pool = {"name": "forward", "cid": cid, **cls.mode, "health": {"probe": "none"}, "backends": entries}
        return frame.pinned(scene.cidlb([pool], start=False, workers=1), frame.BALANCER_CPU)

    def __init__(self, scene, servers, count):
        self.process = self.make(scene, servers, count).start()
        self.target = self.process.address()

    def check(self, counters):
        wrong = super().check(counters)
        if counters["elsewhere"]:
            wrong.append(f"{counters['elsewhere']} at another server than their CID names")
        try:
            self.process.assert_identities()
        except AssertionError as error:
            wrong.append(str(error))
        metrics = self.process.metrics()
        received, dropped = total(metrics, "cidlb_received_total"), total(metrics, "cidlb_kernel_drops_total")
        # What the kernel drops after the last datagram that it delivers, it tells nobody.
        if not counters["arrived"] <= received <= counters["sent"] - dropped:
            wrong.append(f"{counters['sent']} sent, {received} received, {dropped} dropped by the kernel, {counters['arrived']} arrived")
        return wrong


class CidlbTunnel(Cidlb):
    name = "cidlb tunnel"

    @classmethod
    def make(cls, scene, servers, count):
        (scene.dir / "tunnel.keys").write_text(KEYS)
        cls.mode = {"forward": "tunnel", "tunnel": {"local": f"127.0.0.1:{free_ports()}", "keys": [{"id": 1, "key": KEYS[2:-1]}]}}
        return super().make(scene, servers, count)

    @classmethod
    def require(cls, scene):
        lb = cls.make(scene, "127.0.0.1:6001", 3)
        lb.write()
        asked = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if asked.returncode:
            raise LeftOut(f"cidlb -t: {asked.stdout.partition(chr(10))[0].replace(str(lb.file), lb.file.name)}")

    def __init__(self, scene, servers, count):
        super().__init__(scene, servers, count)
        self.tunnel_keys = scene.dir / "tunnel.keys"


class Nginx(Contender):
    """As Debian has it, by address, with a way back for each device (proxy_responses is unlimited by default)."""

    name = "nginx"
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

    @classmethod
    def require(cls, scene):
        if not NGINX.exists() or not NGINX_STREAM.exists():
            raise LeftOut("not installed (packaging/deps --bench)")

    def __init__(self, scene, servers, count):
        self.target = f"127.0.0.1:{free_ports()}"
        lines = " ".join(f"server {address};" for address in addresses(servers, count))
        file = scene.dir / "nginx.conf"
        file.write_text(self.conf.format(module=NGINX_STREAM, dir=scene.dir, servers=lines, target=self.target))
        argv = [NGINX, "-e", "stderr", "-p", scene.dir, "-c", file]
        self.process = frame.pinned(Process(scene, "nginx", argv), frame.BALANCER_CPU).start()
        wait_until(lambda: not self.process.alive() or len(frame.processes_of(self.pid)) == 2, 10, "nginx has its worker")
        wait_until(lambda: not self.process.alive() or is_bound(self.target), 10, "nginx listens")


class Floor(Contender):
    """cidlb-floor: the system calls of mode nat and next to nothing else."""

    name = "floor"

    def __init__(self, scene, servers, count):
        self.target = f"127.0.0.1:{free_ports()}"
        argv = [BIN / "cidlb-floor", "--listen", self.target, "--from", f"127.64.0.0:{free_ports()}", "--servers", servers, "--server-count", count]
        self.process = frame.pinned(Process(scene, "floor", argv), frame.BALANCER_CPU).start()
        wait_until(lambda: not self.process.alive() or is_bound(self.target), 10, "the floor listens")

    def end(self):
        self.process.kill()


def is_bound(target):
    """True if a UDP socket is bound to this port of the present network."""
    port = f":{int(target.rsplit(':', 1)[1]):04X} "
    return any(port in line[: line.index(":", 20) + 6] for line in Path("/proc/net/udp").read_text().splitlines()[1:])


CONTENDERS = [Cidlb, CidlbTunnel, Nginx, Floor]
