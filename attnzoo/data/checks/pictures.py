"""Pictures that show little, or are odd among the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attnzoo.data.findings import Finding, count
from attnzoo.data.images import Looked, Picture

TINY = 32
LONGEST = 5.0  # width to height, or height to width
DARK, LIGHT = 10, 245  # 99 % of the picture, of 255
FLAT = 3.0


def check(looked: Looked) -> Iterator[Finding]:
    tiny = [f"{p.name} ({_size(p)})" for p in looked.pictures if min(p.facts.width, p.facts.height) < TINY]
    if tiny:
        text = f"{count(len(tiny), 'picture')} with a side below {TINY} pixels; only equal files are found among them."
        yield Finding("warning", "tiny", text, tuple(tiny))
    long = [f"{p.name} ({_size(p)})" for p in looked.pictures if _ratio(p) > LONGEST]
    if long:
        text = f"{count(len(long), 'picture')} more than {LONGEST:g} times as long as wide; little is left in a square."
        yield Finding("warning", "aspect", text, tuple(long))
    empty = [f"{p.name} ({word})" for p in looked.pictures if (word := _empty(p))]
    if empty:
        text = f"{count(len(empty), 'picture')} with almost nothing to see; 16-bit ones may use little of their range."
        yield Finding("warning", "empty", text, tuple(empty))
    colour = [p for p in looked.pictures if _coloured(p)]
    grey = [p.name for p in looked.pictures if not _coloured(p)]
    if colour and grey:
        text = f"{count(len(grey), 'picture')} without colour among {len(colour):,} with it."
        yield Finding("note", "grey", text, tuple(grey))


def _size(p: Picture) -> str:
    return f"{p.facts.width} x {p.facts.height}"


def _ratio(p: Picture) -> float:
    return max(p.facts.width, p.facts.height) / min(p.facts.width, p.facts.height)


def _pixels(p: Picture) -> np.ndarray:
    return np.frombuffer(p.facts.small, np.uint8).reshape(-1, 3).astype(np.float32)


def _empty(p: Picture) -> str:
    pixels = _pixels(p)
    if np.percentile(pixels, 99) < DARK:
        return "dark"
    if np.percentile(pixels, 1) > LIGHT:
        return "light"
    return "one colour" if pixels.std(axis=0).max() < FLAT else ""


def _coloured(p: Picture) -> bool:
    pixels = _pixels(p)
    return bool(np.ptp(pixels, axis=1).max() > 2)
