"""What a battery pays per notification when its NAT has forgotten it: octets, radio messages, handshakes and time.

Devices and servers are real and have DTLS sessions. All contenders stand between them side by side, at once: nothing
here depends on the CPU. A notification is a confirmable request and its acknowledgement. Time runs TIME_FACTOR times
faster.
"""

import contextlib
import statistics
import sys

from harness import BIN, PSK, Fleet, Scene, Skip
from lib import frame

from .contenders import CONTENDERS, TIME_FACTOR
from .figures import plots, run_text, table, targets

__all__ = ["plots", "run", "run_text", "table", "targets"]

INTERVAL_S, NAT_TIMEOUT_S, ACK_TIMEOUT_S, LOSS_PERCENT = 25, 20, 2, 10  # of the time that is told of
NOTIFICATIONS_A_DAY = 86400 // INTERVAL_S
HEADERS = 20 + 8  # IPv4 and UDP
FULL = {"devices": 100, "minutes": 20, "lossy_seeds": [1, 2, 3], "lossless_seeds": [1]}
QUICK = {"devices": 30, "minutes": 4, "lossy_seeds": [1], "lossless_seeds": [1]}
END_S, SHORT_END_S = (
    60,
    4,
)  # as they are: the last notification may take four times five tries; once is enough where nothing is said of it
RAMP_S = 10  # from the first device's start to the last one's
MOST_TRIES_S = ACK_TIMEOUT_S * 1.5 * (1 + 2 + 4) + 1  # what more than three lost tries take


def start_fleet(scene, contender, loss, seed, settings):
    options = {
        "target": contender.target,
        "psk": ":".join(PSK),
        "devices": settings["devices"],
        "ramp-ms": RAMP_S * 1000 // TIME_FACTOR // settings["devices"],
        "seed": seed,
        "loss": loss,
        "from": "127.1.0.0",
        "addresses": contender.addresses,
        "interval-ms": INTERVAL_S * 1000 // TIME_FACTOR,
        "ack-timeout-ms": ACK_TIMEOUT_S * 1000 // TIME_FACTOR,
        "give-up": contender.give_up,
        "duration": settings["minutes"] * 60 / TIME_FACTOR,
        "max-seconds": settings["minutes"] * 60 / TIME_FACTOR + (END_S if contender.keeps else SHORT_END_S),
    }
    if contender.moves:
        options["nat-timeout"] = NAT_TIMEOUT_S / TIME_FACTOR
    argv = [BIN / "cidlb-fleet", *(f"--{name}={value}" for name, value in options.items())]
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
    }


def check(contender, fleet, report, servers):
    wrong = contender.check()
    if fleet.log_text():
        wrong.append(f"cidlb-fleet: {fleet.log_text().splitlines()[0]}")
    if contender.moves != bool(report["rebinds"]):
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
    repeated = run["loss"] == 0 and abs(run["messages"] - 2) > 0.01
    reasons = {
        f"steal {run['steal']:.1%}": run["steal"] > frame.MOST_STEAL,
        f"{run['messages']:.2f} messages per notification, though none was lost": contender.keeps and repeated,
        f"one notification in 100 took {longest_s:.0f} s": contender.keeps and longest_s > MOST_TRIES_S,
        "one CPU": frame.SHARED,
    }
    return contender.complaints() + [reason for reason, holds in reasons.items() if holds]


def measure(jobs, settings):
    """A run of each job (contender, loss, seed), all at once."""
    with contextlib.ExitStack() as stack:
        scenes = [stack.enter_context(Scene()) for _ in jobs]
        opened = [contender(scene) for (contender, _, _), scene in zip(jobs, scenes)]
        before = frame.read_steal()
        fleets = [
            start_fleet(scene, *job, settings)
            for scene, job in zip(scenes, [(one, *job[1:]) for one, job in zip(opened, jobs)])
        ]
        reports = [fleet.report(settings["minutes"] * 60 / TIME_FACTOR + 2 * END_S) for fleet in fleets]
        stolen, ticks = (now - then for now, then in zip(frame.read_steal(), before))
        runs = []
        for (_, loss, seed), contender, fleet, report in zip(jobs, opened, fleets, reports):
            servers = [backend.report() for backend in contender.backends]
            run = {"contender": contender.name, "loss": loss, "seed": seed, "steal": stolen / max(1, ticks)}
            run |= {
                **figures(report),
                "wrong": check(contender, fleet, report, servers),
                "report": report,
                "servers": servers,
            }
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


def run(quick):
    settings = QUICK if quick else FULL
    contenders, left_out = available()
    rounds = [(LOSS_PERCENT, seed) for seed in settings["lossy_seeds"]] + [
        (0, seed) for seed in settings["lossless_seeds"]
    ]
    jobs = [[(contender, loss, seed) for contender in contenders] for loss, seed in rounds]
    runs = []
    for together in [sum(jobs, [])] if quick else jobs:
        print(
            f"field: {', '.join(sorted({f'{loss} % loss, seed {seed}' for _, loss, seed in together}))}",
            file=sys.stderr,
            flush=True,
        )
        runs += measure(together, settings)
    direct = {(run["loss"], run["seed"]): run["octets"] for run in runs if run["contender"] == CONTENDERS[0].name}
    runs = [{**run, "of_direct": run["octets"] / max(1, direct[run["loss"], run["seed"]])} for run in runs]
    wrong = [
        f"{run['contender']}, {run['loss']} % loss, seed {run['seed']}: {sentence}"
        for run in runs
        for sentence in run["wrong"]
    ]
    fixed = {
        "interval_s": INTERVAL_S,
        "nat_timeout_s": NAT_TIMEOUT_S,
        "ack_timeout_s": ACK_TIMEOUT_S,
        "loss": LOSS_PERCENT,
    }
    fixed |= {"time_factor": TIME_FACTOR, "notifications_a_day": NOTIFICATIONS_A_DAY}
    summary = [summarize(runs, contender, loss) for loss in (LOSS_PERCENT, 0) for contender in contenders]
    return {"settings": {**fixed, **settings}, "left_out": left_out, "runs": runs, "summary": summary, "wrong": wrong}


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
