"""Where a configuration came from, so that a message can point at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""The keys and indices that lead to a value: `("insert", 1, "attention")`."""

Problem = tuple[KeyPath, str]
"""Where, and what came, what was expected."""

MOST_LINES = 100


@dataclass(frozen=True)
class Source:
    """Origin of a configuration; all origins are equal, so that configurations are compared by what they say.

    Args:
        label: the file as a message should name it; None for a mapping.
        folder: what relative paths are relative to.
        positions: line and column, both from 1, of each key and list entry.
        overridden: the paths that came from overrides and not from the file.
    """

    label: str | None = field(default=None, compare=False)
    folder: Path = field(default_factory=Path, compare=False)
    positions: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict, compare=False)
    overridden: frozenset[KeyPath] = field(default=frozenset(), compare=False)

    def line(self, path: KeyPath, text: str) -> str:
        """Returns `file.yaml:5:5: insert.1.attention: text`, or as much of it as is known."""
        return self._where(path) + (f"{dotted(path)}: " if path else "") + text

    def lines(self, problems: list[Problem]) -> str:
        """Returns a line for each problem, in the order of the file, cut after a hundred."""
        found = [self.line(path, text) for path, text in sorted(problems, key=lambda p: self._position(p[0]))]
        more = [f"... and {len(found) - MOST_LINES} more problems."] if len(found) > MOST_LINES else []
        return "\n".join([*found[:MOST_LINES], *more])

    def _where(self, path: KeyPath) -> str:
        if self._is_overridden(path):
            return "override "
        if self.label is None:
            return ""
        line, column = self._position(path)
        return f"{self.label}:{line}:{column}: "

    def _is_overridden(self, path: KeyPath) -> bool:
        if any(path[: len(o)] == o for o in self.overridden):
            return True
        # A parent that the file does not have was made for the override below it.
        made = path not in self.positions and bool(path)
        return made and any(o[: len(path)] == path for o in self.overridden)

    def _position(self, path: KeyPath) -> tuple[int, int]:
        for end in range(len(path), -1, -1):
            if path[:end] in self.positions:
                return self.positions[path[:end]]
        return (1, 1)


def dotted(path: KeyPath) -> str:
    """Returns `insert.1.attention`."""
    parts = [str(part) or "''" for part in path]
    return ".".join(part if len(part) <= 60 else part[:57] + "..." for part in parts)


def describe(value: Any) -> str:
    """Says in words what kind of value came."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"a string {shorten(value)}"
    if isinstance(value, int | float):
        return f"the number {value!r}"
    if isinstance(value, list):
        return f"a list {shorten(value)}"
    if isinstance(value, dict):
        return "a mapping"
    return f"a value of type {type(value).__name__}"


def shorten(value: Any, most: int = 60) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes out no whole number of more than 4300 digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else text[: most - 3] + "..."
