"""Every place where attnzoo raises an error, the examples, and which of these places an example came through."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import attnzoo
from attnzoo.errors import AttnzooError, listing

PACKAGE = Path(attnzoo.__file__).parent
SNAPSHOT = Path(__file__).with_name("snapshot.json")

NO_MESSAGES = {
    "NotImplementedError": "what a module has to write; a test of its author's meets it",
    "AttributeError": "what Python expects of a module",
    "ArgumentError": "argparse prints it and exits; tests/cli compares what is printed",
}
"""What is raised without being an error of attnzoo's, and why it has no example."""

REASONS = {"Clash", "Closed", "Missing", "NotLoaded", "Refused", "Unreadable"}
"""What never leaves the package, and whose text becomes a part of another message."""


class Said(Exception):
    """What an example prints or returns, where attnzoo raises no error of its own."""


class Site(NamedTuple):
    """One `raise`."""

    file: str
    first: int
    last: int
    what: str

    def __str__(self) -> str:
        return f"attnzoo/{self.file}:{self.first}: {self.what}"


class Outcome(NamedTuple):
    """What became of an example: its text, its error, each `raise` that came to, each sentence that it made."""

    text: str | None
    error: Exception | None
    sites: frozenset[Site]
    sentences: frozenset[Site]


def says(text: Callable[[], str]) -> Callable[[], None]:
    """Makes an example of what a function returns."""

    def run() -> None:
        raise Said(text())

    return run


# What there is ---------------------------------------------------------------------------------------------------


def examples(module: ModuleType) -> dict[str, Callable[[], Any]]:
    """Returns the examples of a file, under the code that makes each: every entry of every list with a capital name."""
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List) and ast.unparse(node.targets[0]).isupper():
            calls = getattr(module, ast.unparse(node.targets[0]))
            for expression, call in zip(node.value.elts, calls, strict=True):
                name = ast.unparse(expression)
                assert name not in found, f"{module.__name__}: {name} stands there twice"
                found[name] = call
    return found


def snapshot() -> dict[str, dict[str, str]]:
    """Returns the texts of the snapshot, under the file and the code of their examples."""
    return json.loads(SNAPSHOT.read_text("utf-8"))


def write_snapshot(texts: dict[str, dict[str, str | None]]) -> None:
    """Writes the snapshot."""
    SNAPSHOT.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n", "utf-8")


@functools.cache
def raises() -> tuple[tuple[Site, ast.Call], ...]:
    """Returns each `raise Kind(...)` of the package that is an error of attnzoo's, or becomes a part of one."""
    return tuple(
        (Site(path.relative_to(PACKAGE).as_posix(), node.lineno, node.end_lineno or node.lineno, what), call)
        for path, tree in _trees(PACKAGE)
        for node, call, what in raised(tree)
    )


def raised(tree: ast.Module) -> Iterator[tuple[ast.Raise, ast.Call, str]]:
    """Yields each `raise Kind(...)` that needs an example, with its call and its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _kind(node.exc) not in NO_MESSAGES:
            yield node, node.exc, ast.unparse(node.exc)


def kinds() -> set[str]:
    """Returns the names of all that the package raises, whether it needs an example or not."""
    nodes = (node for _, tree in _trees(PACKAGE) for node in ast.walk(tree))
    return {_kind(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc is not None}


def sites() -> set[Site]:
    """Returns the places whose errors leave the package."""
    return {site for site, call in raises() if _kind(call) not in REASONS}


@functools.cache
def sentences() -> dict[Site, re.Pattern[str]]:
    """Returns the other messages and parts of messages, each with what matches it: strings outside of a `raise` that
    end like a sentence, and reasons.

    Problems of a configuration are collected before one `raise` shows them all; notes of a plan are raised by nothing.
    """
    found = {site: _pattern(call.args[0]) for site, call in raises() if _kind(call) in REASONS}
    for path, tree in _trees(PACKAGE):
        raised = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)}
        for node in (n for n in _strings(tree) if id(n) not in raised):
            pattern = _pattern(node)
            if " " in pattern.pattern and pattern.pattern.rstrip("\\\n").endswith(r"\."):
                file = path.relative_to(PACKAGE).as_posix()
                site = Site(file, node.lineno, node.end_lineno or node.lineno, ast.unparse(node))
                found[site] = re.compile(pattern.pattern.rstrip("\\n").removesuffix("\\."))  # more may follow
    return found


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


def _kind(raised: ast.expr) -> str:
    what = raised.func if isinstance(raised, ast.Call) else raised
    return what.attr if isinstance(what, ast.Attribute) else ast.unparse(what)


def _pattern(text: ast.expr) -> re.Pattern[str]:
    """Returns what finds a text in a longer one, whatever is filled in."""
    parts = (re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*" for p in _parts(text))
    # What opens with ".*" is found without it as well, and sooner: not tried again from each letter.
    return re.compile("".join(parts).removeprefix(".*"))


# What an example does --------------------------------------------------------------------------------------------


@functools.cache
def outcome(provoke: Callable[[], Any]) -> Outcome:
    """Runs an example, once, in an empty folder."""
    ran: set[tuple[str, int]] = set()
    error: Exception | None = None
    with tempfile.TemporaryDirectory() as folder, _inside(folder), _lines(ran):
        try:
            provoke()
        except (AttnzooError, Said) as raised:
            error = raised
    if error is None:
        return Outcome(None, None, frozenset(), frozenset())
    made = {s for s in sentences() if any((s.file, line) in ran for line in range(s.first, s.last + 1))}
    return Outcome(_masked(str(error)), error, frozenset(_through(error)), frozenset(made))


def _masked(text: str) -> str:
    """Returns a text without what another version of Keras or HDF5 changes."""
    text = text.replace(listing(attnzoo.list_backbones(), 6), "{backbones}")
    text = re.sub(r"would grow from [\d,]+ to [\d,]+", "would grow from {size} to {size}", text)
    return re.sub(r"the file has [\d,]+", "the file has {size}", text)


@contextlib.contextmanager
def _lines(ran: set[tuple[str, int]]) -> Iterator[None]:
    """Collects which lines of the package run, in files that hold sentences."""
    watched = {str(PACKAGE / site.file): site.file for site in sentences()}

    def call(frame: Any, event: str, arg: Any) -> Any:
        file = watched.get(frame.f_code.co_filename)
        if file is None:
            return None

        def line(frame: Any, event: str, arg: Any) -> Any:
            ran.add((file, frame.f_lineno))
            return line

        return line

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)


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
