"""Encoders of pictures that owe nothing to Pillow: what is in the file is what a test wrote."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

PNG_KINDS = {"grey": 0, "rgb": 2, "palette": 3, "grey and alpha": 4, "rgba": 6}
TIFF_KINDS = {"white is 0": 0, "black is 0": 1, "rgb": 2, "cmyk": 5, "lab": 8}
TIFF_FORMATS = {"u": 1, "i": 2, "f": 3}


def png(kind: str, samples: np.ndarray, bits: int, chunks: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """`samples`: `[height, width]` or `[height, width, channels]`, each below 2^`bits`."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, PNG_KINDS[kind], 0, 0, 0)
    rows = samples.reshape(height, -1)
    binary = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(binary.reshape(height, -1).astype(np.uint8), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in packed)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    """A PNG's colour profile."""
    return b"iCCP", b"test\0\0" + zlib.compress(profile)


def tiff(kind: str, samples: np.ndarray, extra: int | None = None, orientation: int = 1) -> bytes:
    """`samples` in the type of the file. `extra`: what the last channel is, 1 premultiplied alpha, 2 plain alpha."""
    height, width, channels = samples.shape if samples.ndim == 3 else (*samples.shape, 1)
    data = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    form = TIFF_FORMATS[samples.dtype.kind]
    short, long = "H", "I"
    tags = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [8 * samples.dtype.itemsize] * channels),
        (259, short, [1]),
        (262, short, [TIFF_KINDS[kind]]),
        (273, long, [0]),
        (274, short, [orientation]),
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [len(data)]),
        *([] if extra is None else [(338, short, [extra])]),
        (339, short, [form] * channels),
    ]
    start = 8 + 2 + 12 * len(tags) + 4
    outside, entries = b"", []
    for tag, letter, values in tags:
        value = struct.pack(f"<{len(values)}{letter}", *values)
        if len(value) > 4:
            value, outside = struct.pack("<I", start + len(outside)), outside + value
        entries.append((tag, 3 if letter == short else 4, len(values), value.ljust(4, b"\0")))
    strip = struct.pack("<I", start + len(outside))
    directory = b"".join(
        struct.pack("<HHI4s", tag, form, count, strip if tag == 273 else value) for tag, form, count, value in entries
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + b"\0\0\0\0" + outside + data


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
