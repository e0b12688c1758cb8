"""What is known of a model file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from attnzoo.errors import listing, printable


@dataclass(frozen=True)
class Inserted:
    """An attention layer that `attnzoo.augment` inserted.

    Attributes:
        name: of the layer.
        kind: its class.
        site: the layer that it stands after.
    """

    name: str
    kind: str
    site: str


@dataclass(frozen=True)
class Reference:
    """A class or function that a config asks for; the three names that Keras looks it up by."""

    name: str
    module: str | None
    registered: str | None


@dataclass(frozen=True, repr=False)
class FileReport:
    """Contents of a model file, read without building the model; `str(report)` is a table.

    Attributes:
        path: as it was given.
        kind: `"keras"` and `"h5"` hold a model, `"weights"` weights only.
        size: bytes on disk.
        unpacked: bytes of everything in it, decompressed.
        keras_version, saved: what the file says of itself; None if nothing.
        model: class and name, such as `("Functional", "resnet50")`; None for weights.
        layers: class and count of all layers, those of nested models included, most frequent first.
        attention: what attnzoo inserted.
        parameters: numbers in the weights of layers.
        numbers: numbers in all weights, optimizers and random states included.
        custom: classes that are neither Keras's nor attnzoo's.
        defects: why nobody should load it: it is damaged, or made by hand.
        risks: why it is loaded only with trust: it carries code, reaches outside itself, or asks for absurd memory.
        asked: those of the risks that its config asks for; who reads only its arrays does not meet them.
        references: all classes and functions that its config names.
    """

    path: str
    kind: Literal["keras", "h5", "weights"]
    size: int
    unpacked: int = 0
    keras_version: str | None = None
    saved: str | None = None
    model: tuple[str, str] | None = None
    layers: tuple[tuple[str, int], ...] = ()
    attention: tuple[Inserted, ...] = ()
    parameters: int = 0
    numbers: int = 0
    custom: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    asked: tuple[str, ...] = field(default=(), repr=False)
    references: tuple[Reference, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values."""
        values = dataclasses.asdict(self)
        del values["references"], values["asked"]
        values["layers"] = dict(self.layers)
        values["model"] = self.model and dict(zip(("class", "name"), self.model, strict=True))
        return values

    def __repr__(self) -> str:
        rows = [("file", f"{self.path}, {self.size:,} bytes, {self.unpacked:,} unpacked"), ("format", self._format())]
        if self.model:
            rows.append(("model", f"{self.model[1]} ({self.model[0]})"))
            counts = listing((f"{count} {name}" for name, count in self.layers), 20)
            rows.append(("layers", f"{sum(n for _, n in self.layers):,}" + (f": {counts}" if counts else "")))
            after = listing((f"{a.name} ({a.kind}) after {a.site}" for a in self.attention), 40)
            rows.append(("attention", f"{len(self.attention)} inserted" + (f": {after}" if after else "")))
        rows.append(("parameters", f"{self.parameters:,}"))
        if self.custom:
            rows.append(("custom", listing(self.custom, 20)))
        rows += [("damaged", text) for text in self.defects] + [("beware", text) for text in self.risks]
        return printable("\n".join(f"{name:<10}  {' '.join(text.split())}" for name, text in rows))

    def _format(self) -> str:
        what = {"keras": "Keras 3 archive", "h5": "legacy HDF5 model", "weights": "weights only"}[self.kind]
        version = f", Keras {self.keras_version}" if self.keras_version else ""
        return what + version + (f", saved {self.saved}" if self.saved else "")
