"""The load of scenario `forward`: cidlb-load, its counters, and how long its datagrams were on their way."""

import struct

import frame
from harness import BIN, Process, wait_until

COUNTERS = ("sent", "arrived", "elsewhere", "answered", "returned", "misdelivered", "garbled", "refused")
BEFORE = 10  # numbers in the file before the histograms
CUT_BITS, CELLS = 6, 1856  # of bench/programs/load/histogram.h
SERVERS = 3
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


class Load(Process):
    """cidlb-load, whose counters can be read at any time."""

    def __init__(self, scene, balancer, place, setting):
        self.file = scene.dir / "load.counters"
        self.file.unlink(missing_ok=True)  # of a load before
        argv = [BIN / "cidlb-load", "--servers", place.servers, "--server-count", SERVERS, *place.load_options]
        argv += ["--sources", setting["sources"], "--octets", ",".join(map(str, setting["octets"]))]
        argv += ["--rate", setting["rate"] // 2, "--batch", setting["batch"], "--counters", self.file]
        argv += ["--target", balancer.target] if balancer.target else []
        argv += ["--tunnel", balancer.tunnel_keys] if balancer.tunnel_keys else []
        super().__init__(scene, "load", argv)
        frame.pinned(self, frame.LOAD_CPU)

    def wait_begun(self):
        """Until the first datagram has come back."""
        wait_until(lambda: self.file.exists() and self.file.stat().st_size or not self.alive(), 10, "the load has its counters")
        wait_until(lambda: self.counters()["returned"] or not self.alive(), 10, "the first datagram comes back")

    def counters(self):
        return dict(zip(COUNTERS, struct.unpack_from(f"={len(COUNTERS)}Q", self.file.read_bytes())))

    def ways(self):
        """Histograms of the time that datagrams needed to a server, and back."""
        cells = struct.unpack_from(f"={2 * CELLS}Q", self.file.read_bytes(), 8 * BEFORE)
        return {"up": cells[:CELLS], "down": cells[CELLS:]}


def delivery(counters):
    """The share of what was sent, or should have been, that came back."""
    return counters["returned"] / max(1, counters["sent"] + counters["refused"])


def least_ns(cell):
    shift = cell >> CUT_BITS
    return cell if shift < 2 else (cell - ((shift - 1) << CUT_BITS)) << (shift - 1)


def percentiles(first, last):
    """Microseconds, of what came between two readings of a histogram; None if nothing did."""
    cells = [after - before for before, after in zip(first, last)]
    total, seen, at, found = sum(cells), 0, -1, {}
    if not total:
        return None
    for name, share in PERCENTILES.items():
        while seen < share * total:
            at += 1
            seen += cells[at]
        found[name] = (least_ns(at) + least_ns(at + 1)) / 2000
    return found


def ways_between(first, last):
    return {way: percentiles(first[way], last[way]) for way in first}
