"""The health channel: who gets new sessions, what probes find out, what backends say of themselves."""

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from harness import BIN, FULL, PSK, Scene, free_ports, limited, main, release_only, total, wait_all_joined, wait_until
from udp import COAP_RST, drain, open_socket

PSK_IDENTITY, PSK_KEY = PSK
COAPS = {"probe": "coaps", "interval_ms": 200, "timeout_ms": 1000, "psk_identity": PSK_IDENTITY, "psk_key": PSK_KEY}


def ctl(lb, *command):
    """The answer of cidlbctl --json."""
    out = subprocess.run(
        [BIN / "cidlbctl", "--json", "--socket", lb.config["admin"]["socket"], *command], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def row(lb, name):
    """What cidlbctl says of one backend."""
    return next(one for one in ctl(lb, "backends")["backends"] if one["name"] == name)


def verdicts(lb, verdict):
    return lb.metric("cidlb_datagrams_total", verdict=verdict)


def is_down(lb, name):
    return lb.metric("cidlb_backend_state", backend=name, state="down") == 1


def case_one_of_three_is_killed():
    """New sessions avoid it, its own go on being sent there, the others see nothing."""
    devices, more = (300, 100) if FULL else (60, 20)
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        health = {"probe": "dtls", "interval_ms": 300, "timeout_ms": 200, "fall": 3}
        lb = scene.cidlb([scene.pool("p", backends, health=health)])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=devices, duration=12, interval_ms=300, ack_timeout_ms=100, give_up=2, story=story
        )
        wait_all_joined(story, devices)
        hit = backends[1].counters()["sessions"]
        others = [backends[i].counters()["handshakes"] for i in (0, 2)]
        assert hit > 0

        begin = time.monotonic()
        backends[1].kill()
        wait_until(lambda: is_down(lb, "b"), 10, "b is down")
        # The packet path meets a refusal at once; the probe it causes is refused three times in a row. 150 ms on a
        # machine of its own.
        took = time.monotonic() - begin
        print(f"   down {1000 * took:.0f} ms after its end")
        assert took < 2, f"down after {took:.2f} s"
        wait_until(lambda: verdicts(lb, "cid_down") > 0, 10, "its CIDs are counted")

        late = scene.fleet(
            lb.address(), name="late", devices=more, rebinds=1, rebind_every=0.3, interval_ms=200
        ).report()
        assert late["survived"] == late["handshakes"] == more and late["exchanges_lost"] == 0, late
        report = fleet.report()
        # A device of b tries again elsewhere, which is a handshake more.
        assert devices - hit <= report["survived"], (report, hit)
        now = [backends[i].counters() for i in (0, 2)]
        assert sum(one["handshakes"] for one in now) >= sum(others) + more, now
        assert sum(one["forged_records"] + one["unknown_cid"] for one in now) == 0, now
        lb.assert_identities()


def case_one_of_three_is_silent():
    """Nothing refuses, so only time tells: down after exactly `fall` failed probes, up after `rise` good ones, and no
    session is lost."""
    devices, more, fall, rise = *((300, 100) if FULL else (60, 20)), 3, 2
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        health = {"probe": "dtls", "interval_ms": 1000, "timeout_ms": 1000, "fall": fall, "rise": rise}
        lb = scene.cidlb([scene.pool("p", backends, health=health)])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=devices, duration=25, interval_ms=300, ack_timeout_ms=500, give_up=1000, story=story
        )
        wait_all_joined(story, devices)
        counted = [backend.counters() for backend in backends]
        assert counted[1]["sessions"] > 0

        def seen():
            """Of b in one look: failed probes, good ones, down."""
            metrics = lb.metrics()
            failed, ok = (
                total(metrics, "cidlb_probes_total", backend="b", result=result) for result in ("failed", "ok")
            )
            return failed, ok, total(metrics, "cidlb_backend_state", backend="b", state="down") == 1

        before = seen()
        assert not before[2]
        os.kill(backends[1].pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()

            def went_down():
                failed, _, down = seen()
                assert down == (failed >= before[0] + fall), f"{failed - before[0]} failed probes, down: {down}"
                return down

            wait_until(went_down, 20, "b is down")
            print(
                f"   down {time.monotonic() - begin:.1f} s after its last word; "
                f"fall × interval + timeout is {fall + 1} s"
            )
            good = seen()[1]
            wait_until(lambda: verdicts(lb, "cid_down") > 0, 10, "its CIDs are counted")
            late = scene.fleet(
                lb.address(), name="late", devices=more, rebinds=1, rebind_every=0.3, interval_ms=200
            ).report()
            assert late["survived"] == late["handshakes"] == more and late["exchanges_lost"] == 0, late
        finally:
            os.kill(backends[1].pid, signal.SIGCONT)

        def came_up():
            _, ok, down = seen()
            assert down == (ok < good + rise), f"{ok - good} good probes, down: {down}"
            return not down

        wait_until(came_up, 20, "b is up")
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == devices, report
        now = [backend.counters() for backend in backends]
        assert now[1]["handshakes"] == counted[1]["handshakes"], now[1]
        assert sum(one["handshakes"] for one in now) == devices + more, now
        lb.assert_identities()


def case_findings():
    """Each way to be set up wrongly shows with its own reason within two probes; the right one shows as right."""
    with Scene() as scene:
        good = scene.backend(1)
        no_cid = scene.backend(2, cid_length=0)
        long_cid = scene.backend(3, cid_length=8)
        other_id = scene.backend(4)
        other_key = scene.backend(5, options=("--psk", f"{PSK_IDENTITY}:ffffffffffffffffffffffffffffffff"))
        other_name = scene.backend(6, options=("--psk", f"nobody:{PSK_KEY}"))
        entries = [good, no_cid, long_cid, other_id.entry(id=9), other_key, other_name]
        lb = scene.cidlb([scene.pool("p", entries, health=COAPS)])
        wait_until(lambda: lb.metric("cidlb_probes_total") >= 2 * len(entries), 10, "two probes each")

        one = row(lb, "a")
        assert one["health"] == "up" and one["rebinding"] == {"finding": "yes"} and one["cid"] == {"finding": "ok"}, one
        one = row(lb, "b")
        assert one["health"] == "up" and one["rebinding"] == {"finding": "no", "reason": "CID not negotiated"}, one
        one = row(lb, "c")
        assert one["health"] == "up" and one["cid"] == {"finding": "wrong", "reason": "length 8, configured 6"}, one
        one = row(lb, "d")
        assert one["health"] == "up" and one["cid"] == {"finding": "wrong", "reason": "id 4, configured 9"}, one
        for name, word in (("e", "psk_key"), ("f", "psk_identity")):
            one = row(lb, name)
            assert one["health"] == "down" and word in one["reason"], one
        for name, finding in (("a", 1), ("b", 0)):
            assert lb.metric("cidlb_backend_rebinding", backend=name) == finding
        for name, finding in (("a", 1), ("c", 0), ("d", 0)):
            assert lb.metric("cidlb_backend_cid_ok", backend=name) == finding
        log = lb.log_text()
        for line in (
            "backend_rebinding pool=p backend=b: CID not negotiated",
            "backend_cid pool=p backend=c: length 8, configured 6",
        ):
            assert log.count(line) == 1, (line, log)
        assert PSK_KEY not in log and "ffffffffffffffff" not in log


def case_a_backend_steers_itself():
    """drain, a weight, maint and down by its own word; the wish of people counts, too."""
    with Scene() as scene:
        words = scene.dir / "words"
        backends = [scene.backend(1, options=("--steer", words)), scene.backend(2)]
        lb = scene.cidlb([scene.pool("p", backends, health=COAPS)])

        def says(text, **expected):
            words.write_text(text)
            wait_until(
                lambda: all(row(lb, "a")[key] == value for key, value in expected.items()), 10,
                f"{text!r} counts: {row(lb, 'a')}",
            )

        says("drain\n", state="drain", health="up")
        late = scene.fleet(lb.address(), devices=10, rebinds=1, rebind_every=0.3, interval_ms=200).report()
        assert late["survived"] == 10 and backends[0].counters()["sessions"] == 1, "only the probe's"
        says("75%\n", state="ready", weight=75)
        says("maint", state="maint")
        says("down", state="ready", health="down")
        says("", state="ready", health="up", weight=100)
        ctl(lb, "drain", "a")
        says("ready\n50%", state="drain", weight=100)  # only the first line counts
        ctl(lb, "ready", "a")
        says("perhaps", state="ready")
        wait_until(lambda: "perhaps, which means nothing here" in lb.log_text(), 5, "an unknown word is named")
        lb.assert_identities()


def case_a_successor_claims_an_id():
    """A new process elsewhere loads the sessions of one that ends, and their CIDs lead to it: no handshake, also for
    devices that only wait."""
    devices = 100 if FULL else 30
    with Scene() as scene:
        saved = scene.dir / "sessions"
        a = scene.backend(1, options=("--sessions", saved))
        b = scene.backend(2)
        spare = {"name": "spare", "id": 3, "address": f"127.0.0.1:{free_ports()}", "weight": 0}
        lb = scene.cidlb([scene.pool("p", [a, b, spare], health=COAPS)])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=devices, rebinds=4, rebind_every=2, interval_ms=500, ack_timeout_ms=500, story=story,
            observe=True,
        )
        wait_all_joined(story, devices)
        time.sleep(1)
        mine = a.counters()["sessions"] - 1  # the probe's
        a.stop()
        heir = scene.backend(3, name="heir", port=int(spare["address"].split(":")[1]), options=("--sessions", saved))
        wait_until(lambda: set(row(lb, "spare")["ids"]) == {"01", "03"}, 10, "the id has moved")
        assert row(lb, "a")["ids"] == [] and lb.metric("cidlb_id_moves_total") == 1
        report = fleet.report()
        assert report["survived"] == devices and report["handshakes"] == devices, report
        assert heir.counters()["sessions_loaded"] >= mine > 0, heir.counters()
        lb.assert_identities()


def hand_over_then_restart(returns):
    """An heir has taken over an id when cidlb is killed and started again: its sessions go on, whatever the
    predecessor's place answers."""
    devices = 100 if FULL else 30
    with Scene() as scene:
        saved, story = scene.dir / "sessions", scene.dir / "story"
        a, b = scene.backend(1, options=("--sessions", saved)), scene.backend(2)
        spare = {"name": "spare", "id": 3, "address": f"127.0.0.1:{free_ports()}", "weight": 0}
        # Silence at the predecessor's place is not known for what it is for a while.
        lb = scene.cidlb([scene.pool("p", [a, b, spare], health={**COAPS, "timeout_ms": 1500})])
        fleet = scene.fleet(
            lb.address(), devices=devices, duration=15, interval_ms=500, ack_timeout_ms=500, story=story
        )
        wait_all_joined(story, devices)
        time.sleep(1)
        mine = a.counters()["sessions"] - 1  # the probe's
        a.stop()
        heir = scene.backend(3, name="heir", port=int(spare["address"].split(":")[1]), options=("--sessions", saved))
        wait_until(lambda: set(row(lb, "spare")["ids"]) == {"01", "03"}, 10, "the id has moved")
        kept = Path(lb.config["state_file"])
        wait_until(
            lambda: kept.exists() and json.loads(kept.read_text())["ids"] == {"p": {"01": "spare"}}, 5, "that is kept"
        )
        silence = None
        if returns:
            # At its old port, without the sessions.
            empty = scene.backend(1, name="empty", port=a.port)
            wait_until(lambda: lb.metric("cidlb_ids_contested") == 1, 10, "it is back")
        else:
            silence = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            silence.bind(("127.0.0.1", a.port))
            before = len(lb.log_text())
        lb.kill()
        lb.start(ready=False)
        wait_until(lambda: lb.get("/healthz")[0] == 200, 10, "cidlb is back")
        assert set(row(lb, "spare")["ids"]) == {"01", "03"} and row(lb, "a")["ids"] == [], "at once"
        wait_until(lambda: lb.get("/readyz")[0] == 200, 15, "every server was probed")
        time.sleep(1)
        assert set(row(lb, "spare")["ids"]) == {"01", "03"}, row(lb, "spare")
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == devices, report
        assert heir.counters()["sessions_loaded"] >= mine > 0, heir.counters()
        if returns:
            assert empty.counters()["sessions"] == 2, "only the probes', of both cidlb"
        else:
            log = lb.log_text()[before:]
            assert "id_contested" not in log and "id_moved" not in log, log
            silence.close()
        lb.assert_identities()


def case_restart_after_a_succession():
    hand_over_then_restart(returns=True)


def case_restart_with_a_silent_predecessor():
    hand_over_then_restart(returns=False)


def case_predecessor_returns_empty():
    """Its id stays with who has its sessions: it gets no new ones, whose CIDs would lead there."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        words = scene.dir / "words"
        words.write_text("id:1\n")
        lb = scene.cidlb(
            [
                scene.pool(
                    "p", [a, b.entry(), scene.backend(3, name="heir", options=("--steer", words)).entry()], health=COAPS
                )
            ]
        )
        a.kill()
        wait_until(lambda: "01" in row(lb, "heir")["ids"], 10, "the id has moved")
        a.start()
        wait_until(lambda: lb.metric("cidlb_ids_contested") == 1, 10, "it is back")
        assert row(lb, "a")["health"] == "up" and ctl(lb, "status")["pools"][0]["accepting"] == 2, "it has no id"
        report = scene.fleet(lb.address(), devices=30, rebinds=1, rebind_every=0.3, interval_ms=200).report()
        assert report["survived"] == report["handshakes"] == 30, report
        lb.assert_identities()


def case_two_claims_change_nothing():
    with Scene() as scene:
        words = scene.dir / "words"
        words.write_text("id:9\n")
        backends = [scene.backend(number, options=("--steer", words)) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends, health=COAPS)])
        wait_until(lambda: lb.metric("cidlb_ids_contested") == 1, 10, "the claims are seen")
        assert lb.log_text().count("id_contested") == 1
        owners = [row(lb, name)["ids"] for name in ("a", "b")]
        assert "01" in owners[0] and "02" in owners[1], owners
        time.sleep(1)
        assert [row(lb, name)["ids"] for name in ("a", "b")] == owners
        words.write_text("\n")
        wait_until(lambda: lb.metric("cidlb_ids_contested") == 0, 10, "the claims are gone")


def case_claims_without_end():
    """A server that claims other ids all the time is counted, and fills no log."""
    with Scene() as scene:
        words = scene.dir / "words"
        a = scene.backend(1, options=("--steer", words))
        lb = scene.cidlb([scene.pool("p", [a, scene.backend(2)], health={**COAPS, "interval_ms": 100})])

        def claim_others():
            first = claim_others.next
            claim_others.next = 20 + (first + 10) % 200
            new = words.with_suffix(".new")
            new.write_text("id:1 " + " ".join(f"id:{number}" for number in range(first, first + 20)))
            new.rename(words)
            return lb.metric("cidlb_id_moves_total") > 150

        claim_others.next = 20
        wait_until(claim_others, 30, "ids move")
        log = lb.log_text()
        assert log.count("id_moved") <= 60, log
        assert "01" in row(lb, "a")["ids"] and row(lb, "b")["ids"] == ["02"]
        lb.assert_identities()


def case_another_probe():
    """After a reload with another probe nothing sticks of what the last one found and heard."""
    with Scene() as scene:
        words = scene.dir / "words"
        words.write_text("drain\n")
        a, b = scene.backend(1, options=("--steer", words)), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b], health=COAPS)])
        wait_until(lambda: row(lb, "a")["state"] == "drain" and "steering" in row(lb, "a"), 10, "it drains")
        b.kill()
        wait_until(lambda: is_down(lb, "b"), 10, "b is down")
        for health in ({"probe": "dtls", "interval_ms": 200, "rise": 200}, {"probe": "none"}):
            lb.config["pools"][0]["health"] = health
            lb.reload()
            wait_until(lambda: lb.get("/readyz")[0] == 200, 10, "every server was probed")
            now = row(lb, "a")
            assert (now["state"], now["health"]) == ("ready", "up") and not {"steering", "rebinding"} & now.keys(), now
            assert is_down(lb, "b") == (health["probe"] == "dtls"), row(lb, "b")


def case_out_of_descriptors():
    """What cidlb is short of says nothing of its servers."""
    with Scene() as scene:
        a = scene.backend(1)
        entries = [{**a.entry(), "name": f"s{number}", "id": number} for number in range(1, 151)]
        lb = scene.cidlb([scene.pool("p", entries[:1], health={**COAPS, "fall": 1})])
        with limited(lb, resource.RLIMIT_NOFILE, 128):
            lb.config["pools"][0]["backends"] = entries
            lb.write()
            lb.child.send_signal(signal.SIGHUP)
            lb.wait_log("not probed: Too many open files")
            time.sleep(1)
        assert "backend_down" not in lb.log_text(), lb.log_text()


def case_commands_outlive_restarts():
    """What was set by command holds after a SIGKILL, until the entry changes in the file."""
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        lb = scene.cidlb([scene.pool("p", backends)])
        ctl(lb, "drain", "a")
        ctl(lb, "weight", "b", "7")
        ctl(lb, "maint", "c")
        lb.restart()
        assert (row(lb, "a")["state"], row(lb, "b")["weight"], row(lb, "c")["state"]) == ("drain", 7, "maint")
        ctl(lb, "ready", "c")
        lb.config["pools"][0]["backends"][1]["weight"] = 90
        lb.reload()
        lb.restart()
        assert (row(lb, "a")["state"], row(lb, "b")["weight"], row(lb, "c")["state"]) == ("drain", 90, "ready")
        # Damaged: said, set aside, and cidlb starts.
        state = lb.config["state_file"]
        lb.kill()
        with open(state, "r+b") as file:
            file.truncate(os.path.getsize(state) // 2)
        lb.start()
        assert row(lb, "a")["state"] == "ready" and os.path.exists(state + ".bad"), os.listdir(os.path.dirname(state))
        assert ".bad" in lb.log_text()


def case_may_it_be_stopped():
    """The date of the last CID datagram and the flows left tell when a draining backend serves nobody any more."""
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends, nat={"cid_idle_s": 3, "idle_s": 3})])
        fleet = scene.fleet(lb.address(), devices=10, rebinds=3, rebind_every=1, interval_ms=200)
        wait_until(lambda: row(lb, "a")["flows"] > 0, 10, "it has sessions")
        ctl(lb, "drain", "a")
        assert row(lb, "a")["last_cid_s"] <= 2
        fleet.report()
        wait_until(lambda: row(lb, "a")["flows"] == 0 and row(lb, "a")["last_cid_s"] >= 2, 30, "nobody is left")
        lb.assert_identities()


@release_only
def case_two_hundred_backends():
    """200 sessions of probes, each from a new port every second, cost little of one core."""
    with Scene() as scene:
        servers = [scene.backend(number + 1, name=f"s{number}") for number in range(4)]
        # Fifty names a server: as many sessions as backends.
        entries = [{**servers[n % 4].entry(), "name": f"b{n}", "id": n} for n in range(200)]
        lb = scene.cidlb([scene.pool("p", entries, health={**COAPS, "interval_ms": 1000})])
        wait_until(lambda: lb.metric("cidlb_probes_total", result="ok") >= 400, 30, "every backend was probed twice")

        def cpu():
            ticks = open(f"/proc/{lb.child.pid}/stat").read().rsplit(")", 1)[1].split()
            return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")

        before, begin, count = cpu(), time.monotonic(), lb.metric("cidlb_probes_total", result="ok")
        time.sleep(10 if FULL else 5)
        share = (cpu() - before) / (time.monotonic() - begin)
        probes = lb.metric("cidlb_probes_total", result="ok") - count
        print(f"   {probes:.0f} probes, {100 * share:.1f} % of one core")
        assert probes >= 4 * 200 and lb.metric("cidlb_probes_total", result="failed") == 0


class Pongs:
    """Servers that answer CoAP pings, on `count` consecutive ports; pump() has them do so."""

    def __init__(self, count):
        first = free_ports(count)
        self.sockets = [open_socket("127.0.0.1", first + n) for n in range(count)]
        self.selector = selectors.DefaultSelector()
        for sock in self.sockets:
            self.selector.register(sock, selectors.EVENT_READ)

    def entries(self):
        ports = [sock.getsockname()[1] for sock in self.sockets]
        return [{"name": f"b{n}", "address": f"127.0.0.1:{port}"} for n, port in enumerate(ports)]

    def pump(self, seconds):
        """Returns whether anybody was pinged."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            for datagram, asker in drain(key.fileobj):
                key.fileobj.sendto(bytes([COAP_RST, 0]) + datagram[2:4], asker)
        return bool(ready)

    def pump_until(self, condition, timeout, what):
        done = threading.Event()

        def ask():
            wait_until(condition, timeout, what)
            done.set()

        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        while asker.is_alive():
            self.pump(0.01)
        assert done.is_set(), what

    def close(self):
        self.selector.close()
        for sock in self.sockets:
            sock.close()


def case_two_hundred_go_down_at_once():
    """One routing table is made of what a turn of the event loop has found out, not one per backend."""
    with Scene() as scene, contextlib.closing(Pongs(200)) as servers:
        health = {"probe": "coap", "interval_ms": 2000, "timeout_ms": 1000, "rise": 1, "fall": 1}
        pool = scene.pool("p", servers.entries(), protocol="udp", cid=None, health=health)
        lb = scene.cidlb([pool], start=False).start(ready=False)
        servers.pump_until(lambda: lb.get("/readyz")[0] == 200, 15, "every backend was probed")
        down = {"state": "down"}
        assert lb.metric("cidlb_backend_state", **down) == 0
        before = lb.metric("cidlb_snapshot_generation")
        # It stands still at a moment at which it waits for no answer. When it goes on, every probe is due, and all are
        # refused.
        for _ in range(1000):
            while servers.pump(0.01):
                pass
            lb.child.send_signal(signal.SIGSTOP)
            wait_until(lambda: stands_still(lb), 5, "it stands still")
            if not servers.pump(0):
                break
            lb.child.send_signal(signal.SIGCONT)
        assert stands_still(lb)
        servers.close()
        time.sleep(1.1 * health["interval_ms"] / 1000 + 0.2)
        lb.child.send_signal(signal.SIGCONT)
        wait_until(lambda: lb.metric("cidlb_backend_state", **down) == 200, 10, "all are down")
        tables = lb.metric("cidlb_snapshot_generation") - before
        print(f"   {tables} tables")
        assert 1 <= tables <= 3, tables


def stands_still(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


@release_only
def case_packets_beside_probes():
    """One cidlb, two hundred probed backends or none, in turn: what devices see of the probes is printed, since only a
    quiet machine can judge it."""
    with Scene() as scene:
        servers = [scene.backend(number + 1, name=f"s{number}") for number in range(4)]
        spread = [{**servers[n % 4].entry(), "name": f"b{n}", "id": n + 10, "weight": 0} for n in range(196)]
        lb = scene.cidlb([scene.pool("p", [*servers, *spread], health={**COAPS, "interval_ms": 1000})])
        latencies = {"coaps": [], "none": []}
        for turn in range(4 if FULL else 2):
            for probe in latencies:
                lb.config["pools"][0]["health"] = {**COAPS, "interval_ms": 1000, "probe": probe}
                if probe == "none":
                    lb.config["pools"][0]["health"] = {"probe": "none"}
                lb.reload()
                report = scene.fleet(
                    lb.address(), name=f"{probe}{turn}", devices=100, duration=5, interval_ms=50
                ).report()
                assert report["survived"] == 100 and report["exchanges_lost"] == 0, report
                latencies[probe].append(report["latency_ms"]["p99"])
        print("   p99 of an exchange in ms:", ", ".join(f"{probe} {sorted(seen)}" for probe, seen in latencies.items()))
        lb.assert_identities()


main(globals())
