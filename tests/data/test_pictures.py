"""A picture is what a viewer shows, whatever it is stored as: compared with renderings made here, in numpy."""

from __future__ import annotations

import colorsys
import random
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lmm_r1.data.colours import as_rgb
from lmm_r1.data.pictures import decode
from lmm_r1.errors import UserError
from tests.data.encoded import png, profile_chunk, tiff

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
ALPHA = np.linspace(0, 255, 35).reshape(5, 7).astype(np.uint8)
COLOURS = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
FOUR = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
DEEP = np.array([[0, 1, 255, 256, 1000], [30000, 32767, 32768, 65279, 65535]], np.uint16)


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = np.asarray(alpha, float)[..., None] / 255
    return colours * share + 255 * (1 - share)


def differs(image: Image.Image, expected: np.ndarray) -> float:
    """The greatest difference of a channel, 0 to 255."""
    assert image.mode == "RGB"
    shown = np.asarray(image).astype(float)
    assert shown.shape == expected.shape
    return float(np.abs(shown - expected).max())


def lab_colours(lab: np.ndarray) -> np.ndarray:
    """CIELAB with D50 white, as TIFF writes it with a and b signed, to sRGB: Bradford's matrix, then IEC 61966."""
    y = (lab[..., 0].astype(float) * 100 / 255 + 16) / 116
    a, b = (lab[..., channel].astype(np.int8).astype(float) for channel in (1, 2))
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1.0, 0.8249)
    matrix = [[3.1339, -1.6169, -0.4906], [-0.9788, 1.9161, 0.0335], [0.0719, -0.2290, 1.4052]]
    linear = np.clip(xyz @ np.array(matrix).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def of_mode(mode: str) -> tuple[Image.Image, np.ndarray]:
    """A picture with known numbers in each mode of Pillow, and how it looks by the definition of the mode."""
    palette = RANDOM.integers(0, 256, (256, 3), dtype=np.uint8)
    if mode == "1":
        return Image.fromarray(GREY > 99), three(np.where(GREY > 99, 255, 0))
    if mode == "L":
        return Image.fromarray(GREY), three(GREY)
    if mode.startswith("I;16"):
        kind = ">u2" if mode.endswith("B") else "<u2"
        return Image.frombytes(mode, DEEP.shape[::-1], DEEP.astype(kind).tobytes()), three(DEEP / 257)
    if mode in ("P", "PA"):
        image = Image.fromarray(GREY).copy()
        image.putpalette(palette.tobytes())
        if mode == "P":
            return image, palette[GREY]
        image.putalpha(Image.fromarray(ALPHA))
        return image, over_white(palette[GREY], ALPHA)
    if mode in ("LA", "La"):
        image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
        return image.convert(mode), over_white(three(GREY), ALPHA)
    if mode in ("RGBA", "RGBa"):
        image = Image.frombytes("RGBA", (7, 5), np.dstack([COLOURS, ALPHA]).tobytes())
        return image.convert(mode), over_white(COLOURS, ALPHA)
    channels = FOUR if mode in ("RGBX", "CMYK") else COLOURS
    image = Image.frombytes(mode, (7, 5), channels.tobytes())
    if mode in ("RGB", "RGBX"):
        return image, channels[..., :3]
    if mode == "CMYK":
        ink = channels.astype(float)
        return image, (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    if mode == "YCbCr":  # ITU-R BT.601 in JPEG's full range
        y, blue, red = (channels[..., k].astype(float) for k in range(3))
        shown = [
            y + 1.402 * (red - 128),
            y - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
            y + 1.772 * (blue - 128),
        ]
        return image, np.clip(np.stack(shown, axis=-1), 0, 255)
    if mode == "HSV":
        return image, 255 * np.apply_along_axis(lambda one: colorsys.hsv_to_rgb(*one), -1, channels / 255)
    if mode == "LAB":
        lab = (channels // np.array([1, 8, 8], np.uint8)) + np.array([0, 240, 240], np.uint8)  # colours that sRGB has
        return Image.frombytes("LAB", (7, 5), lab.tobytes()), lab_colours(lab)
    raise NotImplementedError(mode)


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", *DEEP_MODES],
)
def test_every_mode_looks_as_it_is_defined(mode: str) -> None:
    image, expected = of_mode(mode)
    assert image.mode == mode
    # Premultiplied colours are rounded before they are divided, hue has 256 steps, and CIELAB goes through tables.
    assert differs(as_rgb(image), expected) <= {"RGBa": 2, "La": 2, "HSV": 4, "LAB": 3}.get(mode, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 64, 255]),
        (np.array([[0.0, 64.0, 255.0]], np.float32), [0, 64, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 127.5, 255]),
        (np.array([[np.nan, 0.5, 1.0]], np.float32), [0, 127.5, 255]),
        (np.array([[5.0, 5.0, 5.0]], np.float32), [0, 0, 0]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 127.5, 255]),
        (np.array([[-(2**31), 0, 2**31 - 1]], np.int32), [0, 127.5, 255]),
        (np.array([[1000, 1001, 1003]], np.int32), [0, 85, 255]),
    ],
)
def test_what_names_no_white_is_spread_from_its_least_to_its_greatest(values: np.ndarray, expected: list) -> None:
    shown = decode(tiff("black is 0", values), "x")
    assert differs(shown, three([expected])) <= 1
    if values.dtype == np.float32:  # Pillow opens no others
        assert differs(decode(tiff("white is 0", values), "x"), 255 - three([expected])) <= 1


def test_sixteen_bits_keep_their_share_of_the_formats_white() -> None:
    expected = three(DEEP / 257)
    portable = b"P5 5 2 65535\n" + DEEP.astype(">u2").tobytes()
    twelve_bits = b"P5 5 2 4095\n" + (DEEP >> 4).astype(">u2").tobytes()
    for encoded in (png("grey", DEEP, 16), tiff("black is 0", DEEP), portable, twelve_bits):
        assert differs(decode(encoded, "x"), expected) <= 1
    assert differs(decode(tiff("white is 0", DEEP), "x"), 255 - expected) <= 1
    dark = np.full((2, 2), 4095, np.uint16)
    assert differs(decode(png("grey", dark, 16), "x"), three(dark / 257)) <= 1


def test_sixteen_bits_of_colour_keep_their_high_byte() -> None:
    deep = RANDOM.integers(0, 65536, (3, 4, 4), dtype=np.uint16)
    colours, alpha = deep[..., :3] / 257, deep[..., 3] / 257
    for encoded in (png("rgb", deep[..., :3], 16), tiff("rgb", deep[..., :3])):
        assert differs(decode(encoded, "x"), colours) <= 1
    for encoded in (png("rgba", deep, 16), tiff("rgb", deep, extra=2)):
        assert differs(decode(encoded, "x"), over_white(colours, alpha)) <= 2
    grey = deep[..., :2]
    assert (
        differs(decode(png("grey and alpha", grey, 16), "x"), over_white(three(grey[..., 0] / 257), grey[..., 1] / 257))
        <= 2
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_greys_of_few_bits_keep_their_share(bits: int) -> None:
    samples = RANDOM.integers(0, 2**bits, (5, 7), dtype=np.uint8)
    assert differs(decode(png("grey", samples, bits), "x"), three(samples / (2**bits - 1) * 255)) <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png_is_white(bits: int) -> None:
    samples = RANDOM.integers(0, 2, (5, 7), dtype=np.uint16) * (2**bits // 3)
    clear = int(samples.max())
    expected = three(np.where(samples == clear, 255, samples / (2**bits - 1) * 255))
    assert differs(decode(png("grey", samples, bits, [(b"tRNS", struct.pack(">H", clear))]), "x"), expected) <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_colour_of_a_png_is_white(bits: int) -> None:
    samples = np.array([[[1, 2, 3], [200, 100, 50]]], np.uint16) << (bits - 8)
    expected = np.array([[[255, 255, 255], [200, 100, 50]]])
    encoded = png("rgb", samples, bits, [(b"tRNS", struct.pack(">HHH", *samples[0, 0].tolist()))])
    assert differs(decode(encoded, "x"), expected) <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_with_transparency_lies_over_white(bits: int) -> None:
    size = 2**bits
    palette, alpha = RANDOM.integers(0, 256, (size, 3), dtype=np.uint8), RANDOM.integers(0, 256, size, dtype=np.uint8)
    places = RANDOM.integers(0, size, (5, 7), dtype=np.uint8)
    colours = (b"PLTE", palette.tobytes())
    assert differs(decode(png("palette", places, bits, [colours]), "x"), palette[places]) == 0
    clear = png("palette", places, bits, [colours, (b"tRNS", alpha.tobytes())])
    assert differs(decode(clear, "x"), over_white(palette[places], alpha[places])) <= 1
    # Fewer transparencies than colours: the others are opaque.
    first = png("palette", places, bits, [colours, (b"tRNS", b"\0")])
    assert differs(decode(first, "x"), np.where((places == 0)[..., None], 255, palette[places])) == 0


def test_tiffs_other_ways_of_colour_are_read() -> None:
    ink = FOUR.astype(float)
    assert differs(decode(tiff("cmyk", FOUR), "x"), (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255) <= 1
    grey_and_alpha = np.dstack([GREY, ALPHA])
    assert differs(decode(tiff("black is 0", grey_and_alpha, extra=2), "x"), over_white(three(GREY), ALPHA)) <= 1
    premultiplied = np.dstack([(COLOURS * (ALPHA[..., None] / 255)).round().astype(np.uint8), ALPHA])
    assert differs(decode(tiff("rgb", premultiplied, extra=1), "x"), over_white(COLOURS, ALPHA)) <= 2
    assert differs(decode(tiff("white is 0", GREY), "x"), 255.0 - three(GREY)) == 0
    lab = np.array([[[128, 0, 0], [200, 10, 246], [60, 240, 20]]], np.uint8)
    assert differs(decode(tiff("lab", lab), "x"), lab_colours(lab)) <= 2


TURNED = {  # EXIF's orientation: what turns the stored picture upright
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", TURNED)
def test_every_orientation_stands_upright(orientation: int) -> None:
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHH", 1, 0x112, 3, 1, orientation, 0) + b"\0\0\0\0"
    expected = TURNED[orientation](COLOURS)
    assert differs(decode(png("rgb", COLOURS, 8, [(b"eXIf", exif)]), "x"), expected) == 0
    assert differs(decode(tiff("rgb", COLOURS, orientation=orientation), "x"), expected) == 0
    deep = decode(png("grey", DEEP, 16, [(b"eXIf", exif)]), "x")
    assert differs(deep, TURNED[orientation](three(DEEP / 257))) <= 1
    flat = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))  # blocks that JPEG keeps
    for kind, options in (("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {"lossless": True})):
        stream = BytesIO()
        Image.fromarray(flat).save(stream, kind, exif=b"Exif\0\0" + exif, **options)
        assert differs(decode(stream.getvalue(), "x"), TURNED[orientation](flat)) <= 6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_shown(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    stream = BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(stream).n_frames == 3
    assert np.asarray(decode(stream.getvalue(), "x")).reshape(-1, 3).tolist() == [[255, 0, 0]] * 256


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "named.jpg").write_bytes(png("rgb", COLOURS, 8))
    assert differs(decode(tmp_path / "named.jpg", "x"), COLOURS) == 0


def swapped_profile() -> bytes:
    """A profile of RGB by which what is stored as red is seen as blue: none but a reader of profiles shows it right."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for place in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        tag = bytes(profile[place : place + 4])
        profile[place : place + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(profile).replace(b"s\0R\0G\0B", b"t\0e\0s\0t")


def test_a_colour_profile_is_followed() -> None:
    swapped = COLOURS[..., ::-1].astype(float)
    chunk = profile_chunk(swapped_profile())
    assert differs(decode(png("rgb", COLOURS, 8, [chunk]), "x"), swapped) <= 2
    clear = png("rgba", np.dstack([COLOURS, ALPHA]), 8, [chunk])
    assert differs(decode(clear, "x"), over_white(swapped, ALPHA)) <= 2
    palette = png("palette", np.array([[0]]), 8, [chunk, (b"PLTE", bytes([250, 100, 10]))])
    assert differs(decode(palette, "x"), np.array([[[10, 100, 250]]])) <= 2


def test_a_profile_that_is_damaged_or_of_another_colour_space_is_passed_over() -> None:
    for profile in (b"nothing", swapped_profile()[:200]):
        assert differs(decode(png("rgb", COLOURS, 8, [profile_chunk(profile)]), "x"), COLOURS) == 0
    assert differs(decode(png("grey", GREY, 8, [profile_chunk(swapped_profile())]), "x"), three(GREY)) == 0


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_picture_is_refused_in_one_line_or_read() -> None:
    chance = random.Random(0)
    sources = [png("rgb", COLOURS, 8), tiff("rgb", COLOURS)]
    for kind in ("GIF", "JPEG", "WEBP", "AVIF", "BMP", "ICNS", "BLP", "JPEG2000"):
        stream = BytesIO()
        Image.fromarray(COLOURS).convert("P" if kind in ("GIF", "BLP") else "RGB").save(stream, kind)
        sources.append(stream.getvalue())
    refused = 0
    for number in range(600):
        damaged = bytearray(sources[number % len(sources)])
        for _ in range(chance.choice((1, 4, 16))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            assert (
                decode(bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))]), "x").mode
                == "RGB"
            )
        except UserError as error:
            refused += 1
            assert str(error).startswith("x: cannot be read as a picture (") and " object at 0x" not in str(error)
    assert 100 < refused < 600
