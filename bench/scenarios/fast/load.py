"""cidlb-frames at both ends, and cidlb-load before it where servers must have been heard."""

import platform
import re
import struct

from harness import BIN, Process, wait_until
from lib import frame
from lib.load import BATCH, OCTETS, SERVERS, Load

SOURCES = 1000
LIVE_FRAMES = (5, 18)  # of Linux
COUNTERS = ("ns", "sent", "arrived", "elsewhere", "unread", "returned", "misdelivered")


def require():
    """LeftOut: there are no such frames here."""
    if not (BIN / "cidlb-frames").exists():
        raise frame.LeftOut("no cidlb-frames among the programs: clang 14 or libbpf 1.1 was missing at the build")
    if tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < LIVE_FRAMES:
        raise frame.LeftOut(f"needs Linux {'.'.join(map(str, LIVE_FRAMES))}")


class Frames(Process):
    """Devices and servers without sockets. `setting`: `rate` of what devices send (0: all that can be), `one_way`,
    `garbage`."""

    def __init__(self, scene, cards, balancer, setting):
        self.file = scene.dir / "frames.counters"
        net = cards.load_options
        argv = [BIN / "cidlb-frames", "--counters", self.file, "--mac", cards.out_mac, "--target", balancer.target]
        argv += ["--devices-net", net["devices_net"], "--devices-if", cards.device_end]
        argv += ["--servers-net", net["servers_net"], "--servers-if", cards.server_end]
        argv += ["--servers", cards.servers, "--server-count", SERVERS, "--devices", net["devices"]]
        argv += ["--port", net["port"], "--sources", SOURCES, "--octets", OCTETS, "--batch", BATCH]
        argv += ["--rate", setting["rate"], "--seconds", 60]
        argv += ["--tunnel", balancer.tunnel_keys] if balancer.tunnel_keys else []
        argv += ["--one-way"] * setting["one_way"] + ["--garbage"] * setting["garbage"]
        super().__init__(scene, "frames", argv)
        frame.pinned(self, frame.LOAD_CPU)

    def start(self):
        """Returns once they are being sent."""
        logged = len(self.log_text())
        super().start()
        wait_until(lambda: "sending" in self.log_text()[logged:] or not self.alive(), 20, "frames are sent")
        wait_until(lambda: self.counters()["sent"] or not self.alive(), 10, "a frame has been sent")
        return self

    def counters(self):
        return dict(zip(COUNTERS, struct.unpack(f"={len(COUNTERS)}Q", self.file.read_bytes())))


def over_sockets(scene, cards, balancer, until):
    """Until a condition holds: the same devices and servers, with sockets. What they send is what is asked for."""
    options = {"server_count": SERVERS, "sources": SOURCES, "target": balancer.target, "tunnel": balancer.tunnel_keys}
    load = Load(scene, cards.servers, 20_000, **cards.load_options, **options).start()
    wait_until(lambda: until(load.counters()) or not load.alive(), 30, f"{balancer.name} has heard its servers")
    load.stop()
