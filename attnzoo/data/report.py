"""What is known of the data, after all of it was looked at."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnzoo.data.findings import LEVELS, Finding, count
from attnzoo.data.images import Picture
from attnzoo.data.listing import SPLITS
from attnzoo.data.split_files import write_rows
from attnzoo.errors import printable
from attnzoo.tables import table

MOST_CLASSES = 30  # in the table; JSON has all


@dataclass(frozen=True, repr=False)
class DataReport:
    """Pictures, their classes and splits, and all that was found; `str(report)` is a table.

    Attributes:
        data: the folder or table, as it was given.
        classes: the names of the classes, in the order of outputs.
        pictures: every picture, those that cannot be used under the split `"skipped"`.
        findings: all that was found; errors first, then warnings, then notes.
        multi_label: whether a picture may have several labels.
        seed: of the split; None where the data or a file says what is where.
    """

    data: str
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    findings: tuple[Finding, ...]
    multi_label: bool = False
    seed: int | None = None
    root: Path = field(default=Path(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(f.level == "error" for f in self.findings)

    @property
    def fingerprint(self) -> str:
        """A sha256 of names, classes, splits and contents of all pictures."""
        whole = hashlib.sha256()
        for p in self.pictures:
            row = "\0".join((p.name, p.label, p.split, p.facts.sha256))
            whole.update(row.encode("utf-8", "surrogateescape") + b"\n")
        return whole.hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        """Returns for each split how many pictures there are of each class, and of all."""
        found = {
            split: dict.fromkeys(self.classes, 0) for split in SPLITS if any(p.split == split for p in self.pictures)
        }
        for p in self.pictures:
            for label in p.labels if p.split in found else ():
                found[p.split][label] = found[p.split].get(label, 0) + 1
        return found

    def write_split(self, path: str | os.PathLike[str]) -> None:
        """Writes `split.csv`: a row for each picture, with its class, split, sha256 and what else is known of it.

        Raises:
            AttnzooError: if it would lie in the folder of the data, or cannot be written.
        """
        rows = []
        for p in self.pictures:
            f = p.facts
            size = (f.width or "", f.height or "")
            note = f.problem or f.said or ("first frame" if f.animated else "")
            rows.append((p.name, p.label, p.split, f.sha256, *size, f.format, f.mode, f.orientation, p.group, note))
        write_rows(rows, path, self.root)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, without the rows of `split.csv`."""
        return {
            "data": self.data,
            "ok": self.ok,
            "classes": list(self.classes),
            "multi_label": self.multi_label,
            "images": len(self.pictures),
            "skipped": sum(p.split == "skipped" for p in self.pictures),
            "counts": self.counts(),
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "findings": [f.to_dict() for f in self.findings],
        }

    def __repr__(self) -> str:
        counts = self.counts()
        lines = [f"{self.data}: {count(len(self.pictures), 'picture')}, {count(len(self.classes), 'class', 'classes')}"]
        if counts:
            shown = self.classes[:MOST_CLASSES]
            rows = [(label, *(f"{counts[s][label]:,}" for s in counts)) for label in shown]
            if len(shown) < len(self.classes):
                rows.append((f"... ({len(self.classes) - len(shown):,} more)", *("" for _ in counts)))
            totals = (f"{sum(p.split == s for p in self.pictures):,}" for s in counts)
            lines += ["", *table([("class", *counts), *rows, ("all", *totals)]).split("\n")]
        if self.findings:
            lines += ["", *map(str, self.findings)]
        number = [sum(f.level == level for f in self.findings) for level in LEVELS]
        lines += ["", ", ".join(count(n, level) for n, level in zip(number, LEVELS, strict=True)) + "."]
        return printable("\n".join(lines))
