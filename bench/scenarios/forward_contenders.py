"""Who forwards in scenario `forward`. Each contender is an object with a `target` to send to (None: devices send to the servers), the
`pids` of what it costs, and `tunnel_keys` if servers must speak the header of mode tunnel. All of them are on one CPU with one worker."""

import resource
import subprocess
from pathlib import Path

import frame
from forward_places import Loopback, each
from harness import BIN, Process, free_ports, total, wait_until

KEYS = "1:000102030405060708090a0b0c0d0e0f\n"
NGINX, NGINX_STREAM = Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_stream_module.so")
MOST_PORTS = 60_000  # of one address, about


class LeftOut(Exception):
    """Why a contender cannot take part."""


class Contender:
    tunnel_keys = None

    @classmethod
    def require(cls, scene):
        """LeftOut: it cannot be had."""

    @classmethod
    def fit(cls, setting):
        """LeftOut: it cannot do what this setting asks for."""

    def pids(self):
        return frame.processes_of(self.process.pid)

    def end(self):
        self.process.stop()

    def check(self, counters):
        """Sentences about datagrams that went where they should not, or were counted wrongly. `counters`: of the whole load."""
        return [f"{counters[name]} {name}" for name in ("misdelivered", "garbled") if counters[name]]


class Cidlb(Contender):
    """The defaults of its mode, but no probes: the servers of the load are none. And room for the flows that there will be."""

    name = "cidlb nat"

    @classmethod
    def mode(cls, scene, place, setting):
        flows = max(100_000, 2 * setting["sources"])
        return {"nat": {"sources": (place.endpoints_octets,), "max_flows": flows}}

    @classmethod
    def make(cls, scene, place, setting):
        entries = [{"name": f"s{at + 1}", "id": at + 1, "address": address} for at, address in enumerate(each(place.servers))]
        cid = {"scheme": "node-id", "length": 8}
        pool = {"name": "forward", "cid": cid, **cls.mode(scene, place, setting), "health": {"probe": "none"}, "backends": entries}
        listeners = [{"name": "forward", "address": f"{place.outside}:{free_ports()}", "pool": "forward"}]
        return frame.pinned(scene.cidlb([pool], start=False, workers=1, listeners=listeners), frame.BALANCER_CPU)

    def __init__(self, scene, place, setting):
        self.process = self.make(scene, place, setting).start()
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
    def mode(cls, scene, place, setting):
        (scene.dir / "tunnel.keys").write_text(KEYS)
        local = f"{place.inside}:{free_ports(2)}"  # one for the worker, one for probes
        return {"forward": "tunnel", "tunnel": {"local": local, "keys": [{"id": 1, "key": KEYS[2:-1]}]}}

    @classmethod
    def require(cls, scene):
        lb = cls.make(scene, Loopback(scene), {"sources": 1})
        lb.write()
        asked = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if asked.returncode:
            raise LeftOut(f"cidlb -t: {asked.stdout.partition(chr(10))[0].replace(str(lb.file), lb.file.name)}")

    def __init__(self, scene, place, setting):
        super().__init__(scene, place, setting)
        self.tunnel_keys = scene.dir / "tunnel.keys"


class Nginx(Contender):
    """As Debian has it, by address, with a way back for each device (proxy_responses is unlimited by default)."""

    name = "nginx"
    conf = """
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {dir}/nginx.pid;
error_log stderr warn;
user nobody nogroup;
events {{ worker_connections {connections}; }}
stream {{
  upstream servers {{ hash $remote_addr consistent; {servers} }}
  server {{ listen {target} udp reuseport rcvbuf=4m; proxy_pass servers; }}
}}
"""

    @classmethod
    def require(cls, scene):
        if not NGINX.exists() or not NGINX_STREAM.exists():
            raise LeftOut("not installed (packaging/deps --bench)")

    @classmethod
    def fit(cls, setting):
        needed, most = setting["sources"] + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if needed > MOST_PORTS:
            raise LeftOut(f"needs a port of one address for each of {setting['sources']:,} sources, and a descriptor ({most:,} here)")
        if needed > most:
            raise LeftOut(f"needs a descriptor for each of {setting['sources']:,} sources, and {most:,} can be had here")

    def __init__(self, scene, place, setting):
        self.target = f"{place.outside}:{free_ports()}"
        lines = " ".join(f"server {address};" for address in each(place.servers))
        file = scene.dir / "nginx.conf"
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        sizes = {"descriptors": descriptors, "connections": max(8192, 2 * setting["sources"] + 100)}
        file.write_text(self.conf.format(module=NGINX_STREAM, dir=scene.dir, servers=lines, target=self.target, **sizes))
        argv = [NGINX, "-e", "stderr", "-p", scene.dir, "-c", file]
        self.process = frame.pinned(Process(scene, "nginx", argv), frame.BALANCER_CPU).start()
        wait_until(lambda: not self.process.alive() or len(self.pids()) == 2, 10, "nginx has its worker")
        wait_until(lambda: not self.process.alive() or is_bound(self.target), 10, "nginx listens")


class Floor(Contender):
    """cidlb-floor: the system calls of mode nat and next to nothing else."""

    name = "floor"

    def __init__(self, scene, place, setting):
        self.target = f"{place.outside}:{free_ports()}"
        argv = [BIN / "cidlb-floor", "--listen", self.target, "--from", f"{place.endpoints}:{free_ports()}", "--servers", place.servers]
        argv += ["--server-count", len(each(place.servers))]
        self.process = frame.pinned(Process(scene, "floor", argv), frame.BALANCER_CPU).start()
        wait_until(lambda: not self.process.alive() or is_bound(self.target), 10, "the floor listens")

    def end(self):
        self.process.kill()


class Direct(Contender):
    """No balancer: the devices know which server is theirs."""

    name, target = "direct", None

    def __init__(self, scene, place, setting):
        pass

    def pids(self):
        return []

    def end(self):
        pass


def is_bound(target):
    """True if a UDP socket is bound to this port of the present network."""
    port = f":{int(target.rsplit(':', 1)[1]):04X} "
    return any(port in line[: line.index(":", 20) + 6] for line in Path("/proc/net/udp").read_text().splitlines()[1:])


CONTENDERS = [Cidlb, CidlbTunnel, Nginx, Floor, Direct]
