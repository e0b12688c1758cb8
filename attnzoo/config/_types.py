"""Type hints of options: is a value of that type, and how is the type called in a message."""

from __future__ import annotations

import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from attnzoo.config._source import describe

LARGEST = 1_000_000
"""No option of any module or backbone is larger; `Dense(units=4e8)` would ask for gigabytes."""

LIMITS = {
    **dict.fromkeys(("alpha", "depth_multiplier"), 10),  # multiply the width of every layer
    **dict.fromkeys(("kernel_size", "min_kernel_size", "dilation"), 255),  # squared
    **dict.fromkeys(("num_convs", "num_frequencies", "size"), 1024),
    **dict.fromkeys(("hidden", "min_hidden"), 65536),  # times the channels
}
"""Options whose cost grows faster than they do."""

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", type(None): "null"}


def hints_of(options: Mapping[str, inspect.Parameter], owner: Callable[..., Any] | None) -> dict[str, Any]:
    """Returns the type of each option: its annotation, else the type of its default, else Any."""
    try:
        annotations = typing.get_type_hints(owner) if owner is not None else {}
    except (NameError, TypeError):  # an annotation that only a type checker can resolve
        annotations = {}
    return {name: annotations.get(name, _of_default(name, p.default)) for name, p in options.items()}


def check_value(name: str, value: Any, hint: Any) -> str | None:
    """Says what is wrong with the value of an option, or None."""
    number = _too_large(name, value)
    if number is not None:
        return number
    if _contains_mapping(value):
        return f"{describe(value)}; expected {words(hint)}."
    if hint is Any:
        return None
    try:
        # JSON mode, because a strict tuple takes JSON's lists but not Python's.
        _adapter(hint).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return f"{describe(value)}; expected {words(hint)}."
    except (PydanticUserError, PydanticSerializationError):  # a hint that pydantic has no schema for
        return None
    return None


def words(hint: Any) -> str:
    """Returns how a message calls a type."""
    if hint in _WORDS:
        return _WORDS[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join("null" if v is None else repr(v) for v in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(words(i) for i in inner)
    if origin in (tuple, list):
        item = words(inner[0]) if inner else "values"
        return "a list of " + {"a whole number": "whole numbers", "a number": "numbers"}.get(item, item + "s")
    return "a number, a string, true, false, null or a list of them"


def json_type(hint: Any) -> dict[str, Any]:
    """Returns the JSON Schema of a type; an empty one, which allows everything, where there is none."""
    if hint is Any:
        return {}
    try:
        return _adapter(hint).json_schema()
    except (PydanticUserError, PydanticSerializationError):
        return {}


def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _of_default(name: str, default: Any) -> Any:
    if name == "pooling":
        return Literal["avg", "max"] | None
    if isinstance(default, bool | int | float):
        return type(default)
    if isinstance(default, str):
        return str | None
    return Any


def _too_large(name: str, value: Any) -> str | None:
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        most = LIMITS.get(name, LARGEST)
        if not math.isfinite(number) or abs(number) > most:
            return f"{describe(number)}; expected a number from {-most} to {most}."
    return None


def _contains_mapping(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(_contains_mapping(v) for v in value))
