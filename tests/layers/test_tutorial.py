"""The tutorial runs from top to bottom and prints what it says it prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from attnzoo.layers import _registry

PAGE = Path(__file__).parents[2] / "docs" / "tutorial_new_module.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    """Returns (code, what it prints) of each block of Python."""
    found = []
    for language, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if language == "python":
            found.append([text, ""])
        else:
            found[-1][1] = text
    return found


@pytest.fixture
def registry(monkeypatch):
    """What the page registers is gone afterwards."""
    monkeypatch.setattr(_registry, "_REGISTRY", dict(_registry._REGISTRY))


def test_the_page_runs_and_prints_what_it_says(registry):
    found = blocks()
    assert len(found) > 4
    names = {"__name__": "tutorial"}
    for code, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, PAGE.name, "exec"), names)
        assert printed.getvalue() == expected
    assert "lct" in _registry.list_attentions()


def test_the_module_is_ten_lines():
    body = blocks()[0][0].partition("class LinearContextTransform(Attention):\n")[2].partition("    def macs")[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 10
