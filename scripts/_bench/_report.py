"""Tables, and where they go."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import keras

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bench.md"


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays out a markdown table; all columns but the first two are numbers and stand to the right."""
    rule = ["---" if i < 2 else "---:" for i in range(len(heading))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heading, rule, *rows])


def verdict(value: float, target: float | None) -> tuple[str, str]:
    """Returns the cells for the target and for whether it was met."""
    if target is None:
        return "-", "-"
    return f"{target:.2f}", "yes" if round(value, 2) <= target else "**no**"


def stamp(verb: str, rounds: int) -> str:
    """Says how, on what and with what versions something was measured."""
    packages = [f"{name} {version(name)}" for name in ("attnzoo", "keras", keras.backend.backend())]
    machine = f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"
    return (
        f"`scripts/bench {verb} --rounds {rounds}`, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f} before;"
        f" {machine}; Python {platform.python_version()}, {', '.join(packages)}."
    )


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def write(verb: str, text: str) -> None:
    """Puts a verb's text between its markers in the document; a verb without markers is added at the end."""
    start, end = f"<!-- bench:{verb} -->", f"<!-- /bench:{verb} -->"
    section = f"{start}\n{text}\n{end}"
    document = DOCS.read_text()
    if start in document and end in document:
        before, _, rest = document.partition(start)
        document = before + section + rest.partition(end)[2]
    else:
        document = f"{document.rstrip()}\n\n## {verb}\n\n{section}\n"
    DOCS.write_text(document)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
