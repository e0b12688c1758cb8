"""Writes a page of the documentation that is made by a script, or says whether it is what would be written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def write_or_check(page: Callable[[], str], path: Path, command: str, description: str) -> int:
    """The main program of such a script; returns its exit code.

    Args:
        page: makes the text.
        path: the page.
        command: how the script is called.
        description: what it writes, for its help.
    """
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is stale")
    check = parser.parse_args().check
    text = page()
    if check:
        if path.exists() and path.read_text("utf-8") == text:
            return 0
        print(f"docs/{path.name} is stale; run {command}.", file=sys.stderr)
        return 1
    path.write_text(text, "utf-8")
    return 0
