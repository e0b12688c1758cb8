"""One function decodes, by rules that stand in its docstring."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import decode, decoding
from attnzoo.errors import AttnzooError, DataError

from .pictures import encoded, picture, put

LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "WEBP": {"lossless": True}}
LOSSY = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}, "WEBP": {"quality": 95}}


@pytest.mark.parametrize("form", LOSSLESS)
def test_a_lossless_format_gives_the_pixels_back(form):
    pixels = decode(encoded(picture(1), form, **LOSSLESS[form]))
    assert (pixels.shape, pixels.dtype) == ((40, 48, 3), np.uint8)
    assert np.array_equal(pixels, np.asarray(picture(1)))
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("form", LOSSY)
def test_a_lossy_format_comes_near(form):
    pixels = decode(encoded(picture(1), form, **LOSSY[form])).astype(float)
    assert np.abs(pixels - np.asarray(picture(1))).mean() < 4


def test_a_name_says_nothing(tmp_path):
    for name in ("a.png", "b.jpg", "c.txt", "d"):
        assert np.array_equal(decode(put(tmp_path / name, encoded(picture(1), "BMP"))), np.asarray(picture(1)))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_picture_upright_once(form, orientation):
    """The eight ways in which EXIF may say that a camera was held."""
    upright = np.asarray(picture(3))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(form, {})
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), form, exif=exif, **options)
    pixels = decode(data).astype(int)
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).max() <= (8 if form == "JPEG" else 0)


def test_damaged_exif_turns_nothing():
    data = encoded(picture(1), "PNG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert np.array_equal(decode(data), np.asarray(picture(1)))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(form):
    ramp = np.arange(256 * 64, dtype=np.uint16).reshape(64, 256) * 4
    pixels = decode(encoded(Image.fromarray(ramp), form))
    assert np.array_equal(pixels[..., 0], np.rint(ramp / 257).astype(np.uint8))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert len(np.unique(pixels)) > 200


def test_twelve_bits_are_scaled_by_their_own_range():
    values = np.array([0, 1000, 4095, 2048], dtype=np.uint16)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in values.reshape(-1, 2).tolist())
    tags = [(256, 4, 4), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, 1), (279, 4, 6)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = struct.pack("<2sHI", b"II", 42, 14) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)
    assert decode(data)[0, :, 0].tolist() == [0, 62, 255, 128]


@pytest.mark.parametrize(
    ("image", "form"),
    [(Image.new("F", (40, 40), 0.5), "TIFF"), (Image.new("I", (40, 40), 5), "TIFF")],
)
def test_numbers_without_a_range_are_refused(image, form):
    with pytest.raises(DataError, match=r"^a picture: pixels are 32-bit numbers without an agreed range; "):
        decode(encoded(image, form))


def clear(mode: str) -> Image.Image:
    """Returns red of which the left half is transparent, with a hidden colour."""
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 255))
    image.paste((0, 255, 0, 0), (0, 0, 20, 40))
    return image.convert(mode) if mode != "P" else image.quantize(4)


@pytest.mark.parametrize(("mode", "form"), [("RGBA", "PNG"), ("RGBA", "WEBP"), ("P", "PNG"), ("RGBA", "GIF")])
def test_what_is_transparent_lies_on_the_background(mode, form):
    data = encoded(clear(mode), form, **({"lossless": True} if form == "WEBP" else {}))
    assert decode(data)[5, 5].tolist() == [255, 255, 255]
    assert decode(data, background=(0, 0, 9))[5, 5].tolist() == [0, 0, 9]
    assert decode(data)[5, 30].tolist() == [255, 0, 0]


def test_a_transparent_colour_of_a_file_without_alpha():
    data = encoded(Image.new("RGB", (40, 40), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert decode(data)[0, 0].tolist() == [255, 255, 255]
    grey = encoded(Image.new("LA", (40, 40), (10, 0)), "PNG")
    assert decode(grey, background=(7, 8, 9))[0, 0].tolist() == [7, 8, 9]


def test_a_transparent_picture_is_turned_with_its_transparency():
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = 6
    pixels = decode(encoded(clear("P"), "PNG", exif=exif))
    assert pixels[5, 5].tolist() == [255, 255, 255]
    assert pixels[30, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("mode", "form"), [("L", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("CMYK", "JPEG"), ("P", "PNG")])
def test_other_colours_become_three_channels(mode, form):
    image = picture(2).convert(mode)
    pixels = decode(encoded(image, form, **({"quality": 100} if form == "JPEG" else {})))
    assert pixels.shape == (40, 48, 3)
    assert np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() < 3


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        data = encoded(
            frames[0], form, save_all=True, append_images=frames[1:], **({"lossless": True} if form == "WEBP" else {})
        )
        assert decode(data)[3, 3].tolist() == [255, 0, 0], form


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """Returns the header of a large picture, with few bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


BAD = {
    "empty": b"",
    "text": b"no picture at all",
    "html": b"<!doctype html><title>404</title>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "bomb": bomb(50_000, 50_000),
    "bomb_below": bomb(9_500, 9_500),
    "half_jpeg": encoded(picture(1))[: len(encoded(picture(1))) // 2],
    "half_png": encoded(picture(1), "PNG")[: len(encoded(picture(1), "PNG")) // 2],
    "no_pixels": bomb(40, 40),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_decoded_is_one_line(name, tmp_path):
    path = put(tmp_path / "x.jpg", BAD[name])
    with pytest.raises(DataError, match=r"^\S*x\.jpg: .+\.$") as raised:
        decode(path)
    assert "\n" not in str(raised.value)


def test_a_jpeg_cut_in_half_is_refused_though_pillow_verifies_it(tmp_path):
    whole = encoded(picture(1, (300, 200)))
    path = put(tmp_path / "x.jpg", whole[: len(whole) // 2])
    with Image.open(path) as image:
        image.verify()
    with pytest.raises(DataError, match=r"x\.jpg: cut off before its end\.$"):
        decode(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("nowhere", tmp_path / "link.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("pipe.jpg", "link.jpg", "folder.jpg", "none.jpg", "a\0b.jpg"):
        with pytest.raises(DataError):
            decode(tmp_path / name)


def test_a_background_that_is_no_colour():
    for wrong in ((0, 0), (0, 0, 256), (0.5, 0, 0)):
        with pytest.raises(AttnzooError, match="expected three whole numbers from 0 to 255"):
            decode(encoded(picture(1)), background=wrong)


def test_a_path_may_hold_any_letters(tmp_path: Path):
    for name in ("é.png", "图.png", "a b'\".png", "\udcff.png" if os.name == "posix" else "x.png"):
        assert decode(put(tmp_path / name, encoded(picture(1), "PNG"))).shape == (40, 48, 3)
