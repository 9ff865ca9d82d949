#!/usr/bin/env python3
"""The bench suite works: every scenario gives figures and no datagram goes astray. How fast anything is, is not tested."""

import json
import os
import subprocess
from pathlib import Path

from harness import BIN, Scene, Skip, main, release_only

RUN = Path(__file__).parents[2] / "bench" / "run"


@release_only  # what it measures is not what runs there
def case_forward():
    if os.geteuid() != 0:
        raise Skip("needs root, for a network of its own")
    with Scene() as scene:
        file = scene.dir / "results.json"
        argv = [RUN, "--quick", "--json", file, "forward"]
        done = subprocess.run(argv, env={**os.environ, "CIDLB_BIN": str(BIN)}, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        results = json.loads(file.read_text())
    for what in ("cpu", "kernel", "versions"):
        assert results["machine"][what], what
    forward = results["scenarios"]["forward"]
    settings = {setting["name"]: setting for setting in forward["settings"]["matrix"]}
    for name, setting in settings.items():
        taking = {row["contender"] for row in forward["summary"] if row["setting"] == name}
        out = {left_out.partition(",")[0] for left_out in forward["left_out"]}
        assert taking <= set(setting["contenders"]) <= taking | out, (name, taking, out)
        assert taking >= {"cidlb nat", "floor"}, (name, taking)
        assert f"\n  {name}: " in done.stdout, done.stdout
    assert not forward["wrong"], forward["wrong"]
    for run in forward["runs"]:
        whole = run["whole"]
        assert whole["returned"] <= whole["answered"] <= whole["arrived"] <= whole["sent"], run
        assert run["forwarded"] > 100 and (run["cpu_ns"] > 0 or run["contender"] == "direct"), run
        assert whole["misdelivered"] == whole["garbled"] == 0, run
        assert whole["elsewhere"] == 0 or run["contender"] in ("nginx", "nftables"), run
    for row in forward["summary"]:
        assert row["contender"] == "direct" or row["ns_per_datagram"]["min"] > 0, row
        assert row["contender"] in ("direct", "floor") or row["over"]["floor"], row
        for way in row["ways"] or ():
            up_to = [row["ways"][way][percentile]["us"]["median"] for percentile in ("p50", "p99", "p99.9")]
            assert 0 < up_to[0] <= up_to[1] <= up_to[2], row


main(globals())
