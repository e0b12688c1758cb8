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
    from attnzoo.layers._registry import attention_class, list_attentions, options_of

    found = []
    for key in list_attentions():
        cls = attention_class(key)
        options = {name: _plain(p.default) for name, p in options_of(cls).items()}
        found.append({"key": key, "title": cls.title, "paper": cls.paper, "year": cls.year, "options": options})
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _attention_table(rows: list[dict[str, Any]]) -> str:
    from attnzoo.tables import table

    head = ("key", "module", "paper", "options")
    options = [" ".join(f"{n}={v}" for n, v in row["options"].items()) for row in rows]
    return table([head, *((r["key"], r["title"], r["paper"], o) for r, o in zip(rows, options, strict=True))])


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
