"""Training only a part: what `freeze` does, and the table it prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from attnzoo._keras import is_container
from attnzoo.anatomy import parts_of, read_graph
from attnzoo.errors import PlanError, did_you_mean, listing
from attnzoo.tables import table

PARTS = {
    "attention+head": ("attention", "head"),
    "attention": ("attention",),
    "head": ("head",),
    "all": ("attention", "backbone", "head"),
}


@dataclass(frozen=True)
class Part:
    """One row of the table: a part of the model and what of it trains."""

    name: str
    layers: int
    parameters: int
    trainable: int


@dataclass(frozen=True)
class FreezeReport:
    """What trains: one row for attention, backbone and head. `print` it."""

    model: str
    parts: tuple[Part, ...]

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    @property
    def trainable(self) -> int:
        """Number of parameters that train."""
        return sum(p.trainable for p in self.parts)

    @property
    def parameters(self) -> int:
        """Number of all parameters."""
        return sum(p.parameters for p in self.parts)

    def __str__(self) -> str:
        rows = [("part", "layers", "parameters", "trainable")]
        rows += [(p.name, str(p.layers), f"{p.parameters:,}", f"{p.trainable:,}") for p in self.parts]
        share = 100 * self.trainable / max(1, self.parameters)
        return (
            f"{self.model}: {self.trainable:,} of {self.parameters:,} parameters train ({share:.2f} %)\n{table(rows)}"
        )


def freeze(model: keras.Model, *, train: str = "attention+head", verbose: bool = True) -> FreezeReport:
    """Chooses what trains, layer by layer, and prints the table.

    A frozen BatchNormalization keeps its moving statistics bit for bit and normalises with them, also in training:
    flags are set on the layers themselves, not on a model around them, so that nothing inside is missed.
    Compile the model after this call.

    Args:
        model: a model made by `augment`, or any Functional or Sequential model.
        train: `"attention+head"`, `"attention"`, `"head"` or `"all"`. The head is everything after the last feature
            map: what follows global pooling.
        verbose: print the table.

    Returns:
        The table: for attention, backbone and head the number of layers, parameters, and parameters that train.

    Raises:
        PlanError: if `train` is not one of these, or the model has no such part.
        RewriteError: if the model has no graph to read.
    """
    if train not in PARTS:
        raise PlanError(
            f"train={train!r} is not known.{did_you_mean(train, PARTS)} Expected {listing(map(repr, PARTS))}."
        )
    graph = read_graph(model)
    parts = parts_of(graph)
    for part in ("attention", "head"):
        if part in PARTS[train] and not parts[part] and train != "all" and not (part == "head" and parts["attention"]):
            hint = "augment it first" if part == "attention" else "add one after global pooling"
            raise PlanError(f"train={train!r}: '{model.name}' has no {part}; {hint}, or choose another part.")
    if "head" in PARTS[train] and train != "all" and not parts["backbone"]:
        raise PlanError(
            f"train={train!r}: no layer of '{model.name}' makes a feature map, so that backbone and head cannot be told"
            " apart (models inside TimeDistributed and other wrappers are not read);"
            " choose 'all', or set layer.trainable yourself."
        )
    _open(model)
    for part, layers in parts.items():
        for layer in layers:
            layer.trainable = part in PARTS[train]
    rows = tuple(_count(part, layers) for part, layers in parts.items())
    result = FreezeReport(model.name, rows)
    if verbose:
        print(result)
    return result


def _open(model: Any) -> None:
    """A frozen model hides all below it from training, so every model around a layer must be open."""
    model.trainable = True
    for layer in model.layers:
        if is_container(layer):
            _open(layer)


def _count(part: str, layers: list[Any]) -> Part:
    def size(weights: Any) -> int:
        return sum(int(keras.ops.size(w)) for w in weights)

    return Part(part, len(layers), sum(size(x.weights) for x in layers), sum(size(x.trainable_weights) for x in layers))
