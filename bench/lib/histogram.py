"""Histograms of durations as cidlb-load writes them. bench/programs/load/histogram.h has the form."""

CUT_BITS, CELLS = 6, 1856
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def least_ns(cell):
    """The shortest duration that belongs into a cell."""
    shift = cell >> CUT_BITS
    return cell if shift < 2 else (cell - ((shift - 1) << CUT_BITS)) << (shift - 1)


def percentiles(first, last):
    """Microseconds, of what came between two readings of a histogram. None if nothing did."""
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
