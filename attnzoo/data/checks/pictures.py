"""Pictures that show little, or are odd among the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attnzoo.data.findings import Finding, count
from attnzoo.data.images import Looked, Picture
from attnzoo.data.looking import SIDE

TINY = 32
LONGEST = 5.0  # width to height, or height to width
DARK, LIGHT = 10, 245  # 99 % of the picture, of 255
FLAT = 8  # range of a colour, of 255
GREY = 2  # between red, green and blue, of 255


def check(looked: Looked) -> Iterator[Finding]:
    tiny = [f"{p.name} ({_size(p)})" for p in looked.pictures if min(p.facts.width, p.facts.height) < TINY]
    if tiny:
        text = f"{count(len(tiny), 'picture')} with a side below {TINY} pixels; only equal files are found among them."
        yield Finding("warning", "tiny", text, tuple(tiny))
    long = [f"{p.name} ({_size(p)})" for p in looked.pictures if _ratio(p) > LONGEST]
    if long:
        text = f"{count(len(long), 'picture')} more than {LONGEST:g} times as long as wide; little is left in a square."
        yield Finding("warning", "aspect", text, tuple(long))
    yield from _content(looked)


def _content(looked: Looked) -> Iterator[Finding]:
    """Yields what the pictures in small tell, from all of them at once."""
    pixels = np.frombuffer(b"".join(p.facts.small for p in looked.pictures), np.uint8).reshape(-1, SIDE * SIDE, 3)
    dark = (pixels < DARK).mean(axis=(1, 2)) >= 0.99
    light = (pixels > LIGHT).mean(axis=(1, 2)) >= 0.99
    flat = (pixels.max(axis=1) - pixels.min(axis=1)).max(axis=1, initial=0) < FLAT
    words = np.where(dark, "dark", np.where(light, "light", np.where(flat, "one colour", "")))
    empty = [f"{p.name} ({word})" for p, word in zip(looked.pictures, words, strict=True) if word]
    if empty:
        text = f"{count(len(empty), 'picture')} with almost nothing to see; 16-bit ones may use little of their range."
        yield Finding("warning", "empty", text, tuple(empty))
    coloured = (pixels.max(axis=2) - pixels.min(axis=2)).max(axis=1, initial=0) > GREY
    grey = [p.name for p, colour in zip(looked.pictures, coloured, strict=True) if not colour]
    if grey and len(grey) < len(looked.pictures):
        text = f"{count(len(grey), 'picture')} without colour among {len(looked.pictures) - len(grey):,} with it."
        yield Finding("note", "grey", text, tuple(grey))


def _size(p: Picture) -> str:
    return f"{p.facts.width} x {p.facts.height}"


def _ratio(p: Picture) -> float:
    return max(p.facts.width, p.facts.height) / min(p.facts.width, p.facts.height)
