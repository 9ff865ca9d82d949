"""What servers and devices say over DTLS, in the manner of CoAP: requests that are repeated until they are answered,
blocks of 1,024 octets fetched or pushed one after the other, and notifications that nobody repeats.

Device to server:  H device     E id …      G id block     O interval_ms octets     P id blocks     A block
Server to device:  e id         g id block …                n number …                        p block …
Numbers have four octets."""

import os
import struct
import time

from harness import free_ports, wait_until

from lab.background import Background
from lab.peers import LinePeer, device_argv, server_argv

BLOCK = 1024
FIRST_TIMEOUT_S, TRIES = 0.5, 5  # of a request and of a pushed block; doubles each time


def message(kind, *numbers, rest=b""):
    return kind + struct.pack(f">{len(numbers)}I", *numbers) + rest


def number(data, index=0):
    return struct.unpack_from(">I", data, 1 + 4 * index)[0]


class Repeat:
    """Something that is sent until it is answered, or given up."""

    def __init__(self, send):
        self.send, self.tries, self.due = send, 0, 0

    def step(self, now):
        """Sends if it is due; False once it is given up."""
        if now < self.due:
            return True
        if self.tries == TRIES:
            return False
        self.due = now + FIRST_TIMEOUT_S * 2**self.tries
        self.tries += 1
        self.send()
        return True


class Session:
    """A session as its server sees it."""

    def __init__(self, server, number, address):
        self.server, self.number, self.addresses, self.ended = server, number, [address], None
        self.device = None  # its number
        self.interval_s, self.octets, self.due, self.sent = None, 0, 0, {}  # of notifications; sent: number: when
        self.push, self.blocks, self.block, self.pushed, self.push_failed = None, 0, 0, 0, 0

    def send(self, data):
        self.server.tell(f"send {self.number} {data.hex()}")

    def hear(self, data):
        kind = data[:1]
        if kind == b"H":
            self.device = number(data)
        elif kind == b"E":
            self.send(message(b"e", number(data)))
        elif kind == b"G":
            self.send(message(b"g", number(data), number(data, 1), rest=os.urandom(BLOCK)))
        elif kind == b"O":
            self.interval_s, self.octets = number(data) / 1000, number(data, 1)
        elif kind == b"P":
            self.send(message(b"e", number(data)))
            if not self.push:
                self.blocks, self.block = number(data, 1), 0
                self.push = Repeat(self.send_block)
        elif kind == b"A" and self.push and number(data) == self.block:
            self.block += 1
            self.push = Repeat(self.send_block) if self.block < self.blocks else None
            self.pushed += self.push is None
            if self.push:
                self.push.step(time.monotonic())

    def send_block(self):
        self.send(message(b"p", self.block, rest=os.urandom(BLOCK)))

    def step(self, now):
        if self.interval_s and now >= self.due and not self.ended:
            self.due = now + self.interval_s
            count = len(self.sent)
            self.sent[count] = now
            self.send(message(b"n", count, rest=bytes(self.octets)))
        if self.push and not self.push.step(now):
            self.push, self.push_failed = None, self.push_failed + 1


class Server(LinePeer):
    """A server of some kind behind cidlb."""

    def __init__(self, scene, name, kind, number=1):
        self.number, self.port, self.sessions = number, free_ports(), {}
        super().__init__(scene, name, server_argv(kind, self.port, number), self.on_line)

    def entry(self):
        return {"name": self.name, "id": self.number, "address": f"127.0.0.1:{self.port}"}

    def on_line(self, verb, number, words):
        session = self.sessions.get(number)
        if verb == "open":
            if session:
                session.ended = session.ended or "it was made anew"
            else:
                self.sessions[number] = Session(self, number, words)
        elif session and verb == "moved":
            session.addresses.append(words)
        elif session and verb == "closed":
            session.ended = words or "closed"
        elif session and verb == "data":
            session.hear(bytes.fromhex(words))

    def of_device(self, device):
        """The session of a device: the newest that it said to be its own."""
        return next((s for s in reversed(list(self.sessions.values())) if s.device == device), None)

    def step(self, now):
        for session in list(self.sessions.values()):
            session.step(now)


class Device:
    """A device behind a NAT of its own."""

    def __init__(self, devices, number, nat):
        self.devices, self.number, self.nat = devices, number, nat
        self.opened, self.ended, self.heard = 0, None, set()
        self.speak_s, self.due, self.waiting, self.next_id = None, 0, {}, 0
        self.move_s, self.move_at = None, 0
        self.ok = self.failed = 0  # requests
        self.blocks_left, self.fetched = 0, 0
        self.lag_s, self.later = 0, []  # what its network takes there and back; [when, what]

    def send(self, data):
        self.devices.tell(f"send {self.number} {data.hex()}")

    def request(self, kind=b"E", *numbers):
        self.next_id += 1
        data = message(kind, self.next_id, *numbers)
        self.waiting[self.next_id] = Repeat(lambda: self.send(data))
        self.waiting[self.next_id].step(time.monotonic())
        return self.next_id

    def fetch(self, blocks):
        self.blocks_left, self.fetched = blocks, 0
        self.request(b"G", 0)

    def hear(self, data):
        kind = data[:1]
        if kind in b"eg" and self.waiting.pop(number(data), None):
            self.ok += 1
            if kind == b"g" and self.blocks_left:
                self.blocks_left, self.fetched = self.blocks_left - 1, self.fetched + 1
                if self.blocks_left:
                    self.after_lag(lambda: self.request(b"G", self.fetched))
        elif kind == b"n":
            self.heard.add(number(data))
        elif kind == b"p":
            self.after_lag(lambda: self.send(message(b"A", number(data))))

    def after_lag(self, act):
        if self.lag_s:
            self.later.append((time.monotonic() + self.lag_s, act))
        else:
            act()

    def step(self, now):
        while self.later and now >= self.later[0][0]:
            self.later.pop(0)[1]()
        if self.move_s and now >= self.move_at:
            self.move_at = now + self.move_s
            self.nat.rebind()
            self.request()
        if self.speak_s and now >= self.due:
            self.due = now + self.speak_s
            self.request()
        for id, repeat in list(self.waiting.items()):
            if not repeat.step(now):
                if self.waiting.pop(id, None):
                    self.failed += 1
                    self.blocks_left = 0 if self.blocks_left else self.blocks_left


class Devices(LinePeer):
    """Devices in one process."""

    def __init__(self, scene, kind):
        self.all = {}
        super().__init__(scene, "devices", device_argv(kind), self.on_line)

    def join(self, nat, observe=None, timeout=15):
        """A new device, with a session. `observe`: ms between notifications, and their octets besides a number."""
        device = self.begin(nat)
        wait_until(lambda: device.opened, timeout, f"device {device.number} has a session")
        self.greet(device, observe)
        return device

    def begin(self, nat, on_open=lambda device: None):
        """A new device that shakes hands; on_open(it) once it has a session."""
        device = self.all[len(self.all) + 1] = Device(self, len(self.all) + 1, nat)
        device.on_open = on_open
        self.tell(f"new {device.number} {nat.address}")
        return device

    def greet(self, device, observe):
        device.send(message(b"H", device.number))
        if observe:
            device.send(message(b"O", *observe))

    def on_line(self, verb, number, words):
        device = self.all.get(number)
        if device and verb == "open":
            device.opened += 1
            device.on_open(device)
        elif device and verb == "closed":
            device.ended = words or "closed"
        elif device and verb == "data":
            device.hear(bytes.fromhex(words))

    def step(self, now):
        for device in list(self.all.values()):
            device.step(now)


class Clock(Background):
    """Steps servers and devices, a hundred times a second."""

    def __init__(self, *steppers):
        super().__init__()
        self.steppers = steppers

    def _run(self):
        while self.running:
            now = time.monotonic()
            for stepper in self.steppers:
                stepper.step(now)
            time.sleep(0.01)
