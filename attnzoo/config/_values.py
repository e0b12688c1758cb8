"""The one judge of values, whether a YAML text, a mapping or an override brings them."""

from __future__ import annotations

import numbers
import os
import unicodedata
from collections.abc import Mapping
from typing import Any

from attnzoo.config._source import KeyPath, Problem, shorten
from attnzoo.errors import INVISIBLE

MAX_DEPTH = 8
MAX_CHARACTERS = 1000
MAX_ENTRIES = 1000
MAX_BITS = 64
NO_KEY = "a key must be a string."


def plain(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """Returns a deep copy made of dict, list, str, int, float, bool and None; adds to `problems` what is none of them.

    Tuples become lists, paths become strings, NumPy's numbers and arrays become Python's.
    """
    if len(path) >= MAX_DEPTH:
        problems.append((path, f"nested deeper than {MAX_DEPTH} levels."))
        return None
    if hasattr(type(value), "tolist"):
        value = value.tolist()
    elif isinstance(value, os.PathLike):
        value = os.fspath(value)
    problem = None
    if isinstance(value, list | tuple | Mapping):
        if len(value) <= MAX_ENTRIES:
            return _entries(value, path, problems)
        problem = f"{len(value)} entries; expected {MAX_ENTRIES} at most."
    elif isinstance(value, str):
        value, problem = str(value), _of_string(value)
    elif value is None or isinstance(value, bool):
        pass
    elif isinstance(value, numbers.Integral):
        value = int(value)
        if value.bit_length() > MAX_BITS:
            problem = f"a whole number too large for {MAX_BITS} bits."
    elif isinstance(value, numbers.Real):
        value = float(value)
    else:
        problem = f"a value of type {type(value).__name__} came; expected what YAML can write."
    if problem:
        problems.append((path, problem))
        return None
    return value


def _entries(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        return [plain(item, (*path, index), problems) for index, item in enumerate(value)]
    found = {}
    for key, item in value.items():
        here = (*path, key if isinstance(key, str) else shorten(key))
        problem = _of_string(key) if isinstance(key, str) else NO_KEY
        if problem:
            problems.append((here, problem))
        else:
            found[str(key)] = plain(item, here, problems)
    return found


def _of_string(text: str) -> str | None:
    if len(text) > MAX_CHARACTERS:
        return f"a string of {len(text)} characters; expected {MAX_CHARACTERS} at most."
    if any(unicodedata.category(c) in INVISIBLE for c in text):
        return f"control characters are not allowed in {shorten(text)}."
    return None
