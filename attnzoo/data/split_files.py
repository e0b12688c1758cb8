"""`split.csv`: which picture was where. Once written, it is the truth."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attnzoo.data.listing import JOIN, SPLITS
from attnzoo.data.replacing import replacing
from attnzoo.data.tables import NOT_USED, read_table
from attnzoo.errors import AttnzooError, DataError, quoted

COLUMNS = ("path", "class", "split", "sha256", "width", "height", "format", "mode", "orientation", "group", "note")


@dataclass(frozen=True)
class Row:
    """What `split.csv` says of a picture that somebody asks for."""

    labels: tuple[str, ...]
    split: str
    sha256: str
    group: str


def check_output(path: str | os.PathLike[str], data: str | os.PathLike[str]) -> Path:
    """Returns where to write, after a look at whether that is allowed.

    Raises:
        AttnzooError: if it lies in the folder of the data.
    """
    file, folder = Path(path), Path(data)
    if folder.is_dir() and file.resolve().is_relative_to(folder.resolve()):
        raise AttnzooError(f"{file}: lies inside of {folder}, where nothing is written; give another place.")
    return file


def write_rows(rows: Iterable[tuple[object, ...]], path: str | os.PathLike[str], data: Path) -> None:
    """Writes rows under `COLUMNS`, whole or not at all.

    Raises:
        AttnzooError: if the file would lie in the folder of the data, or cannot be written.
    """
    file = check_output(path, data)
    try:
        with replacing(file, encoding="utf-8", errors="surrogateescape", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
    except OSError as error:
        raise AttnzooError(f"{file}: cannot be written ({error.strerror or error}).") from None


def read_split(path: str | os.PathLike[str]) -> dict[str, Row]:
    """Returns what `split.csv` says, by the names of the pictures; those that were skipped have that for a split.

    Raises:
        DataError: if it is none.
    """
    found: dict[str, Row] = {}
    for line, row in read_table(path, ("path", "class", "split", "sha256")):
        name, split = row["path"], row["split"]
        if split not in (*SPLITS, *NOT_USED):
            raise DataError(f"{path}: line {line}: split {quoted(split)}; expected train, val, test or skipped.")
        if name in found:
            raise DataError(f"{path}: line {line}: {quoted(name)} stands there twice.")
        labels = tuple(label for label in row["class"].split(JOIN) if label)
        found[name] = Row(labels, split, row["sha256"], row.get("group", ""))
    return found
