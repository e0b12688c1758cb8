"""YAML text -> plain values and their positions.

PyYAML's `safe_load` is not used: it reads YAML 1.1 (`no` is false, `1e-3` is a string), keeps the last of two equal
keys, forgets where a value stood and lets a few lines of anchors and merges grow to gigabytes. Here the node tree is
composed with the core schema of YAML 1.2, and everything is refused that a configuration has no use for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from attnzoo.config._source import KeyPath, Problem, Source, shorten
from attnzoo.config._values import MAX_DEPTH, NO_KEY, plain
from attnzoo.errors import ConfigError

MAX_BYTES = 64 * 1024
MOST_DIGITS = 1000


def read_text(text: str, label: str, folder: Path) -> tuple[Any, Source]:
    """Parses one YAML document; returns plain values and where each stands.

    Args:
        text: the document.
        label: what messages call it.
        folder: what paths in it are relative to.

    Raises:
        ConfigError: one line for each problem, `label:line:column: what is wrong`.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        raise ConfigError(f"{label}:{line}:{column}: the character #x{error.character:04x} is not allowed.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{label}:{where}: {what}.") from None
    finally:
        if loader is not None:
            loader.dispose()
    walk = _Walk()
    value = plain(walk.value(node, ()), (), walk.problems)
    source = Source(label, folder, walk.positions)
    if walk.problems:
        raise ConfigError(source.lines(walk.problems))
    return value, source


def read_value(text: str) -> Any:
    """Parses the value of a `--set key=value`: a YAML scalar, flow list or flow mapping.

    Raises:
        ConfigError: for anything that a configuration file refuses too.
    """
    return read_text(text, "value", Path())[0]


class _Loader(yaml.SafeLoader):
    """Composes nodes, never objects; refuses anchors, aliases, tags and deep nesting while it reads."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refusal(event, "anchors and aliases are not supported; write the value out")
        if getattr(event, "tag", None) is not None:
            raise self._refusal(event, f"tags are not supported; remove {shorten(event.tag)}")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refusal(event, f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    @staticmethod
    def _refusal(event: Any, text: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=text, problem_mark=event.start_mark)


# The core schema of YAML 1.2, section 10.3.2. Integers stand before floats: the first match counts.
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})\Z"), _first)


class _Walk:
    """Turns nodes into plain values and collects their positions; which values are allowed is for `plain` to say."""

    def __init__(self) -> None:
        self.positions: dict[KeyPath, tuple[int, int]] = {(): (1, 1)}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node | None, path: KeyPath) -> Any:
        if isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.positions[(*path, index)] = _position(child)
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return None if node is None else _scalar(node)
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, problem = _key(key_node)
            here = (*path, key)
            if key in found:
                problem = f"stands here twice; first in line {self.positions[here][0]}."
            self.positions[here] = _position(key_node)
            if problem:
                self.problems.append((here, problem))
            else:
                found[key] = self.value(value_node, here)
        return found


def _key(node: yaml.Node) -> tuple[str, str | None]:
    """Returns a key, and what is wrong with it."""
    if not isinstance(node, yaml.ScalarNode):
        return "a list or a mapping", NO_KEY
    if not node.tag.endswith(":str"):
        return node.value, NO_KEY
    return node.value, "merge keys are not supported; write the values out." if node.value == "<<" else None


def _scalar(node: yaml.Node) -> Any:
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if kind == "int":
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # Python refuses to read thousands of digits; what stands for them is refused as well.
        return int(text, base) if len(text) <= MOST_DIGITS else 10**MOST_DIGITS
    return str(text)


def _position(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
