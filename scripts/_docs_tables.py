"""Writes docs/zoo.md from the registry; `--check` says whether it is what would be written."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _page import write_or_check

from attnzoo.cli._quiet import import_keras

import_keras()

from attnzoo.layers import zoo_table  # noqa: E402
from attnzoo.layers._registry import attention_class  # noqa: E402
from attnzoo.layers._table import CHANNELS, HEIGHT, WIDTH  # noqa: E402

PAGE = Path(__file__).resolve().parents[1] / "docs" / "zoo.md"

INTRODUCTION = f"""\
<!-- Written by scripts/docs-tables from the registry; edit the modules instead. -->

# The zoo

`attnzoo list attentions` prints this table. Parameters and MACs are those of one module with default options on a
{HEIGHT} x {WIDTH} x {CHANNELS} map, without the identity's `alpha`; MACs count convolutions and matrix products. A
*gate* g multiplies, A(x) = x * g; a *context* c is added, A(x) = x + c. *Identity* is the formula of `init="identity"`,
`alpha` a learnable number that starts at zero; "as published" needs none: the module returns its input from the start.
*Checked against* names whose numbers the module reproduces to 1e-5 from the same weights. Networks with any of
them export to LiteRT and ONNX, from TensorFlow, and compute the same there to 1e-5.
"""

DIFFERENCES = """\
## Where sources differ

Every difference is an option of the module. What follows says what the sources do, and which of it is the default.
"""


def page() -> str:
    rows = zoo_table()
    return "\n".join([INTRODUCTION, *_table(rows), "", DIFFERENCES, *_paragraphs(rows)])


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| key | class | paper | year | kind | parameters | MACs | identity | checked against |"
    yield "|---|---|---|---:|---|---:|---:|---|---|"
    for r in rows:
        costs = ["-" if r[name] is None else f"{r[name]:,}" for name in ("parameters", "macs")]
        named = f"`{r['class']}`, {r['title']}"
        identity = r["identity"] if r["identity"] == "as published" else f"`{r['identity']}`"
        cells = (f"`{r['key']}`", named, _link(r["paper"]), str(r["year"]), r["kind"], *costs, identity)
        yield "| " + " | ".join([*cells, r["checked_against"]]) + " |"


def _link(paper: str) -> str:
    number = paper.removeprefix("arXiv:")
    return paper if number == paper else f"[{paper}](https://arxiv.org/abs/{number})"


def _paragraphs(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The paragraph of each module's file that begins with "Differences between sources"."""
    for r in rows:
        text = sys.modules[attention_class(r["key"]).__module__].__doc__ or ""
        for paragraph in text.strip().split("\n\n"):
            start, _, rest = paragraph.partition("Differences between sources, each an option: ")
            if rest and not start:
                whole = f"**`{r['key']}`**: {' '.join(rest.split())}"
                yield textwrap.fill(whole, 120, break_on_hyphens=False, break_long_words=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(write_or_check(page, PAGE, "scripts/docs-tables", (__doc__ or "").partition(";")[0]))
