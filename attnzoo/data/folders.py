"""Pictures in folders.

    DIR/CLASS/**/picture             the split is made
    DIR/train|val|test/CLASS/**/...  the split is there; without val it is made of train

A class is the first folder; what lies deeper belongs to it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attnzoo.data.decoding import SUFFIXES
from attnzoo.data.findings import Level, count
from attnzoo.data.listing import Listed, Listing, check_names, class_name

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

CLUTTER = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}
"""What systems leave in folders, besides names with a dot."""

PICTURES_NOT_READ = {
    "", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".svg", ".psd", ".ico", ".tga", ".dcm", ".nii", ".npy", ".npz",
    ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".exr", ".hdr", ".eps", ".pdf", ".zip", ".tar", ".gz", ".mp4",
}  # fmt: skip
"""Suffixes of what may be pictures, or full of them, and is not read."""

MOST_DEPTH = 64


def list_folders(root: Path, split: str = "", base: Path | None = None, alone: bool = True) -> Listing:
    """Returns the pictures of a folder.

    Args:
        root: a folder of folders.
        split: which split it is, if it is one; otherwise it may hold them.
        base: what names start from; None for `root`.
        alone: whether nobody gave another folder to validate or to test with.
    """
    walk = _Walk(base or root)
    folders = [entry for entry in walk.entries(root) if _is_folder(entry)]
    splits = {} if split else _splits(walk.found, folders)
    if splits:
        written: set[str] = set()
        for name, found in splits.items():
            for entry in found:
                written |= _list_classes(walk, Path(entry.path), name)
    else:
        written = _list_classes(walk, root, split)
        _wrong_level(walk.found, root, alone and not split, folders)
    check_names(walk.found, written)
    walk.finish()
    return walk.found


def _splits(found: Listing, folders: list[os.DirEntry[str]]) -> dict[str, list[os.DirEntry[str]]]:
    """Returns the folders of each split; none if the folders are classes."""
    splits: dict[str, list[os.DirEntry[str]]] = {}
    rest = []
    for entry in folders:
        name = SPLIT_NAMES.get(entry.name.lower())
        if name:
            splits.setdefault(name, []).append(entry)
        else:
            rest.append(entry.name)
    # There are classes that are called train, or test.
    if "train" not in splits or (rest and len(splits) == 1) or not any(_folders_in(e) for e in splits["train"]):
        return {}
    if rest:
        text = f"{count(len(rest), 'folder')} beside train, val and test; move it into them, or out of the data."
        found.add("error", "layout", text, rest)
    twice = [" = ".join(e.name for e in entries) for entries in splits.values() if len(entries) > 1]
    if twice:
        found.add("error", "layout", "Two folders mean the same split; rename or merge one.", twice)
    return splits


def _list_classes(walk: _Walk, root: Path, split: str) -> set[str]:
    """Lists the classes of a folder and returns their names as they are written."""
    written = set()
    classes = walk.found.classes.setdefault(split, set())
    walk.visit(root)
    for entry in walk.entries(root):
        if _is_folder(entry):
            written.add(entry.name)
            label = class_name(entry.name)
            classes.add(label)
            walk.list_class(Path(entry.path), label, split)
        elif _suffix(entry.name) in SUFFIXES:
            walk.outside.append(walk.name(entry.path))
        else:
            walk.ignored[_suffix(entry.name)].append(walk.name(entry.path))
    return written


def _wrong_level(found: Listing, root: Path, alone: bool, folders: list[os.DirEntry[str]]) -> None:
    """Adds a finding where the folder above or below seems to be meant."""
    for entry in folders:
        inside = _folders_in(entry.path)
        if {SPLIT_NAMES.get(name.lower()) for name in inside} >= {"train", "val"} or (
            len(folders) == 1 and len(inside) > 1 and not any(f.name.count("/") == 1 for f in found.files)
        ):
            meant = f"attnzoo check-data {entry.path}"
            text = f"Classes seem to be one level deeper, in {entry.name}; give that folder: {meant}."
            found.add("error", "layout", text)
            return
    if len(folders) > 1 and all(entry.name.lower() in SPLIT_NAMES for entry in folders):
        text = "Splits have no folders of classes in them; make these, or give a CSV file with path, label and split."
        found.add("error", "layout", text, (entry.name for entry in folders))
    above = os.path.normpath(os.path.join(root, ".."))
    if not folders and not found.files and len(_folders_in(above)) > 1:
        text = f"{root.name} lies beside other folders; give {above} if they are the classes."
        found.add("error", "layout", text)
    here = SPLIT_NAMES.get(root.name.lower())
    if here and alone:
        names = _folders_in(above)
        beside = [name for name in names if SPLIT_NAMES.get(name.lower(), here) != here]
        if beside:
            others = " and ".join(beside)
            text = f"{root.name} has {others} beside it; give the folder that holds them, or --val and --test as well."
            found.add("warning", "layout", text)


class _Walk:
    """Goes through folders, each once, whatever links there are."""

    def __init__(self, base: Path):
        self.found = Listing()
        self.outside: list[str] = []
        self.ignored: dict[str, list[str]] = _Lists()
        self._base = base
        self._seen: dict[tuple[int, int], str] = {}
        self._hidden: dict[str, None] = {}  # a folder may be listed twice
        self._again: list[str] = []
        self._closed: dict[str, None] = {}

    def name(self, path: str) -> str:
        try:
            return Path(os.path.relpath(path, self._base)).as_posix()
        except ValueError:  # another drive
            return Path(path).as_posix()

    def entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """Yields what is in a folder, in the order of names, without what is hidden."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._closed[f"{self.name(str(folder))} ({error.strerror})"] = None
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in CLUTTER:
                self._hidden[self.name(entry.path)] = None
            else:
                yield entry

    def visit(self, folder: Path) -> bool:
        """Says whether a folder is reached for the first time."""
        try:
            status = os.stat(folder)
        except OSError:
            return True  # listing it will say why
        first = self._seen.setdefault((status.st_dev, status.st_ino), self.name(str(folder)))
        if status.st_ino and first != self.name(str(folder)):
            self._again.append(f"{self.name(str(folder))} = {first}")
            return False
        return True

    def list_class(self, folder: Path, label: str, split: str) -> None:
        stack = [(folder, 0)]
        while stack:
            here, depth = stack.pop()
            if not self.visit(here):
                continue
            if depth > MOST_DEPTH:
                self._closed[f"{self.name(str(here))} (deeper than {MOST_DEPTH} folders)"] = None
                continue
            for entry in self.entries(here):
                if _is_folder(entry):
                    stack.append((Path(entry.path), depth + 1))
                elif _suffix(entry.name) in SUFFIXES:
                    self.found.files.append(Listed(self.name(entry.path), entry.path, (label,), split))
                else:
                    self.ignored[_suffix(entry.name)].append(self.name(entry.path))

    def finish(self) -> None:
        """Sorts the pictures and adds what was found on the way."""
        self.found.files.sort(key=lambda listed: listed.name)
        if self.outside:
            text = f"{count(len(self.outside), 'picture')} outside of any class; move them into the folder of theirs."
            self.found.add("error", "layout", text, self.outside)
        if self._again:
            text = f"{count(len(self._again), 'folder')} reached twice, by links; remove the links."
            self.found.add("error", "links", text, self._again)
        if self._closed:
            self.found.add("error", "folders", f"{count(len(self._closed), 'folder')} cannot be read.", self._closed)
        kinds = Counter({suffix or "no suffix": len(names) for suffix, names in self.ignored.items()})
        if kinds:
            level: Level = "warning" if PICTURES_NOT_READ & set(self.ignored) else "note"
            total = count(sum(kinds.values()), "file")
            text = f"{total} not read, going by the suffix."
            self.found.add(level, "ignored", text, (f"{number:,} {kind}" for kind, number in kinds.most_common()))
        if self._hidden:
            text = f"{count(len(self._hidden), 'hidden file or folder', 'hidden files and folders')} left out."
            self.found.add("note", "hidden", text, self._hidden)


class _Lists(dict[str, list[str]]):
    def __missing__(self, key: str) -> list[str]:
        return self.setdefault(key, [])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _folders_in(folder: str | os.PathLike[str]) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(e.name for e in found if _is_folder(e) and not e.name.startswith("."))
    except OSError:
        return []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
