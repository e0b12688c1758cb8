"""Every place where attnzoo raises an error, and which of these places an error came through."""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attnzoo
from attnzoo.errors import AttnzooError

PACKAGE = Path(attnzoo.__file__).parent

NO_MESSAGES = {
    "NotImplementedError": "what a module has to write; a test of its author's meets it",
    "AttributeError": "what Python expects of a module",
    "ArgumentError": "argparse prints it and exits; tests/cli compares what is printed",
}
"""What is raised without being an error of attnzoo's, and why it has no example."""

REASONS = {"Missing"}
"""What never leaves the package, and whose text becomes a part of another message."""


class Example(NamedTuple):
    """A call that fails, and the whole text of its error."""

    provoke: Callable[[], Any]
    text: str


class Site(NamedTuple):
    """One `raise`."""

    file: str
    first: int
    last: int
    what: str

    def __str__(self) -> str:
        return f"attnzoo/{self.file}:{self.first}: {self.what}"


class Outcome(NamedTuple):
    """What became of an example."""

    error: Exception | None
    sites: frozenset[Site]


# What there is ---------------------------------------------------------------------------------------------------


@functools.cache
def raises() -> tuple[tuple[Site, ast.Call], ...]:
    """Returns each `raise Kind(...)` of the package."""
    found = []
    for path, tree in _trees(PACKAGE):
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _kind(node.exc) not in NO_MESSAGES:
                what = ast.unparse(node.exc)
                site = Site(path.relative_to(PACKAGE).as_posix(), node.lineno, node.end_lineno or node.lineno, what)
                found.append((site, node.exc))
    return tuple(found)


def sites() -> set[Site]:
    """Returns the places whose errors leave the package."""
    return {site for site, call in raises() if _kind(call) not in REASONS}


def reasons() -> dict[Site, re.Pattern[str]]:
    """Returns the places whose texts become parts of messages, each with what matches its text."""
    return {site: _pattern(call.args[0]) for site, call in raises() if _kind(call) in REASONS}


@functools.cache
def sentences() -> dict[Site, re.Pattern[str]]:
    """Returns the other messages: strings outside of a `raise` that end like a sentence, each with what matches it.

    Problems of a configuration are collected before one `raise` shows them all; notes of a plan are raised by nothing.
    """
    found = {}
    for path, tree in _trees(PACKAGE):
        raised = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)}
        for node in (n for n in _strings(tree) if id(n) not in raised):
            pattern = _pattern(node)
            if " " in pattern.pattern and pattern.pattern.rstrip("\\\n").endswith(r"\."):
                file = path.relative_to(PACKAGE).as_posix()
                found[Site(file, node.lineno, node.end_lineno or node.lineno, ast.unparse(node))] = pattern
    return found


@functools.cache
def written() -> tuple[str, ...]:
    """Returns every string that a test holds, with a mark where it fills something in."""
    return tuple(
        "".join(str(p.value) if isinstance(p, ast.Constant) else "\ufffc" for p in _parts(node))
        for _, tree in _trees(Path(__file__).parents[1])
        for node in _strings(tree)
    )


def _trees(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def _strings(tree: ast.Module) -> Iterator[ast.expr]:
    """Yields strings and f-strings, without docstrings, constants and the pieces of f-strings."""
    pieces = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            pieces.add(id(node.value))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper():
            pieces.add(id(node.value))  # a constant such as the description of the command line
        elif isinstance(node, ast.JoinedStr):
            pieces.update(id(part) for part in ast.walk(node) if part is not node)
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (text or isinstance(node, ast.JoinedStr)) and id(node) not in pieces:
            yield node


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.values if isinstance(node, ast.JoinedStr) else [node]


def _kind(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def _pattern(text: ast.expr) -> re.Pattern[str]:
    """Returns what finds a text in a longer one, whatever is filled in."""
    parts = (re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*" for p in _parts(text))
    # What opens with ".*" is found without it as well, and sooner: not tried again from each letter.
    return re.compile("".join(parts).removeprefix(".*"))


# What an example does --------------------------------------------------------------------------------------------


@functools.cache
def outcome(example: Example) -> Outcome:
    """Runs an example, once, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder, _inside(folder):
        try:
            example.provoke()
        except AttnzooError as error:
            return Outcome(error, frozenset(_through(error)))
    return Outcome(None, frozenset())


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _through(error: BaseException | None) -> Iterator[Site]:
    """Yields where an error was raised, and where those were that it took the place of."""
    while error is not None:
        lines = []
        trace = error.__traceback__
        while trace is not None:
            path = Path(trace.tb_frame.f_code.co_filename)
            if path.is_relative_to(PACKAGE):
                lines.append((path.relative_to(PACKAGE).as_posix(), trace.tb_lineno))
            trace = trace.tb_next
        yield from (s for s, _ in raises() if lines and s.file == lines[-1][0] and s.first <= lines[-1][1] <= s.last)
        error = error.__context__
