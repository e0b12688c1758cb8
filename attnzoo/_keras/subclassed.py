"""Subclassed models: what `call` does, taken as a graph by calling it on symbolic tensors, and shown to be equal.

    class Net(keras.Model):  call(x): ... layers and keras.ops ...   ->   keras.Model(x, net.call(x))

The layers are the model's own. A call on symbolic tensors leaves a trace in every layer (its inbound and outbound
nodes); those of the graph are there only while it is read or rebuilt, so that the model stays as it was.
"""

from __future__ import annotations

import contextlib
import itertools
import linecache
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from attnzoo._keras.graph import (
    Functional,
    Traces,
    inputs_of,
    is_container,
    is_wired,
    layers_inside,
    put_traces,
    traces_of,
)
from attnzoo.errors import RewriteError, first_line, listing

_OPEN_SIZE = 64
"""Pixels that equality is shown on where the model leaves the size open."""
_REPLACED = {"call", "build", "get_config", "from_config", "compute_output_shape", "compute_output_spec"}


@dataclass(frozen=True)
class _Taken:
    """Where the graph of a subclassed model comes from.

    Attributes:
        note: one sentence on what the graph leaves behind.
        traces: the lists of nodes of the model's layers, each with what it holds while the graph is in place.
    """

    note: str
    traces: Traces


@contextlib.contextmanager
def opened(model: Any, keep: bool = False) -> Iterator[Any]:
    """Gives the model whose graph is to be read: the one passed in, or the graph of a subclassed one.

    Args:
        model: any model; what is no Functional or Sequential model is taken as a graph if it can be.
        keep: leave the calls of the graph in the layers of a subclassed model, which another model then shares.

    Raises:
        RewriteError: if a subclassed model cannot be taken as a graph, or computes something else than that graph.
    """
    if _is_subclassed(model):
        before = traces_of(model)
        try:
            source = _taken(model)
        finally:
            during = [(nodes, list(nodes)) for nodes, _ in before]
            put_traces(before)
        vars(source)["attnzoo_taken"] = _Taken(_note(model, source), during)
    else:
        source = model
    taken = vars(source).get("attnzoo_taken") if is_container(source) else None
    if taken is None:
        yield source
        return
    before = [(nodes, list(nodes)) for nodes, _ in taken.traces]
    put_traces(taken.traces)
    try:
        yield source
    finally:
        if not keep:
            put_traces(before)


def left_behind(source: Any) -> str | None:
    """Returns a sentence on what the graph of a subclassed model leaves behind; None for any other model."""
    taken = vars(source).get("attnzoo_taken")
    return taken.note if taken else None


def _is_subclassed(model: Any) -> bool:
    if isinstance(model, Functional):
        return type(model).call is not Functional.call
    if isinstance(model, keras.Sequential):
        return type(model).call is not keras.Sequential.call and is_wired(model)
    return isinstance(model, keras.Model)


# From call() to a graph ------------------------------------------------------------------------------------------


def _taken(model: Any) -> Any:
    inputs = _symbolic_inputs(model)
    try:
        outputs = model.call(inputs)
        source = Functional(inputs, outputs, name=model.name)
    except Exception as cause:
        raise _refusal(model, f"{_where(cause)}: {first_line(cause).removesuffix('.')}") from cause
    # Not by the setter, which sets every layer below.
    source._trainable = model.trainable
    _check_weights(model, source)
    for training in (False, True):
        _check_equal(model, source, training)
    return source


def _refusal(model: Any, reason: str) -> RewriteError:
    return RewriteError(
        f"model '{model.name}' ({type(model).__name__}) is a subclassed model that cannot be taken as a graph:"
        f" {reason}. Use layers and keras.ops there, rebuild it with the functional API, or augment the Functional"
        " backbone inside it."
    )


def _symbolic_inputs(model: Any) -> Any:
    """Returns the inputs that the model was built with, as symbolic tensors with an open batch."""
    if is_container(model):
        given = inputs_of(model) if isinstance(model, Functional) else model.inputs[0]
        return tree.map_structure(lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), given)
    shapes = _built_shape(model)
    # Keras records none where call() does not run on symbolic tensors: the shape of the first map shows where it stops.
    seen = (_built_shape(layer) for layer in layers_inside(model))
    shapes = shapes or next((s for s in seen if isinstance(s, tuple) and len(s) == 4), None)
    if shapes is None:
        raise RewriteError(
            f"model '{model.name}' ({type(model).__name__}) is a subclassed model that does not know its input yet;"
            " call it on one batch of data as its only argument, then augment it."
        )
    if isinstance(shapes, dict):  # Keras wants inputs to have the names of their keys
        return {key: _input_of(shape, key) for key, shape in shapes.items()}
    return tree.map_shape_structure(_input_of, shapes)


def _built_shape(layer: Any) -> Any:
    return (layer.get_build_config() or {}).get("input_shape") if layer.built else None


def _input_of(shape: Any, name: str | None = None) -> Any:
    return keras.Input(batch_shape=(None, *shape[1:]), name=name)


def _where(cause: Exception) -> str:
    """Returns the line of the user's code that an exception comes from."""
    library = Path(keras.__file__).parent.parent
    frames = [f for f, _ in traceback.walk_tb(cause.__traceback__) if f.f_code.co_filename != __file__]
    theirs = itertools.takewhile(lambda f: library not in Path(f.f_code.co_filename).parents, frames)
    *_, frame = list(theirs) or frames
    number, code = frame.f_lineno, frame.f_code
    line = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    return f"{code.co_name}(), line {number}" + (f", `{line}`" if line else "")


def _check_weights(model: Any, source: Any) -> None:
    """Raises if `call` uses weights that no layer of the graph holds, or layers that the model does not hold."""
    ours = {id(w) for w in model.weights}
    for node in itertools.chain.from_iterable(source._nodes_by_depth.values()):
        used = [v for v in tree.flatten((node.arguments.args, node.arguments.kwargs)) if isinstance(v, keras.Variable)]
        if used:
            raise _refusal(
                model,
                f"{type(node.operation).__name__} reads the weight '{used[0].name}' of the model itself, which no"
                " layer of the graph would hold; make it a layer with that weight",
            )
        foreign = [w for w in getattr(node.operation, "weights", ()) if id(w) not in ours]
        if foreign:
            raise _refusal(
                model,
                f"layer '{node.operation.name}' ({type(node.operation).__name__}) is made anew by each call(), with"
                " weights that the model does not hold; make it in the constructor",
            )


def _check_equal(model: Any, source: Any, training: bool) -> None:
    """Raises if the graph gives other outputs, losses or states (statistics, seeds) than the model."""
    random = np.random.default_rng(0)

    def sample(tensor: Any) -> Any:
        shape = [2, *(_OPEN_SIZE if d is None else d for d in tensor.shape[1:])]
        return ops.cast(random.uniform(0.0, 1.0, shape), tensor.dtype)

    x = tree.map_structure(sample, inputs_of(source))
    expected = _outcome(model, lambda: model(x, training=training), model)
    found = _outcome(model, lambda: source(x, training=training), source)
    same = len(expected) == len(found) and all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(expected, found, strict=True)
    )
    if not same:
        when = "in training" if training else "in inference"
        raise _refusal(model, f"{when} it computes something else than the graph of its call(), on random inputs")


def _outcome(model: Any, run: Callable[[], Any], runs: Any) -> list[Any]:
    """Returns outputs, losses and changed states of a run, and puts the states back."""
    before = [(v, keras.ops.convert_to_numpy(v.value).copy()) for v in _states(model)]
    try:
        outputs = tree.flatten(run())
        return [keras.ops.convert_to_numpy(v) for v in [*outputs, *runs.losses, *(v.value for v, _ in before)]]
    finally:
        for variable, value in before:
            variable.assign(value)


def _states(model: Any) -> list[Any]:
    return [v for v in model.variables if not any(v is w for w in model.trainable_variables)]


# What a graph leaves behind --------------------------------------------------------------------------------------


def _note(model: Any, source: Any) -> str:
    own = itertools.takewhile(lambda c: not c.__module__.startswith("keras."), type(model).__mro__)
    methods = {k for cls in own for k, v in vars(cls).items() if callable(v) or isinstance(v, property)}
    left = [f"{m}()" for m in sorted(methods - _REPLACED) if not m.startswith("__")]
    inside = {id(w) for w in source.weights}
    unused = [layer.name for layer in model.layers if layer.weights and not any(id(w) in inside for w in layer.weights)]
    left += [f"layer '{name}', which call() does not use" for name in unused]
    shapes = listing(str(tuple(t.shape[1:])) for t in source.inputs)
    behind = f" It leaves behind: {listing(left)}." if left else ""
    return (
        f"'{model.name}' ({type(model).__name__}) is a subclassed model, read as the graph of its call() on {shapes};"
        f" the result is a Functional model.{behind}"
    )
