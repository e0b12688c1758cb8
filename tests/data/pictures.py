"""Pictures for tests, and folders of them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import attnzoo


def picture(seed: int, size: tuple[int, int] = (48, 40), mode: str = "RGB") -> Image.Image:
    """Returns a picture that is like no other: coloured patches with soft edges."""
    patches = np.random.default_rng(seed).integers(0, 256, (7, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """Returns the file of a picture."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def put(path: Path, data: bytes) -> Path:
    """Writes a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fill(root: Path, *, seed: int = 0, **classes: int) -> Path:
    """Writes so many pictures of each class; two underscores stand for a slash."""
    for label, number in classes.items():
        for n in range(number):
            seed += 1
            put(root / label.replace("__", "/") / f"{n}.png", encoded(picture(seed), "PNG"))
        (root / label.replace("__", "/")).mkdir(parents=True, exist_ok=True)
    return root


def check(data: Path, **options: Any) -> attnzoo.data.DataReport:
    """Looks at data in this process, with a cache beside it."""
    options = {"workers": 0, "cache": data.parent / f"{data.name}-cache", **options}
    return attnzoo.check_data(data, **options)


def lines(report: attnzoo.data.DataReport, *levels: str) -> list[str]:
    """Returns what was found, without what small sets are always told."""
    return [f"{f.check}: {f.text} {list(f.files)}" for f in report.findings if f.level in levels and f.check != "few"]


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Returns what is in a folder: sizes and times of all files."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = status.st_size, status.st_mtime_ns
    return found
