"""The data, looked at before anything learns from it.

    folder or table -> Listing -> Facts of each picture -> what belongs together -> split -> findings -> DataReport
    folders, tables               looking, workers, cache  likeness                 split    checks      report

Below each step are the files that take it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from attnzoo.data import decoding
from attnzoo.data.cache import Cache, stamp
from attnzoo.data.checks import run_checks
from attnzoo.data.findings import LEVELS, Level, count
from attnzoo.data.folders import list_folders
from attnzoo.data.images import Looked, Picture
from attnzoo.data.likeness import Clusters, groups, near
from attnzoo.data.listing import Listed, Listing
from attnzoo.data.looking import Facts
from attnzoo.data.report import DataReport
from attnzoo.data.split import Item, divide
from attnzoo.data.split_files import Row, read_split
from attnzoo.data.tables import list_table
from attnzoo.data.workers import default_workers, look_at
from attnzoo.errors import AttnzooError

Place = str | os.PathLike[str]
LIKENESS = 0.98
MOST_PAIRS = 1000  # near copies across splits or classes that are named; one a picture


def check_data(
    data: Place,
    *,
    val: Place | None = None,
    test: Place | None = None,
    split: Place | None = None,
    val_fraction: float = 0.2,
    group_by: str | None = None,
    near_duplicates: float = LIKENESS,
    seed: int = 0,
    skip_bad: bool = False,
    workers: int | None = None,
    cache: Place | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DataReport:
    """Looks at all pictures of a folder, decodes each to its end, and divides them; nothing is written there.

    Args:
        data: a folder with a folder for each class, or with `train`, `val` and `test` that have them; or a CSV file
            with the columns `path`, `label` (several joined by `;`), and perhaps `split` and `group`.
        val, test: folders with a folder for each class, where they are not in `data`.
        split: a `split.csv` that says what is where; files that it does not know, or that have changed, are errors.
        val_fraction: how much of each class to validate with, where nothing else says.
        group_by: a regular expression, searched for in the path of each picture; those with the same match (or the same
            groups in it) stay on one side, such as `"patient_[0-9]+"`.
        near_duplicates: from which correlation on two pictures stay on one side; 1 for equal files only.
        seed: another draw.
        skip_bad: leave pictures out that cannot be read, instead of calling them errors.
        workers: how many processes decode; None for one a core. 0 decodes in this process, which a picture may crash.
        cache: the folder that keeps what is known of pictures; None for that of the platform.
        progress: called with how many pictures are done, of how many.

    Raises:
        AttnzooError: if an argument is wrong, Pillow is missing, or the cache would lie in the folder.
        DataError: if a table cannot be read.
    """
    root = _check_arguments(data, val, test, val_fraction, near_duplicates, workers)
    pattern = _pattern(group_by)
    decoding.pillow()
    kept = Cache(cache, root)
    found = _list(root, {"val": val, "test": test})
    rows = None if split is None else read_split(split)
    if rows is not None:
        _follow(found, rows)
    if pattern is not None:
        _group(found, pattern)
    facts = _look(found.files, kept, default_workers() if workers is None else workers, progress)
    if kept.trouble:
        text = "what is known of the pictures could not be kept, and they are decoded again next time."
        found.add("note", "cache", text, [kept.trouble])
    if rows is not None:
        _compare(found, facts, rows)
    looked = _divide(found, facts, val_fraction, near_duplicates, seed, skip_bad)
    findings = [*found.findings, *run_checks(looked)]
    pictures = sorted((*looked.pictures, *looked.unreadable), key=lambda p: p.name)
    return DataReport(
        data=os.fspath(data),
        classes=looked.classes,
        pictures=tuple(pictures),
        findings=tuple(sorted(findings, key=lambda f: LEVELS.index(f.level))),
        multi_label=looked.multi_label,
        seed=seed if looked.made else None,
        root=root,
    )


# Arguments -------------------------------------------------------------------------------------------------------


def _check_arguments(
    data: Place, val: Place | None, test: Place | None, fraction: float, likeness: float, workers: int | None
) -> Path:
    for place in (data, val, test):
        if place is not None and not Path(place).exists():
            raise AttnzooError(f"{os.fspath(place)}: no such folder.")
        if place is not None and place is not data and not Path(place).is_dir():
            raise AttnzooError(f"{os.fspath(place)}: expected a folder with a folder for each class.")
    root = Path(data)
    if not root.is_dir() and root.suffix.lower() != ".csv":
        raise AttnzooError(f"{os.fspath(data)}: expected a folder, or a CSV file with the columns path and label.")
    if not 0 < fraction < 1:
        raise AttnzooError(f"val_fraction={fraction!r}: expected a number between 0 and 1, such as 0.2.")
    if not 0.5 <= likeness <= 1:
        raise AttnzooError(f"near_duplicates={likeness!r}: expected a number from 0.5 to 1, such as {LIKENESS}.")
    if workers is not None and not 0 <= workers <= 256:
        raise AttnzooError(f"workers={workers!r}: expected a whole number from 0 to 256.")
    return root


def _pattern(group_by: str | None) -> re.Pattern[str] | None:
    try:
        return None if group_by is None else re.compile(group_by)
    except re.error as error:
        raise AttnzooError(f"group_by={group_by!r}: no regular expression ({error}).") from None


# Listing ---------------------------------------------------------------------------------------------------------


def _list(root: Path, others: dict[str, Place | None]) -> Listing:
    alone = not any(others.values())
    found = list_table(root) if root.is_file() else list_folders(root, alone=alone)
    for name, place in others.items():
        if place is not None:
            _add(found, list_folders(Path(place), name, root if root.is_dir() else root.parent), name)
    return found


def _add(found: Listing, more: Listing, name: str) -> None:
    if name in found.classes:
        text = f"{name} is given, and is in the data as well; leave one of them out."
        found.add("error", "layout", text)
    found.files = [f if f.split else replace(f, split="train") for f in found.files]
    if "" in found.classes:
        found.classes["train"] = found.classes.pop("")
    found.extend(more)
    found.files.sort(key=lambda f: f.name)


def _follow(found: Listing, rows: dict[str, Row]) -> None:
    """Puts each picture where a split.csv says."""
    names = {f.name for f in found.files}
    new = [f.name for f in found.files if f.name not in rows]
    if new:
        text = (
            f"{count(len(new), 'picture')} that the split does not have; take what is listed out, or make a new split."
        )
        found.add("error", "split", text, new)
    gone = [name for name, row in rows.items() if name not in names and row.split != "skipped"]
    if gone:
        found.add("error", "split", f"{count(len(gone), 'picture')} of the split cannot be found.", gone)
    moved = [f"{f.name} ({';'.join(rows[f.name].labels)})" for f in found.files if _moved(f, rows)]
    if moved:
        text = f"{count(len(moved), 'picture')} under another class than the split says."
        found.add("error", "split", text, moved)
    known = [f for f in found.files if f.name in rows and rows[f.name].split != "skipped"]
    found.files = [replace(f, split=rows[f.name].split, group=rows[f.name].group or f.group) for f in known]
    found.classes = {}
    for f in found.files:
        found.classes.setdefault(f.split, set()).update(f.labels)


def _moved(f: Listed, rows: dict[str, Row]) -> bool:
    return f.name in rows and set(rows[f.name].labels) != set(f.labels)


def _compare(found: Listing, facts: Sequence[Facts], rows: dict[str, Row]) -> None:
    changed = [f.name for f, known in zip(found.files, facts, strict=True) if rows[f.name].sha256 != known.sha256]
    if changed:
        text = f"{count(len(changed), 'picture')} changed since the split was written; make a new split."
        found.add("error", "split", text, changed)


def _group(found: Listing, pattern: re.Pattern[str]) -> None:
    missed = []
    for number, f in enumerate(found.files):
        match = pattern.search(f.name)
        if match is None:
            missed.append(f.name)
        else:
            found.files[number] = replace(f, group="|".join(g or "" for g in match.groups()) or match[0])
    if missed:
        level: Level = "error" if len(missed) == len(found.files) else "warning"
        text = f"{count(len(missed), 'picture')} in which {pattern.pattern!r} is not found; each is a group of its own."
        found.add(level, "group_by", text, missed)


# Looking ---------------------------------------------------------------------------------------------------------


def _look(
    files: Sequence[Listed], kept: Cache, workers: int, progress: Callable[[int, int], None] | None
) -> list[Facts]:
    stamps = [stamp(f.path) for f in files]
    paths = [os.path.abspath(f.path) for f in files]
    facts = [kept.find(path, now) for path, now in zip(paths, stamps, strict=True)]
    todo = [number for number, known in enumerate(facts) if known is None]
    done = len(files) - len(todo)
    try:
        with contextlib.closing(look_at([paths[n] for n in todo], workers)) as looks:
            for number, new in looks:
                facts[todo[number]] = new
                kept.keep(paths[todo[number]], stamps[todo[number]], new)
                done += 1
                if progress is not None:
                    progress(done, len(files))
    finally:  # an interrupt loses nothing that was done
        kept.write(only=set(paths))
    return [known for known in facts if known is not None]


# Dividing --------------------------------------------------------------------------------------------------------


def _divide(
    found: Listing, facts: Sequence[Facts], fraction: float, likeness: float, seed: int, skip_bad: bool
) -> Looked:
    both = list(zip(found.files, facts, strict=True))
    good = [(f, known) for f, known in both if not known.problem]
    clusters, pairs = _together(good, likeness)
    sides = [f.split or "train" for f, _ in good]
    given = set(found.classes) - {""}
    made = "val" not in given
    reasons: dict[str, str] = {}
    if made:
        mine = [n for n, side in enumerate(sides) if side == "train"]
        items = [Item(good[n][0].labels, good[n][1].sha256, int(clusters.of[n])) for n in mine]
        chosen, reasons = divide(items, fraction, seed)
        for number in chosen:
            sides[mine[number]] = "val"
    pictures = tuple(_picture(f, side, known) for (f, known), side in zip(good, sides, strict=True))
    learnt = found.classes.get("train", found.classes.get("", set()))
    return Looked(
        listed=tuple(found.files),
        classes=tuple(sorted(learnt or set().union(*found.classes.values()))),
        has=found.classes,
        pictures=pictures,
        unreadable=tuple(_picture(f, "skipped", known) for f, known in both if known.problem),
        multi_label=found.multi_label,
        made=made,
        reasons=reasons,
        near=tuple((a, b) for a, b in pairs if sides[a] != sides[b] or pictures[a].labels != pictures[b].labels),
        skip_bad=skip_bad,
    )


def _picture(f: Listed, side: str, known: Facts) -> Picture:
    return Picture(f.name, f.path, f.labels, side, f.group, known)


def _together(good: Sequence[tuple[Listed, Facts]], likeness: float) -> tuple[Clusters, Iterable[tuple[int, int]]]:
    """Returns what stays on one side, and pairs of near copies in two given splits or classes."""
    clusters = Clusters(len(good))
    for numbers in groups(known.sha256 for _, known in good):
        clusters.join(numbers)
    for numbers in groups(f.group for f, _ in good):
        clusters.join(numbers)
    # Numbers of what must be equal, since a scene may be near thousands of others.
    kinds: dict[tuple[str, tuple[str, ...]], int] = {}
    kind = np.array([kinds.setdefault((f.split, f.labels), len(kinds)) for f, _ in good], np.intp)
    pairs: set[tuple[int, int]] = set()
    for number, others in near([known for _, known in good], likeness):
        clusters.join(np.append(others, number))
        other = others[kind[others] != kind[number]][:1]
        if len(other) and len(pairs) < MOST_PAIRS:
            pairs.add((min(number, int(other[0])), max(number, int(other[0]))))
    return clusters, sorted(pairs)
