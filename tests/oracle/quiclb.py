#!/usr/bin/env python3
"""Independent oracle of scheme quic-lb: AES-128 and the CIDs of draft-ietf-quic-load-balancers, from their
descriptions.

Usage: quiclb.py DUMP
DUMP reads lines and answers each with one line:
  mint KEY ROTATION ID NONCE -> CID
  open KEY ROTATION ID CID -> its id, as long as ID
All values are in hex. KEY "-" means no key.
"""

import random
import subprocess
import sys


def times2(octet):
    return octet << 1 ^ (0x11B if octet & 0x80 else 0)


def multiply(a, b):
    """In GF(2^8): FIPS 197, section 4."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = times2(a), b >> 1
    return product


def substitute(octet):
    """FIPS 197, section 5.1.1."""
    inverse = next((i for i in range(256) if multiply(octet, i) == 1), 0)
    out = 0x63
    for turn in range(5):
        out ^= (inverse << turn | inverse >> 8 - turn) & 255
    return out


SBOX = [substitute(octet) for octet in range(256)]
UNSBOX = [SBOX.index(octet) for octet in range(256)]


def expand_key(key):
    """Eleven round keys: FIPS 197, section 5.2."""
    words = [key[i:i + 4] for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = bytes(SBOX[octet] for octet in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = times2(constant)
        words.append(bytes(a ^ b for a, b in zip(words[-4], word)))
    return [b"".join(words[i:i + 4]) for i in range(0, 44, 4)]


def add(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def mix(state, row):
    columns = [state[i:i + 4] for i in range(0, 16, 4)]
    mixed = []
    for column in columns:
        for i in range(4):
            octet = 0
            for j in range(4):
                octet ^= multiply(column[j], row[(j - i) % 4])
            mixed.append(octet)
    return bytes(mixed)


def aes_encrypt(key, block):
    """FIPS 197, section 5.1. Octet i is in row i mod 4, column i div 4."""
    keys = expand_key(key)
    state = add(block, keys[0])
    for number in range(1, 11):
        state = bytes(SBOX[octet] for octet in state)
        state = bytes(state[(i + 4 * (i % 4)) % 16] for i in range(16))
        if number < 10:
            state = mix(state, (2, 3, 1, 1))
        state = add(state, keys[number])
    return state


def aes_decrypt(key, block):
    """FIPS 197, section 5.3."""
    keys = expand_key(key)
    state = block
    for number in range(10, 0, -1):
        state = add(state, keys[number])
        if number < 10:
            state = mix(state, (14, 11, 13, 9))
        state = bytes(state[(i - 4 * (i % 4)) % 16] for i in range(16))
        state = bytes(UNSBOX[octet] for octet in state)
    return add(state, keys[0])


def four_pass(key, text, numbers):
    """The draft, section 5.4.2, on the text as one number. Both halves have the same number of bits. The left half
    begins at the left end of its octets, the right half ends at the right end. `numbers` is the order of the passes:
    odd ones change the right half, even ones the left."""
    count = len(text)
    bits, octets = 4 * count, (count + 1) // 2
    spare = 8 * octets - bits
    whole = int.from_bytes(text, "big")
    left, right = whole >> bits, whole & (1 << bits) - 1
    for number in numbers:
        source = right if number % 2 == 0 else left << spare
        half = source.to_bytes(octets, "big")
        out = aes_encrypt(key, half + bytes(14 - octets) + bytes([count, number]))
        change = int.from_bytes(out[:octets], "big")
        if number % 2:
            right ^= change & (1 << bits) - 1
        else:
            left ^= change >> spare
    return (left << bits | right).to_bytes(count, "big")


def mint(key, rotation, server_id, nonce):
    text = server_id + nonce
    first = bytes([rotation << 5 | len(text)])
    if key is None:
        return first + text
    return first + (aes_encrypt(key, text) if len(text) == 16 else four_pass(key, text, (1, 2, 3, 4)))


def open_id(key, cid, octets):
    text = cid[1:]
    if key is not None:
        text = aes_decrypt(key, text) if len(text) == 16 else four_pass(key, text, (4, 3, 2, 1))
    return text[:octets]


def check_vectors():
    key = bytes(range(16))
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    sealed = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")
    assert aes_encrypt(key, block) == sealed and aes_decrypt(key, sealed) == block, "FIPS 197, appendix C.1"
    key = bytes.fromhex("8f95f09245765f80256934e50c66207f")
    for rotation, server_id, nonce, cid in (
        (0, "ed793a", "ee080dbf", "0720b1d07b359d3c"),
        (1, "ed793a51d49b8f5fab65", "ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2"),
        (2, "ed793a51d49b8f5f", "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3"),
        (0, "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d", "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"),
    ):
        assert mint(key, rotation, bytes.fromhex(server_id), bytes.fromhex(nonce)).hex() == cid, cid


def main():
    check_vectors()
    dice = random.Random(5)
    asked, expected = [], []
    for octets in range(1, 16):
        for nonce_octets in range(4, 20 - octets):
            for key in (None, dice.randbytes(16), dice.randbytes(16)):
                rotation = dice.randrange(7)
                name = key.hex() if key else "-"
                server_id, nonce = dice.randbytes(octets), dice.randbytes(nonce_octets)
                asked.append(f"mint {name} {rotation} {server_id.hex()} {nonce.hex()}")
                expected.append(mint(key, rotation, server_id, nonce).hex())
                cid = bytes([rotation << 5 | dice.randrange(32)]) + dice.randbytes(octets + nonce_octets)
                asked.append(f"open {name} {rotation} {server_id.hex()} {cid.hex()}")
                expected.append(open_id(key, cid, octets).hex())
    dump = subprocess.run([sys.argv[1]], input="\n".join(asked) + "\n", check=True, capture_output=True, text=True)
    answers = dump.stdout.splitlines()
    assert len(answers) == len(asked), (len(answers), len(asked))
    for question, answer, wanted in zip(asked, answers, expected):
        assert answer == wanted, f"{question}:\n  C      {answer}\n  oracle {wanted}"
    print(f"{len(asked)} CIDs agree")


if __name__ == "__main__":
    main()
