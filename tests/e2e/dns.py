"""A small authoritative DNS server, and a private /etc/resolv.conf that names it."""

import collections
import ctypes
import ipaddress
import os
import socket
import struct
import threading

import harness
from harness import Skip

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2

RESOLV_CONF = b"/etc/resolv.conf"

_own_mounts = False


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _enter_own_mounts():
    """What this script mounts from here on is seen by it alone, and by what it starts."""
    global _own_mounts
    if not harness._own_network or not os.path.exists(RESOLV_CONF):
        raise Skip("needs a network of its own, and so root, and an /etc/resolv.conf to be covered")
    if not _own_mounts and harness._libc.unshare(CLONE_NEWNS) != 0:
        raise Skip("needs mounts of its own")
    _own_mounts = True
    _check(harness._libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "make mounts private")


class Dns:
    """A thread that answers on port 53 of 127.0.0.1 from `records`: {name: [address, …]}, which a test changes as it
    likes."""

    def __init__(self, scene, records, ttl=300, search="test", ndots=1):
        self.records, self.ttl, self.silent, self.failing = dict(records), ttl, False, False
        self.rest = f"search {search}\noptions ndots:{ndots}\n"  # of resolv.conf
        self.asked = collections.Counter()  # by name
        self.questions = []  # (source address and port, number of the question, name as it was written)
        self.lie = None  # an address that others claim before it answers: from another port and from another address
        self.conf = scene.dir / "resolv.conf"
        self.conf.touch(mode=0o644)

    def __enter__(self):
        _enter_own_mounts()
        _check(
            harness._libc.mount(os.fsencode(self.conf), RESOLV_CONF, None, ctypes.c_ulong(MS_BIND), None),
            "mount resolv.conf",
        )
        self._start("127.0.0.1")
        return self

    def __exit__(self, *_):
        self._stop()
        _check(harness._libc.umount2(RESOLV_CONF, MNT_DETACH), "unmount resolv.conf")

    def move(self, ip):
        """It is at another address, and resolv.conf says so."""
        self._stop()
        self._start(ip)

    def _start(self, ip):
        self.conf.write_text(f"nameserver {ip}\n{self.rest}")
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 53))
        self.sock.settimeout(0.2)
        self.ended = False
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _stop(self):
        self.ended = True
        self.thread.join()
        self.sock.close()

    def _serve(self):
        while not self.ended:
            try:
                question, source = self.sock.recvfrom(512)
            except TimeoutError:
                continue
            answer = self._answer(question)
            self.questions.append((source, question[:2], question[12:-4]))
            if self.lie:
                self._lie(question, source)
            if not self.silent:
                self.sock.sendto(answer, source)

    def _lie(self, question, target):
        """Everything in it is right, but who says it."""
        answer = self._answer(question, lie=True)
        for liar in (("127.0.0.1", 0), ("127.0.0.2", 53)):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(liar)
                sock.sendto(answer, target)

    def _answer(self, question, lie=False):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]])
            at += 1 + question[at]
        kind = struct.unpack_from("!H", question, at + 1)[0]
        name = b".".join(labels).decode().lower()
        self.asked[name] += not lie
        found = [self.lie] if lie else self.records.get(name)
        code = SERVFAIL if self.failing else NXDOMAIN if found is None else 0
        octets = [ipaddress.ip_address(address).packed for address in found or () if not code]
        octets = [packed for packed in octets if len(packed) == (4 if kind == A else 16)]
        header = struct.pack("!HHHHHH", struct.unpack_from("!H", question)[0], 0x8580 | code, 1, len(octets), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl, len(packed)) + packed for packed in octets)
        return header + question[12 : at + 5] + records
