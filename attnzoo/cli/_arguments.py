"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
import json
import unicodedata
from typing import Any

from attnzoo.errors import INVISIBLE, ConfigError


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds `CONFIG` and `--set`."""
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or a name from `attnzoo list configs`")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace one value, e.g. --set head.classes=10 --set insert.0.stages=[3,4]; may be repeated",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds `-o` and `--force`."""
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to save: a .keras file")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def overrides_of(pairs: list[str]) -> dict[str, Any]:
    """Returns the overrides of `--set`.

    Raises:
        ConfigError: if one is not KEY=VALUE, stands there twice, or its value is not YAML.
    """
    from attnzoo.config import read_value

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {pair}: expected KEY=VALUE, such as head.classes=10.")
        key = key.strip()
        if key in found:
            raise ConfigError(f"--set {pair}: {key} is set twice.")
        try:
            found[key] = read_value(text)
        except ConfigError as error:
            raise ConfigError(f"--set {pair}: {error}") from None
    return found


def print_json(value: Any) -> None:
    """Prints JSON, keys in the order they were made."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # JSON escapes only what it must; a terminal obeys more than that.
    print("".join(json.dumps(c)[1:-1] if c != "\n" and unicodedata.category(c) in INVISIBLE else c for c in text))
