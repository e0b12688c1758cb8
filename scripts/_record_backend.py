"""Puts the figures of a test run into the table of docs/backends.md: `_record_backend.py results.xml`."""

from __future__ import annotations

import collections
import os
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backends.md"


def row(results: ElementTree.Element, backend: str) -> str:
    """Returns the line of the table for one run, from pytest's JUnit report."""
    suites = list(results.iter("testsuite"))
    total, failed, skipped = (
        sum(int(s.get(key, 0)) for s in suites for key in keys)
        for keys in (("tests",), ("failures", "errors"), ("skipped",))
    )
    seconds = sum(float(s.get("time", 0)) for s in suites)
    reasons = collections.Counter(
        re.sub(r"^Skipped: ", "", s.get("message", "")).replace("|", "/") for s in results.iter("skipped")
    )
    why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    cells = (
        f"{backend} {version(backend)}",
        str(total - failed - skipped),
        str(failed),
        why or "none",
        f"{seconds / 60:.0f} min",
        time.strftime("%Y-%m-%d"),
    )
    return f"| {' | '.join(cells)} |"


def put(page: str, line: str) -> str:
    """Returns the page with a row in the place of the one of the same backend."""
    name = re.escape(line.split()[1])
    new, count = re.subn(rf"^\| {name} .*$", lambda _: line, page, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} rows for {name}; expected one.")
    return new


if __name__ == "__main__":
    report = ElementTree.parse(sys.argv[1]).getroot()
    text = put(PAGE.read_text("utf-8"), row(report, os.environ.get("KERAS_BACKEND", "tensorflow")))
    PAGE.write_text(text, "utf-8")
