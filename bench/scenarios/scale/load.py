"""What scenario `scale` loads: a cidlb in a mode of choice, what it holds in memory, and one run of a load."""

import re
import time
from pathlib import Path

from harness import free_ports
from lib import frame
from lib.load import CID, delivery, tunnel_mode


def cidlb(scene, name, mode, entries, **nat):
    """A cidlb, not started, with one worker, no probes and the defaults of its mode.

    `nat`: settings of that mode beside its prefix.
    """
    first = free_ports(8)
    if mode == "tunnel":
        settings = tunnel_mode(f"127.0.0.1:{first}")
    else:
        settings = {"nat": {"sources": ("127.64.0.0/10",), "ports": f"{first}-{first + 7}", **nat}}
    pool = {"name": "p", "cid": CID, **settings, "health": {"probe": "none"}, "backends": entries}
    return frame.pinned(scene.cidlb([pool], name=name, start=False, workers=1), frame.BALANCER_CPU)


def memory(process):
    """Resident octets: all, and what is no file's."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    resident, anonymous = (
        1024 * int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) for name in ("VmRSS", "RssAnon")
    )
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
    run["delivery"] = delivery(whole)
    run["marks"] = frame.marks(run)
    return run
