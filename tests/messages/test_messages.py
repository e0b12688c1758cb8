"""The whole text of every message of attnzoo's.

An example is a call that fails, one entry of a list in `plans` (where attention goes), `models` (graphs, layers,
rebuilding), `subclassed`, `classes` (models of a class of their own), `inside` (layers that call layers), `files`,
`loading`, `weights`, `configs`, `data` or `rest`. Its text stands in `snapshot.json` and nowhere else. After a text was
changed, or an example added:

    python -m pytest tests/messages --update-messages

and read the difference. A `raise` that no example comes through fails here, and so does a sentence that is part of
no example's text, or only of one that never made it.
"""

from __future__ import annotations

import ast

import pytest

from attnzoo.errors import ConfigError

from . import classes, configs, data, files, inside, loading, models, plans, rest, subclassed, weights
from .collector import (
    NO_MESSAGES,
    REASONS,
    Said,
    examples,
    kinds,
    outcome,
    raised,
    raises,
    sentences,
    sites,
    snapshot,
)

MODULES = (plans, models, subclassed, classes, inside, files, loading, weights, configs, data, rest)
EXAMPLES = {module.__name__.rpartition(".")[2]: examples(module) for module in MODULES}
CALLS = [call for table in EXAMPLES.values() for call in table.values()]
QUOTES = ("'weight_map'", "Received: input_shape=(10, 10, 3)", "identifier: heavenly")
"""How a message may end that is no sentence: with the words of Keras or of Python."""


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, table in EXAMPLES.items() for name in table])
def test_the_whole_text(file: str, name: str) -> None:
    found = outcome(EXAMPLES[file][name])
    assert found.text is not None, "nothing was raised"
    assert found.text == snapshot()[file].get(name), "read it, then run pytest with --update-messages"
    if not isinstance(found.error, Said):
        assert isinstance(found.error, ConfigError) or "\n" not in found.text
        assert found.text.endswith((".", "?", *QUOTES))


def test_the_snapshot_holds_nothing_else() -> None:
    assert {file: list(texts) for file, texts in snapshot().items()} == {f: list(t) for f, t in EXAMPLES.items()}


@pytest.mark.parametrize("site", sorted(sites()), ids=str)
def test_every_raise_has_an_example(site) -> None:
    assert any(site in outcome(call).sites for call in CALLS), "add an example to tests/messages"


@pytest.mark.parametrize("site", sorted(sentences()), ids=str)
def test_every_other_sentence_stands_in_an_example_that_made_it(site) -> None:
    found = (outcome(call) for call in CALLS)
    assert any(site in o.sentences and sentences()[site].search(o.text) for o in found), (
        "add an example to tests/messages; what is only printed or returned is raised there as Said"
    )


SOURCE = """
try:
    raise PlanError(f"no {x}.")
except errors.RewriteError as error:
    raise errors.ConfigError("no") from error
raise NotImplementedError("not here")
raise
raise error
"""


def test_the_collector_finds_what_is_raised() -> None:
    assert [what for _, _, what in raised(ast.parse(SOURCE))] == ["PlanError(f'no {x}.')", "errors.ConfigError('no')"]
    assert {site.file.partition("/")[0] for site, _ in raises()} >= {"planning", "_keras", "config", "layers", "cli"}


def test_what_needs_no_example_is_still_raised() -> None:
    assert {*NO_MESSAGES, *REASONS} <= kinds()
