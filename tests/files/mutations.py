"""Seeded damage: the same seed makes the same hostile file."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

NAN, INFINITY = float("nan"), float("inf")
NUMBERS = (0, -1, 1, 7, 2**15, 2**31 - 1, 2**31, 2**40, -(2**63), 10**400, 0.5, -1e30, 1e308, NAN, INFINITY)
WORDS = (
    "",
    "Lambda",
    "__lambda__",
    "TFSMLayer",
    "Dense",
    "Conv2D",
    "Functional",
    "InputLayer",
    "attnzoo>CBAM",
    "os",
    "system",
    "builtins",
    "eval",
    "keras.utils",
    "get_file",
    "keras.layers",
    "float99",
    "relu",
    "\x1b[31mred",
    "\u202eevil",
    "../../etc/passwd",
    "/etc/passwd",
    "https://example.org/x",
    "x" * 5000,
    "nul\x00nul",
)


# Bytes ----------------------------------------------------------------------------------------------------------


def bytes_of(data: bytes, rng: random.Random, places: list[int] | None = None) -> bytes:
    """Damages bytes anywhere, or near one of some places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = min(rng.choice(places) + rng.randrange(-8, 64), len(out) - 1) if places else rng.randrange(len(out))
        at, length = max(0, at), rng.choice((1, 2, 4, 8, 64, 512))
        damage = rng.randrange(7)
        if damage == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif damage == 1:
            out[at : at + length] = rng.randbytes(length)[: len(out) - at]
        elif damage == 2:
            del out[at : at + length]
        elif damage == 3:
            out[at:at] = out[at : at + length]
        elif damage == 4:
            out[at:at] = rng.randbytes(length)
        elif damage == 5:
            out[at : at + length] = bytes([rng.choice((0, 255, 127))]) * min(length, len(out) - at)
        else:
            del out[rng.randrange(len(out)) :]
        if not out:
            return b"x"
    return bytes(out)


def signatures(data: bytes, pattern: bytes) -> list[int]:
    """Returns where the structures of a format begin."""
    return [m.start() for m in re.finditer(pattern, data)] or [0]


HDF5_PARTS = rb"\x89HDF|TREE|HEAP|SNOD|OHDR|GCOL|BTHD|FRHP"
ZIP_PARTS = rb"PK\x01\x02|PK\x03\x04|PK\x05\x06"


# JSON -----------------------------------------------------------------------------------------------------------


def json_of(value: Any, rng: random.Random) -> Any:
    """Damages a few values of a config, which is changed in place."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        places = _places(value)
        if not places:
            return rng.choice(NUMBERS)
        holder, key = rng.choice(places)
        holder[key] = _other(holder[key], places, rng)
        if rng.random() < 0.15 and isinstance(holder, dict):
            del holder[key]
        elif rng.random() < 0.05 and isinstance(holder, list):
            holder.extend([holder[key]] * rng.choice((1, 3, 50)))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [value]
    while waiting:
        here = waiting.pop()
        keys = here.keys() if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        for key in keys:
            found.append((here, key))
            waiting.append(here[key])
    return found


def _other(old: Any, places: list[tuple[Any, Any]], rng: random.Random) -> Any:
    kind = rng.randrange(10)
    if kind < 4 and isinstance(old, int | float | type(None)):
        return rng.choice(NUMBERS)
    if kind < 4 and isinstance(old, str):
        return rng.choice(WORDS)
    if kind == 4:
        nested: Any = []
        for _ in range(rng.choice((5, 150, 3000))):
            nested = [nested] if rng.random() < 0.5 else {"config": nested, "class_name": "Functional"}
        return nested
    if kind == 5:
        return rng.choice(({}, [], None, True, "", {"class_name": "Lambda", "config": {}}))
    if kind < 8:
        holder, key = rng.choice(places)
        return json.loads(json.dumps(holder[key])) if _depth_at_most(holder[key], 50) else None
    return rng.choice((*NUMBERS, *WORDS))


def _depth_at_most(value: Any, most: int) -> bool:
    here = [value]
    for _ in range(most):
        here = [v for h in here for v in (h.values() if isinstance(h, dict) else h if isinstance(h, list) else ())]
        if not here:
            return True
    return False


def dumps(value: Any) -> bytes:
    """Writes JSON; an old text where the value is nested too deep to be written."""
    try:
        return json.dumps(value).encode("utf-8", "replace")
    except RecursionError:
        return b"[" * 100_000


# HDF5 -----------------------------------------------------------------------------------------------------------


def hdf5_of(data: bytes, rng: random.Random) -> bytes:
    """Changes the structure of an HDF5 file with h5py: links, shapes, attributes; the file stays a valid one."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        for _ in range(rng.choice((1, 1, 2, 4))):
            names: list[str] = []
            file.visit(names.append)
            # h5py will not do everything to a file that is damaged already.
            with contextlib.suppress(OSError, KeyError, ValueError, IndexError):
                rng.choice(_TREE_DAMAGE)(file, rng.choice(sorted(names)), rng)
    return buffer.getvalue()


def _delete(file: h5py.File, name: str, rng: random.Random) -> None:
    del file[name]


def _soft(file: h5py.File, name: str, rng: random.Random) -> None:
    del file[name]
    file[name] = h5py.SoftLink(rng.choice(("/", "/nowhere", f"/{name}")))


def _external(file: h5py.File, name: str, rng: random.Random) -> None:
    del file[name]
    file[name] = h5py.ExternalLink(rng.choice(("/etc/passwd", "other.h5")), "/x")


def _circle(file: h5py.File, name: str, rng: random.Random) -> None:
    file[f"{name.partition('/')[0]}_again"] = file[rng.choice(("/", name))]


def _huge(file: h5py.File, name: str, rng: random.Random) -> None:
    del file[name]
    shape = rng.choice(((2**40,), (10**6, 10**6), (2**28,), (2**20, 4)))
    file.create_dataset(name, shape, "float32", chunks=True, compression="gzip")


def _other_kind(file: h5py.File, name: str, rng: random.Random) -> None:
    del file[name]
    choice = rng.randrange(4)
    if choice == 0:
        file[name] = np.array([b"text"] * 3)
    elif choice == 1:
        file.create_dataset(name, (3,), h5py.string_dtype())
    elif choice == 2:
        file[name] = rng.choice((np.float64(1.5), np.zeros((2, 3), "int8"), np.zeros((0,), "float32")))
    else:
        file.create_group(name)


def _attribute(file: h5py.File, name: str, rng: random.Random) -> None:
    holder = rng.choice((file, file[name]))
    known = sorted(holder.attrs) or ["weight_names"]
    key = rng.choice(known)
    holder.attrs[key] = rng.choice(
        ("x", b"\xff\xfe", 3, np.zeros(5), [b"a", b"b"], [b"../../x", b"/"], "[" * 2000, "\x1b[31m", h5py.Empty("f"))
    )


_TREE_DAMAGE: tuple[Callable[[h5py.File, str, random.Random], None], ...] = (
    _delete,
    _soft,
    _external,
    _circle,
    _huge,
    _other_kind,
    _attribute,
    _attribute,
)


# Whole files ----------------------------------------------------------------------------------------------------


def keras_of(data: bytes, rng: random.Random) -> bytes:
    """Damages a `.keras` file: its bytes, its directory, or a member whose checksum then is right again."""
    kind = rng.randrange(10)
    if kind < 2:
        return bytes_of(data, rng)
    if kind == 2:
        return bytes_of(data, rng, signatures(data, ZIP_PARTS))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = members["model.weights.h5"]
    if kind < 7:
        members["config.json"] = dumps(json_of(json.loads(members["config.json"]), rng))
    elif kind == 7:
        members["model.weights.h5"] = hdf5_of(weights, rng)
    elif kind == 8:
        members["model.weights.h5"] = bytes_of(weights, rng, signatures(weights, HDF5_PARTS))
    else:
        return _other_archive(members, rng)
    return zipped(members.items(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _other_archive(members: dict[str, bytes], rng: random.Random) -> bytes:
    items = list(members.items())
    names = ("../x", "/tmp/x", "config.json", "assets/a", "a\\..\\b", "\x1b[31m", "model.weights.npz", "C:/x")
    extra = rng.choice(names)
    items.insert(rng.randrange(len(items) + 1), (extra, rng.choice((b"", b"{}", bytes(1 << 20)))))
    if rng.random() < 0.3:
        del items[rng.randrange(len(items))]
    return zipped(items, zipfile.ZIP_DEFLATED)


def zipped(members: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a zip archive of (name, bytes) pairs, names that stand twice included."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def h5_of(data: bytes, rng: random.Random) -> bytes:
    """Damages an HDF5 file: bytes, structure, or the config in it."""
    kind = rng.randrange(6)
    if kind == 0:
        return bytes_of(data, rng)
    if kind == 1:
        return bytes_of(data, rng, signatures(data, HDF5_PARTS))
    if kind == 2:
        return hdf5_of(data, rng)
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        if "model_config" in file.attrs:
            file.attrs["model_config"] = dumps(json_of(json.loads(file.attrs["model_config"]), rng))
        else:
            _attribute(file, sorted(file)[0], rng)
    return buffer.getvalue()
