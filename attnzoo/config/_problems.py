"""All that can be wrong with a configuration, found before anything is built.

Two passes over the same plain values: the shape (pydantic) and the meaning (registries, signatures, what excludes
what). The second works on unchecked values and is silent where the first has spoken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from attnzoo.config._models import BackboneConfig, Config, HeadConfig, InsertConfig
from attnzoo.config._source import KeyPath, Problem, describe
from attnzoo.config._types import check_value, hints_of
from attnzoo.errors import ConfigError, PlanError, did_you_mean, first_line, listing

_MODELS: dict[str, type[BaseModel]] = {"backbone": BackboneConfig, "insert": InsertConfig, "head": HeadConfig}


def check(raw: Any) -> tuple[Config | None, list[Problem]]:
    """Returns the configuration, or None and every problem."""
    try:
        config, problems = Config.model_validate(raw), []
    except ValidationError as error:
        config, problems = None, _deepest(list(_shape(error, raw)))
    seen = [path for path, _ in problems]
    for path, text in _meaning(raw) if isinstance(raw, dict) else ():
        # A value of the wrong shape has had its message; so has everything inside it.
        if not any(path[: len(s)] == s or s[: len(path)] == path for s in seen if s):
            problems.append((path, text))
    return (None if problems else config), problems


# The shape ------------------------------------------------------------------------------------------------------


def _shape(error: ValidationError, raw: Any) -> Iterator[Problem]:
    seen = set()
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = _real_path(item["loc"], raw)
        missing = item["type"] == "missing" and isinstance(item["loc"][-1], str)  # else a list is too short
        if missing:
            path = (*path, item["loc"][-1])
        if path in seen:  # one message for all members of a union
            continue
        seen.add(path)
        if missing:
            yield path, f"missing; expected {_expected(path)}."
        elif item["type"] == "extra_forbidden":
            known = _model_of(path[:-1]).model_fields
            yield path, f"not a known key.{did_you_mean(path[-1], known)} Known: {listing(known)}."
        else:
            yield path, f"{describe(_at(raw, path))}; expected {_expected(path)}."


def _deepest(problems: list[Problem]) -> list[Problem]:
    """Leaves out what is said again, and more precisely, of a part: a union complains of the whole and of an entry."""
    paths = [path for path, _ in problems]
    return [(p, text) for p, text in problems if not any(len(q) > len(p) > 0 and q[: len(p)] == p for q in paths)]


def _real_path(loc: tuple[int | str, ...], raw: Any) -> KeyPath:
    """Returns the part of pydantic's location that exists in the data; it also names the members of unions."""
    path: KeyPath = ()
    here = raw
    for part in loc:
        if isinstance(here, dict) and part in here:
            path, here = (*path, part), here[str(part)]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path, here = (*path, part), here[part]
    return path


def _at(raw: Any, path: KeyPath) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _model_of(path: KeyPath) -> type[BaseModel]:
    return _MODELS[str(path[0])] if path else Config


def _expected(path: KeyPath) -> str:
    if not path:
        return "a mapping with the keys backbone, insert and head"
    if path[0] == "insert" and len(path) == 2:
        return "a mapping with at least an attention"
    depth = {"backbone": 1, "head": 1, "insert": 2}.get(str(path[0]), 0)
    fields = _model_of(path).model_fields if len(path) > depth else Config.model_fields
    name = str(path[depth] if len(path) > depth else path[0])
    return str(fields[name].description)


# The meaning ----------------------------------------------------------------------------------------------------


def _meaning(raw: dict[str, Any]) -> Iterator[Problem]:
    backbone, insert, head = raw.get("backbone"), raw.get("insert"), raw.get("head")
    if isinstance(backbone, dict):
        yield from _backbone(backbone, isinstance(head, dict))
    for index, entry in enumerate(insert if isinstance(insert, list) else []):
        if isinstance(entry, dict):
            yield from _entry(entry, ("insert", index))
    if isinstance(backbone, dict) and isinstance(head, dict) and backbone.get("include_top") is True:
        yield ("head",), "the backbone keeps its own top; set backbone.include_top to false or remove the head."


def _backbone(raw: dict[str, Any], has_head: bool) -> Iterator[Problem]:
    from attnzoo.backbones import STANDARD, find_backbone

    name = raw.get("name")
    if not isinstance(name, str) or not name:
        return
    try:
        recipe = find_backbone(name)
    except ConfigError as error:
        yield ("backbone", "name"), str(error)
        return
    for key in STANDARD:
        if key in raw and key not in recipe.takes and not (key == "weights" and raw[key] is None):
            yield ("backbone", key), f"has no effect: a {recipe.kind} backbone takes {listing(recipe.takes) or 'none'}."
    hints = hints_of(recipe.options, recipe.make)
    for key, value in raw.items():
        path: KeyPath = ("backbone", key)
        if key in BackboneConfig.model_fields:
            continue
        if key not in hints:
            known = ["name", *recipe.takes, *hints]
            yield path, f"not an option of {name}.{did_you_mean(key, known)} Known: {listing(known, 20)}."
            continue
        problem = check_value(key, value, hints[key])
        if problem is None and recipe.kind == "application":
            problem = _without_effect(key, value, bool(raw.get("include_top")), has_head)
        if problem:
            yield path, problem


def _without_effect(key: str, value: Any, include_top: bool, has_head: bool) -> str | None:
    if key in ("classes", "classifier_activation") and not include_top:
        instead = "classes" if key == "classes" else "activation"
        return f"has no effect without include_top; set head.{instead}."
    if key == "pooling" and value is not None and include_top:
        return "has no effect with include_top; remove it."
    if key == "pooling" and value is not None and has_head:
        return "the head pools; remove it and set head.pooling."
    return None


def _entry(raw: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    placement = raw.get("placement", "stage")
    if isinstance(placement, str) and placement not in (known := _placements()):
        yield (*path, "placement"), f"{describe(placement)}; expected {listing(known)}.{did_you_mean(placement, known)}"
    if raw.get("after") is not None:
        for key in ("stages", "blocks", "placement"):
            if raw.get(key) is not None:
                yield (*path, key), "cannot go with after, which names the places itself; remove one of the two."
    elif placement == "stage" and raw.get("blocks") is not None:
        yield (*path, "blocks"), "placement 'stage' goes once after each stage; to choose blocks set placement: post."
    yield from _module(raw, path)


def _placements() -> list[str]:
    from attnzoo.planning import PLACEMENTS

    return list(PLACEMENTS)


def _module(raw: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    from attnzoo.layers._registry import attention_class, list_attentions, options_of

    key = raw.get("attention")
    if not isinstance(key, str) or not key:
        return
    try:
        cls = attention_class(key)
    except PlanError:
        known = list_attentions()
        yield (
            (*path, "attention"),
            f"{describe(key)}; expected one of {listing(known, 40)}.{did_you_mean(key, known)}",
        )
        return
    hints = hints_of(options_of(cls), cls.__init__)
    own = {k: v for k, v in raw.items() if k not in InsertConfig.model_fields}
    sound = True
    for name, value in own.items():
        if name not in hints:
            known = [*InsertConfig.model_fields, *hints]
            problem: str | None = f"not an option of {key}.{did_you_mean(name, known)} Known: {listing(known, 20)}."
        else:
            problem = check_value(name, value, hints[name])
        if problem:
            sound = False
            yield (*path, name), problem
    if sound and own:
        yield from _construct(cls, own, path)


def _construct(cls: type[Any], options: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    """Lets the module itself judge its options: constructing it makes no weights."""

    try:
        cls(name="check", **options)  # a name, so that Keras's counters do not move
    except Exception as error:  # a module or an initializer may raise anything for a bad value
        yield path, first_line(error)
