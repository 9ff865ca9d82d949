"""Crowds for the end-to-end tests, each a thread: those who flood, and those beside them who must not notice."""

import collections
import json
import os
import select
import socket
import struct
import threading
import time

from control import ask
from edges import logged
from flood import IP_PKTINFO, RANDOM_OCTETS, Flood, end
from handshakes import HEADERS, HELLO_VERIFY_REQUEST, fragment, message, msg_type
from harness import free_ports, told, total, wait_until
from udp import drain, open_socket, parse_address

ATTACKED, ELSEWHERE = "127.200.5.1", "127.20.0.1"  # addresses of devices, the first among the flood's
ATTACKED_PREFIX = bytes([127, 200, 5])
HALF_A_SECOND, UDP_A_SECOND = 500, 1000
TIMER_S = 1  # of a DTLS client, then twice that and so on
SOON_S = TIMER_S * (1 + 2 + 4)  # who has come up by then has repeated at most two flights


class Paced(threading.Thread):
    """Calls step(n) for n = 0, 1, … so many times a second, and between() all the time, until it is left."""

    def __init__(self, per_second):
        super().__init__(daemon=True)
        self.per_second, self.sent, self.running, self.error = per_second, 0, True, None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.running = False
        self.join()
        self.close()
        if self.error and not kind:
            raise self.error

    def run(self):
        start = time.monotonic()
        try:
            while self.running:
                due = int(self.per_second * (time.monotonic() - start))
                for _ in range(min(100, due - self.sent)):
                    self.step(self.sent)
                    self.sent += 1
                self.between(0.002)
        except Exception as error:  # of this thread, told where it ends
            self.error = error


class HalfHandshakes(Paced):
    """From ports of all addresses of one prefix: a ClientHello, then a second one with the cookie that it was sent, and
    then silence. A source is used again after half a minute, as sockets are for all addresses."""

    PORTS = 60

    def __init__(self, target, first_only=False, hello=None):
        super().__init__(HALF_A_SECOND)
        self.target, self.first_only, self.hello = parse_address(target), first_only, hello
        self.sockets = [open_socket("0.0.0.0") for _ in range(self.PORTS)]
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.randoms, self.cookies, self.answers = {}, 0, 0

    def close(self):
        for sock in self.sockets:
            sock.close()

    def send(self, sock, source, datagram):
        info = struct.pack("=i4s4s", 0, source, bytes(4))
        sock.sendmsg([datagram], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, self.target)

    def step(self, n):
        source, sock = ATTACKED_PREFIX + bytes([1 + n % 254]), self.sockets[n // 254 % self.PORTS]
        random = self.randoms[sock, source] = os.urandom(RANDOM_OCTETS)
        self.send(sock, source, self.hello() if self.hello else fragment(message(0, random)))

    def between(self, seconds):
        for sock in select.select(self.sockets, [], [], seconds)[0]:
            try:
                while True:
                    datagram, control, _, _ = sock.recvmsg(2048, 64)
                    self.take(sock, control[0][2][4:8], datagram)
            except BlockingIOError:
                pass

    def take(self, sock, source, datagram):
        self.answers += 1
        if self.first_only or self.hello or datagram[0] != 22 or msg_type(datagram) != HELLO_VERIFY_REQUEST:
            return
        random = self.randoms.pop((sock, source), None)
        if random:
            self.cookies += 1
            self.send(sock, source, fragment(message(1, random, datagram[HEADERS + 3 :])))


class Hellos(Paced):
    """First ClientHellos, each with another random, of sources()."""

    def __init__(self, target, per_second, sources):
        super().__init__(per_second)
        self.flood, self.sources = Flood(target), sources
        for sock in self.flood.sockets:
            sock.setblocking(False)

    def close(self):
        self.flood.__exit__()

    def step(self, n):
        self.flood.send(self.sources[n % len(self.sources)](self.flood))

    def between(self, seconds):
        for sock in select.select(self.flood.sockets, [], [], seconds)[0]:
            drain(sock)


class Strangers(Hellos):
    """Plain UDP requests from many sources, in all prefixes: one from each, or two, the second when the first is long
    answered."""

    LATER = 100  # requests of others in between

    def __init__(self, target, times=1):
        super().__init__(target, UDP_A_SECOND, None)
        self.times, self.again = times, collections.deque()

    def step(self, n):
        if self.times == 2 and n % 2 and len(self.again) > self.LATER:
            sock, info = self.again.popleft()
        else:
            sock = self.flood.sockets[n % len(self.flood.sockets)]
            info = struct.pack("=i4s4s", 0, self.flood.anywhere(), bytes(4))
            if self.times == 2:
                self.again.append((sock, info))
        sock.sendmsg([b"s stranger"], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, self.flood.target)


class Notifier(Paced):
    """A plain UDP server: `s …` is sent back; `w NAME` too, and from then on NAME is sent numbers, one a second."""

    def __init__(self):
        super().__init__(1)
        self.sock = open_socket("127.0.0.1", free_ports())
        self.watchers, self.told = {}, {}

    def close(self):
        self.sock.close()

    def entry(self):
        return {"name": "notifier", "address": "127.0.0.1:%d" % self.sock.getsockname()[1]}

    def step(self, _):
        for name, source in list(self.watchers.items()):
            self.told[name] += 1
            self.sock.sendto(b"n %d" % self.told[name], source)

    def between(self, seconds):
        select.select([self.sock], [], [], seconds)
        for datagram, source in drain(self.sock):
            if datagram.startswith(b"w "):
                self.watchers[datagram] = source
                self.told.setdefault(datagram, 0)
            self.sock.sendto(datagram, source)


class PlainDevices(Paced):
    """Half speak every second, from one endpoint; half wait for notifications and say nothing."""

    def __init__(self, target, count):
        super().__init__(count)
        self.target = parse_address(target)
        self.sockets = [open_socket("127.0.0.1") for _ in range(2 * count)]
        self.speakers, self.watchers = self.sockets[:count], self.sockets[count:]
        self.waiting, self.heard = set(), {}
        for n, sock in enumerate(self.watchers):
            self.heard[b"w %d" % n] = []
            self.exchange(sock, b"w %d" % n)
            self.exchange(sock, b"w %d" % n)

    def exchange(self, sock, datagram):
        """A round trip before all the others."""
        sock.sendto(datagram, self.target)
        wait_until(lambda: datagram in [got for got, _ in drain(sock)], 20, "a plain device is answered")

    def close(self):
        for sock in self.sockets:
            sock.close()

    def step(self, n):
        datagram = b"s %d" % n
        self.waiting.add(datagram)
        self.speakers[n % len(self.speakers)].sendto(datagram, self.target)

    def between(self, seconds):
        for sock in select.select(self.sockets, [], [], seconds)[0]:
            for datagram, _ in drain(sock):
                if datagram.startswith(b"n "):
                    self.heard[b"w %d" % self.watchers.index(sock)].append(int(datagram[2:]))
                self.waiting.discard(datagram)

    def hush(self):
        """It speaks no more, and has heard all that was sent."""
        self.per_second = 0
        wait_until(lambda: not self.waiting, 20, "plain devices are answered")
        time.sleep(0.5)

    def assert_nothing_missed(self, notifier):
        assert not self.waiting and self.sent > 0, (len(self.waiting), self.sent)
        for name, heard in self.heard.items():
            first = heard[0]
            assert heard == list(range(first, first + len(heard))), (name, heard)
            assert heard[-1] >= notifier.told[name] - 1, (name, heard[-1], notifier.told[name])


class Radio(Paced):
    """A slow way for devices: what they send to `address` leaves from `source`, from a port for each, and takes WAY_S,
    as do the answers."""

    WAY_S = 0.3

    def __init__(self, target, source):
        super().__init__(0)
        self.target, self.source = parse_address(target), source
        self.inside = open_socket("127.0.0.1")
        self.address = "%s:%d" % self.inside.getsockname()
        self.outside, self.devices, self.late = {}, {}, collections.deque()

    def close(self):
        for sock in (self.inside, *self.devices):
            sock.close()

    def mapping(self, device):
        if device not in self.outside:
            sock = self.outside[device] = open_socket(self.source)
            self.devices[sock] = device
        return self.outside[device]

    def between(self, seconds):
        now = time.monotonic()
        for sock in select.select([self.inside, *self.devices], [], [], seconds)[0]:
            for datagram, source in drain(sock):
                up = sock is self.inside
                way = (self.mapping(source), self.target) if up else (self.inside, self.devices[sock])
                self.late.append((now + self.WAY_S, datagram, *way))
        while self.late and self.late[0][0] <= now:
            _, datagram, sock, to = self.late.popleft()
            sock.sendto(datagram, to)


def joined(story):
    """{device: second in which it had its first session}, and the ramp is its own start."""
    lines = story.read_text().split("\n")[:-1] if story.exists() else []
    first = {}
    for line in lines:
        if '"joined"' in line:
            news = json.loads(line)
            first.setdefault(news["device"], news["t"])
    return first


class Newcomers:
    """A fleet from one prefix whose devices begin one after the other, all the time that a flood lasts."""

    def __init__(self, scene, target, name, devices, seconds, **options):
        self.devices, self.seconds, self.ramp_ms = devices, seconds, int(1000 * seconds / devices)
        self.name, self.story = name, scene.dir / f"{name}.story"
        self.fleet = scene.fleet(
            target, name=name, devices=devices, ramp_ms=self.ramp_ms, duration=3600, max_seconds=3600,
            story=self.story, **options,
        )

    def soon(self):
        """How many had a session within two retransmissions."""
        return sum(t - (n - 1) * self.ramp_ms / 1000 < SOON_S for n, t in joined(self.story).items())

    def wait(self):
        """Until the last has had that time."""
        wait_until(
            lambda: len(joined(self.story)) == self.devices or told(self.story, "t") > SOON_S + self.seconds,
            SOON_S + 60, "newcomers had their time",
        )


class InUse:
    """Devices with sessions, with and without CIDs: half speak every second, half wait for notifications. They are in
    the attacked prefix."""

    def __init__(self, scene, target, backends, devices):
        self.backends, self.devices = backends, devices
        silent = {"observe": True, "interval_ms": 3_600_000}
        plain = {"no_cid": True}
        ways = {"cid": {}, "address": plain, "cid-silent": silent, "address-silent": {**plain, **silent}}
        always = {"devices": devices, "duration": 3600, "max_seconds": 3600, "from": ATTACKED, "addresses": 200}
        self.fleets = {
            name: scene.fleet(target, name=name, **always, **options)
            for name, options in ways.items()
        }
        wait_until(
            lambda: self.count("handshakes") == 4 * devices and self.count("notifications") >= 2 * devices, 60,
            "devices have sessions and are notified",
        )

    def count(self, what):
        return sum(backend.counters()[what] for backend in self.backends)

    def assert_nothing_missed(self):
        notified = self.count("notifications")
        time.sleep(1)  # what was sent arrives
        reports = {name: end(fleet) for name, fleet in self.fleets.items()}
        for name, report in reports.items():
            assert report["survived"] == report["handshakes"] == self.devices, (name, report)
            assert report["exchanges_lost"] == report["observations_lost"] == 0, (name, report)
        heard = sum(report["before_end"]["notifications"] for report in reports.values())
        assert heard >= notified > 0, (heard, notified)
        return notified


class Slow:
    """Devices of other prefixes, who take their time between two messages of a handshake. Their flows do not make room
    for the flood."""

    def __init__(self, lb, count=10):
        self.lb, self.sockets = lb, [open_socket(f"127.22.{n}.1") for n in range(count)]
        for sock in self.sockets:
            sock.sendto(fragment(message(0, os.urandom(RANDOM_OCTETS))), parse_address(lb.address("d")))

    def assert_flows(self):
        for sock in self.sockets:
            address = "%s:%d" % sock.getsockname()
            assert ask(self.lb, "flows", "--from", address)["flows"], address
            sock.close()


class Watch:
    """The most flows that were of each class of each pool, beside a flood."""

    def __init__(self, lb):
        self.lb, self.most = lb, {}

    def go_on(self, seconds):
        lb, end_s = self.lb, time.monotonic() + seconds
        while time.monotonic() < end_s:
            metrics = lb.metrics()
            for pool in lb.config["pools"]:
                for kind in ("handshake", "address", "cid"):
                    key = pool["name"], kind
                    now = total(metrics, "cidlb_flows", pool=pool["name"], kind=kind)
                    self.most[key] = max(now, self.most.get(key, 0))
            time.sleep(0.5)

    def wait_full(self):
        """Until the floods have taken what they can get of each pool."""
        evicted = lambda pool: self.lb.metric("cidlb_flows_evicted_total", pool=pool["name"], kind="handshake")
        wait_until(lambda: all(map(evicted, self.lb.config["pools"])), 120, "flows have made room")

    def assert_bounds(self):
        lb = self.lb
        for pool in lb.config["pools"]:
            name, limit = pool["name"], pool["nat"]["max_flows"]
            handshakes, address, cid = (self.most[name, kind] for kind in ("handshake", "address", "cid"))
            assert limit / 16 <= handshakes <= -(-limit // 8), (name, handshakes)
            assert address + cid <= limit, (name, address, cid)
            for kind in ("address", "cid"):
                assert lb.metric("cidlb_flows_evicted_total", pool=name, kind=kind) == 0, (name, kind)
            evicted = lb.metric("cidlb_flows_evicted_total", pool=name, kind="handshake")
            assert evicted > 0
            assert logged(lb, "flows_evicted", f"pool={name}", "under a handshake") == 1
            print(
                f"    pool {name}: at most {handshakes} flows under a handshake, {address} + {cid} others; "
                f"{evicted} evicted"
            )
        assert logged(lb, "flows_evicted") == len(lb.config["pools"])
