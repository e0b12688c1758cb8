"""What a layer that calls other layers consists of: its call taken as a list of steps, on symbolic tensors.

    class Block(Layer):                              0  conv  reads input
        def call(self, x):                   ->      1  bn    reads 0
            return x + self.bn(self.conv(x))         2  add   reads input, 1

The steps are what `layer.call` did; running them again does the same, and attention can stand between any two. The
sub-layers are those of the layer itself. Nothing remains in them of having been called on symbolic tensors.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree
from keras.src.backend.common import global_state
from keras.src.backend.common.variables import AutocastScope
from keras.src.layers.layer import CallContext

from attnzoo._keras.graph import is_container, is_keras_layer, layers_inside, put_traces, traces_of
from attnzoo._keras.variables import to_snake_case
from attnzoo.errors import first_line
from attnzoo.layers import Attention
from attnzoo.layers._attended_layer import AttendedLayer

Ref = tuple[int, int]
"""A tensor: (step, which of its outputs), or (-1, 0) for the layer's input."""

_CONTEXT = "current_call_ctx"


@dataclass(frozen=True, eq=False)
class Step:
    """One call of one operation inside a layer.

    Attributes:
        op: the sub-layer or operation.
        name: the attribute that holds the sub-layer, such as `conv2` or `bns.1`; else what the operation is.
        reads: where its tensors come from, in the order of its arguments.
        arguments: of the call, with tensors in the places of tensors.
        outputs: symbolic tensors that say shapes and dtypes.
    """

    op: Any
    name: str
    reads: tuple[Ref, ...]
    arguments: Any
    outputs: tuple[Any, ...]

    def __call__(self, read: list[Any]) -> list[Any]:
        remaining = iter(read)
        args, kwargs = tree.map_structure(
            lambda a: next(remaining) if isinstance(a, keras.KerasTensor) else a, self.arguments
        )
        return list(tree.flatten(self.op(*args, **kwargs)))


@dataclass(frozen=True, eq=False)
class Inside:
    """What a layer does with one tensor of some shape."""

    shape: tuple[int | None, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    structure: Any

    @property
    def outline(self) -> list[Any]:
        """What must be the same, whatever the size of the input, and in training and inference."""
        return [(type(s.op), s.name, s.reads, len(s.outputs)) for s in self.steps] + [self.outputs]

    @property
    def output_shapes(self) -> list[tuple[int | None, ...]]:
        return [tuple(self.steps[n].outputs[i].shape) if n >= 0 else self.shape for n, i in self.outputs]

    def fits(self, shape: tuple[int | None, ...]) -> bool:
        """True if it was taken on such a shape, or on one that leaves open what this one says."""
        return len(shape) == len(self.shape) and all(a in (None, b) for a, b in zip(self.shape, shape, strict=True))

    def run(
        self, x: Any, attend: Callable[[bool, int, int, Any], Any], call: Callable[[int, Step, list[Any]], list[Any]]
    ) -> list[Any]:
        """Goes through the steps and returns the outputs.

        Args:
            x: the input.
            attend: from (True for a step's output and False for what it reads, step, which one, tensor) to a tensor.
            call: from (step number, step, what it reads) to its outputs.
        """
        known: dict[Ref, Any] = {(-1, 0): x}
        for n, step in enumerate(self.steps):
            read = [attend(False, n, i, known[ref]) for i, ref in enumerate(step.reads)]
            for i, y in enumerate(call(n, step, read)):
                known[n, i] = attend(True, n, i, y)
        return [known[ref] for ref in self.outputs]


class Closed(Exception):
    """The inside of a layer cannot be reached; the message says why, in one clause."""


# Taking a call ---------------------------------------------------------------------------------------------------

_taken: weakref.WeakKeyDictionary[Any, dict[bool, list[Inside]]] = weakref.WeakKeyDictionary()


def may_be_opened(op: Any) -> bool:
    """True for a layer of somebody's own that holds layers, one of them a convolution."""
    if not isinstance(op, keras.layers.Layer) or is_container(op) or is_keras_layer(op) or isinstance(op, Attention):
        return False
    return any(len(w.shape) == 4 for layer in layers_inside(op) for w in layer.weights)


def inside_of(layer: Any, shape: Any, training: bool = False) -> Inside:
    """Returns what a layer does with a tensor of a shape; the batch size does not matter.

    Raises:
        Closed: if that cannot be said.
    """
    shape = (None, *tuple(shape)[1:])
    known = _taken.setdefault(layer, {}).setdefault(training, [])
    for inside in known:
        if inside.fits(shape):
            return inside
    inside = _take(layer, shape, training)
    if any(i.outline != inside.outline for others in _taken[layer].values() for i in others):
        raise Closed("its call goes another way in training, or for another size")
    known.append(inside)
    return inside


def known_as(view: Any, layer: Any) -> None:
    """Says that what is known of a layer holds for another object with the same attributes."""
    _taken[view] = _taken[layer]


def _take(layer: Any, shape: Any, training: bool) -> Inside:
    x = keras.KerasTensor(shape, dtype=layer.compute_dtype)
    call = layer.attnzoo_base.call if isinstance(layer, AttendedLayer) else type(layer).call
    kwargs = {"training": training} if "training" in layer.call_signature_parameters else {}
    with without_traces(layer), _calling(training), AutocastScope(layer.compute_dtype if layer.autocast else None):
        try:
            structure = call(layer, x, **kwargs)
        except Exception as error:  # the code of a layer's author: anything may come
            raise Closed(f"its call cannot be taken apart: {first_line(error).removesuffix('.')}") from None
        outputs = tree.flatten(structure)
        return _inside(layer, x, outputs, structure)


def _inside(layer: Any, x: Any, outputs: list[Any], structure: Any) -> Inside:
    names, counts = _attributes(layer), Counter[str]()
    known: dict[int, Ref] = {id(x): (-1, 0)}
    steps: list[Step] = []
    for node in _nodes(outputs, x):
        op = node.operation
        name = names.get(id(op)) or to_snake_case(type(op).__name__)
        counts[name] += 1
        name = name if counts[name] == 1 else f"{name}.{counts[name]}"
        if is_container(op):
            raise Closed(f"it holds the model '{op.name}'; augment that before wrapping it")
        if isinstance(op, keras.layers.Layer) and id(op) not in names and op.weights:
            raise Closed(f"its call uses a {type(op).__name__} that it does not hold")
        known.update({id(t): (len(steps), i) for i, t in enumerate(node.outputs)})
        specs = tuple(keras.KerasTensor(t.shape, t.dtype) for t in node.outputs)
        reads = tuple(known[id(t)] for t in node.input_tensors)
        steps.append(Step(op, name, reads, (node.arguments.args, node.arguments.kwargs), specs))
    return Inside(tuple(x.shape), tuple(steps), tuple(known[id(t)] for t in outputs), structure)


def _nodes(outputs: list[Any], x: Any) -> list[Any]:
    """Returns the calls between a tensor and what was made of it, each after those it reads from."""
    ordered: dict[int, Any] = {}
    waiting = [(t, False) for t in reversed(outputs)]
    while waiting:
        tensor, complete = waiting.pop()
        operation = getattr(tensor, "_keras_history", (None,))[0]
        if tensor is x:
            continue
        if operation is None:
            raise Closed("its call makes tensors out of nothing")
        node = operation._inbound_nodes[tensor._keras_history.node_index]
        if id(node) in ordered:
            continue
        if complete:
            ordered[id(node)] = node
        else:
            waiting.append((tensor, True))
            waiting += [(t, False) for t in reversed(node.input_tensors)]
    return list(ordered.values())


def _attributes(layer: Any) -> dict[int, str]:
    """Returns by `id` the attribute path of each layer inside a layer."""
    found: dict[int, str] = {}
    waiting: list[tuple[Any, str]] = [(layer, "")]
    while waiting:
        holder, above = waiting.pop(0)
        if isinstance(holder, keras.layers.Layer):
            own = {**vars(holder).get("_modules", {}), **vars(holder)}
            items: Any = [(k, v) for k, v in own.items() if not k.startswith(("_", "attnzoo_"))]
        else:
            items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in items:
            path = f"{above}.{key}".lstrip(".")
            if isinstance(value, keras.layers.Layer):
                if id(value) not in found:
                    found[id(value)] = path
                    waiting.append((value, path))
            elif isinstance(value, list | tuple | dict):
                waiting.append((value, path))
    return found


@contextlib.contextmanager
def _calling(training: bool) -> Iterator[None]:
    """Inside, layers are told whether they train as by a layer around them, and as nothing else around them says."""
    before = global_state.get_global_attribute(_CONTEXT)
    context = CallContext(entry_layer=None)
    context.set_value("training", training)
    global_state.set_global_attribute(_CONTEXT, context)
    try:
        yield
    finally:
        global_state.set_global_attribute(_CONTEXT, before)


def in_training(kwargs: dict[str, Any]) -> bool:
    """Returns whether a layer is called in training: by its arguments, or by a layer around it."""
    said = kwargs.get("training")
    context = global_state.get_global_attribute(_CONTEXT)
    return bool(context.get_value("training") if said is None and context is not None else said)


@contextlib.contextmanager
def without_traces(layer: Any) -> Iterator[None]:
    """Takes back what symbolic calls leave: nodes in the layers, and numbers in the names that Keras gives."""
    before = traces_of(layer)
    uids = global_state.get_global_attribute("object_name_uids")
    numbers = dict(uids) if uids is not None else None
    try:
        yield
    finally:
        put_traces(before)
        if uids is not None:
            uids.clear()
            uids.update(numbers or {})
