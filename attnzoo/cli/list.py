"""`attnzoo list`: what there is."""

from __future__ import annotations

import argparse
from typing import Any

from attnzoo.cli._arguments import add_json, print_json

HELP = "list attentions, backbones and shipped configurations"
WHAT = ("attentions", "backbones", "configs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=WHAT, metavar="WHAT", help=f"{', '.join(WHAT)}; all if left out")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    wanted = [args.what] if args.what else list(WHAT)
    found = {what: _FIND[what]() for what in wanted}
    if args.json:
        print_json(found)
        return 0
    for number, (what, rows) in enumerate(found.items()):
        if len(found) > 1:
            print(f"{chr(10) if number else ''}{what}:")
        print(_TEXT[what](rows))
    return 0


def _attentions() -> list[dict[str, Any]]:
    from attnzoo.layers import zoo_table
    from attnzoo.layers._registry import attention_class, options_of

    rows = zoo_table()
    for row in rows:
        row["options"] = {name: _plain(p.default) for name, p in options_of(attention_class(row["key"])).items()}
    return rows


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _attention_table(rows: list[dict[str, Any]]) -> str:
    from attnzoo.layers._table import CHANNELS, HEIGHT, WIDTH
    from attnzoo.tables import table

    def text(value: Any) -> str:
        return "-" if value is None else f"{value:,}"

    head = ("key", "class", "paper", "year", "kind", "parameters", "MACs", "identity", "checked against")
    cells = [
        (r["key"], r["class"], r["paper"], str(r["year"] or "-"), r["kind"], text(r["parameters"]), text(r["macs"]))
        for r in rows
    ]
    whole = table([head, *((*c, r["identity"], r["checked_against"]) for c, r in zip(cells, rows, strict=True))])
    options = [(r["key"], " ".join(f"{n}={v}" for n, v in r["options"].items())) for r in rows]
    note = f"Parameters and MACs on a {HEIGHT} x {WIDTH} x {CHANNELS} map, without alpha."
    return f"{whole}\n\n{note}\n\n{table([('key', 'options'), *options])}"


def _backbones() -> list[str]:
    from attnzoo.backbones import list_backbones

    return list_backbones()


def _configs() -> list[dict[str, str]]:
    from attnzoo.config import list_configs
    from attnzoo.config._shipped import find_config

    return [{"name": name, "about": _about(find_config(name).read_text("utf-8"))} for name in list_configs()]


def _config_table(rows: list[dict[str, str]]) -> str:
    from attnzoo.tables import table

    return table([("name", "about"), *((r["name"], r["about"]) for r in rows)])


def _about(text: str) -> str:
    """Returns the first comment line of a shipped configuration."""
    first = text.partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


_FIND = {"attentions": _attentions, "backbones": _backbones, "configs": _configs}
_TEXT: dict[str, Any] = {
    "attentions": _attention_table,
    "backbones": "\n".join,
    "configs": _config_table,
}
