"""cidlb-load, its servers and its counters: devices at an absolute rate, and servers that echo."""

import struct

from harness import BIN, Process, free_ports, wait_until
from lib import frame
from lib.histogram import CELLS

KEY = "000102030405060708090a0b0c0d0e0f"  # of mode tunnel
CID = {"scheme": "node-id", "length": 8, "size": 2}
OCTETS, BATCH = 100, 16
SERVERS = 3  # where their number is nothing that is looked at
COUNTERS = ("sent", "arrived", "elsewhere", "answered", "returned", "misdelivered", "garbled", "refused")
COUNTERS += ("up_silence_ns", "down_silence_ns")


class Load(Process):
    """Devices and servers in one process, whose counters can be read at any time.

    `options`: sources=1000 is --sources 1000; True stands for an option without a value, and None for one left out.
    `rate`: datagrams a second that devices send.
    """

    def __init__(self, scene, servers, rate, **options):
        self.file = scene.dir / "load.counters"
        self.rate = rate
        argv = [BIN / "cidlb-load", "--servers", servers, "--counters", self.file, "--rate", rate]
        for option, value in {"octets": OCTETS, "batch": BATCH, **options}.items():
            if value is not None:
                argv.append("--" + option.replace("_", "-"))
                argv += [] if value is True else [value]
        super().__init__(scene, "load", argv)
        frame.pinned(self, frame.LOAD_CPU)

    def start(self):
        """Returns once the first datagram has come back."""
        logged = len(self.log_text())
        super().start()
        wait_until(lambda: "loading" in self.log_text()[logged:] or not self.alive(), 10, "the load begins")
        wait_until(lambda: self.counters()["returned"] or not self.alive(), 10, "the first datagram comes back")
        return self

    def counters(self):
        return dict(zip(COUNTERS, struct.unpack_from(f"={len(COUNTERS)}Q", self.file.read_bytes())))

    def ways(self):
        """Histograms of the time that datagrams needed to a server, and back."""
        cells = struct.unpack_from(f"={2 * CELLS}Q", self.file.read_bytes(), 8 * len(COUNTERS))
        return {"up": cells[:CELLS], "down": cells[CELLS:]}

    def wrong(self):
        """Sentences about datagrams that went where they should not."""
        counters = self.counters()
        return [
            f"{counters[name]} {name}" for name in ("elsewhere", "misdelivered", "garbled", "refused") if counters[name]
        ]


def delivery(counters):
    """The share of what was sent, or should have been, that came back."""
    return counters["returned"] / max(1, counters["sent"] + counters["refused"])


def keys_file(scene):
    """The keys of mode tunnel, as servers read them."""
    file = scene.dir / "tunnel.keys"
    if not file.exists():  # a server that starts may be reading it
        file.write_text(f"1:{KEY}\n")
    return file


def tunnel_mode(local):
    """The settings of a pool in mode tunnel. `local`: ADDRESS:PORT of the first of its ports towards servers."""
    return {"forward": "tunnel", "tunnel": {"local": local, "keys": [{"id": 1, "key": KEY}]}}


def entry(number, address):
    """Of a server of the load. Its CIDs bear its number in their first two octets, the low one first."""
    return {"name": f"s{number}", "id": (number & 0xFF) << 8 | number >> 8, "address": address}


def servers_by_port(count):
    """What --servers gets, and the entries of these servers, which are on consecutive ports."""
    port = free_ports(count)
    return f"127.0.0.1:{port}", [entry(at + 1, f"127.0.0.1:{port + at}") for at in range(count)]


def servers_by_address(count):
    """The same on consecutive addresses of one port."""
    port, first = free_ports(), 127 << 24 | 1 << 16 | 1
    addresses = [".".join(str(first + at >> shift & 0xFF) for shift in (24, 16, 8, 0)) for at in range(count)]
    return f"{addresses[0]}:{port}", [entry(at + 1, f"{address}:{port}") for at, address in enumerate(addresses)]


def each(servers):
    """ADDRESS:PORT of each of SERVERS servers on consecutive ports."""
    ip, port = servers.rsplit(":", 1)
    return [f"{ip}:{int(port) + at}" for at in range(SERVERS)]


def identities(lb):
    """Counters of a cidlb that do not add up: sentences."""
    try:
        lb.assert_identities()
    except AssertionError as error:
        return [str(error)]
    return []
