"""Datagrams that somebody makes who has seen a session's records, and none of its keys."""

import os
import random
import struct
from collections import namedtuple

from udp import TLS12_CID, records

CID_OCTETS, LAST_NUMBER = 6, (1 << 48) - 1
CCS, ALERT, HANDSHAKE, DATA, HEARTBEAT, ACK, RRC = 20, 21, 22, 23, 24, 26, 27
UNIFIED, UNIFIED_CID = 0x20, 0x10  # RFC 9147, section 4
RANDOM_AT, RANDOM_OCTETS, COOKIE_LEN_AT = 27, 32, 60

# Mbed TLS's first ClientHello: neither cookie nor session id.
HELLO = bytes.fromhex(
    "16fefd0000000000000000005d010000510000000000000051fefd6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708d"
    "a0292a981c00000004c0a800ff01000023000d000e000c0603060105030501040304010036000100001600000017000000230000"
)

# A record with a CID as it was seen: `whole` is its datagram.
Seen = namedtuple("Seen", "dtls13 cid epoch number whole")

dice = random.Random(9146)


def seen_in(datagram):
    """The last CID record of a datagram, or None."""
    if datagram and datagram[0] & 0xE0 == UNIFIED and datagram[0] & UNIFIED_CID:
        return Seen(True, datagram[1 : 1 + CID_OCTETS], datagram[0] & 3, 0, datagram)
    for record in reversed(records(datagram, CID_OCTETS)):
        if record.type == TLS12_CID:
            return Seen(False, record.cid, record.epoch, record.seq, datagram)
    return None


def newest(nat):
    """The newest CID record that a device has sent."""
    return next(filter(None, (seen_in(datagram) for _, datagram in reversed(nat.uplinks))), None)


def record(kind, body, epoch=0, number=None):
    number = dice.randrange(1 << 20) if number is None else number
    return struct.pack(">BHH6sH", kind, 0xFEFD, epoch, number.to_bytes(6, "big"), len(body)) + body


def junk(seen, number=None, epoch=None, length=24):
    """A record with the CID that looks right and verifies nowhere."""
    epoch = seen.epoch if epoch is None else epoch
    if seen.dtls13:
        head = bytes([UNIFIED | UNIFIED_CID | 0x0C | epoch & 3]) + seen.cid + os.urandom(2)
        return head + struct.pack(">H", length) + os.urandom(length)
    number = seen.number + 1 if number is None else number
    head = struct.pack(">BHH", TLS12_CID, 0xFEFD, epoch) + number.to_bytes(6, "big") + seen.cid
    return head + struct.pack(">H", length) + os.urandom(length)


def junks(seen):
    """Records with the CID that a server skips, discards, or has seen: the rest of a datagram fares in other ways."""
    return [junk(seen), junk(seen, epoch=seen.epoch + 1), junk(seen, LAST_NUMBER), seen.whole]


def message(msg_type, body, seq=0, offset=0, length=None):
    """A handshake message, or a fragment of one of `length` octets."""
    head = bytes([msg_type]) + (len(body) if length is None else length).to_bytes(3, "big")
    return head + struct.pack(">H", seq) + offset.to_bytes(3, "big") + len(body).to_bytes(3, "big") + body


def hello(cookie=b"", seq=None):
    """A ClientHello of somebody new."""
    body = HELLO[25:RANDOM_AT] + os.urandom(RANDOM_OCTETS) + b"\0" + bytes([len(cookie)]) + cookie
    body += HELLO[COOKIE_LEN_AT + 1 :]
    return record(HANDSHAKE, message(1, body, int(bool(cookie)) if seq is None else seq))


def cookie_of(datagrams):
    """The cookie of a HelloVerifyRequest among these, or None."""
    for datagram in datagrams:
        if len(datagram) > 28 and datagram[0] == HANDSHAKE and datagram[13] == 3:
            return datagram[28 : 28 + datagram[27]]
    return None


ALERTS = [record(ALERT, bytes(body), epoch) for body in ((2, 40), (1, 0), (2, 0)) for epoch in (0, 1)]

OTHERS = [
    record(CCS, b"\1"), record(CCS, b"\1", 1),
    *(record(HANDSHAKE, message(kind, bytes(size))) for kind, size in ((0, 0), (2, 70), (14, 0), (16, 6), (20, 12))),
    record(HANDSHAKE, bytes(40), 1),
    record(DATA, b"E\0\0\0\1"), record(DATA, bytes(24), 1),
    record(HEARTBEAT, b"\1\0\1x" + bytes(16)), record(HEARTBEAT, bytes(24), 1),
    record(ACK, b"\0\0"), record(ACK, bytes(24), 1),
    record(RRC, bytes(9)), record(RRC, b"\1" + bytes(8)), record(RRC, b"\2" + bytes(8), 1),
]

FRAGMENTS = [
    record(HANDSHAKE, message(1, bytes(30), seq, 30, 90)) for seq in (0, 1)
] + [record(HANDSHAKE, message(16, bytes(8), 2, offset, 16)) for offset in (0, 8)]


def beside(seen, plain):
    """A plaintext record in every place beside records with a CID: datagrams."""
    for own in junks(seen):
        yield plain + own
        yield own + plain
        yield own + plain + own


def flight(seen):
    """What a client's last handshake flight looks like, with a CID of somebody else."""
    return record(HANDSHAKE, message(16, b"\0\4demo", 2)) + record(CCS, b"\1") + junk(seen, 0, 1, 48)
