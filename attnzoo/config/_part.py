"""What sections share: a model's fields from a signature, its errors in words, its JSON Schema.

What a field's description says is what its error message expects.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from attnzoo.config._source import KeyPath, Problem, describe
from attnzoo.errors import did_you_mean, listing

LARGEST = 1_000_000
"""No option of any module or backbone is larger; `Dense(units=4e8)` would ask for gigabytes."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
AnyList = pydantic.Strict(False)
"""For fields that are tuples: written in Python, a list is as good."""

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", type(None): "null"}


class Part(BaseModel):
    """A section, or an entry of one."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    expected: ClassVar[str]
    """What a message expects in its place."""


class Refused(ValueError):
    """What a validator expected instead of a value."""


class Clash(ValueError):
    """Why a value, fine by itself, cannot stand beside another."""


def with_options(
    base: type[Part],
    title: str,
    options: Mapping[str, inspect.Parameter],
    owner: Callable[..., Any] | None,
    limits: Mapping[str, int],
    **fields: Any,
) -> type[Part]:
    """Returns `base` with `fields`, which are narrower, and with the options that its fields leave.

    The types of the options are those of the annotations of `owner`, else of the defaults. An option is at most what
    `limits` says, or `LARGEST`.
    """
    try:
        hints = typing.get_type_hints(owner) if owner else {}
    except (NameError, TypeError):  # an annotation that only a type checker can resolve
        hints = {}
    for number, (name, parameter) in enumerate(options.items()):
        if name not in base.model_fields and name not in fields:
            hint = _writable(hints.get(name, _of_default(parameter.default)))
            judge = pydantic.AfterValidator(partial(_moderate, most=limits.get(name, LARGEST), hint=hint))
            default = ... if parameter.default is parameter.empty else parameter.default
            # An alias, because pydantic refuses a field called `_x` and warns of one called `copy`.
            field = Field(default, alias=name, description=_words(hint))
            fields[f"option_{number}"] = (Annotated[hint, judge], field)
    return pydantic.create_model(title, __base__=base, __cls_kwargs__={"extra": "forbid", "title": title}, **fields)


def _of_default(default: Any) -> Any:
    if isinstance(default, bool | int | float):
        return type(default)
    return str | None if isinstance(default, str) else Any


def _writable(hint: Any) -> Any:
    """Returns the type if YAML can write its values; else anything will do, and the owner is left to judge."""
    try:
        if hint not in _WORDS:
            pydantic.TypeAdapter(hint).json_schema()
    except (pydantic.PydanticUserError, TypeError):
        return Any
    return hint


def _moderate(value: Any, most: int, hint: Any) -> Any:
    if isinstance(value, dict):  # Keras would make an object of it
        raise Refused(f"expected {_words(hint)}.")
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) <= most:
        raise Refused(f"expected a number from {-most} to {most}.")
    for item in value if isinstance(value, list | tuple) else ():
        _moderate(item, most, hint)
    return value


def _words(hint: Any) -> str:
    """Returns how a message calls a type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join("null" if v is None else repr(v) for v in inner)
    if origin in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if origin in (tuple, list):
        item = _words(inner[0]).removeprefix("a ") if inner else "value"
        return f"a list of {item}{'s' if item.endswith(('number', 'string', 'value')) else ''}"
    return _WORDS.get(hint, "a number, a string, true, false, null or a list of them")


def shape(model: type[Part], raw: Any, path: KeyPath, known: Sequence[str] = ()) -> list[Problem]:
    """Returns what a model finds wrong with the plain values of a part, which stands at `path`.

    A message about an unknown key lists those that are `known`, by default all of the model's.
    """
    try:
        # As JSON, because a strict tuple takes JSON's lists but not Python's.
        model.model_validate_json(json.dumps(raw))
    except pydantic.ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    else:
        return []
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    found: dict[KeyPath, str] = {}
    for item in errors:
        place, value = _at(raw, item["loc"])
        field = fields.get(str(item["loc"][0])) if item["loc"] else None
        expected = field.description if field else model.expected
        if item["type"] == "missing" and not place:
            place, text = item["loc"], f"missing; expected {expected}."
        elif item["type"] == "extra_forbidden":
            title, keys = model.model_config.get("title"), known or list(fields)
            text = f"not an option of {title}." if title else "not a known key."
            text += f"{did_you_mean(place[0], keys)} Known: {listing(keys, 20)}."
        elif item["type"] == "value_error":
            reason = item["ctx"]["error"]
            text = f"{describe(value)}; {reason}" if isinstance(reason, Refused) else str(reason)
        else:
            words = re.findall("'(.+?)'", item.get("ctx", {}).get("expected", ""))
            text = f"{describe(value)}; expected {expected}.{did_you_mean(value, words)}"
        found.setdefault((*path, *place), text)  # the first member of a union speaks for all
    # A union complains of the whole and, more precisely, of an entry.
    wholes = {place[:n] for place in found for n in range(len(path) + 1, len(place))}
    return [(place, text) for place, text in found.items() if place not in wholes]


def _at(value: Any, loc: Iterable[int | str]) -> tuple[KeyPath, Any]:
    """Returns as much of pydantic's location as there is, and what stands there; the rest names members of unions."""
    place: KeyPath = ()
    for part in loc:
        entry = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if entry or (isinstance(value, dict) and part in value):
            place, value = (*place, part), value[part]
    return place, value


class _Untitled(GenerateJsonSchema):
    """Without a title for each field, which repeats its name, and without defaults that JSON cannot write."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(model: type[Part]) -> dict[str, Any]:
    """Returns the JSON Schema of a model."""
    return model.model_json_schema(schema_generator=_Untitled)
