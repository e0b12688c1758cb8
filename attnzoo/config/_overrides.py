"""`{"head.classes": 10}`: single values of a configuration, replaced before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from attnzoo.config._source import KeyPath, Problem, describe, dotted
from attnzoo.config._values import plain


def apply_overrides(raw: Any, overrides: Mapping[str, Any], problems: list[Problem]) -> tuple[Any, frozenset[KeyPath]]:
    """Returns a new configuration with some values replaced, and the paths that were.

    A path that leads through a missing mapping creates it; whether the key is a known one is for the checks to say.

    Args:
        raw: plain values.
        overrides: `insert.0.ratio` -> value.
        problems: receives what cannot be addressed.
    """
    done: set[KeyPath] = set()
    raw = copy.deepcopy(raw)
    for text, value in overrides.items():
        plain(str(text), (), problems)  # its parts may become keys
        path = _parse(text)
        problem = _set(raw, path, plain(value, path, problems))
        done.add(path)
        if problem:
            problems.append((path, problem))
    return raw, frozenset(done)


def _parse(text: str) -> KeyPath:
    return tuple(int(part) if part.isdecimal() and len(part) < 6 else part for part in str(text).split("."))


def _set(raw: Any, path: KeyPath, value: Any) -> str | None:
    here = raw
    for depth, key in enumerate(path):
        name, last = dotted(path[:depth]) or "the configuration", depth == len(path) - 1
        if isinstance(here, list):
            if not isinstance(key, int) or key >= len(here):
                return f"{name} has no entry {key!r}; " + (f"it has 0 to {len(here) - 1}." if here else "it is empty.")
        elif not isinstance(here, dict):
            return f"{name} is {describe(here)} and has no parts."
        elif key == "" or isinstance(key, int):
            return f"{name} is a mapping and has no entry {key!r}."
        elif not last and here.get(key) is None:
            here[key] = [] if isinstance(path[depth + 1], int) else {}
        if last:
            here[key] = value
        else:
            here = here[key]
    return None
