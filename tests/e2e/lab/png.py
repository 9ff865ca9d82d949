"""Pictures of a page for documents: a palette of 256 colours, which text and areas of a few colours can do with."""

import struct
import zlib
from collections import Counter

HEAD = b"\x89PNG\r\n\x1a\n"
COLOURS = 256


def chunk(kind, octets):
    return struct.pack(">I4s", len(octets), kind) + octets + struct.pack(">I", zlib.crc32(kind + octets))


def chunks(png):
    at = len(HEAD)
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        yield kind, png[at + 8 : at + 8 + size]
        at += 12 + size


def nearer(left, up, corner):
    """Paeth's predictor (PNG, 9.4)."""
    distances = [(abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner)]
    return min(distances)[2]


PREDICT = (lambda left, up, corner: 0, lambda left, up, corner: left, lambda left, up, corner: up,
           lambda left, up, corner: (left + up) // 2, nearer)


def pixels(png):
    """The rows of a PNG of 8 bits a colour without a palette: lists of (red, green, blue)."""
    head = next(octets for kind, octets in chunks(png) if kind == b"IHDR")
    width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    assert depth == 8 and colours in (2, 6) and not interlaced, head
    step = 3 if colours == 2 else 4
    raw = zlib.decompress(b"".join(octets for kind, octets in chunks(png) if kind == b"IDAT"))
    above, size = bytes(width * step), width * step + 1
    for begin in range(0, height * size, size):
        predict, row = PREDICT[raw[begin]], bytearray(raw[begin + 1 : begin + size])
        for at, up in enumerate(above):
            left, corner = (row[at - step], above[at - step]) if at >= step else (0, 0)
            row[at] = row[at] + predict(left, up, corner) & 255
        above = bytes(row)
        yield [tuple(row[at : at + 3]) for at in range(0, len(row), step)]


def with_palette(png):
    """The same, or all but the same, in fewer octets: the colours that are seldom become the nearest of the others."""
    rows = list(pixels(png))
    counts = Counter(pixel for row in rows for pixel in row)
    palette = [colour for colour, _ in counts.most_common(COLOURS)]
    number = {colour: at for at, colour in enumerate(palette)}
    for colour in counts.keys() - number.keys():
        number[colour] = min(
            range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(palette[at], colour))
        )
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(number[pixel] for pixel in row) for row in rows), 9)
    parts = {b"IHDR": head, b"PLTE": b"".join(map(bytes, palette)), b"IDAT": data, b"IEND": b""}
    return HEAD + b"".join(chunk(kind, octets) for kind, octets in parts.items())
