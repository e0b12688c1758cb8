"""The shape of a configuration. What a field's description says is also what its error messages expect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from attnzoo.config._source import Source


def _as_tuple(value: Any) -> Any:
    """Strict pydantic takes no list for a tuple; YAML knows nothing else."""
    return tuple(value) if isinstance(value, list) else value


Extent = Annotated[int, Field(ge=1, le=8192)]
Whole = Annotated[int, Field(ge=0, le=1000)]
Signed = Annotated[int, Field(ge=-1000, le=1000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class BackboneConfig(_Part, extra="allow"):
    """The network that receives attention; further keys are options of the application, e.g. `alpha: 0.35`."""

    name: Name = Field(
        description="a keras.applications name such as 'ResNet50', 'file:PATH', 'keras_hub:PRESET', 'keras_cv:PRESET' "
        "or a name registered with attnzoo.register_backbone"
    )
    weights: Name | None = Field("imagenet", description="'imagenet', the path of a weights file, or null")
    input_shape: Annotated[tuple[Extent | None, Extent | None, Extent], BeforeValidator(_as_tuple)] | None = Field(
        None, description="three whole numbers from 1 to 8192, such as [224, 224, 3]; null for an open height or width"
    )
    include_top: bool = Field(False, description="true or false")

    @property
    def options(self) -> dict[str, Any]:
        """Options of the application itself."""
        return dict(self.model_extra or {})


class InsertConfig(_Part, extra="allow"):
    """One call of `attnzoo.augment`; further keys are options of the module, e.g. `ratio: 16`."""

    attention: Name = Field(description="a key of attnzoo.list_attentions() such as 'se'")
    stages: Annotated[tuple[Whole, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=100)] | None = (
        Field(None, description="a list of stages such as [3, 4], or null for all")
    )
    blocks: (
        Literal["first", "last"]
        | Annotated[tuple[Signed, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=1000)]
        | None
    ) = Field(None, description="'first', 'last', a list of whole numbers such as [0, -1], or null for all")
    placement: Name = Field("stage", description="a placement such as 'residual'")
    after: Annotated[tuple[Name, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=1000)] | None = Field(
        None, description="a list of layer names or globs such as ['conv4_block*_out']"
    )
    init: Literal["identity", "paper"] = Field("identity", description="'identity' or 'paper'")

    @property
    def options(self) -> dict[str, Any]:
        """Options of the module itself."""
        return dict(self.model_extra or {})

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything that `attnzoo.augment` is called with after the model and the attention."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "attention"} | self.options


class HeadConfig(_Part):
    """The classifier on top: pooling, dropout, one dense layer."""

    pooling: Literal["avg", "max"] = Field("avg", description="'avg' or 'max'")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="a number from 0 to below 1")
    classes: int = Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")
    activation: Literal["softmax", "sigmoid"] | None = Field(
        "softmax", description="'softmax', 'sigmoid', or null for logits"
    )
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)] | None = Field(
        None, description="a layer name of letters, digits, '_', '.' and '-'"
    )


class Config(_Part):
    """A checked configuration: which backbone, which attention where, which head."""

    backbone: BackboneConfig = Field(description="a mapping with at least a name")
    insert: Annotated[tuple[InsertConfig, ...], BeforeValidator(_as_tuple), Field(max_length=100)] = Field(
        (), description="a list of mappings, each with at least an attention"
    )
    head: HeadConfig | None = Field(None, description="a mapping with at least classes, or null")

    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def source(self) -> Source:
        """Where it came from; messages of later steps point there."""
        return self._source

    @property
    def model_name(self) -> str | None:
        """The name of the file it came from, without suffix, as far as Keras allows it; None for a mapping."""
        if self._source.label is None:
            return None
        stem = Path(self._source.label).stem
        return "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in stem).lstrip("_.-") or None

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as written, made of plain values; `load_config` takes it back."""
        return self.model_dump(mode="json", exclude_unset=True)
