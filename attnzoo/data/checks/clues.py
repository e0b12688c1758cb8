"""Properties of files that tell the class without a look at the picture.

Where all cats are PNGs, a network learns what PNGs look like. For each property, half of the pictures predict the
class of the other half, by eighths of the range, every class counting the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from attnzoo.data.findings import Finding
from attnzoo.data.images import Looked, Picture

FEWEST = 20  # pictures a class
PARTS = 8
TELLS = 0.5  # of the way from guessing to knowing

PROPERTIES: dict[str, Callable[[Picture], float | str]] = {
    "the format": lambda p: p.facts.format,
    "the mode of colours": lambda p: p.facts.mode,
    "the size of the file": lambda p: p.facts.size,
    "the number of pixels": lambda p: p.facts.width * p.facts.height,
    "the aspect ratio": lambda p: p.facts.width / p.facts.height,
    "the EXIF orientation": lambda p: str(p.facts.orientation),
    "the brightness": lambda p: float(np.frombuffer(p.facts.small, np.uint8).mean()),
}


def check(looked: Looked) -> Iterator[Finding]:
    counts = looked.counts()
    known = [label for label in looked.classes if counts[label] >= FEWEST]
    if len(known) < 2 or looked.multi_label:
        return
    pictures = sorted((p for p in looked.pictures if p.label in known), key=lambda p: p.facts.sha256)
    classes = np.array([known.index(p.label) for p in pictures])
    chance = 1 / len(known)
    for name, of in PROPERTIES.items():
        found = _accuracy(np.array([of(p) for p in pictures]), classes, len(known))
        if found >= chance + TELLS * (1 - chance):
            text = (
                f"{name} alone tells the class of {100 * found:.0f} % of the pictures (guessing: {100 * chance:.0f} %);"
                " a network can learn that instead of what they show."
            )
            yield Finding("warning", "clues", text)


def _accuracy(values: np.ndarray, classes: np.ndarray, number: int) -> float:
    """Returns the mean over classes of how often the value alone is right about pictures it was not fitted to."""
    if values.dtype.kind == "f" or values.dtype.kind == "i":
        values = np.digitize(values, np.quantile(values, np.linspace(0, 1, PARTS + 1)[1:-1]))
    kinds, parts = np.unique(values, return_inverse=True)
    if len(kinds) < 2:
        return 0.0
    share = 1 / np.bincount(classes, minlength=number)
    right = np.zeros(number)
    half = np.arange(len(classes)) % 2
    for fitted in (0, 1):
        table = np.zeros((len(kinds), number))
        np.add.at(table, (parts[half == fitted], classes[half == fitted]), share[classes[half == fitted]])
        rest = half != fitted
        hit = table.argmax(axis=1)[parts[rest]] == classes[rest]
        np.add.at(right, classes[rest][hit], share[classes[rest][hit]])
    return float(right.mean())
