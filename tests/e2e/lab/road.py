"""The way between many devices and cidlb: slow, and it loses. It knows what each device sent, by handshake."""

import collections
import random
import select
import threading
import time
from dataclasses import dataclass, field

from lab.background import Background
from udp import drain, open_socket, parse_address

HANDSHAKE, TLS12_CID, APPLICATION_DATA = 22, 25, 23
CLIENT_HELLO = 1
MESSAGE_AT, SEQ_AT, OFFSET_AT, RANDOM_AT, RANDOM_OCTETS = 13, 17, 19, 27, 32


def begins_hello(datagram):
    """It begins with an epoch-0 ClientHello, or with a fragment of one."""
    return len(datagram) > RANDOM_AT and datagram[0] == HANDSHAKE and datagram[3:5] == bytes(2) and (
        datagram[MESSAGE_AT] == CLIENT_HELLO
    )


def random_of(datagram):
    """The random of the ClientHello that it begins, or None."""
    if not begins_hello(datagram) or any(datagram[OFFSET_AT : OFFSET_AT + 3]):
        return None
    return datagram[RANDOM_AT : RANDOM_AT + RANDOM_OCTETS]


def is_data(datagram):
    """It begins with what only a session sends: application data of DTLS 1.2, or a DTLS 1.3 record of epoch 3."""
    return datagram[0] in (TLS12_CID, APPLICATION_DATA) or datagram[0] >> 5 == 1 and datagram[0] & 3 == 3


@dataclass
class Handshake:
    """One handshake of a device, and the session that it makes: what has the same random, and what follows."""

    device: tuple  # where cidlb sees it
    random: bytes
    began: float  # time.monotonic() at which its first ClientHello was due at cidlb
    data: float = 0  # likewise for the first datagram that shows that it is over; 0: it is not
    got: list = field(default_factory=list)  # (time.monotonic(), number of the server, datagram), see wire.py

    def servers(self):
        """The servers that got some of it, each as often as the next datagram went to another one."""
        order = [server for _, server, _ in self.got]
        return [server for n, server in enumerate(order) if n == 0 or server != order[n - 1]]


class Road(Background):
    """A thread. Devices send to `address`; what they send leaves from `source`, from a port for each, `way_s` later, as
    do the answers. Each way loses this part of all datagrams, but of one device no more than MOST_LOST in a row: nobody
    gives up by chance."""

    MOST_LOST = 4

    def __init__(self, target, way_s, loss, source="127.40.0.1", seed=1):
        super().__init__()
        self.target, self.way_s, self.loss, self.source = parse_address(target), way_s, loss, source
        self.dice = random.Random(seed)
        self.inside = open_socket("127.0.0.1")
        self.address = "%s:%d" % self.inside.getsockname()
        self.outside, self.devices, self.late = {}, {}, collections.deque()
        self.lost = collections.Counter()  # in a row: of a device's address, and of its socket here
        self.handshakes = []  # in the order in which they began
        self.present = {}  # by the device's address: its newest handshake
        self.sent = collections.defaultdict(list)  # by the datagram: the handshakes that it was sent for
        self.lock = threading.Lock()

    def __exit__(self, *error):
        super().__exit__(*error)
        for sock in (self.inside, *self.devices):
            sock.close()

    def _mapping(self, device):
        if device not in self.outside:
            sock = self.outside[device] = open_socket(self.source)
            self.devices[sock] = device
        return self.outside[device]

    def _note(self, sock, datagram, due):
        """What it belongs to, before it is sent."""
        device, said = sock.getsockname()[:2], random_of(datagram)
        with self.lock:
            present = self.present.get(device)
            if said and (not present or present.random != said):
                present = self.present[device] = Handshake(device, said, due)
                self.handshakes.append(present)
            if not present:
                return
            if is_data(datagram) and not present.data:
                present.data = due
            if present not in self.sent[datagram]:
                self.sent[datagram].append(present)

    def _run(self):
        while self.running:
            ready, _, _ = select.select([self.inside, *self.devices], [], [], 0.002)
            now = time.monotonic()
            for sock in ready:
                for datagram, source in drain(sock):
                    self._take(sock, datagram, source, now + self.way_s)
            while self.late and self.late[0][0] <= now:
                _, datagram, sock, to = self.late.popleft()
                sock.sendto(datagram, to)

    def _take(self, sock, datagram, source, due):
        way = source if sock is self.inside else sock
        if self.dice.random() < self.loss and self.lost[way] < self.MOST_LOST:
            self.lost[way] += 1
            return
        self.lost[way] = 0
        if sock is not self.inside:
            self.late.append((due, datagram, self.inside, self.devices[sock]))
            return
        outside = self._mapping(source)
        self._note(outside, datagram, due)
        self.late.append((due, datagram, outside, self.target))
