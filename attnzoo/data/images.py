"""Pictures that were looked at, as checks see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from attnzoo.data.listing import JOIN, Listed
from attnzoo.data.looking import Facts


@dataclass(frozen=True)
class Picture:
    """A picture with its place in the split.

    Attributes:
        name: its path from the folder of the data, with slashes.
        path: where to open it.
        labels: its classes; one, unless labels are several.
        split: `"train"`, `"val"` or `"test"`; `"skipped"` if it cannot be used.
        group: what it must stay together with, by `group_by` or by the table; `""` for nothing.
        facts: what is known of it.
    """

    name: str
    path: str
    labels: tuple[str, ...]
    split: str
    group: str
    facts: Facts

    @property
    def label(self) -> str:
        """Its classes, joined."""
        return JOIN.join(self.labels)


@dataclass(frozen=True)
class Looked:
    """All that checks ask about.

    Attributes:
        listed: every picture that was found, readable or not.
        classes: the names of all classes, in the order of outputs.
        has: for each split the classes that its folders or rows have.
        pictures: those that can be used.
        unreadable: the others.
        multi_label: whether a picture may have several labels.
        made: whether the validation split was made here.
        reasons: for each class that could not be divided the reason.
        near: pairs of numbers of pictures that are nearly the same while their splits or classes differ.
        skip_bad: whether pictures that cannot be read are left out.
    """

    listed: tuple[Listed, ...]
    classes: tuple[str, ...]
    has: dict[str, set[str]]
    pictures: tuple[Picture, ...]
    unreadable: tuple[Picture, ...]
    multi_label: bool
    made: bool
    reasons: dict[str, str]
    near: tuple[tuple[int, int], ...]
    skip_bad: bool

    def counts(self, split: str | None = None) -> Counter[str]:
        """Returns how many pictures there are of each class, in a split or in all."""
        found = (p for p in self.pictures if split is None or p.split == split)
        return Counter(label for p in found for label in p.labels)

    def which(self, wanted: str, detail: str = "") -> Iterator[str]:
        """Yields the names of pictures with a fact that is true, such as `"animated"`, with a detail of each."""
        for p in self.pictures:
            if getattr(p.facts, wanted):
                yield f"{p.name} ({getattr(p.facts, detail)})" if detail else p.name
