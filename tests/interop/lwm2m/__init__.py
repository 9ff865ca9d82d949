"""LwM2M servers and devices that nobody here wrote, behind cidlb. The harness and the lab are those of tests/e2e."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "e2e"))
