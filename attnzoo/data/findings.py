"""What is wrong, or worth knowing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attnzoo.errors import listing, printable

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found, with all files that it concerns.

    Attributes:
        level: with an error, nothing is trained; a warning says what makes results worse, or look better than they are.
        check: a short name for it.
        text: a sentence: what there is, and what to do.
        files: each file that it concerns, or pair of files, or class, with what is particular to it.
    """

    level: Level
    check: str
    text: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        files = f"{self.text.removesuffix('.')}: {listing(self.files, 5)}" if self.files else self.text
        return printable(" ".join(f"{self.level:<8} {files}".split("\n")))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return {"level": self.level, "check": self.check, "text": self.text, "files": list(self.files)}


def count(number: int, noun: str, nouns: str = "") -> str:
    """Returns "1 picture" or "2 pictures"."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
