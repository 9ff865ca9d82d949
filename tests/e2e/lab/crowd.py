"""Many strangers at once: half handshakes and requests from any address of 127.0.0.0/8."""

import random
import socket
import struct
import time

from udp import parse_address

from lab import forged

IP_PKTINFO = 8  # ip(7); Python has no name for it before 3.14
SOCKETS = 64


class Crowd:
    """Sockets that send from any address, and know at which one they were answered."""

    def __init__(self, target, seed=1):
        self.target, self.dice = parse_address(target), random.Random(seed)
        self.sockets, self.sent, self.answered = [], 0, 0
        for _ in range(SOCKETS):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            sock.bind(("0.0.0.0", 0))
            sock.setblocking(False)
            self.sockets.append(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()

    def send(self, sock, source, datagram):
        info = struct.pack("=i4s4s", 0, source, bytes(4))
        try:
            sock.sendmsg([datagram], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, self.target)
        except (BlockingIOError, ConnectionRefusedError):
            pass

    def source(self, prefixes):
        """A random address of one of these prefixes of three octets."""
        return bytes([*self.dice.choice(prefixes), self.dice.randrange(1, 255)])

    def finish_halves(self):
        """Shows each cookie that has come: the server begins a handshake, and hears no more."""
        for sock in self.sockets:
            while True:
                try:
                    datagram, info, _, _ = sock.recvmsg(2048, 64)
                except (BlockingIOError, ConnectionRefusedError):
                    break
                cookie = forged.cookie_of([datagram])
                if cookie:
                    self.answered += 1
                    self.send(sock, info[0][2][4:8], forged.hello(cookie))

    def run(self, seconds, per_second, prefixes, make, meanwhile=lambda: None):
        """Sends make() so often from the prefixes."""
        begin = time.monotonic()
        first = self.sent
        while (now := time.monotonic() - begin) < seconds:
            for _ in range(min(100, int(now * per_second) + 1 - (self.sent - first))):
                self.send(self.dice.choice(self.sockets), self.source(prefixes), make())
                self.sent += 1
            self.finish_halves()
            meanwhile()
            time.sleep(0.002)
