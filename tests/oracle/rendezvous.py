#!/usr/bin/env python3
"""Independent oracle of the consistent hash: SipHash-2-4, the score of common/rendezvous.h and the ranks, from their
descriptions.

Usage: rendezvous.py DUMP [--literals]     (--literals: the scores in check_rendezvous.c)
DUMP KEY FIRST:STEP NAME=WEIGHT... prints what the C code holds, one line per slot:
  SLOT RANK0,RANK1,RANK2,RANK3 SCORE...
"""

import random
import subprocess
import sys
from decimal import Decimal, getcontext

SLOTS = 1 << 18
DEPTH = 4
MASK = (1 << 64) - 1

getcontext().prec = 50
LOG2 = [int((1 + Decimal(j) / 256).ln() / Decimal(2).ln() * 2**32) for j in range(256)] + [2**32]


def rotate(word, bits):
    return (word << bits | word >> 64 - bits) & MASK


def siphash24(key, data):
    """Aumasson and Bernstein, 2012, section 2."""
    k0, k1 = (int.from_bytes(key[i:i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(count):
        a, b, c, d = v
        for _ in range(count):
            a = (a + b) & MASK
            c = (c + d) & MASK
            b = rotate(b, 13) ^ a
            d = rotate(d, 16) ^ c
            a = rotate(a, 32)
            c = (c + b) & MASK
            a = (a + d) & MASK
            b = rotate(b, 17) ^ c
            d = rotate(d, 21) ^ a
            c = rotate(c, 32)
        v[:] = a, b, c, d

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 255
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def score(member_hash, slot, weight):
    """The formula in common/rendezvous.h, above rendezvous_score()."""
    if weight == 0:
        return 0
    z = (member_hash + slot * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9 + member_hash) & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    u = (z ^ z >> 31) | 1
    zeros = 64 - u.bit_length()
    m = u << zeros
    i, f = m >> 55 & 0xFF, m >> 23 & 0xFFFFFFFF
    fine = (zeros + 1) * 2**32 - LOG2[i] - (LOG2[i + 1] - LOG2[i]) * f // 2**32
    return MASK - fine * ((2**26 - 1) // weight)


def ranks(hashes, members, slot):
    scored = [(score(hashes[name], slot, weight), name) for name, weight in members]
    scored = [(-points, name.encode()) for points, name in scored if points]
    return [(name.decode(), -points) for points, name in sorted(scored)[:DEPTH]]


def check_reference_vectors():
    """The authors' vectors: key 00..0f, messages 00.. of growing length."""
    key = bytes(range(16))
    vectors = ((0, 0x726FDB47DD0E0E31), (7, 0xAB0200F58B01D137), (8, 0x93F5F5799A932462), (15, 0xA129CA6149BE45E5))
    for length, expected in vectors:
        assert siphash24(key, bytes(range(length))) == expected, length


def check_pool(dump, key, members, first, step):
    """Compares slots first, first + step, ... of one pool. Returns how many."""
    hashes = {name: siphash24(key, name.encode()) for name, _ in members}
    command = [dump, key.hex(), f"{first}:{step}"] + [f"{name}={weight}" for name, weight in members]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    slots = range(first, SLOTS, step)
    assert len(lines) == len(slots), (len(lines), len(slots))
    for slot, line in zip(slots, lines):
        want = ranks(hashes, members, slot)
        names = [name for name, _ in want] + ["-"] * (DEPTH - len(want))
        scores = [f"{points:016x}" for _, points in want]
        expected = " ".join([str(slot), ",".join(names)] + scores)
        assert line == expected, f"{len(members)} members, key {key.hex()}:\n  C      {line}\n  oracle {expected}"
    return len(slots)


def main():
    dump = sys.argv[1]
    dice = random.Random(2)
    check_reference_vectors()
    if "--literals" in sys.argv:
        key = bytes(range(16))
        edges = (("a", 0, 100), ("a", 0, 1), ("a", 0, 256), ("b", 262143, 100), ("", 1, 50), ("backend-17", 4711, 200))
        for name, slot, weight in edges:
            print(f'{{ "{name}", {slot}, {weight}, 0x{score(siphash24(key, name.encode()), slot, weight):016x} }},')
        return
    pools = [
        ([("a", 100), ("b", 100), ("c", 100)], 17),
        ([("only", 1)], 509),
        ([("one", 256), ("two", 1), ("off", 0), ("three", 255), ("four", 2), ("five", 128)], 61),
        ([("off", 0)], 4099),
        ([(f"node-{i}", dice.randint(0, 256)) for i in range(64)], 257),
        ([(f"10.0.{i // 16}.{i % 16}", 100) for i in range(256)], 1021),
        ([(f"{dice.getrandbits(64):x}" * (i % 5 + 1), dice.choice((50, 100, 200))) for i in range(1024)], 16381),
    ]
    compared = 0
    for members, step in pools:
        key = dice.randbytes(16)
        compared += check_pool(dump, key, members, dice.randrange(step), step)
    # The scores in this slot are equal. The lesser name comes first, whatever the order.
    key = bytes([1, 1]) + bytes(range(2, 16))
    for names in (("b115", "b220"), ("b220", "b115")):
        compared += check_pool(dump, key, [(name, 100) for name in names], 199137, SLOTS)
    print(f"{compared} slots of {len(pools) + 2} pools agree")


if __name__ == "__main__":
    main()
