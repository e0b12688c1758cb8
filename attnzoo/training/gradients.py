"""Attention that cannot learn: `check_gradients` trains it for two steps, and looks what moved."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np
from keras import ops

from attnzoo._keras import (
    flags_of,
    frozen_inside,
    layers_inside,
    open_models,
    restore_flags,
    set_trainable,
    weights_made_to_train,
    without_traces,
)
from attnzoo.anatomy import read_graph
from attnzoo.errors import AttnzooError, first_line
from attnzoo.layers import Attention
from attnzoo.tables import table

BATCH, SIZE = 8, 64
"""Random images, and the height and width of those that may have any."""


@dataclass(frozen=True)
class Silent:
    """An attention module with weights that no gradient reaches.

    Attributes:
        layer: path of the layer.
        weights: names of the weights without gradient.
        of: how many of the module's weights were looked at.
    """

    layer: str
    weights: tuple[str, ...]
    of: int

    @property
    def whole(self) -> bool:
        """True if nothing in the module learns."""
        return len(self.weights) == self.of


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The attention modules through which no gradient flows; empty if there is none. `print` it, iterate it."""

    model: str
    modules: int
    rows: tuple[Silent, ...]

    def __iter__(self) -> Iterator[Silent]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if not self.modules:
            return f"{self.model}: no attention"
        if not self.rows:
            all_of_them = (
                "its attention module" if self.modules == 1 else f"all of its {self.modules} attention modules"
            )
            return f"{self.model}: gradients reach {all_of_them}"
        lines = [("layer", "weights without gradient")]
        lines += [(r.layer, "all" if r.whole else ", ".join(r.weights)) for r in self.rows]
        count = f"{len(self.rows)} of {self.modules} attention modules"
        return f"{self.model}: {count} have weights that learn nothing\n{table(lines)}"


def check_gradients(model: keras.Model, x: Any = None, *, seed: int = 0) -> GradientReport:
    """Finds attention whose weights have a gradient of exactly zero.

    The attention alone trains for two steps, towards random directions of the model's outputs: blended in by an alpha
    of zero, a module's alpha learns in the first step and its weights in the second. Values and flags are put back
    after it. Weights that a softmax or a norm cancels (`Attention.no_gradient`) are not looked at, nor those that were
    frozen inside their layer.

    Args:
        model: a model made by `augment`, or any Functional or Sequential model with attention; left as it is.
        x: a batch of inputs, as the model takes them; None for random ones. What is dead on random images, such as a
            hidden layer of one unit, may live on yours.
        seed: of the random numbers.

    Returns:
        The modules, each with its weights without gradient. Empty if all can learn.

    Raises:
        AttnzooError: if the model cannot be trained on such inputs.
        RewriteError: if the model has no graph to read.
    """
    watched = _attention(model)
    found: dict[int, np.ndarray] = {}
    with _restored(model), without_traces(model):
        for call in read_graph(model).calls:
            if isinstance(call.op, keras.layers.Layer):
                call.op.trainable = False
        open_models(model)
        for _, op, weights in watched:
            set_trainable(op, {id(w) for w in weights}, {id(x) for x in (op, *layers_inside(op))}, {})
        if any(weights for *_, weights in watched):
            found = _momenta(model, x, np.random.default_rng(seed))
    rows = []
    for path, _, weights in watched:
        still = tuple(w.name for w in weights if not np.any(found[id(w)]))
        if still:
            rows.append(Silent(path, still, len(weights)))
    return GradientReport(model.name, len(watched), tuple(rows))


def _attention(model: Any) -> list[tuple[str, Any, list[Any]]]:
    """Returns each module by its path, with the weights that ought to learn."""
    ops_of = {id(c.op): ("/".join((*c.path, c.op.name)), c.op) for c in read_graph(model).calls}
    return [(path, op, _learning(op)) for path, op in ops_of.values() if isinstance(op, Attention)]


def _learning(op: Any) -> list[Any]:
    frozen = frozen_inside(op)
    weights = [w for w in weights_made_to_train(op) if id(w) not in frozen]
    return [w for w in weights if not any(fnmatchcase(w.name, p) for p in op.no_gradient)]


@contextlib.contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Gives a model its values and flags back, random states and statistics included."""
    values = [(v, ops.copy(v.value)) for v in model.variables]
    flags = flags_of(model)
    try:
        yield
    finally:
        for v, value in values:
            v.assign(value)
        restore_flags(flags)


def _momenta(model: Any, x: Any, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Trains for two steps; returns, by `id` of the weight, the sum of its gradients, which momentum is."""
    first, *others = [t for t in model.outputs if "float" in t.dtype]
    outputs = [_Anchor()(first), *others]
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    probe = keras.Model(inputs, outputs if others else outputs[0])
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0)
    loss = [_along for _ in outputs] if others else _along
    probe.compile(optimizer, loss, run_eagerly=True, jit_compile=False)
    try:
        images = keras.tree.map_structure(lambda t: _random(t, rng), inputs) if x is None else x
        y = keras.tree.map_structure(lambda o: rng.normal(size=o.shape).astype("float32"), probe(images))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Gradients do not exist")  # which is what is looked for
            for _ in range(2):
                probe.train_on_batch(images, y)
    except Exception as error:
        raise AttnzooError(
            f"'{model.name}' cannot be trained on {'these inputs' if x is not None else 'random inputs'}:"
            f" {first_line(error).removesuffix('.')}; give a batch of its inputs as x."
        ) from error
    pairs = zip(probe.trainable_variables, optimizer.momentums, strict=True)
    return {id(w): ops.convert_to_numpy(m) for w, m in pairs}


class _Anchor(keras.layers.Layer):
    """Adds zero, a weight that has a gradient whatever else has none: Keras refuses to train without any."""

    def build(self, shape: Any) -> None:
        self.zero = self.add_weight(shape=(), initializer="zeros")

    def call(self, x: Any) -> Any:
        return x + ops.cast(self.zero, x.dtype)


def _along(direction: Any, y: Any) -> Any:
    """A loss: how far outputs go along a direction. Unlike a distance, it has a gradient everywhere."""
    y = ops.cast(y, "float32") * ops.cast(direction, "float32")
    return ops.sum(ops.reshape(y, (ops.shape(y)[0], -1)), axis=-1)


def _random(tensor: Any, rng: np.random.Generator) -> np.ndarray:
    shape = [BATCH, *(SIZE if d is None else d for d in tensor.shape[1:])]
    if "float" not in tensor.dtype:
        return rng.integers(0, 2, shape).astype(tensor.dtype)
    # Images differ in the mean of each channel, so that hidden units are not dead on all of them.
    each = rng.normal(size=[BATCH, *[1] * (len(shape) - 2), *shape[-1:]])
    return (rng.normal(size=shape) + each).astype("float32")
