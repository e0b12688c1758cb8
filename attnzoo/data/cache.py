"""What is known of pictures from the last time, kept outside of the folder that they are in.

A row counts while a file has the size, the time of change and the inode that it had. The file of rows is replaced as
a whole, so that no kill leaves half of one; what is in it is believed only as far as it has the right form, and not at
all where somebody else could have written it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

from attnzoo.data.looking import Facts
from attnzoo.data.replacing import replacing
from attnzoo.data.rows import from_row, to_row
from attnzoo.errors import AttnzooError

VERSION = 1
MOST_BYTES = 1 << 30
SECONDS = 15  # between two times of writing, while pictures are looked at

Stamp = tuple[int, int, int, int]


def default_folder() -> Path:
    """Returns the folder that the platform has for caches."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "attnzoo"


def stamp(path: str) -> Stamp | None:
    """Returns what changes when a file does; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    # The time of change cannot be set back by a program, as that of modification can.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class Cache:
    """Facts by path.

    Attributes:
        trouble: why nothing is kept; "" if all is well.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, data: Path):
        """Opens the cache for the pictures of `data`.

        Raises:
            AttnzooError: if it would lie in `data`.
        """
        place = Path(folder) if folder is not None else default_folder()
        if data.is_dir() and place.resolve().is_relative_to(data.resolve()):
            raise AttnzooError(f"cache {place}: lies inside of {data}, where nothing is written; give another folder.")
        key = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]
        self.trouble = ""
        self._file = place / f"data-{key}.jsonl"
        self._rows: dict[str, tuple[Stamp, Facts]] = dict(_read(self._file))
        self._written = time.monotonic()
        self._changed = False

    def find(self, path: str, now: Stamp | None) -> Facts | None:
        """Returns what is known of a file that is as it was."""
        before, facts = self._rows.get(path, (None, None))
        return facts if now is not None and before == now else None

    def keep(self, path: str, now: Stamp | None, facts: Facts) -> None:
        """Keeps what a picture is, and writes it down now and then; what could not be read is tried again."""
        if now is None or facts.problem:
            return
        self._rows[path] = now, facts
        self._changed = True
        if time.monotonic() - self._written > SECONDS:
            self.write()

    def write(self, only: set[str] | None = None) -> None:
        """Writes all rows, those of `only` if it is given; if that fails, `trouble` says why."""
        if only is not None and not only.issuperset(self._rows):
            self._rows = {path: row for path, row in self._rows.items() if path in only}
            self._changed = True
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._file, [_header(), *([p, s, to_row(f)] for p, (s, f) in self._rows.items())])
            self.trouble, self._changed = "", False
        except OSError as error:
            self.trouble = f"{self._file.parent}: {error.strerror or error}"
        self._written = time.monotonic()


def _header() -> list[Any]:
    import numpy
    import PIL

    # Another decoder may read what this one does not, and shrink pictures otherwise.
    return ["attnzoo-data", VERSION, PIL.__version__, numpy.__version__]


def _replace(file: Path, rows: list[Any]) -> None:
    with replacing(file, encoding="ascii") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def _read(file: Path) -> list[tuple[str, tuple[Stamp, Facts]]]:
    found = []
    try:
        with open(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), encoding="ascii") as lines:
            if not _ours(os.fstat(lines.fileno())) or json.loads(lines.readline(1000)) != _header():
                return []
            for line in lines:
                row = json.loads(line)
                if _is_row(row) and (facts := from_row(row[2])):
                    found.append((row[0], (tuple(row[1]), facts)))
    except (OSError, ValueError, RecursionError, MemoryError):  # cut off, or no JSON: the pictures are there
        return []
    return found


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 3
        and isinstance(row[0], str)
        and isinstance(row[1], list)
        and len(row[1]) == 4
        and all(type(number) is int for number in row[1])
    )


def _ours(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
