"""What the scenarios `scale` and `restart` load and are loaded with: cidlb in a mode of choice, cidlb-load, and what a process holds."""

import re
import struct
import time
from pathlib import Path

import frame
from harness import BIN, Process, free_ports, wait_until

KEYS = "1:000102030405060708090a0b0c0d0e0f\n"
CID = {"scheme": "node-id", "length": 8, "size": 2}
OCTETS, BATCH = 100, 16
COUNTERS = ("sent", "arrived", "elsewhere", "answered", "returned", "misdelivered", "garbled", "refused")
COUNTERS += ("up_silence_ns", "down_silence_ns")


class Load(Process):
    """cidlb-load, whose counters can be read at any time. `options`: sources=1000 is --sources 1000; True for one without a value."""

    def __init__(self, scene, target, servers, port, rate, **options):
        self.file = scene.dir / "load.counters"
        self.rate = rate
        argv = [BIN / "cidlb-load", "--target", target, "--servers", servers, "--port", port, "--counters", self.file]
        argv += ["--octets", OCTETS, "--batch", BATCH, "--rate", rate]
        for option, value in options.items():
            argv.append("--" + option.replace("_", "-"))
            argv += [] if value is True else [value]
        super().__init__(scene, "load", argv)
        frame.pinned(self, frame.LOAD_CPU)

    def start(self):
        logged = len(self.log_text())
        super().start()
        wait_until(lambda: "loading" in self.log_text()[logged:] or not self.alive(), 10, "the load begins")
        wait_until(lambda: self.counters()["returned"] or not self.alive(), 10, "the first datagram comes back")
        return self

    def counters(self):
        return dict(zip(COUNTERS, struct.unpack_from(f"={len(COUNTERS)}Q", self.file.read_bytes())))

    def wrong(self):
        """Sentences about datagrams that went where they should not."""
        counters = self.counters()
        return [f"{counters[name]} {name}" for name in ("elsewhere", "misdelivered", "garbled", "refused") if counters[name]]


def keys_file(scene):
    file = scene.dir / "tunnel.keys"
    if not file.exists():
        file.write_text(KEYS)
    return file


def entry(number, address):
    """Of a server of the load: its CIDs bear its number in their first two octets, the low one first."""
    return {"name": f"s{number}", "id": (number & 0xFF) << 8 | number >> 8, "address": address}


def cidlb(scene, name, mode, entries, **nat):
    """A cidlb, not started, with one worker, no probes and the defaults of its mode. `nat`: settings of that mode beside its prefix."""
    first = free_ports(8)
    if mode == "tunnel":
        settings = {"forward": "tunnel", "tunnel": {"local": f"127.0.0.1:{first}", "keys": [{"id": 1, "key": KEYS[2:-1]}]}}
    else:
        settings = {"nat": {"sources": ("127.64.0.0/10",), "ports": f"{first}-{first + 7}", **nat}}
    pool = {"name": "p", "cid": CID, **settings, "health": {"probe": "none"}, "backends": entries}
    return frame.pinned(scene.cidlb([pool], name=name, start=False, workers=1), frame.BALANCER_CPU)


def servers_by_port(count):
    """(what --servers gets, the entries of these servers): on consecutive ports."""
    port = free_ports(count)
    return f"127.0.0.1:{port}", [entry(at + 1, f"127.0.0.1:{port + at}") for at in range(count)]


def servers_by_address(count):
    """On consecutive addresses of one port."""
    port, first = free_ports(), 127 << 24 | 1 << 16 | 1
    addresses = [".".join(str(first + at >> shift & 0xFF) for shift in (24, 16, 8, 0)) for at in range(count)]
    return f"{addresses[0]}:{port}", [entry(at + 1, f"{address}:{port}") for at, address in enumerate(addresses)]


def memory(process):
    """Resident octets: all, and what is no file's."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    resident, anonymous = (1024 * int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) for name in ("VmRSS", "RssAnon"))
    return {"resident": resident, "anonymous": anonymous}


def measure(lb, load, settings):
    """Runs the load, which is not started: the figures of its steady phase, and what became of all datagrams."""
    load.start()
    time.sleep(settings["warm_s"])
    pids = frame.processes_of(lb.pid)
    first = frame.Reading(pids, load.counters)
    time.sleep(settings["steady_s"])
    run = frame.between(first, frame.Reading(pids, load.counters))
    load.stop()
    whole = load.counters()
    run["whole"], run["wrong"] = whole, load.wrong()
    run["forwarded"] = run["counters"]["arrived"] + run["counters"]["returned"]
    run["ns_per_datagram"] = run["cpu_ns"] / max(1, run["forwarded"])
    run["achieved"] = run["counters"]["sent"] / run["seconds"] / load.rate
    run["delivery"] = whole["returned"] / max(1, whole["sent"] + whole["refused"])
    run["marks"] = frame.marks(run)
    return run


def identities(lb):
    try:
        lb.assert_identities()
    except AssertionError as error:
        return [str(error)]
    return []
