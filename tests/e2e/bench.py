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
    contenders = {row["contender"]: row for row in forward["summary"]}
    assert {"cidlb nat", "floor"} <= set(contenders), contenders
    assert set(contenders) | set(forward["left_out"]) == {"cidlb nat", "cidlb tunnel", "nginx", "floor"}
    assert not forward["wrong"], forward["wrong"]
    for run in forward["runs"]:
        whole = run["whole"]
        assert whole["returned"] <= whole["answered"] <= whole["arrived"] <= whole["sent"], run
        assert run["forwarded"] > 100 and run["cpu_ns"] > 0, run
        assert whole["misdelivered"] == whole["garbled"] == 0, run
        assert whole["elsewhere"] == 0 or run["contender"] == "nginx", run
    for name, row in contenders.items():
        assert row["ns_per_datagram"]["min"] > 0, row
        assert row["over"].get("floor") or name == "floor", row
        assert name in done.stdout, done.stdout


main(globals())
