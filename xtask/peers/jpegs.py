"""Writes small JPEGs of unusual make and the pixels that Pillow's libjpeg gives, for crates/cnn-data/tests/jpegs.rs.

    .venv/bin/pip install pillow numpy
    .venv/bin/python xtask/peers/jpegs.py crates/cnn-data/tests/fixtures/jpegs.json

Half of them Pillow encodes: narrow images of every subsampling that it knows, baseline and progressive. The others are made here
from random coefficients: other subsamplings, several scans, restart markers, colours named in several ways.
"""

import io
import json
import struct
import sys
import zlib

import numpy as np
from PIL import Image, features

# T.81, annex K.3: numbers of codes by length, and symbols.
DC = [([0, 1, 5, 1, 1, 1, 1, 1, 1] + [0] * 7, list(range(12)))]
AC_COUNTS = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D]
AC_SYMBOLS = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43"
    "4445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aa"
    "b2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
rng = np.random.default_rng(1)


def codes(counts, symbols):
    table, code, at = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[at : at + count]:
            table[symbol] = (code, length)
            code += 1
        at += count
        code <<= 1
    return table


DC_CODES = codes(*DC[0])
AC_CODES = codes(AC_COUNTS, AC_SYMBOLS)


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + bytes(body)


class Bits:
    def __init__(self):
        self.bits = []

    def put(self, value, count):
        self.bits += [value >> i & 1 for i in reversed(range(count))]

    def number(self, value):
        size = abs(value).bit_length()
        return size, value if value >= 0 else value + (1 << size) - 1

    def block(self, block, last):
        size, bits = self.number(block[0] - last)
        self.put(*DC_CODES[size])
        self.put(bits, size)
        zeros = 0
        for value in block[1:]:
            if value == 0:
                zeros += 1
                continue
            while zeros > 15:
                self.put(*AC_CODES[0xF0])
                zeros -= 16
            size, bits = self.number(value)
            self.put(*AC_CODES[zeros << 4 | size])
            self.put(bits, size)
            zeros = 0
        if zeros:
            self.put(*AC_CODES[0])

    def bytes(self):
        bits = self.bits + [1] * (-len(self.bits) % 8)
        whole = bytes(int("".join(map(str, bits[i : i + 8])), 2) for i in range(0, len(bits), 8))
        return whole.replace(b"\xff", b"\xff\x00")


def ceil(a, b):
    return -(-a // b)


def encode(w, h, factors, scans=None, restart=0, extra=b"", ids=None):
    """A baseline JPEG of random blocks: sampling factors (across, down) of each component, and the components of each scan."""
    ids = ids or list(range(1, len(factors) + 1))
    most = [max(f[axis] for f in factors) for axis in (0, 1)]
    units = [ceil(w, 8 * most[0]), ceil(h, 8 * most[1])]
    blocks = []
    for across, down in factors:
        grid = {}
        for y in range(units[1] * down):
            for x in range(units[0] * across):
                block = [int(rng.integers(-60, 60))] + [0] * 63
                for at in rng.integers(1, 64, int(rng.integers(0, 6))):
                    block[at] = int(rng.integers(-12, 13))
                grid[y, x] = block
        blocks.append(grid)
    out = b"\xff\xd8" + extra
    out += segment(0xDB, [0] + [1 + i // 6 for i in range(64)])
    frame = [8] + list(struct.pack(">HHB", h, w, len(factors)))
    for id, (across, down) in zip(ids, factors):
        frame += [id, across << 4 | down, 0]
    out += segment(0xC0, frame)
    out += segment(0xC4, [0] + DC[0][0] + DC[0][1] + [0x10] + AC_COUNTS + list(AC_SYMBOLS))
    if restart:
        out += segment(0xDD, struct.pack(">H", restart))
    for members in scans or [range(len(factors))]:
        members = list(members)
        header = [len(members)]
        for c in members:
            header += [ids[c], 0]
        out += segment(0xDA, header + [0, 63, 0])
        if len(members) == 1:
            across, down = factors[members[0]]
            size = [ceil(ceil(w * across, most[0]), 8), ceil(ceil(h * down, most[1]), 8)]
        else:
            size = units
        bits, last, number = Bits(), dict.fromkeys(members, 0), 0
        for unit in range(size[0] * size[1]):
            if restart and unit and unit % restart == 0:
                out += bits.bytes() + bytes([0xFF, 0xD0 + number % 8])
                bits, last, number = Bits(), dict.fromkeys(members, 0), number + 1
            y, x = divmod(unit, size[0])
            for c in members:
                across, down = factors[c] if len(members) > 1 else (1, 1)
                for v in range(down):
                    for u in range(across):
                        block = blocks[c][y * down + v, x * across + u]
                        bits.block(block, last[c])
                        last[c] = block[0]
        out += bits.bytes()
    return out + b"\xff\xd9"


def photo(w, h, channels):
    y, x = np.mgrid[0:h, 0:w]
    planes = [np.sin(x / (3 + k)) * 60 + np.cos(y / (5 - k)) * 60 + 128 for k in range(channels)]
    noisy = np.stack(planes, -1) + rng.normal(0, 25, (h, w, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def pillow(w, h, subsampling, **options):
    bytes = io.BytesIO()
    Image.fromarray(photo(w, h, 3)).save(bytes, "JPEG", quality=80, subsampling=subsampling, optimize=True, **options)
    return bytes.getvalue()


def cases():
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        for w in range(1, 6):
            yield f"{w}x{6 - w} {subsampling}", pillow(w, 6 - w, subsampling)
        for w in (2, 4, 5, 13):
            yield f"progressive {w}x9 {subsampling}", pillow(w, 9, subsampling, progressive=True)
    yield "progressive 35x34 4:2:0", pillow(35, 34, "4:2:0", progressive=True)
    yield "restarts 35x34", pillow(35, 34, "4:2:0", restart_marker_blocks=2)
    one = (1, 1)
    for luma in [(1, 2), (4, 1), (1, 4), (4, 2), (2, 4)]:
        for w, h in [(3, 3), (19, 21)]:
            yield f"{w}x{h} {luma[0]}x{luma[1]}", encode(w, h, [luma, one, one])
    yield "factors 2x2 2x1 2x1", encode(37, 35, [(2, 2), (2, 1), (2, 1)])
    yield "factors 2x2 1x2 1x1", encode(37, 35, [(2, 2), (1, 2), one])
    yield "factors 1x1 2x2 1x1", encode(37, 35, [one, (2, 2), one])
    # A unit has at most ten blocks.
    alone = [[0], [1], [2]]
    yield "factors 2x2 2x2 2x2", encode(37, 35, [(2, 2)] * 3, alone)
    for luma in [one, (2, 1), (1, 2), (2, 2), (4, 4)]:
        yield f"scans apart {luma[0]}x{luma[1]}", encode(37, 41, [luma, one, one], alone)
    yield "scans 0 12", encode(37, 41, [(2, 2), one, one], [[0], [1, 2]])
    yield "scans 2 0 1, restarts", encode(37, 41, [(2, 2), one, one], [[2], [0], [1]], restart=3)
    yield "gray 2x2", encode(19, 21, [(2, 2)])
    yield "ink in four scans", encode(19, 21, [one] * 4, [[0], [1], [2], [3]])
    yield "ink 2x2 1x1 1x1 2x2", encode(19, 21, [(2, 2), one, one, (2, 2)])
    jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    adobe = lambda transform: segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    for name, extra in [("none", b""), ("JFIF", jfif), ("JFIF Adobe0", jfif + adobe(0)), ("Adobe0 JFIF", adobe(0) + jfif)]:
        yield f"colour {name}", encode(16, 16, [one] * 3, extra=extra)
        yield f"colour {name}, RGB", encode(16, 16, [one] * 3, extra=extra, ids=list(b"RGB"))
    for name, extra in [("Adobe0", adobe(0)), ("Adobe1", adobe(1)), ("Adobe2", adobe(2)), ("Adobe1 Adobe0", adobe(1) + adobe(0))]:
        yield f"colour {name}, RGB", encode(16, 16, [one] * 3, extra=extra, ids=list(b"RGB"))
        yield f"colour {name}", encode(16, 16, [one] * 3, extra=extra)
        yield f"ink {name}", encode(16, 16, [one] * 4, extra=extra)


def main():
    written = []
    for name, jpeg in cases():
        with Image.open(io.BytesIO(jpeg)) as image:
            image.load()
            pixels = image if image.mode == "L" else image.convert("RGB")
            raw = np.ascontiguousarray(pixels).tobytes()
            shape = [1 if image.mode == "L" else 3, image.height, image.width]
        case = {"name": name, "jpeg": jpeg.hex(), "shape": shape, "crc32": zlib.crc32(raw)}
        if len(raw) <= 150:
            case["pixels"] = raw.hex()
        written.append(case)
    with open(sys.argv[1], "w") as file:
        json.dump({"libjpeg_turbo": features.version("libjpeg_turbo"), "cases": written}, file, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main()
