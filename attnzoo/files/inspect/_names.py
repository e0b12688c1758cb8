"""How long the lists of names in an HDF5 file are, found in its bytes.

HDF5 keeps a list of texts of open length as references (length, place in a heap). Several may point at the same text:
some kilobytes of them take gigabytes once they are read, and HDF5 reads all or nothing and cannot be asked before.
Legacy model files keep the names of layers and weights so. An attribute stands in the file as

    version, flags, three sizes of 2 bytes, [encoding], name, type, space, data      (HDF5 file format, IV.A.2.m)

its name ending in a zero. Version 1 pads name, type and space to multiples of 8.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attnzoo.files.inspect._archive import MOST_TEXT
from attnzoo.files.inspect._findings import Unreadable

REFERENCE = 16
"""Bytes of a reference: 4 for the length, 8 for the heap, 4 for the place in it."""


def check_lists(path: Path, lists: Counter[str]) -> None:
    """Returns if the lists of texts of all these names are short.

    Args:
        path: the file.
        lists: how many attributes that are such lists have this name.

    Raises:
        Unreadable: if they are long, or stand in the file in a way that hides how long they are.
    """
    if not lists:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for name, count in lists.items():
            lengths = list(_lengths(data, name.encode("utf-8", "surrogateescape") + b"\0"))
            if len(lengths) < count:
                raise Unreadable(f"its HDF5 lists called {name!r} are stored as Keras never stores them.")
            if sum(lengths) > MOST_TEXT:
                raise Unreadable(
                    f"its HDF5 lists called {name!r} take {sum(lengths):,} bytes; expected {MOST_TEXT:,} at most."
                )


def _lengths(data: mmap.mmap, name: bytes) -> Iterator[int]:
    at = data.find(name)
    while at >= 0:
        for before in (8, 9):
            length = _length(data, at, before, len(name)) if at >= before else None
            if length is not None:
                yield length
        at = data.find(name, at + 1)


def _length(data: mmap.mmap, at: int, before: int, size: int) -> int | None:
    """Returns the length of the list whose name stands at `at`, or None if that is not the name of an attribute."""
    version = data[at - before]
    sizes = struct.unpack_from("<3H", data, at - before + 2)
    if version not in ((1, 2) if before == 8 else (3,)) or sizes[0] != size:
        return None
    padded = [(s + 7) // 8 * 8 if version == 1 else s for s in sizes]
    space, start = at + padded[0] + padded[1], at + sum(padded)
    if start > len(data) or sizes[2] < 12:
        return None
    dimensions = space + (8 if data[space] == 1 else 4)
    elements = int.from_bytes(data[dimensions : dimensions + 8], "little")
    end = min(start + elements * REFERENCE, len(data))
    return sum(length for (length,) in struct.iter_unpack("<I12x", data[start : end - (end - start) % REFERENCE]))
