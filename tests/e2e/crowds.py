#!/usr/bin/env python3
"""A thousand malformed, huge and slow requests at the doors at once, a scrape a second, 1,000 servers: devices notice
nothing.

The times of datagrams are printed beside those of quiet seconds, in turn. On an idle machine, alone and in full
size, they say something. cidlb has a CPU for itself then, and those who ask share the other one with the load, as if
they were elsewhere: it is what cidlb does for them that is measured. How much they ask stands beside it."""

import contextlib
import errno
import multiprocessing
import os
import random
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness import BIN, FULL, SANITIZE, Scene, Skip, free_ports, main, total, wait_until

sys.path.append(str(Path(__file__).parents[2] / "bench"))
from lib import frame  # noqa: E402
from lib.histogram import percentiles  # noqa: E402
from lib.load import CID, Load, entry  # noqa: E402

SERVERS, REAL = 1000, 3
AT_HTTP, AT_SOCKET = 1000, 100
MALFORMED = (
    b"\x00" * 64 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n",
    b"\x16\xfe\xfd" + bytes(200) + b"\n\n",
    b"POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET /metrics HTTP/1.1\r\n: :\r\n\r\n", b"\r\n" * 400,
    b"GET /%s HTTP/1.1\r\nHost: [\r\n\r\n" % (b"%" * 300), b"get /metrics http/1.1\n\n",
)
HUGE = (
    b"GET /" + b"a" * (1 << 20), b"GET / HTTP/1.1\r\n" + b"X: " + b"b" * (1 << 20),
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (1 << 17),
    b"PUT / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n" + bytes(1 << 20),
)
LINES = (
    b"{" * 4000 + b"\n", b"[[[[\n", b'{"command": 7}\n', b'{"command": "flows", "limit": 1e99}\n', b"\xff\xfe\n", b"\n",
)
KINDS = ("malformed", "huge", "slow")
ENDS = ("answered", "let go")  # let go: without an octet of an answer
BUSY = "percent of a CPU for the control thread"


def as_if_elsewhere():
    """In full size the calling thread, and what it starts, leaves cidlb its CPU, and the load what that wants."""
    if FULL:
        os.sched_setaffinity(0, {frame.LOAD_CPU})
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def keep_awake():
    """Wants cidlb's CPU when nobody else does: one that is halted between datagrams is slower to come, the slower the
    quieter it is."""
    os.sched_setaffinity(0, {frame.BALANCER_CPU})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        pass


@contextlib.contextmanager
def awake():
    process = multiprocessing.get_context("fork").Process(target=keep_awake, daemon=True)
    if FULL:
        process.start()
    yield
    if FULL:
        process.terminate()
        process.join()


class Requester:
    """One of a crowd: it sends what it has, a slow one octet by octet, and comes again soon after it is let go."""

    def __init__(self, crowd, address, kind):
        self.crowd, self.address, self.kind = crowd, address, kind
        self.sock, self.begin_at, self.heard = None, 0, False

    def begin(self, now):
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        chosen = {"malformed": MALFORMED, "huge": HUGE, "slow": (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: y\r\n",)}
        if family == socket.AF_UNIX:
            chosen = {"malformed": LINES, "huge": (b"x" * (1 << 20),), "slow": (b'{"command": "status"}',)}
        self.rest, self.next_at = memoryview(self.crowd.dice.choice(chosen[self.kind])), now
        if self.sock.connect_ex(self.address) not in (0, errno.EINPROGRESS):
            self.end(now)  # the queue of the Unix socket is full
            return
        self.crowd.selector.register(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
        self.crowd.begun[self.kind] += 1
        self.heard = False

    def end(self, now):
        with contextlib.suppress(KeyError):
            self.crowd.selector.unregister(self.sock)
        self.sock.close()
        self.sock, self.begin_at = None, now + self.crowd.again_s

    def over(self, now):
        self.crowd.ended[ENDS[0] if self.heard else ENDS[1]] += 1
        self.end(now)

    def serve(self, events, now):
        try:
            if events & selectors.EVENT_READ:
                octets = self.sock.recv(1 << 16)
                self.heard |= bool(octets)
                if not octets:
                    self.over(now)
                    return
            if events & selectors.EVENT_WRITE and self.rest and now >= self.next_at:
                sent = self.sock.send(self.rest[: 1 if self.kind == "slow" else 1 << 16])
                self.rest, self.next_at = self.rest[sent:], now + (0.1 if self.kind == "slow" else 0)
        except BlockingIOError:
            pass
        except OSError:
            self.over(now)
            return
        if not self.rest or self.kind == "slow":  # nothing to write now
            self.crowd.selector.modify(self.sock, selectors.EVENT_READ, self)

    def turn(self, now):
        """Called every now and then."""
        if self.sock is None and now >= self.begin_at:
            self.begin(now)
        elif self.sock is not None and self.kind == "slow" and self.rest and now >= self.next_at:
            with contextlib.suppress(KeyError):
                self.crowd.selector.modify(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)


class Crowd:
    """All of them, in a process of their own, until it is left. What it has begun by kind, how that ended, and how many
    at once. Whoever is let go comes again after `again_s`."""

    def __init__(self, lb, again_s):
        self.again_s = again_s
        ip, port = lb.config["admin"]["http"].rsplit(":", 1)
        self.dice, self.selector = random.Random(1), selectors.DefaultSelector()
        self.begun, self.ended = dict.fromkeys(KINDS, 0), dict.fromkeys(ENDS, 0)
        doors = [(ip, int(port))] * AT_HTTP + [lb.config["admin"]["socket"]] * AT_SOCKET
        self.all = [Requester(self, door, KINDS[at % len(KINDS)]) for at, door in enumerate(doors)]
        self.counts = multiprocessing.Array("q", len(KINDS + ENDS) + 1)
        self.process = multiprocessing.get_context("fork").Process(target=self.run, daemon=True)

    @property
    def most(self):
        return self.counts[-1]

    def requests(self):
        return dict(zip(KINDS + ENDS, self.counts))

    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        as_if_elsewhere()
        looked = 0
        while True:
            now = time.monotonic()
            if now >= looked + 0.05:
                for one in self.all:
                    one.turn(now)
                most = max(self.most, sum(one.sock is not None for one in self.all))
                looked, self.counts[:] = now, [*self.begun.values(), *self.ended.values(), most]
            for key, events in self.selector.select(0.05):
                if key.data.sock is not None:
                    key.data.serve(events, now)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()


class Scraper(threading.Thread):
    """A scrape a second, until stop()."""

    def __init__(self, lb):
        super().__init__()
        self.lb, self.over, self.took, self.wrong = lb, threading.Event(), [], []

    def run(self):
        as_if_elsewhere()
        while not self.over.is_set():
            begin = time.monotonic()
            status, text = self.lb.get("/metrics")
            self.took.append(time.monotonic() - begin)
            # All of it: the last family, and the last server.
            whole = "\nprocess_max_fds " in text and f'{{pool="p",backend="s{SERVERS}"}} 1\n' in text
            if status != 200 or not whole:
                self.wrong.append((status, text[-200:]))
            self.over.wait(max(0, 1 - self.took[-1]))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def standing(scene, **options):
    """A cidlb with the servers of a load and as many more as nobody asks, and the load, started."""
    first = free_ports(REAL)
    entries = [entry(number, f"127.0.0.1:{first + number - 1}") for number in range(1, REAL + 1)]
    entries += [entry(number, f"127.1.{number >> 8}.{number & 255}:9") for number in range(REAL + 1, SERVERS + 1)]
    pool = scene.pool("p", entries, cid=CID, health={"probe": "none"}, nat={"max_flows": 10_000})
    lb = scene.cidlb([pool], workers=1, start=False)
    if FULL:
        frame.pinned(lb, frame.BALANCER_CPU)
    lb.start(timeout=90)
    # Times end when the kernel has a datagram: the load may wait for its CPU.
    options = {"target": lb.address(), "port": free_ports(), "sources": 500, "kernel_times": True, **options}
    return lb, Load(scene, f"127.0.0.1:{first}", **options).start()


def p99(load, seconds):
    """Microseconds up and down, of what comes within so many seconds."""
    before = load.ways()
    time.sleep(seconds)
    after = load.ways()
    return [percentiles(before[way], after[way])["p99"] for way in ("up", "down")]


def control_ns(lb):
    """How long its control thread has run."""
    return int(Path(f"/proc/{lb.pid}/task/{lb.pid}/schedstat").read_text().split()[0])


def enough_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        raise Skip("needs 4,096 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))


def report(quiet, crowded):
    """Prints what a crowd does to the times of datagrams: medians, and the ratios of neighbours."""
    for at, way in enumerate(("up", "down")):
        pairs = [late[at] / early[at] for early, late in zip(quiet, crowded)]
        print(
            f"    p99 {way}: {statistics.median(one[at] for one in quiet):.1f} us quiet, "
            f"{statistics.median(one[at] for one in crowded):.1f} us crowded; ratio {statistics.median(pairs):.2f} "
            f"({min(pairs):.2f}..{max(pairs):.2f}, {len(pairs)} rounds)"
        )


def commands(lb):
    """Whether each got in. On a busy machine one may have to wait for a CPU longer than the time that everybody has to
    send a request."""
    for _ in range(20 if SANITIZE else 3):
        argv = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], "status"]
        yield subprocess.run(argv, capture_output=True, timeout=20).returncode == 0


def beside(lb, load, seconds, again_s):
    """Times beside a crowd, its requests by what they are and how they ended, how many a second meanwhile and what they
    cost, and what scrapes took."""
    with Crowd(lb, again_s) as crowd, Scraper(lb) as scraper:
        wait_until(lambda: crowd.most > AT_HTTP, 60, "the crowd is there")
        before, ran_ns, since = crowd.requests(), control_ns(lb), time.monotonic()
        times = p99(load, seconds)
        took = time.monotonic() - since
        rates = {what: (now - before[what]) / took for what, now in crowd.requests().items()}
        rates[BUSY] = (control_ns(lb) - ran_ns) / took / 1e7
        assert any(commands(lb)), "no command gets in"
    assert not scraper.wrong and scraper.took, scraper.wrong
    return times, crowd.requests(), rates, scraper.took


def crowded(again_s):
    """No datagram is lost, both doors answer, and memory stays."""
    enough_descriptors()
    rounds, seconds = (20, 5) if FULL else (2, 2)
    # With sanitizers cidlb is not root, and its buffers are small.
    rate = {"rate": 5_000, "batch": 4} if FULL else {"rate": 300 if SANITIZE else 1_000}
    with awake(), Scene() as scene:
        lb, load = standing(scene, **rate)
        quiet, late, begun, rates, took, before = [], [], dict.fromkeys(KINDS + ENDS, 0), [], [], None
        for at in range(rounds):
            quiet.append(p99(load, seconds))
            before = before or lb.metrics()
            times, requests, rated, scrapes = beside(lb, load, seconds, again_s)
            if FULL:
                a_second = ", ".join(f"{value:.0f} {what}" for what, value in rated.items())
                print(f"    round {at + 1}: {quiet[-1]} us quiet, {times} us beside {a_second} a second", flush=True)
            late.append(times)
            rates.append(rated)
            begun = {what: begun[what] + more for what, more in requests.items()}
            took += scrapes
        after = lb.metrics()
        load.stop(60)
        grown = total(after, "process_resident_memory_bytes") - total(before, "process_resident_memory_bytes")
        counters = load.counters()
        print(f"    {begun} requests; {len(took)} scrapes, the slowest in {1000 * max(took):.0f} ms")
        print(f"    {counters['sent']} datagrams; memory +{grown >> 10} KiB")
        middle = {what: statistics.median(rated[what] for rated in rates) for what in rates[0]}
        print("    a second: " + ", ".join(f"{value:.0f} {what}" for what, value in middle.items()))
        report(quiet, late)
        assert min(begun[kind] for kind in KINDS) > 300, begun
        assert not load.wrong() and counters["sent"] == counters["returned"], counters
        assert total(after, "cidlb_kernel_drops_total") + total(after, "cidlb_admin_stalls_total") == 0
        assert SANITIZE or grown < 16 << 20, grown
        assert total(after, "process_open_fds") <= total(before, "process_open_fds") + 64
        assert lb.get("/healthz")[0] == 200
        lb.assert_identities()


def case_admin():
    """Each comes again after a second: some thousand requests a second."""
    crowded(again_s=1)


def case_admin_flooded():
    """Each comes again at once: as many requests as the machine makes."""
    crowded(again_s=0.05)


if __name__ == "__main__":
    main(globals())
