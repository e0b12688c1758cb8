"""Which pictures show the same: equal files, and nearly equal pictures.

Two pictures are compared as 16 x 16 colours, by correlation: what is saved again, resized or made brighter stays above
0.99, and so does its mirror image. Comparing all with all is one product of matrices: 10,000 pictures take seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from attnzoo.data.looking import SIDE, Facts

SMALLEST = 32  # pixels; below, different pictures are too much alike
FLATTEST = 3.0  # deviation of colours, of 255; below, noise is compared
BLOCK = 1 << 22  # similarities at a time


class Clusters:
    """Numbers joined into sets.

    Attributes:
        of: for each number the smallest in its set.
    """

    def __init__(self, size: int):
        self.of = np.arange(size)

    def join(self, numbers: Sequence[int] | np.ndarray) -> None:
        """Makes one set of all sets that the numbers are in."""
        sets = np.unique(self.of[np.asarray(numbers, dtype=np.intp)])
        if len(sets) > 1:
            self.of[np.isin(self.of, sets)] = sets[0]


def groups(keys: Iterable[str]) -> list[list[int]]:
    """Returns the numbers of equal keys, where there are several; `""` equals nothing."""
    found: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        if key:
            found.setdefault(key, []).append(number)
    return [numbers for numbers in found.values() if len(numbers) > 1]


def near(facts: Sequence[Facts], likeness: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the number of each picture that later ones are near, with theirs; those of equal files are left out.

    Args:
        facts: of the pictures.
        likeness: the least correlation.
    """
    vectors, mirrored, numbers = _vectors(facts)
    if len(numbers) < 2 or likeness >= 1:
        return
    files = np.unique([facts[n].sha256 for n in numbers], return_inverse=True)[1]
    rows = max(1, BLOCK // len(numbers))
    for start in range(0, len(numbers), rows):
        part = vectors[start : start + rows]
        alike = np.maximum(part @ vectors[start:].T, part @ mirrored[start:].T) >= likeness
        for row in np.flatnonzero(alike.sum(axis=1) > 1):  # one is itself
            here = start + int(row)
            others = here + np.flatnonzero(alike[row, row:] & (files[here:] != files[here]))
            if len(others):
                yield int(numbers[here]), numbers[others]


def _vectors(facts: Sequence[Facts]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pictures that can be compared and their mirror images, of length 1, and their numbers."""
    large = [n for n, f in enumerate(facts) if min(f.width, f.height) >= SMALLEST]
    if not large:
        return np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0, np.intp)
    small = np.frombuffer(b"".join(facts[n].small for n in large), np.uint8).reshape(-1, SIDE, SIDE, 3)
    pixels = small.astype(np.float32)
    pixels -= pixels.mean(axis=(1, 2, 3), keepdims=True)
    spread = np.sqrt((pixels**2).mean(axis=(1, 2, 3)))
    kept = spread >= FLATTEST
    pixels = pixels[kept] / (spread[kept] * np.sqrt(pixels[0].size))[:, None, None, None]
    flat = (len(pixels), SIDE * SIDE * 3)
    return pixels.reshape(flat), pixels[:, :, ::-1].reshape(flat), np.array(large, np.intp)[kept]
