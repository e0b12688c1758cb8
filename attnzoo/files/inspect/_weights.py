"""The HDF5 file that weights lie in: every link, shape and attribute looked at, no value read.

HDF5 can point at other files, at itself in circles, and at arrays far larger than the file. Keras and h5py follow
most of it. No model needs any of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py

from attnzoo.errors import quoted
from attnzoo.files.inspect._archive import MOST_TEXT
from attnzoo.files.inspect._findings import Findings, Unreadable
from attnzoo.files.inspect._names import REFERENCE

MOST_OBJECTS = 100_000
MOST_DEPTH = 64

_NOT_LAYERS = ("optimizer", "optimizer_weights")
_LINKS = {h5py.SoftLink: "a soft link", h5py.ExternalLink: "a link to another file"}


@dataclass
class Weights:
    """What an HDF5 file holds.

    Attributes:
        parameters: numbers in the weights of layers.
        numbers: all numbers.
        declared: bytes of all arrays, as their shapes say.
        lists: names of attributes that are lists of texts of open length, and how many there are of each.
    """

    parameters: int = 0
    numbers: int = 0
    declared: int = 0
    lists: Counter[str] = field(default_factory=Counter)


def read_weights(file: h5py.File, findings: Findings) -> Weights:
    """Walks through all objects of an open file.

    Raises:
        Unreadable: if it is not a tree of reasonable size.
        Exception: whatever h5py raises for a damaged file.
    """
    weights = Weights()
    for path, found in _objects(file, findings):
        _check_attributes(path, found, weights)
        if isinstance(found, h5py.Dataset):
            _add(weights, path, found, findings)
        elif not isinstance(found, h5py.Group):
            findings.defect(f"its HDF5 object {quoted(path)} is neither a group nor an array.")
    return weights


def read_attribute(file: h5py.File, name: str) -> str | bytes | None:
    """Returns a text attribute of the root, once `read_weights` has checked its size; None if there is none."""
    value = file.attrs.get(name)
    return value if isinstance(value, str | bytes) else None


def _objects(file: h5py.File, findings: Findings) -> Iterator[tuple[str, Any]]:
    yield "/", file
    waiting, seen, count = [("", file["/"], 1)], {_address(file)}, 0
    while waiting:
        prefix, group, depth = waiting.pop()
        for name in group:
            count += 1
            if count > MOST_OBJECTS or depth > MOST_DEPTH:
                raise Unreadable(f"its HDF5 tree has more than {MOST_OBJECTS:,} objects or {MOST_DEPTH} levels.")
            path = f"{prefix}/{name}"
            link = group.get(name, getlink=True)
            if type(link) in _LINKS:
                findings.risk(f"its HDF5 object {quoted(path)} is {_LINKS[type(link)]}.")
                continue
            found = group[name]
            yield path, found
            if isinstance(found, h5py.Group):
                address = _address(found)
                if address in seen:
                    raise Unreadable(f"its HDF5 group {quoted(path)} stands in two places or contains itself.")
                seen.add(address)
                waiting.append((path, found, depth + 1))


def _address(group: Any) -> int:
    return int(h5py.h5o.get_info(group.id).addr)


def _add(weights: Weights, path: str, dataset: h5py.Dataset, findings: Findings) -> None:
    name = f"its HDF5 array {quoted(path)}"
    if dataset.is_virtual or dataset.external:
        findings.risk(f"{name} lies in another file.")
        return
    kind, itemsize, shape = dataset.dtype.kind, dataset.dtype.itemsize, dataset.shape
    # V: bfloat16, which HDF5 knows as two opaque bytes.
    if shape is None or kind not in "fiubV" or itemsize > 8:
        findings.defect(f"{name} holds no numbers.")
        return
    count = math.prod(shape)
    chunk = math.prod(dataset.chunks or ())
    weights.numbers += count
    weights.declared += max(count, chunk) * itemsize
    parts = path.strip("/").split("/")
    if parts[0] not in _NOT_LAYERS and "seed_generator" not in parts:
        weights.parameters += count


def _check_attributes(path: str, found: Any, weights: Weights) -> None:
    if len(found.attrs) > MOST_OBJECTS:
        raise Unreadable(
            f"its HDF5 object {quoted(path)} has {len(found.attrs):,} attributes; expected {MOST_OBJECTS:,} at most."
        )
    for name in found.attrs:
        attribute = h5py.h5a.open(found.id, name.encode("utf-8", "surrogateescape"))
        elements, kind = math.prod(attribute.shape), attribute.get_type()
        if elements * kind.get_size() > MOST_TEXT:
            raise Unreadable(f"its HDF5 attribute {quoted(name)} is larger than {MOST_TEXT:,} bytes.")
        if kind.get_class() == h5py.h5t.VLEN:
            raise Unreadable(f"its HDF5 attribute {quoted(name)} is a list of lists, which Keras never writes.")
        if kind.get_class() == h5py.h5t.STRING and kind.is_variable_str() and elements > 1:
            if len(attribute.shape) > 1 or attribute.get_storage_size() != elements * REFERENCE:
                raise Unreadable(f"its HDF5 attribute {quoted(name)} is stored as Keras never stores a list of names.")
            weights.lists[name] += 1
