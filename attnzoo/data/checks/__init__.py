"""Checks. Each file has `check(looked) -> Iterator[Finding]`, and is found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from attnzoo.data.findings import Finding
from attnzoo.data.images import Looked


def list_checks() -> list[str]:
    """Returns the names of the files."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def run_checks(looked: Looked) -> Iterator[Finding]:
    """Yields what all checks find."""
    for name in list_checks():
        yield from importlib.import_module(f"{__name__}.{name}").check(looked)
