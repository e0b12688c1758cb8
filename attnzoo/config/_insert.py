"""The section `insert:`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from attnzoo.config._part import AnyList, Clash, Name, Part, schema_of, shape, with_options
from attnzoo.config._source import KeyPath, Problem, describe
from attnzoo.errors import first_line, listing

EXPECTED = "a list of mappings, each with at least an attention"
MOST = 100
Whole = Annotated[int, Field(ge=0, le=1000)]
Signed = Annotated[int, Field(ge=-1000, le=1000)]


def _registered(key: str) -> str:
    from attnzoo.layers._registry import attention_class

    attention_class(key)
    return key


class InsertConfig(Part, extra="allow"):
    """One call of `attnzoo.augment`; further keys are options of the module, e.g. `ratio: 16`."""

    expected = "a mapping with at least an attention"

    attention: Annotated[Name, AfterValidator(_registered)] = Field(
        description="a key of attnzoo.list_attentions() such as 'se'"
    )
    after: Annotated[tuple[Name, ...], AnyList, Field(min_length=1, max_length=1000)] | None = Field(
        None, description="a list of layer names or globs such as ['conv4_block*_out']"
    )
    stages: Annotated[tuple[Whole, ...], AnyList, Field(min_length=1, max_length=100)] | None = Field(
        None, description="a list of stages such as [3, 4], or null for all"
    )
    placement: Name = Field("stage", description="a placement such as 'residual'")
    blocks: (
        Literal["first", "last"] | Annotated[tuple[Signed, ...], AnyList, Field(min_length=1, max_length=1000)] | None
    ) = Field(None, description="'first', 'last', a list of whole numbers such as [0, -1], or null for all")
    init: Literal["identity", "paper"] = Field("identity", description="'identity' or 'paper'")

    @field_validator("stages", "placement", "blocks")
    @classmethod
    def _fits(cls, value: Any, fields: ValidationInfo) -> Any:
        """Looks at the fields above."""
        if value is not None and fields.data.get("after") is not None:
            raise Clash("cannot go with after, which names the places itself; remove one of the two.")
        if value is not None and fields.field_name == "blocks" and fields.data.get("placement") == "stage":
            raise Clash("placement 'stage' goes once after each stage; to choose blocks set placement: post.")
        return value

    @property
    def options(self) -> dict[str, Any]:
        """Options of the module itself."""
        return dict(self.model_extra or {})

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything that `attnzoo.augment` is called with after the model and the attention."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "attention"} | self.options


def problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Yields what is wrong with the section."""
    entries = config["insert"]
    if not isinstance(entries, list) or len(entries) > MOST:
        yield ("insert",), f"{describe(entries)}; expected {EXPECTED}."
        return
    for index, raw in enumerate(entries):
        yield from _entry(raw, ("insert", index))


def schema() -> dict[str, Any]:
    """Returns the JSON Schema: an alternative for each module."""
    from attnzoo.layers._registry import list_attentions

    modules = [schema_of(_model(key)) for key in list_attentions()]
    return {"type": "array", "maxItems": MOST, "items": {"type": "object", "oneOf": modules}}


def _model(key: str) -> type[Part]:
    from attnzoo.layers._registry import attention_class, options_of
    from attnzoo.planning import PLACEMENTS

    cls = attention_class(key)
    attention = (Literal[key], Field(description=f"{cls.title}, {cls.paper}"))
    placement = (Literal[tuple(PLACEMENTS)], Field("stage", description=listing(PLACEMENTS)))
    fields = {"attention": attention, "placement": placement}
    return with_options(InsertConfig, key, options_of(cls), cls.__init__, cls.limits, **fields)


def _entry(raw: Any, path: KeyPath) -> Iterator[Problem]:
    said = shape(InsertConfig, raw, path)
    if any(place in (path, (*path, "attention")) for place, _ in said):
        yield from said
        return
    said = shape(_model(raw["attention"]), raw, path)
    yield from said
    own = {name: value for name, value in raw.items() if name not in InsertConfig.model_fields}
    if own and all(place[len(path)] in InsertConfig.model_fields for place, _ in said):
        yield from _construct(raw["attention"], own, path)


def _construct(key: str, options: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    """Lets the module itself judge its options: constructing it makes no weights."""
    from attnzoo.layers._registry import attention_class

    try:
        attention_class(key)(name="check", **options)  # a name, so that Keras's counters do not move
    except Exception as error:  # a module or an initializer may raise anything for a bad value
        text = first_line(error)
        about = [name for name in options if f" {name}=" in text]
        yield (*path, *about[:1]), text
