"""Layers with attention inside: how they run, and the proof that a layer's steps are what the layer does."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.backend.common.variables import AutocastScope

from attnzoo._keras.inside import Closed, Inside, in_training, inside_of, known_as, without_traces
from attnzoo._keras.variables import set_frozen_parts
from attnzoo.errors import AttnzooError, RewriteError, first_line
from attnzoo.layers._attended_layer import AttendedLayer, attended_layer_class, held_attention

Where = dict[str, Any]
"""`{"behind": [steps, output]}` or `{"edges": [[steps, input], ...]}`: `steps` leads through the layers inside."""


@dataclass(eq=False)
class Held:
    """Attention inside one layer; a class of its own, so that Keras neither tracks nor saves what stands here twice.

    Attributes:
        at: by (True for a step's output and False for what it reads, step, which one), the attention there in order.
        deeper: by step, what is held for the layer that is called there.
    """

    at: dict[tuple[bool, int, int], list[Any]]
    deeper: dict[int, Held]

    @classmethod
    def of(cls, attention: list[Any], where: list[Where]) -> Held:
        held = cls({}, {})
        for module, place in zip(attention, where, strict=True):
            after = "behind" in place
            for steps, index in [place["behind"]] if after else place["edges"]:
                room = held
                for step in steps[:-1]:
                    room = room.deeper.setdefault(step, cls({}, {}))
                room.at.setdefault((after, steps[-1], index), []).append(module)
        return held


def attach(layer: Any, attention: list[Any], where: list[Where]) -> None:
    """Makes a layer, built or not, one that holds attention."""
    locked = layer._tracker.locked
    layer._tracker.unlock()
    layer.attnzoo_attention = attention
    if locked:
        layer._tracker.lock()
    vars(layer)["attnzoo_where"] = where
    _hold(layer, Held.of(attention, where))


def sharing(layer: Any) -> Any:
    """Returns another layer with the same layers and variables inside, for attention that only it has."""
    new = object.__new__(type(layer))
    vars(new).update(vars(layer), _inbound_nodes=[], _outbound_nodes=[], _layers=list(layer._layers))
    return new


def attach_beside(layer: Any, attention: list[Any], where: list[Where]) -> None:
    """The same for a layer that `sharing` returned, whose tracker is that of the other."""
    vars(layer)["_layers"] = [*(x for x in layer._layers if x not in held_attention(layer)), *attention]
    vars(layer).update(attnzoo_attention=attention, attnzoo_where=where)
    _hold(layer, Held.of(attention, where))


def keep_open(layer: Any) -> None:
    """Lets attention inside a layer train, of which nothing else trains."""
    if not layer.trainable:
        layer._trainable = True


def _hold(layer: Any, held: Held) -> None:
    cls: Any = type(layer)
    if not issubclass(cls, AttendedLayer):
        layer.__class__ = attended_layer_class(cls)
    vars(layer)["attnzoo_held"] = held


def call_attended(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Does what a layer does, with the attention that it holds."""
    x, held = args[0], layer.attnzoo_held
    inside = _inside(layer, x.shape, in_training(kwargs))
    for n, deeper in held.deeper.items():
        if vars(inside.steps[n].op).get("attnzoo_held") is not deeper:
            _hold(inside.steps[n].op, deeper)
    done: dict[tuple[int, int], tuple[Any, Any]] = {}

    def attend(after: bool, n: int, index: int, tensor: Any) -> Any:
        for module in held.at.get((after, n, index), ()):
            key = (id(module), id(tensor))
            if key not in done:
                done[key] = (tensor, _attended(module, tensor))  # with the tensor, so that no other gets its id
            tensor = done[key][1]
        return tensor

    outputs = inside.run(x, attend, lambda n, step, read: step(read))
    return tree.pack_sequence_as(inside.structure, outputs)


def _attended(module: Any, tensor: Any) -> Any:
    made = module(tensor)
    if isinstance(made, keras.KerasTensor) and (made.shape != tensor.shape or made.dtype != tensor.dtype):
        error = RewriteError(
            f"attention '{module.name}' ({type(module).__name__}) made {tuple(made.shape)} {made.dtype} of"
            f" {tuple(tensor.shape)} {tensor.dtype}; attention must keep shape and dtype."
        )
        raise _unwrapped(error)
    return made


def build_attention(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Builds all inside a layer that is about to be called on a symbolic tensor.

    Raises:
        AttnzooError: if the attention says it is where the layer has nothing.
    """
    x = args[0]
    inside = _inside(layer, x.shape, in_training(kwargs))
    _check(layer, inside, layer.attnzoo_held)
    with without_traces(layer), AutocastScope(layer.compute_dtype if layer.autocast else None):
        call_attended(layer, (keras.KerasTensor(x.shape, layer.compute_dtype),), kwargs)
    frozen = vars(layer).pop("attnzoo_frozen", None)
    if frozen is not None:
        set_frozen_parts(layer, layer.attnzoo_attention, frozen)


def _inside(layer: Any, shape: Any, training: bool) -> Inside:
    try:
        return inside_of(layer, shape, training)
    except Closed as reason:
        raise _unwrapped(RewriteError(f"layer '{layer.name}' holds attention, but {reason}.")) from None


def _check(layer: Any, inside: Inside, held: Held) -> None:
    steps = inside.steps
    there = all(
        0 <= n < len(steps) and 0 <= i < len(steps[n].outputs if after else steps[n].reads) for after, n, i in held.at
    )
    if not there or not all(0 <= n < len(steps) for n in held.deeper):
        error = AttnzooError(
            f"layer '{layer.name}' holds attention where its class has nothing here; load it with the version of the"
            " package that it was saved with."
        )
        raise _unwrapped(error)


def _unwrapped(error: Exception) -> Exception:
    """Has Keras raise an error as it is, without the arguments of the calls that it passes through."""
    error._keras_call_info_injected = True  # type: ignore[attr-defined]
    return error


# The proof -------------------------------------------------------------------------------------------------------

_proven: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

SMALL = 16
"""Rows and columns to compare on, where the layer takes maps of any size."""


def proven_inside(layer: Any, shape: Any) -> Inside:
    """Returns what a layer does with a tensor of a shape, after it was compared with the layer itself.

    Compared are outputs and changed variables on random input, in inference and in training, with weights moved away
    from where they are: a number that the call computed from a weight would stay what it was.

    Raises:
        Closed: if that cannot be said, or the two differ.
    """
    inside = inside_of(layer, shape)
    if layer not in _proven:
        inside_of(layer, shape, training=True)
        sizes = inside.shape[1:-1]
        small: Any = (*(SMALL if n is None else min(n, SMALL) for n in sizes), inside.shape[-1])
        whole: Any = (*(SMALL if n is None else n for n in sizes), inside.shape[-1])
        try:
            _proven[layer] = _difference(layer, (2, *small))
        except Exception:  # the layer may take maps of one size only
            try:
                _proven[layer] = _difference(layer, (2, *whole))
            except Exception as error:
                _proven[layer] = f"it cannot be called by itself: {first_line(error).removesuffix('.')}"
    if _proven[layer]:
        raise Closed(_proven[layer])
    return inside


def _difference(layer: Any, shape: tuple[int, ...]) -> str:
    """Says that a layer does something else than its steps; nothing if it does the same."""
    inside_of(layer, shape)
    base: Any = layer.attnzoo_base if isinstance(layer, AttendedLayer) else type(layer)
    views = [object.__new__(cls) for cls in (base, attended_layer_class(base))]
    for view in views:
        vars(view).update(vars(layer), attnzoo_held=Held({}, {}))
        known_as(view, layer)
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
    values = [(v, _moved(v, rng)) for v in layer.variables]
    for training in (False, True):
        plain, ours = (_results(view, x, values, training) for view in views)
        equal = (np.array_equal(a, b, equal_nan=True) for a, b in zip(plain, ours, strict=False))
        if len(plain) != len(ours) or not all(equal):
            return "what it computes is more than the layers and operations that it calls"
    return ""


def _moved(variable: Any, rng: np.random.Generator) -> Any:
    value = keras.ops.convert_to_numpy(variable.value)
    if "float" not in str(variable.dtype):
        return variable.value
    noise = rng.uniform(0.5, 1.5, value.shape)
    return keras.ops.convert_to_tensor(value * noise + 0.05 * noise, dtype=variable.dtype)


class _Trial(keras.layers.Layer):
    """Calls a layer in training or inference, whether it takes the argument or not."""

    def __init__(self, view: Any):
        super().__init__(dtype=view.dtype_policy)
        self.run = view.__call__

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.run(x)


def _results(view: Any, x: Any, values: list[tuple[Any, Any]], training: bool) -> list[Any]:
    with keras.StatelessScope(state_mapping=values) as scope:
        outputs = tree.flatten(_Trial(view)(x, training=training))
    after = [scope.get_current_value(v) for v, _ in values]
    found = [*outputs, *(a for a in after if a is not None)]
    return [keras.ops.convert_to_numpy(y).astype("float64") for y in found]
