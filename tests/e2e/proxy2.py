"""The header of mode tunnel, an implementation of its own: what the C code reads and writes is measured by it.

    header = write(KEY, 1, UP, ("192.0.2.1", 56324), ("198.51.100.7", 5684))
    source, destination, payload = read({1: KEY}, DOWN, datagram)

Versions are those of the tag. OFFER is version 1 with the offer to read version 2. DIRECT is version 2 up, of
direction 2: answers are not to come back.
"""

import ipaddress

UP, DOWN = 0, 1
V1, OFFER, V2, DIRECT = "1", "1 or 2", "2", "2, direct"
OFFER_TLV = (0xE1, b"")
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
WORD = (1 << 64) - 1


def siphash24(key, data):
    v0 = int.from_bytes(key[:8], "little") ^ 0x736F6D6570736575
    v1 = int.from_bytes(key[8:], "little") ^ 0x646F72616E646F6D
    v2 = int.from_bytes(key[:8], "little") ^ 0x6C7967656E657261
    v3 = int.from_bytes(key[8:], "little") ^ 0x7465646279746573

    def rotate(word, bits):
        return (word << bits | word >> (64 - bits)) & WORD

    def rounds(count):
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0, v2 = (v0 + v1) & WORD, (v2 + v3) & WORD
            v1, v3 = rotate(v1, 13) ^ v0, rotate(v3, 16) ^ v2
            v0 = (rotate(v0, 32) + v3) & WORD
            v2 = (v2 + v1) & WORD
            v1, v3 = rotate(v1, 17) ^ v2, rotate(v3, 21) ^ v0
            v2 = rotate(v2, 32)

    whole = len(data) // 8 * 8
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    for word in words + [int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56]:
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


def _packed(end):
    return ipaddress.ip_address(end[0]).packed


def _mapped(packed):
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


def _port(end):
    return end[1].to_bytes(2, "big")


def tag(key, marks, source, destination):
    """The version and the direction are in the marks."""
    if marks[0] >> 4 == 1:
        text = _mapped(_packed(source)) + _mapped(_packed(destination)) + _port(source) + _port(destination)
    else:
        service, device = (destination, source) if marks[0] & 0x0F != DOWN else (source, destination)
        text = _mapped(_packed(service)) + _port(service) + _mapped(_packed(device)) + _port(device)
    return siphash24(key, marks + text).to_bytes(8, "little")


def frame(family, addresses, tlvs):
    """Any header whatever: what is wrong in it is the caller's wish."""
    body = addresses + b"".join(kind.to_bytes(1, "big") + len(value).to_bytes(2, "big") + value for kind, value in tlvs)
    return SIGNATURE + bytes([0x21, family]) + len(body).to_bytes(2, "big") + body


def write(key, key_id, direction, source, destination, before=(), after=(), version=V1):
    """`before`, `after`: other TLVs, as (type, value)."""
    marks = bytes([(0x20 if version in (V2, DIRECT) else 0x10) | (2 if version == DIRECT else direction), key_id])
    packed = _packed(source), _packed(destination)
    offer = [OFFER_TLV] if version == OFFER else []
    ours = (0xE0, marks + tag(key, marks, source, destination))
    addresses = b"".join(packed) + _port(source) + _port(destination)
    return frame(0x12 if len(packed[0]) == 4 else 0x22, addresses, [*before, *offer, ours, *after])


def version_of(datagram):
    """Of a datagram that read() takes."""
    at = 16 + (12 if datagram[13] == 0x12 else 36)
    if datagram[at : at + 3] == b"\xe1\0\0":
        return OFFER
    return {0x10: V1, 0x11: V1, 0x20: V2, 0x21: V2, 0x22: DIRECT}[datagram[at + 3]]


def read(keys, direction, datagram):
    """(source, destination, payload); ValueError says what is wrong."""
    if datagram[:12] != SIGNATURE or datagram[12] != 0x21 or datagram[13] not in (0x12, 0x22):
        raise ValueError(f"no header: {datagram[:16].hex()}")
    size = 4 if datagram[13] == 0x12 else 16
    end = 16 + int.from_bytes(datagram[14:16], "big")
    body, payload = datagram[16:end], datagram[end:]
    at = 2 * size + 4
    offers = direction == UP and body[at : at + 3] == b"\xe1\0\0"
    at += 3 if offers else 0
    if len(datagram) < end or body[at : at + 3] != b"\xe0\x00\x0a" or len(body) != at + 13:
        raise ValueError(f"not as it is written: {datagram[:end].hex()}")
    addresses = [str(ipaddress.ip_address(body[size * i : size * (i + 1)])) for i in (0, 1)]
    ports = [int.from_bytes(body[2 * size + 2 * i : 2 * size + 2 * i + 2], "big") for i in (0, 1)]
    source, destination = zip(addresses, ports)
    marks, found = body[at + 3 : at + 5], body[at + 5 :]
    marked = [0x10 | direction] + ([] if offers else [0x20 | direction] + ([0x22] if direction == UP else []))
    if marks[0] not in marked:
        raise ValueError(f"version and direction {marks[0]:#x}")
    if found != tag(keys[marks[1]], marks, source, destination):
        raise ValueError(f"tag {found.hex()} of key {marks[1]}")
    return source, destination, payload
