"""Training only a part: what `freeze` does, and the table it returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from attnzoo._keras import attention_inside, open_all, set_trainable
from attnzoo.anatomy import describe
from attnzoo.errors import PlanError, did_you_mean, listing
from attnzoo.tables import table
from attnzoo.training.leaves import PARTS, Leaf, Unit, units_of
from attnzoo.training.selection import Selection, select


@dataclass(frozen=True)
class Part:
    """One row of the table: a part of the model and what of it trains."""

    name: str
    layers: int
    parameters: int
    trainable: int


@dataclass(frozen=True, repr=False)
class FreezeReport:
    """What trains: a row for each part of the model, and notes. `print` it, iterate it.

    Attributes:
        model: name of the model.
        parts: attention, backbone, decoder (in models that have one) and head.
        notes: what else the reader should know, such as a decoder that does not train.
    """

    model: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

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

    def __repr__(self) -> str:
        rows = [("part", "layers", "parameters", "trainable")]
        rows += [(p.name, str(p.layers), f"{p.parameters:,}", f"{p.trainable:,}") for p in self.parts]
        share = 100 * self.trainable / max(1, self.parameters)
        total = f"{self.model}: {self.trainable:,} of {self.parameters:,} parameters train ({share:.2f} %)"
        return "\n".join([total, table(rows), *(f"note: {n}" for n in self.notes)])


def freeze(model: keras.Model, *, train: str = "attention+head", batch_norm: str = "frozen") -> FreezeReport:
    """Chooses what trains, weight by weight, and returns a table of it. Compile the model after this call.

    Flags are set on the layers that own weights, at any depth, so that nothing inside is missed. What was frozen inside
    a layer before (the kernel of a layer with LoRA) stays frozen, however often `freeze` is called. Files hold the
    flags of layers, not of single weights: call it again after loading a model of which `alpha` or `bias` alone train.

    Args:
        model: a model made by `augment`, or any Functional or Sequential model.
        train: terms joined by `+`, such as `"stages>=3+attention+head"`:
            `attention`, `backbone`, `decoder`, `head`: parts of the model. The head is everything after the last
            feature map: what follows global pooling. A decoder is what makes maps after the backbone, in U-Nets,
            DeepLab and feature pyramids; the table says where it begins.
            `stages>=3`, `stages=3`, also with `<`, `<=`, `>`: stages of the backbone, counted as `describe` does.
            `alpha`: the scalars that blend attention in, alone. `bias`: biases, and the shifts of norms, alone.
            `decoder_*`: a glob of layer names or paths (`outer/inner/layer`); a nested model means all in it.
            `all`, `none`.
        batch_norm: `"frozen"`: BatchNormalization of the backbone keeps weights and moving statistics bit for bit and
            normalises with them, also in training and where the layers around it train (of its weights, only a shift
            named by `bias` trains). `"train"`: it trains as the layers around it do. In attention, decoder and head,
            which are new, it always does.

    Returns:
        The table: for each part the number of layers, parameters, and parameters that train; and notes.

    Raises:
        PlanError: if a term is not known or names nothing in this model.
        RewriteError: if the model has no graph to read.
    """
    if batch_norm not in ("frozen", "train"):
        raise PlanError(
            f"batch_norm={batch_norm!r} is not known; expected 'frozen' or 'train'."
            f"{did_you_mean(batch_norm, ('frozen', 'train'))}"
        )
    anatomy = describe(model)
    units = units_of(anatomy)
    selection = select(train, units, {s.index: s.stride for s in anatomy.stages}, model.name)
    if selection.whole and "head" in train.split("+") and not any(u.part == "backbone" for u in units):
        raise PlanError(
            f"train={train!r}: no layer of '{model.name}' makes a feature map, so that backbone and head cannot be told"
            " apart (models inside TimeDistributed and other wrappers are not read);"
            " choose 'all', or name layers by globs."
        )
    open_all(model)
    resting: list[Leaf] = []
    for unit in units:
        still = [x for x in unit.leaves if _stays_in_inference(x, selection, batch_norm)]
        resting += still
        _apply(unit, selection, still)
    notes = _notes(model, units, selection, resting, train)
    rows = [_count(part, units) for part in PARTS]
    return FreezeReport(model.name, tuple(r for r in rows if r.layers or r.name != "decoder"), tuple(notes))


def _stays_in_inference(leaf: Leaf, selection: Selection, batch_norm: str) -> bool:
    chosen = id(leaf) in selection.whole
    return leaf.is_batch_norm and chosen and leaf.part == "backbone" and batch_norm == "frozen"


def _apply(unit: Unit, selection: Selection, still: list[Leaf]) -> None:
    whole = [x for x in unit.leaves if id(x) in selection.whole and x not in still]
    single = {id(w) for x in unit.leaves for w in x.weights if id(w) in selection.single}
    live = {id(x.layer) for x in whole}
    live |= {id(x.layer) for x in unit.leaves if not x.is_batch_norm and any(id(w) in single for w in x.weights)}
    set_trainable(unit.op, single | {id(w) for x in whole for w in x.weights}, live, unit.frozen)


def _count(part: str, units: list[Unit]) -> Part:
    def size(weights: Any) -> int:
        return sum(int(keras.ops.size(w)) for w in weights)

    layers, parameters = 0, 0
    for unit in units:
        inside = attention_inside(unit.op)
        held = size(w for module in inside for w in module.weights)
        if unit.part == part:
            layers, parameters = layers + 1, parameters + size(unit.op.weights) - held
        elif part == "attention":
            layers, parameters = layers + len(inside), parameters + held
    leaves = (x for u in units for x in u.leaves if x.part == part)
    return Part(part, layers, parameters, size(w for x in leaves for w in x.weights if w.trainable))


def _notes(
    model: keras.Model, units: list[Unit], selection: Selection, resting: list[Leaf], train: str
) -> Iterator[str]:
    if selection.missing:
        yield f"'{model.name}' has no head, nothing after its last feature map; the rest of train={train!r} trains."
    decoder = [u for u in units if u.part == "decoder"]
    first = f"({len(decoder)} layers, from '{decoder[0].op.name}' on)" if decoder else ""
    if decoder and train != "none" and not any(w.trainable for u in decoder for x in u.leaves for w in x.weights):
        yield f"the decoder {first} is frozen; to train it, add '+decoder' or globs of its layers' names to train."
    elif decoder and train != "none":
        yield f"what makes maps after the backbone {first} counts as decoder."
    if resting:
        new = sum(_is_new(x.layer) for x in resting)
        yield (
            f"{len(resting)} BatchNormalization layers of what trains stay as they are and normalise with their moving"
            " statistics; batch_norm='train' trains them."
            + (f" {new} of them have seen no data yet (mean 0, variance 1)." if new else "")
        )
    frozen = [f"'{u.op.name}' ({', '.join(w.name for w in u.frozen.values())})" for u in units if u.frozen]
    if frozen:
        yield f"frozen inside their layers before, and left so: {listing(frozen, 6)}."
    if model.compiled:
        yield "the model is compiled already; compile it again, or it goes on training what it trained before."


def _is_new(norm: Any) -> bool:
    mean, variance = (keras.ops.convert_to_numpy(w) for w in (norm.moving_mean, norm.moving_variance))
    return bool(np.all(mean == 0) and np.all(variance == 1))
