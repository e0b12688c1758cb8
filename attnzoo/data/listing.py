"""Which pictures there are, before any is opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from attnzoo.data.findings import Finding, Level, count

SPLITS = ("train", "val", "test")
JOIN = ";"  # between the labels of a picture that has several


@dataclass(frozen=True)
class Listed:
    """A picture.

    Attributes:
        name: its path from the folder of the data, with slashes.
        path: where to open it.
        labels: its classes: one, or for a table several or none.
        split: `"train"`, `"val"`, `"test"`, or `""` where nothing says.
        group: pictures of one group stay on one side of a split; `""` for none.
    """

    name: str
    path: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""


@dataclass
class Listing:
    """Pictures, and what was found on the way to them.

    Attributes:
        files: the pictures, in the order of their names.
        classes: for each split (`""` where there is none) the classes that it has, with or without pictures.
        findings: what is wrong with folders and names.
        multi_label: whether a picture may have several labels.
    """

    files: list[Listed] = field(default_factory=list)
    classes: dict[str, set[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    multi_label: bool = False

    def add(self, level: Level, check: str, text: str, files: Iterable[str] = ()) -> None:
        """Adds a finding."""
        self.findings.append(Finding(level, check, text, tuple(files)))

    def extend(self, other: Listing) -> None:
        """Adds what another one holds."""
        self.files += other.files
        self.findings += other.findings
        for split, names in other.classes.items():
            self.classes.setdefault(split, set()).update(names)


def class_name(text: str) -> str:
    """Returns the name of a class in the one form that all systems agree on."""
    return unicodedata.normalize("NFC", text)


def check_names(listing: Listing, written: Iterable[str]) -> None:
    """Adds what is wrong with the names of classes, given as they are written in folders or tables."""
    alike: dict[str, set[str]] = {}
    for name in written:
        alike.setdefault(class_name(name).casefold().strip(), set()).add(name)
    same = [" = ".join(map(ascii, sorted(names))) for _, names in sorted(alike.items()) if len(names) > 1]
    if same:
        text = (
            f"{count(len(same), 'class name')} written in more than one way (case, spaces, composed letters), which"
            " other systems take for one; rename all but one."
        )
        listing.add("error", "names", text, same)
    odd = sorted(n for names in alike.values() for n in names if JOIN in n or not n.strip() or not _is_text(n))
    if odd:
        text = f"{count(len(odd), 'class name')} that cannot be written down: empty, not Unicode, or with a semicolon."
        listing.add("error", "names", text, map(ascii, odd))


def _is_text(name: str) -> bool:
    return not any(unicodedata.category(c) in ("Cs", "Cc") for c in name)
