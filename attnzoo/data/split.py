"""Dividing pictures into those to learn from and those to validate with.

What belongs together (copies, near copies, a group) comes on one side as a whole. The order in which wholes are drawn
comes from what is in the files and the seed: other names or another order change nothing, and pictures that are added
move few others.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A picture, as far as a split is concerned.

    Attributes:
        labels: its classes.
        sha256: of its file.
        together: equal for pictures that stay on one side, which equal files always do.
    """

    labels: tuple[str, ...]
    sha256: str
    together: Hashable


@dataclass(frozen=True)
class _Whole:
    """Pictures that stay together: their numbers, how many there are of each class, and their place in the draw."""

    numbers: tuple[int, ...]
    counts: Mapping[str, int]
    place: str


def divide(items: Sequence[Item], fraction: float, seed: int) -> tuple[set[int], dict[str, str]]:
    """Returns the numbers of the items to validate with, and for each class that is not on both sides the reason.

    Args:
        items: all pictures.
        fraction: how much of each class to validate with.
        seed: another draw.
    """
    draw = _Draw(_wholes(items, seed), fraction)
    # The rarest class first: later ones still find something that suits them.
    labels = sorted(draw.total, key=lambda label: (draw.total[label], label))
    for label in labels:
        for whole in draw.of[label]:
            if draw.fits(whole) and draw.cost(whole) < 0:
                draw.choose(whole)
    for label in labels:
        if not draw.have[label]:
            possible = [whole for whole in draw.of[label] if draw.fits(whole)]
            if possible:
                draw.choose(min(possible, key=lambda whole: (draw.cost(whole), whole.place)))
    reasons = {
        label: _reason(draw.total[label], len(draw.of[label]))
        for label in sorted(labels)
        if label and not draw.have[label]
    }
    return {number for whole in draw.chosen.values() for number in whole.numbers}, reasons


class _Draw:
    """Wholes that were chosen, and what that makes of the classes.

    Attributes:
        total: how many pictures there are of each class.
        of: the wholes of each class, in the order of the draw.
        have: how many are chosen of each class.
        chosen: the wholes that are, by their places.
    """

    def __init__(self, wholes: Sequence[_Whole], fraction: float):
        self.total: Counter[str] = Counter()
        self.of: dict[str, list[_Whole]] = {}
        for whole in wholes:
            self.total.update(whole.counts)
            for label in whole.counts:
                self.of.setdefault(label, []).append(whole)
        self.have: Counter[str] = Counter()
        self.chosen: dict[str, _Whole] = {}
        self._wanted = {label: max(1, round(fraction * n)) for label, n in self.total.items()}

    def fits(self, whole: _Whole) -> bool:
        """Says whether a whole is left, and something of each of its classes to learn from without it."""
        if whole.place in self.chosen:
            return False
        return all(self.have[label] + n < self.total[label] for label, n in whole.counts.items() if label)

    def cost(self, whole: _Whole) -> float:
        """Returns how much further a whole takes its classes from what is wanted, each by its own measure."""
        cost = 0.0
        for label, n in whole.counts.items():
            off = self._wanted[label] - self.have[label]
            cost += (abs(off - n) - abs(off)) / self._wanted[label]
        return cost

    def choose(self, whole: _Whole) -> None:
        self.chosen[whole.place] = whole
        self.have.update(whole.counts)


def _wholes(items: Sequence[Item], seed: int) -> list[_Whole]:
    found: dict[Hashable, list[int]] = {}
    for number, item in enumerate(items):
        found.setdefault(item.together, []).append(number)
    wholes = []
    for numbers in found.values():
        first = min(items[n].sha256 for n in numbers)
        place = hashlib.sha256(f"{seed} {first}".encode()).hexdigest()
        # Pictures without any label are a class of their own here, which need not be on both sides.
        counts = Counter(sorted(label for n in numbers for label in items[n].labels or ("",)))  # sums in one order
        wholes.append(_Whole(tuple(numbers), counts, place))
    return sorted(wholes, key=lambda whole: whole.place)


def _reason(number: int, wholes: int) -> str:
    if number == 1:
        return "1 picture"
    return f"{number:,} pictures that belong together" if wholes == 1 else f"{number:,} pictures, tied to other classes"
