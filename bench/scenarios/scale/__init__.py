"""What more sessions and more servers cost: memory of a flow, CPU time of a datagram, time of a reload.

Three series: flows of mode nat, sources of mode tunnel (which keeps nothing of them), and backends.
"""

from lib.load import BATCH, OCTETS

from .figures import plots, table, targets
from .steps import SERVERS, measure_backends, measure_flows, measure_sources, run_text

__all__ = ["plots", "run", "run_text", "table", "targets"]

FULL = {
    "rate": 100_000,  # of both directions together
    "fill_rate": 90_000,
    "flows": [1_000, 10_000, 100_000, 300_000, 1_000_000],
    "decide": [1_000, 100_000],  # flows: those two are compared in all rounds, the others in few
    "sources": [1_000, 100_000, 1_000_000, 10_000_000],
    "backends": [2, 10, 100, 1_000],
    "backend_sources": 10_000,
    "rounds": 7,
    "few_rounds": 3,
    "reloads": 5,
    "warm_s": 0.4,
    "steady_s": 1.8,
}
QUICK = {
    **FULL,
    "rate": 20_000,
    "fill_rate": 20_000,
    "flows": [1_000, 10_000],
    "decide": [],
    "sources": [1_000, 10_000],
    "backends": [2, 100],
    "backend_sources": 1_000,
    "rounds": 1,
    "few_rounds": 1,
    "reloads": 2,
    "warm_s": 0.2,
    "steady_s": 0.4,
}
SERIES = {"flows": measure_flows, "sources": measure_sources, "backends": measure_backends}
NO_STATELESS = "its servers are IPv6, and those of cidlb-load are not; tests/e2e/stateless.py looks at its memory"


def run(quick):
    settings = QUICK if quick else FULL
    result = {"settings": {"octets": OCTETS, "batch": BATCH, "servers": SERVERS, **settings}}
    result["left_out"] = {"nat without a table": NO_STATELESS}
    for name, measure in SERIES.items():
        result[name] = measure(settings)
    result["wrong"] = [sentence for name in SERIES for sentence in result[name].pop("wrong")]
    return result
