"""A load that waits for nobody (cidlb-load), and each of its datagrams accounted for on the wire: a record bears the
device's number and the time of its sending, which no other one of that device has. Its answer bears the time of the
answer."""

import dataclasses
import socket
import struct
import time
from collections import Counter

import harness
from harness import BIN, FULL, Process, free_ports, wait_until
from lab import segment, triple
from lab.background import Background
from lab.triple import SO_RCVBUFFORCE

RATE = 10_000 if FULL else 1000
PORT, OCTETS, DEVICES = 5684, 100, 4000
CID = {"scheme": "node-id", "length": 8, "size": 2}
ID = 0x0100  # of the server: number 1, the low octet first
COUNTERS = ("sent", "arrived", "elsewhere", "answered", "returned", "misdelivered", "garbled", "refused")
ETH_P_IP = 0x0800
SOL_PACKET, PACKET_STATISTICS = 263, 6
KEY = slice(11 - OCTETS, 29 - OCTETS)  # of the record, at a frame's end: CID, length, time


def entry():
    """The server in the triple topology."""
    return {"name": "a", "id": ID, "address": f"10.2.0.11:{PORT}"}


@dataclasses.dataclass
class Way:
    """Between which hosts a load runs, and through which addresses."""

    devices: object
    servers: object
    target: str
    server: str
    options: list  # of cidlb-load


def route_devices(host, gateway):
    """`gateway`: how this host reaches the devices, who are at that host."""
    host.ip("route", "replace", "local", "10.16.0.0/12", "dev", "lo")
    harness.ip("route", "replace", "10.16.0.0/12", "via", gateway)


def by_tunnel(net, keys):
    """Through a tunnel, in the triple topology. `keys`: as a file."""
    route_devices(net.devices, "10.1.0.2")
    return Way(net.devices, net.servers, f"{triple.SERVICE}:{PORT}", f"10.2.0.11:{PORT}", ["--tunnel", keys])


def by_dsr(net):
    """To the first server of a segment, which answers devices itself."""
    server, service = net.servers[0], f"{segment.SERVICE}:{PORT}"
    route_devices(net.devices, "10.9.1.1")
    server.ip("route", "replace", "10.16.0.0/12", "via", "10.9.1.1")
    return Way(net.devices, server, service, service, [])


class Watch(Background):
    """Counts the records that the host at a cable's end receives."""

    def __init__(self, host):
        super().__init__()
        with host.there():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_IP))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.records, self.lost = [], 0
        self.thread.start()

    def _run(self):
        while self.running:
            self._take()
            time.sleep(0.005)

    def _take(self):
        try:
            while True:
                frame = self.sock.recv(2048)
                if frame[-OCTETS : 3 - OCTETS] == b"\x19\xfe\xfd":
                    self.records.append(frame[KEY])
        except BlockingIOError:
            pass

    def close(self):
        self.stop()
        self._take()
        self.lost = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.sock.close()


class NumberedLoad(Process):
    """So many datagrams a second of known sessions, whose server echoes. A context: from the first answer to the
    last."""

    def __init__(self, scene, way, rate=RATE, name="load"):
        self.way, self.file = way, scene.dir / f"{name}.counters"
        argv = [BIN / "cidlb-load", "--target", way.target, "--servers", way.server, "--server-count", 1]
        argv += ["--port", free_ports(), "--devices", "10.16.0.0", "--sources", DEVICES, "--octets", OCTETS]
        argv += ["--rate", rate, "--batch", 16, "--counters", self.file, *way.options]
        for host in ("devices", "servers"):
            argv += [f"--{host}-net", f"/run/netns/{getattr(way, host).name}"]
        super().__init__(scene, name, argv)

    def counters(self):
        return dict(zip(COUNTERS, struct.unpack_from(f"={len(COUNTERS)}Q", self.file.read_bytes())))

    def __enter__(self):
        self.up, self.down = Watch(self.way.servers), Watch(self.way.devices)
        self.start()
        wait_until(lambda: self.log_text(), 20, "the load begins")
        self.wait_more(1)
        return self

    def __exit__(self, *_):
        if self.alive():
            self.stop()
        self.up.close()
        self.down.close()

    def wait_more(self, count):
        """Until so many more have come back."""
        at = self.counters()["returned"]
        wait_until(lambda: self.counters()["returned"] >= at + count, 60, f"{count} more come back")

    def under_way(self):
        now = self.counters()
        return now["sent"] - now["returned"]

    def assert_all_once(self):
        """Each one that was sent arrived once at its server, and each device has got as many answers. A server may send
        two answers to a device at one time: if the first datagram has waited for cidlb."""
        now = self.counters()
        wrong = {name: now[name] for name in ("elsewhere", "misdelivered", "garbled", "refused") if now[name]}
        assert not wrong and self.up.lost == self.down.lost == 0, (now, self.up.lost, self.down.lost)
        once = len(set(self.up.records))
        assert once == len(self.up.records) == now["sent"] == now["arrived"], (once, len(self.up.records), now)
        asked, answered = (Counter(record[:CID["length"]] for record in end.records) for end in (self.up, self.down))
        assert asked == answered and now["sent"] == now["returned"], (answered.total(), asked - answered, now)
        print(f"    {now['sent']} datagrams, each arrived once, and was answered")
