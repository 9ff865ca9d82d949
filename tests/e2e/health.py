"""The health channel: who gets new sessions, what probes find out, what backends say of themselves."""

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from pathlib import Path

from harness import BIN, FULL, PSK, Scene, free_ports, limited, main, release_only, wait_all_joined, wait_until
from udp import COAP_RST, drain, open_socket

PSK_IDENTITY, PSK_KEY = PSK
# Who does not answer for so long is gone, and not only slow.
COAPS = {"probe": "coaps", "interval_ms": 200, "timeout_ms": 5000, "psk_identity": PSK_IDENTITY, "psk_key": PSK_KEY}


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
    return lb.down(backend=name) == 1


def case_one_of_three_is_killed():
    """New sessions avoid it, its own go on being sent there, the others see nothing."""
    devices, more = (300, 100) if FULL else (60, 20)
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2, 3)]
        # The packet path meets a refusal at once; the probe it causes is refused three times in a row. The next one
        # that is due would be too late.
        health = {"probe": "dtls", "interval_ms": 60_000, "timeout_ms": 3000, "fall": 3}
        lb = scene.cidlb([scene.pool("p", backends, health=health)])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=devices, duration=600, interval_ms=300, ack_timeout_ms=100, give_up=2, story=story
        )
        wait_all_joined(story, devices)
        hit = backends[1].counters()["sessions"]
        others = [backends[i].counters()["handshakes"] for i in (0, 2)]
        assert hit > 0

        begin = time.monotonic()
        backends[1].kill()
        wait_until(lambda: is_down(lb, "b"), 20, "b is down")
        print(f"   down {1000 * (time.monotonic() - begin):.0f} ms after its end")
        wait_until(lambda: verdicts(lb, "cid_down") > 0, 20, "its CIDs are counted")

        late = scene.fleet(
            lb.address(), name="late", devices=more, rebinds=1, rebind_every=0.3, interval_ms=200
        ).report()
        assert late["survived"] == late["handshakes"] == more and late["exchanges_lost"] == 0, late
        fleet.child.send_signal(signal.SIGTERM)
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
        health = {"probe": "dtls", "interval_ms": 1000, "timeout_ms": 3000, "fall": fall, "rise": rise}
        lb = scene.cidlb([scene.pool("p", backends, health=health)])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=devices, duration=600, interval_ms=300, ack_timeout_ms=500, give_up=1000, story=story
        )
        wait_all_joined(story, devices)
        counted = [backend.counters() for backend in backends]
        assert counted[1]["sessions"] > 0

        def seen():
            """Of b in one look: failed probes, good ones, down."""
            row = lb.backend("b")
            return row["probes_failed"], row["probes_ok"], row["health"] == "down"

        before = seen()
        assert not before[2]
        os.kill(backends[1].pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()

            def went_down():
                failed, _, down = seen()
                assert down == (failed >= before[0] + fall), f"{failed - before[0]} failed probes, down: {down}"
                return down

            wait_until(went_down, 60, "b is down")
            print(f"   down {time.monotonic() - begin:.1f} s after its last word; fall × timeout is {3 * fall} s")
            good = seen()[1]
            wait_until(lambda: verdicts(lb, "cid_down") > 0, 20, "its CIDs are counted")
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

        wait_until(came_up, 60, "b is up")
        fleet.child.send_signal(signal.SIGTERM)
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
        names = [entry["name"] for entry in lb.config["pools"][0]["backends"]]

        def probed_twice(name):
            one = lb.backend(name)
            return one["probes_ok"] + one["probes_failed"] >= 2

        wait_until(lambda: all(map(probed_twice, names)), 90, "two probes each")

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
                lambda: all(row(lb, "a")[key] == value for key, value in expected.items()), 30,
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
        says("maint 150%", state="maint", weight=100)
        wait_until(lambda: "150%, which means nothing here" in lb.log_text(), 20, "a word that cannot count is named")
        says("last maint 2026", state="ready")  # prose
        wait_until(lambda: "the word last, which is none" in lb.log_text(), 20, "so is the one that tells prose")
        lb.assert_identities()


def case_another_probe():
    """After a reload with another probe nothing sticks of what the last one found and heard."""
    with Scene() as scene:
        words = scene.dir / "words"
        words.write_text("drain\n")
        a, b = scene.backend(1, options=("--steer", words)), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a, b], health=COAPS)])
        wait_until(lambda: row(lb, "a")["state"] == "drain" and "steering" in row(lb, "a"), 20, "it drains")
        b.kill()
        wait_until(lambda: is_down(lb, "b"), 20, "b is down")
        for health in ({"probe": "dtls", "interval_ms": 200, "timeout_ms": 5000, "rise": 200}, {"probe": "none"}):
            lb.config["pools"][0]["health"] = health
            lb.reload()
            wait_until(lambda: lb.get("/readyz")[0] == 200, 20, "every server was probed")
            now = row(lb, "a")
            assert (now["state"], now["health"]) == ("ready", "up") and not {"steering", "rebinding"} & now.keys(), now
            assert is_down(lb, "b") == (health["probe"] == "dtls"), row(lb, "b")


def case_out_of_descriptors():
    """What cidlb is short of says nothing of its servers."""
    with Scene() as scene:
        a = scene.backend(1)
        entries = [{**a.entry(), "name": f"s{number}", "id": number} for number in range(1, 151)]
        lb = scene.cidlb([scene.pool("p", entries[:1], health={**COAPS, "timeout_ms": 10_000, "fall": 1})])
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
        fleet = scene.fleet(lb.address(), devices=30, rebinds=1000, rebind_every=1, interval_ms=200)
        wait_until(lambda: row(lb, "a")["last_cid_s"] is not None, 20, "it has sessions")
        ctl(lb, "drain", "a")
        wait_until(lambda: row(lb, "a")["last_cid_s"] <= 2, 20, "they speak")
        fleet.child.send_signal(signal.SIGTERM)
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
        lb = scene.cidlb([scene.pool("p", entries, health={**COAPS, "interval_ms": 1000, "timeout_ms": 5000})])
        wait_until(lambda: lb.metric("cidlb_probes_total", result="ok") >= 400, 60, "every backend was probed twice")

        def cpu():
            ticks = open(f"/proc/{lb.child.pid}/stat").read().rsplit(")", 1)[1].split()
            return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")

        before, begin, count = cpu(), time.monotonic(), lb.metric("cidlb_probes_total", result="ok")
        time.sleep(10 if FULL else 5)
        share = (cpu() - before) / (time.monotonic() - begin)
        probes = lb.metric("cidlb_probes_total", result="ok") - count
        print(f"   {probes:.0f} probes, {100 * share:.1f} % of one core")
        wait_until(lambda: lb.metric("cidlb_probes_total", result="ok") >= count + 4 * 200, 60, "probes go on")
        assert lb.metric("cidlb_probes_total", result="failed") == 0


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
        health = {"probe": "coap", "interval_ms": 2000, "timeout_ms": 5000, "rise": 1, "fall": 1}
        pool = scene.pool("p", servers.entries(), protocol="udp", cid=None, health=health)
        lb = scene.cidlb([pool], start=False).start(ready=False)
        servers.pump_until(lb.probed, 60, "every backend was probed")
        assert lb.down() == 0
        before = lb.metric("cidlb_snapshot_generation")
        # It stands still at a moment at which it waits for no answer. When it goes on, every probe is due, and all are
        # refused.
        for _ in range(1000):
            while servers.pump(0.01):
                pass
            lb.child.send_signal(signal.SIGSTOP)
            wait_until(lambda: stands_still(lb), 20, "it stands still")
            if not servers.pump(0):
                break
            lb.child.send_signal(signal.SIGCONT)
        assert stands_still(lb)
        servers.close()
        time.sleep(1.1 * health["interval_ms"] / 1000 + 0.2)
        lb.child.send_signal(signal.SIGCONT)
        wait_until(lambda: lb.down() == 200, 20, "all are down")
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


if __name__ == "__main__":
    main(globals())
