"""Who sent and got how much, counted at the sockets of devices' NATs and of attackers: what passed on the wire, and
nothing that cidlb says."""

import select
import threading
import time

from udp import Forger, Relay, drain, open_socket

# Promise a of common/ownership.h, in octets: for a datagram sent; a second; a second, for all (nat.unproven_rate).
ALLOWANCE, RATE, POOL_RATE = 2560, 16384, 1250000
RATE_SLACK_S = 1.5  # what a bucket of one second may hold, and a coarse clock


class Account:
    """One address and port."""

    def __init__(self, address):
        self.address, self.sent, self.datagrams, self.got, self.got_datagrams = address, 0, 0, 0, 0
        self.since = time.monotonic()

    def gave(self, datagram):
        self.sent += len(datagram)
        self.datagrams += 1

    def took(self, datagram):
        self.got += len(datagram)
        self.got_datagrams += 1

    def beyond(self):
        """What it got beyond three times what it sent."""
        return self.got - 3 * self.sent

    def excess(self):
        """Why it got more than one may who is not proven, or None."""
        beyond = self.beyond()
        if beyond > ALLOWANCE * self.datagrams:
            return f"{self.address} got {self.got} octets for {self.sent} in {self.datagrams} datagrams"
        seconds = time.monotonic() - self.since
        if beyond > RATE * (seconds + RATE_SLACK_S):
            return f"{self.address} got {beyond} octets beyond the threefold in {seconds:.1f} s"
        return None


def excess_of_all(accounts):
    """Why they got more than all who are not proven may, or None."""
    seconds = max((time.monotonic() - account.since for account in accounts), default=0)
    beyond = sum(max(0, account.beyond()) for account in accounts)
    if beyond > POOL_RATE * (seconds + RATE_SLACK_S):
        return f"{len(accounts)} addresses got {beyond} octets beyond the threefold in {seconds:.1f} s"
    return None


class Nat(Relay):
    """The NAT of one device. Its first address is the one of the handshake."""

    def __init__(self, target, ip="127.0.0.1", port=0):
        super().__init__(target, ip)
        if port:
            self.outside = [open_socket(ip, port)]
        self.accounts = {self.outside[-1]: Account(self.source)}
        self.home, self.foreign, self.lock = self.source, 0, threading.Lock()
        self.unheard = []  # [time.monotonic() of a move, that of the first datagram after it or None]

    def rebind(self, ip=None, port=0):
        sock = open_socket(ip or self.source[0], port)
        self.accounts[sock] = Account(sock.getsockname()[:2])
        self.outside.append(sock)
        self.unheard.append([time.monotonic(), None])

    def was_unheard(self, at):
        """Whether it had moved and said nothing since."""
        return any(moved <= at and (spoke is None or at <= spoke) for moved, spoke in self.unheard)

    def forget(self):
        """No address of it is proven any more, and what it sent and got no longer counts."""
        self.home, self.accounts = None, {sock: Account(sock.getsockname()[:2]) for sock in self.outside}

    def swap(self, other):
        """Two devices behind one NAT get each other's port."""
        with self.lock, other.lock:
            self.outside, other.outside = other.outside, self.outside
            self.accounts, other.accounts = other.accounts, self.accounts

    def send(self, datagram, target=None):
        """From the device's present address, as a spoofer could."""
        self.outside[-1].sendto(datagram, target or self.target)
        self.accounts[self.outside[-1]].gave(datagram)

    def _run(self):
        """As a NAT does, it drops what comes from elsewhere than where its device speaks to."""
        while self.running:
            ready, _, _ = select.select([self.inside, *self.outside], [], [], 0.05)
            with self.lock:
                for sock in ready:
                    self._take(sock)

    def _take(self, sock):
        if sock is not self.inside and sock not in self.accounts:
            return  # swapped away
        for datagram, source in drain(sock):
            if sock is self.inside:
                self._carry_up(datagram, source)
            elif source == self.target:
                self._carry_down(datagram, sock)
            else:
                self.accounts[sock].took(datagram)
                self.foreign += 1

    def _carry_up(self, datagram, source):
        super()._carry_up(datagram, source)
        self.accounts[self.outside[-1]].gave(datagram)
        if self.unheard and self.unheard[-1][1] is None:
            self.unheard[-1][1] = time.monotonic()
        del self.uplinks[:-200]

    def _carry_down(self, datagram, sock):
        self.accounts[sock].took(datagram)
        super()._carry_down(datagram, sock)
        del self.downlinks[:-200], self.stale[:-200]

    def strangers(self):
        """The accounts of addresses where no handshake was made."""
        return [account for account in self.accounts.values() if account.address != self.home]


class Attacker(Forger):
    """A forger with an account."""

    def __init__(self, ip, target, port=0):
        super().__init__(ip, target, port)
        self.account = Account(self.sock.getsockname()[:2])

    def send(self, datagram):
        super().send(datagram)
        self.account.gave(datagram)

    def collect(self):
        """What has come back since the last time."""
        new = [datagram for datagram, _ in drain(self.sock)]
        for datagram in new:
            self.account.took(datagram)
        return new
