"""Mappings given in code -> the same plain values that a YAML text gives."""

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


def check_string(text: str) -> str | None:
    """Says why a string does not belong into a configuration, or None."""
    if len(text) > MAX_CHARACTERS:
        return f"a string of {len(text)} characters; expected {MAX_CHARACTERS} at most."
    if any(unicodedata.category(c) in INVISIBLE for c in text):
        return f"control characters are not allowed in {shorten(text)}."
    return None


def plain(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """Returns a deep copy made of dict, list, str, int, float, bool and None; adds to `problems` what is none of them.

    Tuples become lists, paths become strings, NumPy's numbers become Python's.
    """
    if len(path) >= MAX_DEPTH:
        problems.append((path, f"nested deeper than {MAX_DEPTH} levels."))
        return None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        if int(value).bit_length() > MAX_BITS:
            problems.append((path, f"a whole number of {int(value).bit_length()} bits; expected {MAX_BITS} at most."))
            return 0
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list | tuple | Mapping) and len(value) > MAX_ENTRIES:
        problems.append((path, f"{len(value)} entries; expected {MAX_ENTRIES} at most."))
        return None
    if isinstance(value, str):
        problem = check_string(value)
        if problem:
            problems.append((path, problem))
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item, (*path, index), problems) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _mapping(value, path, problems)
    problems.append((path, f"a value of type {type(value).__name__} came; expected what YAML can write."))
    return None


def _mapping(value: Mapping[Any, Any], path: KeyPath, problems: list[Problem]) -> dict[str, Any]:
    found = {}
    for key, item in value.items():
        if not isinstance(key, str):
            problems.append((path, f"a key must be a string; {shorten(key)} came."))
            continue
        found[str(key)] = plain(item, (*path, key), problems)
        problem = check_string(key)
        if problem:
            problems.append((path, problem))
    return found
