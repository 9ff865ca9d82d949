"""A man in the middle between one device and cidlb, forgers of DTLS records, and plain servers and clients, for the
end-to-end tests.

    with Relay(lb.address()) as relay:
        fleet = scene.fleet(relay.address, devices=1)
        record = relay.wait_record(6)                 # the device's newest record with a CID of 6 octets
        relay.rebind("127.0.0.2")                     # the device moves
        with Forger("127.9.9.9", lb.address()) as forger:
            forger.send(forge(record.cid, record.epoch, record.seq + 1))
            assert forger.received_octets <= 3 * forger.sent_octets

    with Echo("abc") as servers:
        lb = scene.cidlb([scene.pool("u", servers.entries(), protocol="udp", cid=None)])
        with Clients(lb.address(), 60) as clients:
            clients.run(seconds=1, per_second=600)
            assert clients.lost_to("abc") == 0
"""

import os
import select
import socket
import struct
import time
from collections import namedtuple

from harness import free_ports, wait_until
from lab.background import Background

TLS12_CID = 25  # RFC 9146, section 4
COAP_EMPTY_CON, COAP_RST = 0x40, 0x70  # RFC 7252, section 4.3
# A ClientHello without a cookie, of Mbed TLS.
HELLO = bytes.fromhex(
    "16fefd0000000000000000005d010000510000000000000051fefd6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708d"
    "a0292a981c00000004c0a800ff01000023000d000e000c0603060105030501040304010036000100001600000017000000230000"
)

Record = namedtuple("Record", "type epoch seq cid length")


def records(datagram, cid_length):
    """The DTLS 1.2 records of a datagram; those of type 25 have a CID of `cid_length` octets."""
    found = []
    while len(datagram) >= 13:
        cid_here = cid_length if datagram[0] == TLS12_CID else 0
        if len(datagram) < 13 + cid_here:
            break
        epoch, seq = struct.unpack(">H6s", datagram[3:11])
        (length,) = struct.unpack(">H", datagram[11 + cid_here : 13 + cid_here])
        found.append(Record(datagram[0], epoch, int.from_bytes(seq, "big"), datagram[11 : 11 + cid_here], length))
        datagram = datagram[13 + cid_here + length :]
    return found


def forge(cid, epoch=1, seq=1, length=40):
    """A record that looks right and verifies nowhere: `length` octets of random ciphertext."""
    return (
        struct.pack(">BHH", TLS12_CID, 0xFEFD, epoch)
        + seq.to_bytes(6, "big")
        + cid
        + struct.pack(">H", length)
        + os.urandom(length)
    )


def parse_address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def open_socket(ip, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((ip, port))
    sock.setblocking(False)
    return sock


def drain(sock):
    """Everything that waits in a socket: [(datagram, source)]."""
    got = []
    while True:
        try:
            got.append(sock.recvfrom(65536))
        except BlockingIOError:
            return got
        except ConnectionRefusedError:
            continue  # the ICMP error of an earlier send


class Relay(Background):
    """A thread that carries one device's datagrams to `target` and the answers back.

    uplinks, downlinks   what passed or was dropped, as (time.monotonic(), datagram)
    stale                what arrived at addresses that the device has left, likewise; a NAT would drop it silently
    drop_up, drop_down   set to a predicate of a datagram to lose those for which it is true
    watch                set to a function of nothing to be called before and after every datagram that passes
    """

    def __init__(self, target, ip="127.0.0.1"):
        super().__init__()
        self.target = parse_address(target)
        self.inside = open_socket(ip)
        self.outside = [open_socket(ip)]  # the last is the present one
        self.device = None
        self.uplinks, self.downlinks, self.stale = [], [], []
        self.drop_up = self.drop_down = lambda datagram: False
        self.watch = lambda: None

    def __exit__(self, *error):
        super().__exit__(*error)
        for sock in [self.inside, *self.outside]:
            sock.close()

    @property
    def address(self):
        """ADDRESS:PORT for the device to send to."""
        return "%s:%d" % self.inside.getsockname()[:2]

    @property
    def source(self):
        """(address, port) that cidlb sees the device at."""
        return self.outside[-1].getsockname()[:2]

    def rebind(self, ip=None, port=0):
        """From now on the device's datagrams leave from another port, or another address."""
        self.outside.append(open_socket(ip or self.source[0], port))

    def send(self, datagram):
        """Sends to cidlb from the device's present address, as someone behind the same NAT could, or a replay."""
        self.outside[-1].sendto(datagram, self.target)

    def wait_record(self, cid_length, after=0, timeout=30):
        """The newest CID record of the device, once it has sent more than `after` datagrams. Not that of its handshake,
        which has others before it: it may be repeated."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for _, datagram in reversed(self.uplinks[after:]):
                found = records(datagram, cid_length)
                if found and found[0].type == TLS12_CID:
                    return found[-1]
            time.sleep(0.01)
        raise TimeoutError(f"the device sent no record with a CID within {timeout} s")

    def _run(self):
        while self.running:
            ready, _, _ = select.select([self.inside, *self.outside], [], [], 0.05)
            for sock in ready:
                for datagram, source in drain(sock):
                    if sock is self.inside:
                        self._carry_up(datagram, source)
                    else:
                        self._carry_down(datagram, sock)

    def _carry_up(self, datagram, source):
        self.device = source
        dropped = self.drop_up(datagram)
        self.watch()
        self.uplinks.append((time.monotonic(), datagram))
        if not dropped:
            self.outside[-1].sendto(datagram, self.target)
        self.watch()

    def _carry_down(self, datagram, sock):
        if sock is not self.outside[-1]:
            self.stale.append((time.monotonic(), datagram))
            return
        dropped = self.drop_down(datagram)
        self.watch()
        self.downlinks.append((time.monotonic(), datagram))
        if not dropped and self.device:
            self.inside.sendto(datagram, self.device)
        self.watch()


class Forger:
    """An attacker's socket on an address of its own (any of 127.0.0.0/8), which counts both ways."""

    def __init__(self, ip, target, port=0):
        self.target, self.sock = parse_address(target), open_socket(ip, port)
        self.sent_octets, self._received = 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, datagram):
        while True:
            try:
                self.sock.sendto(datagram, self.target)
                break
            except (BlockingIOError, ConnectionRefusedError):
                continue  # a full send buffer, or the ICMP error of an earlier send
        self.sent_octets += len(datagram)

    @property
    def received(self):
        """The datagrams that came back so far."""
        self._received += [datagram for datagram, _ in drain(self.sock)]
        return self._received

    @property
    def received_octets(self):
        return sum(map(len, self.received))


class Echo(Background):
    """Servers on 127.0.0.1 that send back what they get after their name, and answer a CoAP ping."""

    def __init__(self, names):
        super().__init__()
        self.sockets = {name: open_socket("127.0.0.1", free_ports()) for name in names}
        self.got = {name: 0 for name in names}
        self.last = None  # who was answered last
        self.rounds = 0

    def __exit__(self, *error):
        super().__exit__(*error)
        for sock in self.sockets.values():
            sock.close()

    def entries(self):
        return [
            {"name": name, "address": "127.0.0.1:%d" % sock.getsockname()[1]} for name, sock in self.sockets.items()
        ]

    def refuse(self, name):
        """Closes its socket: whoever sends to it gets an ICMP error. Returns when."""
        sock = self.sockets.pop(name)
        over = self.rounds + 2  # then the thread looks at it no more
        wait_until(lambda: self.rounds >= over, 20, "the servers' thread has come round")
        sock.close()
        return time.monotonic()

    def _run(self):
        while self.running:
            self.rounds += 1
            names = dict(self.sockets)
            ready, _, _ = select.select(names.values(), [], [], 0.05)
            for name, sock in names.items():
                for datagram, source in drain(sock) if sock in ready else []:
                    if len(datagram) == 4 and datagram[0] == COAP_EMPTY_CON:
                        sock.sendto(bytes([COAP_RST]) + datagram[1:], source)
                        continue
                    self.got[name] += 1
                    self.last = source
                    sock.sendto(name.encode() + datagram, source)


class Clients:
    """Each from its own port, with numbered datagrams; `server` is who answered it first."""

    def __init__(self, target, count):
        self.target = parse_address(target)
        self.sockets = [open_socket("127.0.0.1") for _ in range(count)]
        self.server, self.waiting, self.sent = {}, [set() for _ in self.sockets], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()

    def send(self, index):
        self.sent += 1
        self.waiting[index].add(self.sent)
        self.sockets[index].sendto(b"%d" % self.sent, self.target)

    def collect(self):
        for index, sock in enumerate(self.sockets):
            for datagram, _ in drain(sock):
                self.server.setdefault(index, chr(datagram[0]))
                self.waiting[index].discard(int(datagram[1:]))

    def run(self, seconds, per_second):
        """Each that has a turn in this time has it, however busy the machine."""
        start, sent, missed = time.monotonic(), 0, 0
        while (now := time.monotonic() - start) < seconds or sent < len(self.sockets) <= per_second * seconds:
            # After a pause of this process no more at once than the servers' sockets hold, and the rest not at all.
            due = int(per_second * now) - missed - sent
            missed += max(0, due - 200)
            for _ in range(min(200, due)):
                self.send(sent % len(self.sockets))
                sent += 1
            self.collect()
            time.sleep(0.002)

    def lost_to(self, names):
        return sum(len(waiting) for index, waiting in enumerate(self.waiting) if self.server.get(index) in names)
