"""The section `backbone:`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from attnzoo.config._part import AnyList, Name, Part, schema_of, shape, with_options
from attnzoo.config._source import Problem
from attnzoo.errors import listing

if TYPE_CHECKING:
    from attnzoo.backbones import Recipe

Extent = Annotated[int, Field(ge=1, le=8192)]

_WIDTHS = {"alpha": 10, "depth_multiplier": 10}
"""What multiplies the width of every layer of a keras.applications network."""

_POOLING = (Literal["avg", "max"] | None, Field(None, description="'avg' or 'max' or null"))
"""Of keras.applications, whose signatures name no type."""


def _exists(name: str) -> str:
    from attnzoo.backbones import find_backbone

    find_backbone(name)
    return name


class BackboneConfig(Part, extra="allow"):
    """The network that receives attention; further keys are options of the application, e.g. `alpha: 0.35`."""

    expected = "a mapping with at least a name"

    name: Annotated[Name, AfterValidator(_exists)] = Field(
        description="a keras.applications name such as 'ResNet50', 'file:PATH', 'keras_hub:PRESET', 'keras_cv:PRESET' "
        "or a name registered with attnzoo.register_backbone"
    )
    weights: Name | None = Field("imagenet", description="'imagenet', the path of a weights file, or null")
    input_shape: Annotated[tuple[Extent | None, Extent | None, Extent], AnyList] | None = Field(
        None, description="three whole numbers from 1 to 8192, such as [224, 224, 3]; null for an open height or width"
    )
    include_top: bool = Field(False, description="true or false")

    @property
    def options(self) -> dict[str, Any]:
        """Options of the application itself."""
        return dict(self.model_extra or {})


def problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Yields what is wrong with the section."""
    from attnzoo.backbones import find_backbone

    raw, path = config["backbone"], ("backbone",)
    said = shape(BackboneConfig, raw, path)
    if any(place in (path, (*path, "name")) for place, _ in said):
        yield from said
    else:
        recipe = find_backbone(raw["name"])
        said = shape(_model(recipe, raw["name"]), raw, path, known=["name", *recipe.takes, *recipe.options])
        wrong = {place[:2] for place, _ in said}
        more = _without_effect(raw, recipe, isinstance(config.get("head"), dict))
        yield from [*said, *((place, text) for place, text in more if place not in wrong)]


def schema() -> dict[str, Any]:
    """Returns the JSON Schema: one alternative for each set of options, since most applications share theirs."""
    from attnzoo.backbones import find_backbone, list_backbones

    groups: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for name in list_backbones():
        alternative = schema_of(_model(find_backbone(name), "backbone"))
        groups.setdefault(repr(alternative), (alternative, []))[1].append(name)
    groups["other"] = (schema_of(_model(find_backbone("file:x"), "a file or a preset")), [])
    for alternative, names in groups.values():
        alternative["properties"]["name"] |= {"enum": names} if names else {"pattern": "^(file|keras_hub|keras_cv):."}
    return {"type": "object", "oneOf": [alternative for alternative, _ in groups.values()]}


def _model(recipe: Recipe, title: str) -> type[Part]:
    if recipe.kind != "application":
        return with_options(BackboneConfig, title, recipe.options, recipe.make, {})
    return with_options(BackboneConfig, title, recipe.options, recipe.make, _WIDTHS, pooling=_POOLING)


def _without_effect(raw: dict[str, Any], recipe: Recipe, has_head: bool) -> Iterator[Problem]:
    from attnzoo.backbones import STANDARD

    for key in STANDARD:
        if key in raw and key not in recipe.takes and not (key == "weights" and raw[key] is None):
            takes = listing(recipe.takes) or "none"
            yield ("backbone", key), f"has no effect: a {recipe.kind} backbone takes {takes}."
    if has_head and raw.get("include_top") is True:
        yield ("head",), "the backbone keeps its own top; set backbone.include_top to false or remove the head."
    if recipe.kind != "application":
        return
    for key, instead in (("classes", "classes"), ("classifier_activation", "activation")):
        if key in raw and not raw.get("include_top"):
            yield ("backbone", key), f"has no effect without include_top; set head.{instead}."
    if raw.get("pooling") is not None and raw.get("include_top"):
        yield ("backbone", "pooling"), "has no effect with include_top; remove it."
    elif raw.get("pooling") is not None and has_head:
        yield ("backbone", "pooling"), "the head pools; remove it and set head.pooling."
