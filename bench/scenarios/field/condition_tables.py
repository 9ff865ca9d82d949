"""What scenario `field` says of other conditions: a table each."""

from lib import frame

from .conditions import DAYS, MESSAGE_OCTETS, NAT_INTERVAL_S

HEAD = [
    ["", "octets", "of no", "messages", "handshakes", "sessions", "acknow-", "moves", "recovered after, s", ""],
    ["", "", "balancer", "", "a device", "lost", "ledged", "", "p50", "p99"],
]
TITLES = {
    "nat": f"a notification each {NAT_INTERVAL_S} s, give or take a quarter, behind NATs that forget sooner or later",
    "radio": "a slow radio: CoAP repeats after 2 to 3 s what would have been answered",
    "day": f"a report a day, for {DAYS} days; in its sleep the NAT and nginx forget the device,"
    "\n  which begins a new session after one report without an answer",
    "handshake": "certificates in place of a PSK (ECDSA with P-256 on both sides, a certificate each)",
}


def of_table(result, table):
    return [run for run in result["conditions"] if run["table"] == table]


def cells(run):
    paid, recovery = run["report"]["before_end"], run["recovery_s"]
    line = [f"{run['said']}, {run['contender']}"]
    line += [f"{run['octets']:.1f}", f"{run['of_none']:.2f}", f"{run['messages']:.2f}"]
    lost = paid["devices"] - run["report"]["survived"]
    line += [f"{run['handshakes']:.2f}", f"{lost} of {paid['devices']}", f"{run['acknowledged']:.1%}"]
    line.append(f"{paid['rebinds']:,}")
    return line + ([f"{recovery['p50']:.2f}", f"{recovery['p99']:.2f}"] if recovery else ["", ""])


def cid_table(result):
    """The octets of the messages alone: what CIDs cost where no NAT forgets, and they are of no use."""
    rows = [["CoAP message up", "octets up", "of no CID", "octets down", "a stack that fills nothing: up"]]
    runs = of_table(result, "cid")
    for octets in MESSAGE_OCTETS:
        own = [run for run in runs if run["said"].startswith(f"{octets} octets")]
        without = next(run["up_octets"] for run in own if run["said"].endswith("without CID"))
        for run in own:
            has_cid = run["said"].endswith("with CID")
            bare = f"{without + 6 + 1:.0f}, {(without + 7) / without:.2f}" if has_cid else ""
            line = [f"{run['said']}, {run['contender']}", f"{run['up_octets']:.1f}"]
            rows.append(line + [f"{run['up_octets'] / without:.2f}", f"{run['down_octets']:.1f}", bare])
    said = "\n  where no NAT forgets: octets of a message, with IP and UDP headers;"
    said += " CIDs of 6 octets, none towards devices"
    note = "  The last column is computed: CID and content type alone. Mbed TLS fills up to 16 octets."
    return f"{said}\n{frame.columns(rows)}\n{note}"


def handshake_text(result):
    """What a first handshake takes, without a balancer."""
    text = []
    for run in of_table(result, "handshake"):
        if run["contender"] != "no balancer":
            continue
        octets = run.get("certificate_octets")
        own = f" (certificates of {octets['server']} and {octets['device']} octets)" if octets else ""
        messages = f"{run['first_octets']:.0f} octets in {run['first_messages']:.1f} messages"
        text.append(f"{run['said']}{own} {messages}")
    return f"  a handshake, with headers: {'; '.join(text)}"


def day_text(result):
    """What devices pay that keep no session and have no CID: nothing that a balancer could break."""
    report = next(run["octets"] for run in of_table(result, "day") if run["contender"] == "no balancer")
    without = (run for run in of_table(result, "cid") if run["said"].endswith("without CID"))
    octets = next(without)["first_octets"] + report
    return f"  computed: a new session for each report, by any balancer: {octets:.0f} octets, in 8 messages"


def tables(result):
    if not result.get("conditions"):
        return []
    text = ["\n  Other conditions. Nothing is lost in any of these; one seed.", cid_table(result)]
    for table, title in TITLES.items():
        text += [f"\n  {title}", frame.columns([*HEAD, *map(cells, of_table(result, table))])]
        text += [day_text(result)] if table == "day" else [handshake_text(result)] if table == "handshake" else []
    return text
