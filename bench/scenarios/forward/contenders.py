"""Who forwards in scenario `forward`. All contenders are on one CPU with one worker.

A contender is an object with a `target` to send to (None: devices send to the servers), the `pids` of what it costs,
and `tunnel_keys` if servers must speak the header of mode tunnel.
"""

import resource
import subprocess

from harness import BIN, Process, free_ports, total, wait_until
from lib import frame, nginx
from lib.frame import LeftOut
from lib.load import each, identities, keys_file, tunnel_mode
from lib.sockets import is_bound

from .topology import Loopback

MOST_PORTS = 60_000  # of one address, about


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
        """Sentences about datagrams that went where they should not, or were counted wrongly.

        `counters`: of the whole load.
        """
        return [f"{counters[name]} {name}" for name in ("misdelivered", "garbled") if counters[name]]


class Cidlb(Contender):
    """The defaults of its mode, but without probes: the servers of the load answer none. It has room for all flows."""

    name, programs = "cidlb nat", BIN

    @classmethod
    def mode(cls, scene, topology, setting):
        flows = max(100_000, 2 * setting["sources"])
        return {"nat": {"sources": (topology.endpoints_prefix,), "max_flows": flows}}

    @classmethod
    def make(cls, scene, topology, setting):
        entries = [
            {"name": f"s{at + 1}", "id": at + 1, "address": address}
            for at, address in enumerate(each(topology.servers))
        ]
        cid = {"scheme": "node-id", "length": 8}
        pool = {
            "name": "forward",
            "cid": cid,
            **cls.mode(scene, topology, setting),
            "health": {"probe": "none"},
            "backends": entries,
        }
        listeners = [{"name": "forward", "address": f"{topology.outside}:{free_ports()}", "pool": "forward"}]
        process = scene.cidlb([pool], start=False, workers=1, listeners=listeners)
        process.argv[0] = str(cls.programs / "cidlb")
        return frame.pinned(process, frame.BALANCER_CPU)

    def __init__(self, scene, topology, setting):
        self.process = self.make(scene, topology, setting).start()
        self.target = self.process.address()

    def check(self, counters):
        wrong = super().check(counters)
        if counters["elsewhere"]:
            wrong.append(f"{counters['elsewhere']} at another server than their CID names")
        wrong += identities(self.process)
        metrics = self.process.metrics()
        received, dropped = total(metrics, "cidlb_received_total"), total(metrics, "cidlb_kernel_drops_total")
        # What the kernel drops after the last datagram that it delivers, it tells nobody.
        if not counters["arrived"] <= received <= counters["sent"] - dropped:
            wrong.append(
                f"{counters['sent']} sent, {received} received, {dropped} dropped by the kernel,"
                f" {counters['arrived']} arrived"
            )
        return wrong


class CidlbTunnel(Cidlb):
    name = "cidlb tunnel"

    @classmethod
    def mode(cls, scene, topology, setting):
        return tunnel_mode(f"{topology.inside}:{free_ports(2)}")  # one for the worker, one for probes

    @classmethod
    def require(cls, scene):
        lb = cls.make(scene, Loopback(scene), {"sources": 1})
        lb.write()
        argv = [cls.programs / "cidlb", "-t", "-c", lb.file]
        asked = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if asked.returncode:
            raise LeftOut(f"cidlb -t: {asked.stdout.partition(chr(10))[0].replace(str(lb.file), lb.file.name)}")

    def __init__(self, scene, topology, setting):
        super().__init__(scene, topology, setting)
        self.tunnel_keys = keys_file(scene)


class Nginx(Contender):
    """As Debian has it, by address, with a way back for each device (proxy_responses is unlimited by default)."""

    name = "nginx"

    @classmethod
    def require(cls, scene):
        nginx.require()

    @classmethod
    def fit(cls, setting):
        needed, most = setting["sources"] + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if needed > MOST_PORTS:
            raise LeftOut(
                f"needs a port of one address for each of {setting['sources']:,} sources,"
                f" and a descriptor ({most:,} here)"
            )
        if needed > most:
            raise LeftOut(
                f"needs a descriptor for each of {setting['sources']:,} sources, and {most:,} can be had here"
            )

    def __init__(self, scene, topology, setting):
        self.target = f"{topology.outside}:{free_ports()}"
        most, connections = resource.getrlimit(resource.RLIMIT_NOFILE)[1], max(8192, 2 * setting["sources"] + 100)
        self.process = nginx.Nginx(scene, self.target, each(topology.servers), most, connections).start()


class Floor(Contender):
    """cidlb-floor: the system calls of mode nat and next to nothing else."""

    name = "floor"

    def __init__(self, scene, topology, setting):
        self.target = f"{topology.outside}:{free_ports()}"
        argv = [
            BIN / "cidlb-floor",
            "--listen",
            self.target,
            "--from",
            f"{topology.endpoints}:{free_ports()}",
            "--servers",
            topology.servers,
        ]
        argv += ["--server-count", len(each(topology.servers))]
        self.process = frame.pinned(Process(scene, "floor", argv), frame.BALANCER_CPU).start()
        wait_until(lambda: not self.process.alive() or is_bound(self.target), 10, "the floor listens")

    def end(self):
        self.process.kill()


class Direct(Contender):
    """No balancer: the devices know which server is theirs."""

    name, target = "direct", None

    def __init__(self, scene, topology, setting):
        pass

    def pids(self):
        return []

    def end(self):
        pass


CONTENDERS = [Cidlb, CidlbTunnel, Nginx, Floor, Direct]


def of_build(contender, programs, name):
    """The same contender as another build has it: a cidlb from the folder `programs`."""
    return type(name, (contender,), {"name": name, "programs": programs, "__doc__": contender.__doc__})
