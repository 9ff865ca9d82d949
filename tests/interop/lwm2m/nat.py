"""The NAT of one device."""

import time

from udp import Relay

KEPT = 6  # addresses that a device has left, and something may still come to
SERVER_HELLO, RANDOM_AT, RANDOM_OCTETS = 2, 13 + 12 + 2, 32  # RFC 5246, section 7.4.1.3


class Nat(Relay):
    """It may forget its device after so many seconds of silence: then the device leaves from another port, and what
    comes to the old one is dropped.

    hellos    the randoms of the ServerHellos that came: one for each handshake
    """

    def __init__(self, target, ip="127.0.0.1", forget_s=None):
        self.forget_s, self.spoke, self.forgotten, self.hellos = forget_s, time.monotonic(), 0, set()
        self.left = []
        super().__init__(target, ip)

    def rebind(self, ip=None, port=0):
        """Old sockets are closed, since select() takes none with numbers above 1,023: not at once, as the thread may
        look at them."""
        super().rebind(ip, port)
        while len(self.left) > 1:
            self.left.pop(0).close()
        if len(self.outside) > KEPT:
            self.left.append(self.outside.pop(0))

    def __exit__(self, *error):
        super().__exit__(*error)
        for sock in self.left:
            sock.close()

    def has_forgotten(self):
        return self.forget_s and time.monotonic() - self.spoke > self.forget_s

    def _carry_up(self, datagram, source):
        if self.has_forgotten():
            self.rebind()
            self.forgotten += 1
        self.spoke = time.monotonic()
        super()._carry_up(datagram, source)
        del self.uplinks[:-100]

    def _carry_down(self, datagram, sock):
        if self.has_forgotten():
            self.stale.append((time.monotonic(), datagram))
            return
        if datagram[0] == 22 and datagram[3:5] == bytes(2) and datagram[13] == SERVER_HELLO:
            self.hellos.add(datagram[RANDOM_AT : RANDOM_AT + RANDOM_OCTETS])
        super()._carry_down(datagram, sock)
        del self.downlinks[:-100], self.stale[:-100]
