"""The graph of a model, read once and flattened: values, and the calls that make them.

Nested models are opened: a call of a nested Functional or Sequential model is replaced by the calls inside it, so that
whoever reads the graph need not know how its author packed it. Each call remembers the container it stands in.

CONTRIBUTING.md lists the few files that touch private attributes of Keras; this is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
from keras import tree

from attnzoo._keras import functional_of, is_container, is_inserted, places_of
from attnzoo.anatomy.strides import folded_map, output_stride
from attnzoo.layers import Attention


@dataclass(eq=False)
class Value:
    """One tensor of the flat graph.

    Attributes:
        tensor: its symbolic tensor, in the container of the call that makes it.
        call: the call that makes it; None for an input of the model.
        index: which output of that call it is.
        order: position in topological order.
        stride: rows of the model's input for one row of this map; None for what is not a feature map.
        folded: the map whose numbers this holds in another order, for what is not a feature map itself; else None.
        deepest: the largest stride among this value and all it is computed from.
        users: (call, position among the call's input tensors) of everything that reads it.
        parent: the value nearest above through which every path from the inputs runs (the immediate dominator).
    """

    tensor: Any
    call: Call | None
    index: int
    order: int
    stride: float | None = None
    folded: Value | None = None
    deepest: float = 0.0
    users: list[tuple[Call, int]] = field(default_factory=list)
    parent: Value | None = None
    depth: int = 0

    @property
    def name(self) -> str:
        """Name of the layer or operation that makes the value."""
        return self.call.op.name if self.call else self.tensor.name

    @property
    def host(self) -> str:
        """The same, but for inserted attention the name of the layer it stands behind."""
        return str(self.call.op.site) if self.call and self.call.inserted else self.name

    @property
    def shape(self) -> tuple[int | None, ...]:
        return tuple(self.tensor.shape)

    def __repr__(self) -> str:
        return f"<Value {self.name} {self.shape}>"


@dataclass(eq=False)
class Call:
    """One call of one operation.

    Attributes:
        op: the layer or operation.
        place: what attention behind or before it is told by, see `places_of`.
        container: the model whose graph the call stands in.
        path: names of the nested models around it, outermost first.
        inputs, outputs: values, in the order of the call's arguments and results.
        opened: True if the operation is a model whose inside stands in the flat graph too.
    """

    op: Any
    place: Any
    container: Any
    path: tuple[str, ...]
    inputs: list[Value]
    outputs: list[Value]
    opened: bool = False

    @property
    def inserted(self) -> bool:
        """True for attention that `augment` put here."""
        return is_inserted(self.op)

    def __repr__(self) -> str:
        return f"<Call {'/'.join((*self.path, self.op.name))}>"


@dataclass(eq=False)
class Graph:
    """The flat graph of a model, calls and values in topological order."""

    model: Any
    data_format: str
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    containers: list[Call] = field(default_factory=list)

    def split_shape(self, value: Value) -> tuple[Any, Any, Any]:
        """Returns (channels, height, width) of a feature map."""
        _, a, b, c = value.shape
        return (c, a, b) if self.data_format == "channels_last" else (a, b, c)


def read_graph(model: Any) -> Graph:
    """Reads a model into a flat graph with strides and dominators.

    Raises:
        RewriteError: if the model has no graph.
    """
    functional = functional_of(model)
    graph = Graph(model, _data_format(functional))
    reader = _Reader(graph)
    graph.inputs = [reader.new_value(t, None, 0) for t in functional.inputs]
    for value in graph.inputs:
        if len(value.shape) == 4:
            value.stride = value.deepest = 1.0
    graph.outputs = reader.open(model, functional, graph.inputs, ())
    return graph


class _Reader:
    def __init__(self, graph: Graph):
        self.graph = graph

    def new_value(self, tensor: Any, call: Call | None, index: int) -> Value:
        value = Value(tensor, call, index, len(self.graph.values))
        self.graph.values.append(value)
        return value

    def open(self, container: Any, functional: Any, inputs: list[Value], path: tuple[str, ...]) -> list[Value]:
        known = {id(t): v for t, v in zip(functional.inputs, inputs, strict=True)}
        for node, place in places_of(functional).items():
            if any(id(t) not in known for t in node.input_tensors):
                continue
            read = [known[id(t)] for t in node.input_tensors]
            call = Call(node.operation, place, container, path, read, [])
            if is_container(node.operation):
                call.opened = True
                inner = functional_of(node.operation)
                call.outputs = self.open(
                    node.operation, inner, self._nested_inputs(inner, node, known), (*path, node.operation.name)
                )
                self.graph.containers.append(call)
            else:
                self._close(call, node)
            known.update((id(t), v) for t, v in zip(node.outputs, call.outputs, strict=True))
        return [known[id(t)] for t in functional.outputs]

    def _nested_inputs(self, inner: Any, node: Any, known: dict[int, Value]) -> list[Value]:
        given = node.arguments.args[0] if node.arguments.args else node.arguments.kwargs.get("inputs")
        if isinstance(given, dict):  # which may hold more than the model reads
            struct = inner._inputs_struct
            names = (
                sorted(struct) if isinstance(struct, dict) else [t._keras_history.operation.name for t in inner.inputs]
            )
            given = [given[name] for name in names]
        return [
            self.new_value(mine, None, 0) if outer is None else known[id(outer)]
            for mine, outer in zip(inner.inputs, tree.flatten(given), strict=True)
        ]

    def _close(self, call: Call, node: Any) -> None:
        self.graph.calls.append(call)
        for position, value in enumerate(call.inputs):
            value.users.append((call, position))
        for index, tensor in enumerate(node.outputs):
            value = self.new_value(tensor, call, index)
            value.stride = output_stride(call, value, self.graph)
            value.folded = folded_map(call, value) if value.stride is None else None
            value.deepest = max(value.stride or 0.0, *(v.deepest for v in call.inputs))
            value.parent = nearest_common(call.inputs)
            value.depth = value.parent.depth + 1 if value.parent else 0
            call.outputs.append(value)


def nearest_common(values: list[Value]) -> Value | None:
    """Returns the nearest value through which all paths to all of `values` run (one of them, or above)."""
    common: Value | None = values[0]
    for value in values[1:]:
        other: Value | None = value
        while common is not other and common is not None and other is not None:
            if common.depth == other.depth:
                common, other = common.parent, other.parent
            elif common.depth > other.depth:
                common = common.parent
            else:
                other = other.parent
        if common is not other:
            return None
    return common


def _data_format(functional: Any) -> str:
    for op in functional.operations:
        if is_container(op):
            return _data_format(functional_of(op))
        if getattr(op, "data_format", None) in ("channels_last", "channels_first") and not isinstance(op, Attention):
            return str(op.data_format)
    return str(keras.config.image_data_format())
