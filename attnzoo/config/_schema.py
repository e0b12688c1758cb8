"""The JSON Schema of a configuration, for editors that complete and check YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from attnzoo.config._models import BackboneConfig, Config, HeadConfig, InsertConfig
from attnzoo.config._types import hints_of, json_type


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a configuration, made of plain values.

    It knows the registered attentions and their options, the placements, and the backbones and their options; what
    excludes what is left to `load_config`.
    """
    head = {"anyOf": [_fields(HeadConfig), {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "attnzoo configuration",
        "description": str(Config.__doc__),
        "type": "object",
        "properties": {
            "backbone": {"type": "object", "oneOf": _backbones()},
            "insert": {"type": "array", "maxItems": 100, "items": {"type": "object", "oneOf": _modules()}},
            "head": head,
        },
        "required": ["backbone"],
        "additionalProperties": False,
    }


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Returns pydantic's schema of one part with its messages' words as descriptions."""
    schema = model.model_json_schema()
    schema.pop("title", None)
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field["description"] = str(model.model_fields[name].description)
    schema["additionalProperties"] = False
    return schema


def _with(base: dict[str, Any], fixed: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {**base, "properties": {**base["properties"], **fixed, **options}}


def _options(options: Mapping[str, Any], owner: Callable[..., Any] | None) -> dict[str, Any]:
    found = {}
    for name, hint in hints_of(options, owner).items():
        default = options[name].default
        plain = isinstance(default, bool | int | float | str) or default is None
        found[name] = {**json_type(hint), **({"default": default} if plain else {})}
    return found


def _modules() -> list[dict[str, Any]]:
    from attnzoo.layers._registry import attention_class, list_attentions, options_of
    from attnzoo.planning import PLACEMENTS

    base = _fields(InsertConfig)
    base["properties"]["placement"]["enum"] = list(PLACEMENTS)
    found = []
    for key in list_attentions():
        cls = attention_class(key)
        fixed = {"attention": {"const": key, "description": f"{cls.title}, {cls.paper}"}}
        found.append({"title": key, **_with(base, fixed, _options(options_of(cls), cls.__init__))})
    return found


def _backbones() -> list[dict[str, Any]]:
    """Returns one alternative for each set of options, since most applications share theirs."""
    from attnzoo.backbones import find_backbone, list_backbones

    base = _fields(BackboneConfig)
    groups: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for name in list_backbones():
        recipe = find_backbone(name)
        options = _options(recipe.options, recipe.make)
        groups.setdefault(repr(options), ([], options))[0].append(name)
    found = [_with(base, {"name": {"enum": names}}, options) for names, options in groups.values()]
    return [*found, _with(base, {"name": {"type": "string", "pattern": "^(file|keras_hub|keras_cv):."}}, {})]
