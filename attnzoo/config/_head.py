"""The section `head:`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from attnzoo.config._part import Part, schema_of, shape
from attnzoo.config._source import Problem


class HeadConfig(Part):
    """The classifier on top: pooling, dropout, one dense layer."""

    expected = "a mapping with at least classes, or null"

    pooling: Literal["avg", "max"] = Field("avg", description="'avg' or 'max'")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, allow_inf_nan=False, description="a number from 0 to below 1")
    classes: int = Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")
    activation: Literal["softmax", "sigmoid"] | None = Field(
        "softmax", description="'softmax', 'sigmoid', or null for logits"
    )
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)] | None = Field(
        None, description="a layer name of letters, digits, '_', '.' and '-'"
    )


def problems(config: dict[str, Any]) -> list[Problem]:
    """Returns what is wrong with the section."""
    return [] if config["head"] is None else shape(HeadConfig, config["head"], ("head",))


def schema() -> dict[str, Any]:
    """Returns the JSON Schema."""
    return {"anyOf": [schema_of(HeadConfig), {"type": "null"}]}
