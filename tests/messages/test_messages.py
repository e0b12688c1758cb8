"""The whole text of every message that attnzoo raises.

An example is one line of a table: what fails, and the text. A `raise` that no example comes through fails the last
test; its example goes into `plans` (where attention goes), `models` (graphs, layers, rebuilding), `classes` (models
of a class of their own), `files`, `bounds` (what may not be asked for) or `rest`.
"""

from __future__ import annotations

import pytest

from attnzoo.errors import ConfigError

from . import bounds, classes, files, models, plans, rest, weights
from .collector import NO_MESSAGES, Example, outcome, raises, reasons, sentences, sites, written

EXAMPLES = [e for table in (plans, models, classes, files, weights, bounds, rest) for e in table.EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.text[:60])
def test_the_whole_text(example: Example) -> None:
    error = outcome(example).error
    assert str(error) == example.text
    assert isinstance(error, ConfigError) or "\n" not in example.text


@pytest.mark.parametrize("site", sorted(sites()), ids=str)
def test_every_raise_has_an_example(site) -> None:
    assert any(site in outcome(e).sites for e in EXAMPLES), "add its text to tests/messages"


@pytest.mark.parametrize("site", sorted(reasons()), ids=str)
def test_every_reason_stands_in_an_example(site) -> None:
    assert any(reasons()[site].search(e.text) for e in EXAMPLES), "add a message with it to tests/messages"


@pytest.mark.parametrize("site", sorted(sentences()), ids=str)
def test_every_other_sentence_stands_in_a_test(site) -> None:
    assert any(sentences()[site].search(text) for text in written()), "add a test that compares it"


def test_a_message_is_a_sentence() -> None:
    for example in (e for table in (plans, models, classes, files, bounds) for e in table.EXAMPLES):
        assert example.text.endswith((".", "?")), example.text


def test_the_collector_finds_what_is_raised() -> None:
    files = {site.file for site, _ in raises()}
    assert {
        "planning/placement.py",
        "_keras/graph.py",
        "_keras/clone.py",
        "config/_load.py",
        "layers/eca.py",
        "cli/_arguments.py",
    } <= files
    assert all("raise " not in site.what for site in sites())
    assert not {site.what.partition("(")[0] for site in sites()} & set(NO_MESSAGES)
