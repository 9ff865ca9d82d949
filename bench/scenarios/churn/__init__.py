"""Sessions broken when servers fail, grow and are upgraded: cidlb, Maglev, ketama and modulo, without sockets.

The simulation is cidlb-churn. All is counted and nothing is timed, so the same comes out on every machine. Each
schedule of events is run twice: with devices whose addresses stay, and with devices that have a new address at each
event.
"""

import json
import subprocess
import time

from harness import BIN

from .figures import ADDRESS, CID, plots, table

__all__ = ["plots", "run", "table"]

FULL = {"servers": 1000, "sessions": 10_000_000}
QUICK = {"servers": 100, "sessions": 100_000}


def run(quick):
    settings = QUICK if quick else FULL
    start = time.monotonic()
    argv = [BIN / "cidlb-churn", "--servers", settings["servers"], "--sessions", settings["sessions"]]
    done = subprocess.run([str(arg) for arg in argv], stdout=subprocess.PIPE, text=True, check=True)
    runs = json.loads(done.stdout)["runs"]
    for each in runs:
        each["contenders"] = {contender.pop("contender"): contender for contender in each["contenders"]}
    result = {"settings": settings, "left_out": {}, "seconds": time.monotonic() - start, "runs": runs}
    return {**result, "wrong": [sentence for each in runs for sentence in faults(each, settings)]}


def faults(each, settings):
    """What cidlb promises and has not kept in one run: sentences."""
    by_cid, by_address = each["contenders"][CID], each["contenders"][ADDRESS]
    holds = {
        f"{by_cid['needless']} sessions with CID broken while their server was there": by_cid["needless"]
        == by_cid["ever"]
        == 0,
        "not every session with CID was routed": each["routed"] >= settings["sessions"],
    }
    if each["schedule"] == "restart":
        holds[f"{by_cid['unavoidable']} sessions lost that their servers had saved"] = by_cid["unavoidable"] == 0
    if not each["moves"] and each["schedule"] in ("quiet", "shrink", "shrink-one"):
        holds[f"{by_address['needless']} sessions by address moved from servers that stayed"] = (
            by_address["needless"] == 0
        )
    return [
        f"{each['schedule']}{', addresses move' if each['moves'] else ''}: {sentence}"
        for sentence, kept in holds.items()
        if not kept
    ]
