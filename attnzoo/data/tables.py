"""Pictures in a table: a CSV file with the columns `path` and `label`, perhaps `split` and `group`.

Several labels of a picture are joined by `;`. A path starts at the folder of the table. A `split.csv` that
attnzoo wrote is such a table.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from attnzoo.data.findings import count
from attnzoo.data.listing import JOIN, SPLITS, Listed, Listing, check_names, class_name
from attnzoo.errors import DataError, did_you_mean, listing, quoted

COLUMNS = ("path", "label", "class", "split", "group")
NOT_USED = ("skipped", "ignored")
"""What stands in the column `split` of a file that nothing learns from."""


def read_table(path: str | os.PathLike[str], needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line and the row of each row of a CSV file.

    Raises:
        DataError: if it is not one, or lacks a column; a slash between names means any of them.
    """
    try:
        # Names of files that are no Unicode go through as they are; Excel writes a mark at the start.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file, strict=True)
            head = [name.strip().lower() for name in next(rows, [])]
            for column in needed:
                if not set(column.split("/")) & set(head):
                    near = did_you_mean(column.split("/")[0], head)
                    what = " or ".join(map(repr, column.split("/")))
                    raise DataError(f"{path}: no column {what}.{near} Columns: {listing(head, 8) or 'none'}.")
            if len(set(head)) < len(head):
                raise DataError(f"{path}: two columns have the same name. Columns: {listing(head, 8)}.")
            for row in rows:
                if row and len(row) != len(head):
                    text = f"{path}: line {rows.line_num} has {len(row)} values, the first has {len(head)}"
                    raise DataError(f"{text}; put a value with a comma into double quotes.")
                if row:
                    yield rows.line_num, dict(zip(head, row, strict=True))
    except (OSError, csv.Error) as error:
        raise DataError(
            f"{path}: no CSV file that can be read ({getattr(error, 'strerror', None) or error})."
        ) from None


def list_table(path: Path) -> Listing:
    """Returns the pictures of a table.

    Raises:
        DataError: if it is no table of pictures.
    """
    found = Listing()
    written: set[str] = set()
    lines: dict[str, list[int]] = {}
    for line, row in read_table(path, ("path", "label/class")):
        split = row.get("split", "").strip().lower()
        if split in NOT_USED:
            continue
        if split and split not in SPLITS:
            text = f"{path}: line {line}: split {quoted(row['split'])}; expected train, val, test or nothing"
            raise DataError(f"{text}.{did_you_mean(split, SPLITS)}")
        if not row["path"]:
            raise DataError(f"{path}: line {line}: no path.")
        labels = [label for label in row.get("label", row.get("class", "")).split(JOIN) if label.strip()]
        written.update(labels)
        names = tuple(sorted({class_name(label) for label in labels}))
        name = row["path"].replace("\\", "/") if os.sep == "\\" else row["path"]
        lines.setdefault(name, []).append(line)
        found.files.append(Listed(name, os.path.join(path.parent, name), names, split, row.get("group", "").strip()))
        found.classes.setdefault(split, set()).update(names)
    found.multi_label = any(len(f.labels) > 1 for f in found.files)
    _check_rows(found, lines)
    check_names(found, written)
    found.files.sort(key=lambda listed: listed.name)
    return found


def _check_rows(found: Listing, lines: dict[str, list[int]]) -> None:
    twice = [f"{name} (lines {listing(where, 4)})" for name, where in lines.items() if len(where) > 1]
    if twice:
        found.add("error", "table", f"{count(len(twice), 'picture')} on more than one line; leave one of them.", twice)
    bare = [f.name for f in found.files if not f.labels]
    if bare and not found.multi_label:
        text = f"{count(len(bare), 'picture')} without a label; a label may be left out where others have several."
        found.add("error", "table", text, bare)
    unsaid = [f.name for f in found.files if not f.split]
    if unsaid and len(unsaid) < len(found.files):
        text = f"{count(len(unsaid), 'line')} without a split while others have one; say it everywhere or nowhere."
        found.add("error", "table", text, unsaid)
