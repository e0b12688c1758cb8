"""The layers of a model that own variables, at any depth: each with its part, its stage and its names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import keras

from attnzoo._keras import attention_inside, frozen_inside, layers_inside, own_weights
from attnzoo.anatomy import Anatomy, Call, decoder_of, parts_of

PARTS = ("attention", "backbone", "decoder", "head")


@dataclass(frozen=True, eq=False)
class Leaf:
    """A layer that owns variables, in the graph or inside a layer of the graph.

    Attributes:
        layer: the layer.
        part: one of `PARTS`.
        names: what a glob may call it by: its name and path, and those of the layer and the models around it.
        weights: those that may train: made to be trained, and not frozen inside the layer by its user.
    """

    layer: Any
    part: str
    names: tuple[str, ...]
    weights: tuple[Any, ...]

    @property
    def is_batch_norm(self) -> bool:
        return isinstance(self.layer, keras.layers.BatchNormalization)


@dataclass(frozen=True, eq=False)
class Unit:
    """A layer of the graph with variables, and all its leaves.

    Attributes:
        op: the layer.
        part: one of `PARTS`; attention inside a layer of another part has leaves of its own part.
        stage: the number of its stage; None for what lies in none, and outside of the backbone.
        leaves: itself and the layers inside it, as far as they own variables.
        frozen: by `id`, the weights that its user froze inside it.
    """

    op: Any
    part: str
    stage: int | None
    leaves: tuple[Leaf, ...]
    frozen: dict[int, Any] = field(repr=False)


def units_of(anatomy: Anatomy) -> list[Unit]:
    """Returns the layers with variables, in the order of the graph."""
    parts = {id(layer): part for part, layers in parts_of(anatomy.graph).items() for layer in layers}
    after_backbone = {id(call.op) for call in decoder_of(anatomy)}
    stages = {s.stride: s.index for s in anatomy.stages}
    calls: dict[int, list[Call]] = {}
    for call in anatomy.graph.calls:
        if id(call.top) in parts:
            calls.setdefault(id(call.top), []).append(call)
    units = []
    for key, inside in calls.items():
        op, part = inside[0].top, parts[key]
        if part == "backbone" and any(id(call.op) in after_backbone for call in inside):
            part = "decoder"
        deepest = max(v.deepest for call in inside for v in call.outputs)
        stride = 2 ** round(math.log2(deepest)) if deepest > 0 else None
        frozen = frozen_inside(op)
        stage = stages.get(stride) if part == "backbone" and stride else None
        units.append(Unit(op, part, stage, _leaves(op, part, inside[0].path, frozen), frozen))
    return units


def _leaves(op: Any, part: str, path: tuple[str, ...], frozen: dict[int, Any]) -> tuple[Leaf, ...]:
    attention = {id(x) for module in attention_inside(op) for x in (module, *layers_inside(module))}
    around = [*path, "/".join(path), op.name, "/".join((*path, op.name))]
    leaves = []
    for layer in (op, *layers_inside(op)):
        weights = own_weights(layer)
        if weights or (isinstance(layer, keras.layers.BatchNormalization) and layer.weights):
            of = "attention" if id(layer) in attention else part
            names = tuple(dict.fromkeys(n for n in (*around, layer.name) if n))
            leaves.append(Leaf(layer, of, names, tuple(w for w in weights if id(w) not in frozen)))
    return tuple(leaves)
