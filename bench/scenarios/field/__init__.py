"""What a battery pays per notification when its NAT has forgotten it: octets, radio messages, handshakes and time.

Then the same under other conditions: other NATs, slow radios, a report a day, certificates, and no NAT that forgets.
Devices and servers are real and have DTLS sessions. All contenders stand between them side by side, at once: nothing
here depends on the CPU. A notification is a confirmable request and its acknowledgement. Time runs TIME_FACTOR times
faster.
"""

import contextlib
import statistics
import sys

from harness import BIN, Fleet, Scene, Skip
from lib import certificates, frame

from . import conditions
from .case import TIME_FACTOR, Case
from .contenders import CONTENDERS
from .figures import plots, run_text, table, targets

__all__ = ["plots", "run", "run_text", "table", "targets"]

LOSS_PERCENT = 10
NOTIFICATIONS_A_DAY = 86400 // Case.interval_s
HEADERS = 20 + 8  # IPv4 and UDP
FULL = {"devices": 100, "minutes": 20, "lossy_seeds": [1, 2, 3], "lossless_seeds": [1]}
QUICK = {"devices": 30, "minutes": 4, "lossy_seeds": [1], "lossless_seeds": [1]}
END_S, SHORT_END_S = (
    60,
    4,
)  # as they are: the last notification may take four times five tries; once is enough where nothing is said of it
MOST_TRIES_S = Case.ack_timeout_s * 1.5 * (1 + 2 + 4) + 1  # what more than three lost tries take


def start_fleet(scene, contender, case):
    options = {
        "target": contender.target,
        **contender.credentials,
        "devices": case.devices,
        "ramp-ms": case.ramp_s * 1000 // TIME_FACTOR // case.devices,
        "seed": case.seed,
        "loss": case.loss,
        "from": "127.1.0.0",
        "addresses": contender.addresses,
        "interval-ms": case.interval_s * 1000 // TIME_FACTOR,
        "ack-timeout-ms": case.ack_timeout_s * 1000 // TIME_FACTOR,
        "round-trip-ms": case.round_trip_s * 1000 // TIME_FACTOR,
        "give-up": case.give_up or contender.give_up,
        "duration": case.seconds,
        "max-seconds": case.seconds + (END_S if contender.keeps else SHORT_END_S),
    }
    if contender.moves and case.nat_timeout_s:
        options["nat-timeout"] = case.nat_timeout_s / TIME_FACTOR
    if case.octets:
        options["message-octets"] = case.octets
    argv = [BIN / "cidlb-fleet", *(f"--{name}={value}" for name, value in options.items())]
    argv += [] if case.cid else ["--no-cid"]
    return frame.pinned(Fleet(scene, "fleet", argv), frame.LOAD_CPU).start()


def figures(report):
    """What one fleet has paid until its last exchanges.

    The first handshake is apart, since everybody needs it. Every later one is in.
    """
    paid, times = report["before_end"], report["recovery_ms"]
    octets = paid["octets_up"] + paid["octets_down"] - paid["first_octets"]
    messages = paid["datagrams_up"] + paid["datagrams_down"] - paid["first_datagrams"]
    notifications = paid["exchanges_ok"] + paid["exchanges_lost"]
    return {
        "octets": (octets + HEADERS * messages) / max(1, paid["exchanges_ok"]),
        "messages": messages / max(1, paid["exchanges_ok"]),
        "acknowledged": paid["exchanges_ok"] / max(1, notifications),
        "handshakes": paid["handshakes"] / paid["devices"],
        "moves": paid["rebinds"] / max(1, notifications),
        "at_once": paid["recoveries_at_once"] / paid["recoveries"] if paid["recoveries"] else None,
        "recovery_s": {name: ms * TIME_FACTOR / 1000 for name, ms in times.items()} if paid["recoveries"] else None,
        "first_octets": (paid["first_octets"] + HEADERS * paid["first_datagrams"]) / paid["devices"],
        "first_messages": paid["first_datagrams"] / paid["devices"],
        "up_octets": one_way(paid, "up"),
        "down_octets": one_way(paid, "down"),
    }


def one_way(paid, way):
    """Octets of a message after the first handshake, with headers."""
    first = {"octets": paid["first_octets_up"], "datagrams": paid["first_datagrams_up"]}
    if way == "down":
        first = {name: paid[f"first_{name}"] - up for name, up in first.items()}
    octets, messages = (paid[f"{name}_{way}"] - first[name] for name in ("octets", "datagrams"))
    return octets / max(1, messages) + HEADERS


def moves_are_wrong(contender, report):
    """Whether devices moved though no NAT forgets, or never did though it must have."""
    case = contender.case
    timeout_s = case.nat_timeout_s if contender.moves else 0
    return bool(report["rebinds"]) if not timeout_s else timeout_s < case.interval_s * 0.75 and not report["rebinds"]


def check(contender, fleet, report, servers):
    wrong = contender.check()
    if fleet.log_text():
        wrong.append(f"cidlb-fleet: {fleet.log_text().splitlines()[0]}")
    if moves_are_wrong(contender, report):
        wrong.append(f"{report['rebinds']} moves")
    if not contender.keeps:
        return wrong
    if report["survived"] != report["devices"]:
        wrong.append(f"{report['devices'] - report['survived']} of {report['devices']} sessions lost")
    if report["extra_handshakes"]:
        wrong.append(f"{report['extra_handshakes']} handshakes more than devices")
    for what in ("unknown_cid", "forged_records", "bad_headers"):
        if any(server[what] for server in servers):
            wrong.append(f"the servers counted {what}: {', '.join(str(server[what]) for server in servers)}")
    handshakes = sum(server["handshakes"] for server in servers)
    if handshakes != report["handshakes"]:
        wrong.append(f"the servers counted {handshakes} handshakes, the devices {report['handshakes']}")
    return wrong


def marks(contender, run):
    """Why the figures of a run are not to be trusted: sentences."""
    longest_s = run["report"]["latency_ms"]["p99"] * TIME_FACTOR / 1000
    repeated = run["loss"] == 0 and not contender.case.round_trip_s and abs(run["messages"] - 2) > 0.01
    reasons = {
        f"steal {run['steal']:.1%}": run["steal"] > frame.MOST_STEAL,
        f"{run['messages']:.2f} messages per notification, though none was lost": contender.keeps and repeated,
        f"one notification in 100 took {longest_s:.0f} s": contender.keeps and longest_s > MOST_TRIES_S,
        "one CPU": frame.SHARED,
    }
    return contender.complaints() + [reason for reason, holds in reasons.items() if holds]


def measure(jobs):
    """A run of each job (contender, case), all at once."""
    with contextlib.ExitStack() as stack:
        scenes = [stack.enter_context(Scene()) for _ in jobs]
        opened = [contender(scene, case) for (contender, case), scene in zip(jobs, scenes)]
        before = frame.read_steal()
        fleets = [start_fleet(scene, one, one.case) for one, scene in zip(opened, scenes)]
        longest_s = max(case.seconds for _, case in jobs)
        reports = [fleet.report(longest_s + 2 * END_S) for fleet in fleets]
        stolen, ticks = (now - then for now, then in zip(frame.read_steal(), before))
        runs = []
        for contender, fleet, report in zip(opened, fleets, reports):
            case, servers = contender.case, [backend.report() for backend in contender.backends]
            run = {"contender": contender.name, "loss": case.loss, "seed": case.seed, "steal": stolen / max(1, ticks)}
            run |= {
                "table": case.table,
                "said": case.said,
                **figures(report),
                "wrong": check(contender, fleet, report, servers),
                "report": report,
                "servers": servers,
            }
            if case.certificates:
                run["certificate_octets"] = contender.certificate_octets
            runs.append({**run, "marks": marks(contender, run)})
    return runs


def available():
    """The contenders that can be had here, and why the others cannot."""
    contenders, left_out = [], {}
    for contender in CONTENDERS:
        try:
            contender.require()
            contenders.append(contender)
        except (frame.LeftOut, Skip) as reason:
            left_out[contender.name] = str(reason)
    return contenders, left_out


def main_rounds(quick, settings, contenders):
    """Jobs (contender, case) of the main table, by round."""
    rounds = [(LOSS_PERCENT, seed) for seed in settings["lossy_seeds"]]
    rounds += [(0, seed) for seed in settings["lossless_seeds"]]
    cases = [Case(settings["devices"], settings["minutes"], loss=loss, seed=seed) for loss, seed in rounds]
    jobs = [[(contender, case) for contender in contenders] for case in cases]
    return [sum(jobs, [])] if quick else jobs


def measure_rounds(rounds):
    for jobs in rounds:
        said = sorted({case.said or f"{case.loss} % loss, seed {case.seed}" for _, case in jobs})
        print(f"field: {', '.join(said)}", file=sys.stderr, flush=True)
        yield from measure(jobs)


def measure_conditions(quick, contenders, left_out):
    """Their runs, each with its octets compared to those without a balancer. What cannot be had is left out."""
    try:
        certificates.require()
    except frame.LeftOut as reason:
        left_out["certificates"] = str(reason)
    rounds = [
        [
            (contender, case)
            for contender, case in jobs
            if contender in contenders and not (case.certificates and "certificates" in left_out)
        ]
        for jobs in conditions.rounds(quick)
    ]
    runs = list(measure_rounds(rounds))
    alone = {(run["table"], run["said"]): run["octets"] for run in runs if run["contender"] == "no balancer"}
    return [{**run, "of_none": run["octets"] / max(1, alone[run["table"], run["said"]])} for run in runs]


def run(quick):
    settings = QUICK if quick else FULL
    contenders, left_out = available()
    runs = list(measure_rounds(main_rounds(quick, settings, contenders)))
    direct = {(run["loss"], run["seed"]): run["octets"] for run in runs if run["contender"] == CONTENDERS[0].name}
    runs = [{**run, "of_direct": run["octets"] / max(1, direct[run["loss"], run["seed"]])} for run in runs]
    others = measure_conditions(quick, contenders, left_out)
    wrong = [
        f"{run['contender']}, {run['said'] or str(run['loss']) + ' % loss'}, seed {run['seed']}: {sentence}"
        for run in runs + others
        for sentence in run["wrong"]
    ]
    fixed = {
        "interval_s": Case.interval_s,
        "nat_timeout_s": Case.nat_timeout_s,
        "ack_timeout_s": Case.ack_timeout_s,
        "loss": LOSS_PERCENT,
    }
    fixed |= {"time_factor": TIME_FACTOR, "notifications_a_day": NOTIFICATIONS_A_DAY}
    summary = [summarize(runs, contender, loss) for loss in (LOSS_PERCENT, 0) for contender in contenders]
    results = {"settings": {**fixed, **settings}, "left_out": left_out, "runs": runs, "summary": summary}
    return {**results, "conditions": others, "wrong": wrong}


def summarize(runs, contender, loss):
    """Medians over the seeds; recovery_s: the median of p50 and p99, and the longest of all."""
    own = [run for run in runs if run["contender"] == contender.name and run["loss"] == loss]
    row = {"contender": contender.name, "loss": loss, "keeps": contender.keeps, "moves": contender.moves}
    for name in ("octets", "of_direct", "messages", "handshakes", "acknowledged", "first_octets", "first_messages"):
        row[name] = frame.spread([run[name] for run in own])
    for name in ("devices", "rebinds", "recovering"):
        row[name] = sum(run["report"]["before_end"][name] for run in own)
    row["extra_handshakes"] = sum(run["report"]["extra_handshakes"] for run in own)
    row["lost_sessions"] = row["devices"] - sum(run["report"]["survived"] for run in own)
    moved = [run for run in own if run["recovery_s"]]
    if moved:
        row["at_once"] = statistics.median(run["at_once"] for run in moved)
        row["recovery_s"] = {
            name: statistics.median(run["recovery_s"][name] for run in moved) for name in ("p50", "p99")
        }
        row["recovery_s"]["max"] = max(run["recovery_s"]["max"] for run in moved)
    return row
