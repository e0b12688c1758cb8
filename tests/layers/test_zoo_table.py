"""The table of the zoo, and the page made from it."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

import attnzoo
from attnzoo.layers import zoo_table
from attnzoo.layers._registry import attention_class

SCRIPTS = str(Path(__file__).parents[2] / "scripts")


@pytest.fixture(scope="module")
def rows():
    return {row["key"]: row for row in zoo_table()}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("_docs_tables")


def test_the_table_holds_every_attention_with_every_fact(rows):
    assert list(rows) == attnzoo.list_attentions()
    for row in rows.values():
        assert all(value not in (None, "") for value in row.values())


def test_a_row(rows):
    assert rows["gc"] == {
        "key": "gc",
        "class": "GlobalContext",
        "title": "Global Context",
        "paper": "arXiv:1904.11492",
        "year": 2019,
        "kind": "context",
        "parameters": 256 + 1 + 256 * 16 + 16 + 2 * 16 + 16 * 256 + 256,
        "macs": 2 * 256 * 196 + 2 * 256 * 16,
        "identity": "as published",
        "checked_against": attention_class("gc").checked_against,
    }


def test_identity_recipes(rows):
    published = {key for key, row in rows.items() if row["identity"] == "as published"}
    assert published == {"gc", "gct", "nl", "scse"}
    one, several = "x * (1 + alpha * (g - 1))", "x * (1 + alpha * (g - 1)), gate by gate"
    assert {key for key, row in rows.items() if row["identity"] == several} == {"cbam", "lcbam"}
    assert {row["identity"] for key, row in rows.items() if key not in published} == {one, several}


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_the_recipe_is_what_the_layer_does(rows, key):
    layer = attention_class(key)(init="identity")
    layer.build((None, 14, 14, 256) if layer.data_format == "channels_last" else (None, 256, 14, 14))
    assert ("alpha" in rows[key]["identity"]) == (layer.alpha is not None)
    own = [w for w in layer.trainable_weights if w is not layer.alpha]
    assert rows[key]["parameters"] == sum(math.prod(w.shape) for w in own)


def test_a_module_that_counts_nothing_and_fits_nowhere_has_no_numbers():
    from attnzoo.layers import Attention
    from attnzoo.layers._table import _row

    class Bare(Attention):
        def gate(self, x, training=None):
            return x

    class Nowhere(Bare):
        @classmethod
        def check_site(cls, channels, height, width, options):
            return "no"

    assert (_row("bare", Bare)["parameters"], _row("bare", Bare)["macs"]) == (0, None)
    assert (_row("nowhere", Nowhere)["parameters"], _row("nowhere", Nowhere)["macs"]) == (None, None)


def test_the_page_is_not_stale(script):
    assert script.PAGE.read_text("utf-8") == script.page(), "docs/zoo.md is stale; run scripts/docs-tables."


def test_the_page_tells_how_sources_differ_for_every_module(script):
    text = script.page()
    for key in attnzoo.list_attentions():
        paragraph = text.partition(f"\n**`{key}`**: ")[2].partition("\n\n")[0]
        assert "Default: " in paragraph


def test_check_mode_fails_on_a_stale_page(script, monkeypatch, tmp_path, capsys):
    page = tmp_path / "zoo.md"

    def run(*options):
        monkeypatch.setattr("sys.argv", ["docs-tables", *options])
        return script.write_or_check(lambda: "text", page, "scripts/docs-tables", "a page")

    assert run("--check") == 1
    assert capsys.readouterr().err == "docs/zoo.md is stale; run scripts/docs-tables.\n"
    assert run() == 0
    assert page.read_text() == "text"
    assert run("--check") == 0
