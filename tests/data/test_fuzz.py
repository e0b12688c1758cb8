"""Damaged pictures: each is decoded, or refused in one line; nothing else happens."""

from __future__ import annotations

import random
import warnings

import pytest
from PIL import Image

from attnzoo.data import decode
from attnzoo.data.looking import look
from attnzoo.errors import DataError

from .pictures import encoded, picture

SEEDS = {
    "jpeg": encoded(picture(1), "JPEG"),
    "progressive": encoded(picture(1, mode="L"), "JPEG", progressive=True),
    "png": encoded(picture(1, mode="RGBA"), "PNG"),
    "palette": encoded(picture(1).quantize(16), "PNG"),
    "gif": encoded(picture(1), "GIF", save_all=True, append_images=[picture(2)]),
    "bmp": encoded(picture(1), "BMP"),
    "webp": encoded(picture(1), "WEBP"),
    "tiff": encoded(picture(1), "TIFF", compression="tiff_lzw"),
    "deflated": encoded(picture(1), "TIFF", compression="tiff_deflate"),
    "avif": encoded(picture(1), "AVIF"),
    "ppm": encoded(picture(1), "PPM"),
    "sixteen": encoded(Image.new("I;16", (40, 40), 5000), "PNG"),
}


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Returns a file with one kind of damage: cut, bytes changed, a piece repeated or removed."""
    at = draw.randrange(len(data))
    kind = draw.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(draw.randint(1, 8)):
            changed[draw.randrange(len(data))] = draw.randrange(256)
        return bytes(changed)
    if kind == 2:  # the head has sizes and offsets
        changed = bytearray(data)
        for _ in range(draw.randint(1, 3)):
            changed[draw.randrange(min(64, len(data)))] = draw.choice((0, 1, 127, 128, 255))
        return bytes(changed)
    end = min(len(data), at + draw.randint(1, 40))
    return data[:end] + data[at:] if kind == 3 else data[:at] + data[end:]


def try_all(number: int, seed: int) -> tuple[int, int]:
    """Returns how many damaged pictures were decoded, and how many refused."""
    draw = random.Random(seed)
    refused = 0
    for _ in range(number):
        data = damaged(SEEDS[draw.choice(list(SEEDS))], draw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = refusal(data)
        assert "\n" not in said
        refused += bool(said)
    return number - refused, refused


def refusal(data: bytes) -> str:
    """Returns what is said of a picture, "" if it is decoded."""
    try:
        pixels = decode(data)
    except DataError as error:
        return str(error)
    assert pixels.shape[2:] == (3,)
    return ""


def test_damaged_pictures_are_decoded_or_refused():
    good, bad = try_all(400, seed=0)
    assert good > 30
    assert bad > 100


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(1, 21))
def test_many_damaged_pictures_are_decoded_or_refused(seed):
    assert min(try_all(2000, seed)) > 0


@pytest.mark.parametrize("name", ["jpeg", "progressive", "png", "palette", "bmp", "webp", "tiff", "deflated", "ppm"])
def test_a_picture_cut_anywhere_but_at_its_end_is_refused(name, tmp_path):
    data = SEEDS[name]
    path = tmp_path / "x"
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        path.write_bytes(data[: int(len(data) * part)])
        assert look(path).problem, part
    path.write_bytes(data)
    assert not look(path).problem
