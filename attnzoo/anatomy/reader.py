"""Reads a model into a flat graph: `read_graph`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import tree

from attnzoo._keras import functional_of, inputs_of, is_container, opened, operation_of, places_of
from attnzoo.anatomy.graph import Call, Graph, Value
from attnzoo.anatomy.opening import find_ways_out, open_layer
from attnzoo.anatomy.streams import measure
from attnzoo.layers import Attention


def read_graph(model: Any) -> Graph:
    """Reads a model into a flat graph with strides and dominators; a subclassed one by way of the graph of its call().

    Raises:
        RewriteError: if the model has no graph, and none can be taken.
    """
    with opened(model) as source:
        functional = functional_of(source)
        graph = Graph(source, _data_format(functional))
        reader = _Reader(graph)
        graph.inputs = [reader.new_value(t, None, 0) for t in functional.inputs]
        graph.outputs = reader.open(source, functional, graph.inputs, ())
    measure(graph)
    find_ways_out(graph)
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
            elif not open_layer(self, call, (node.arguments.args, node.arguments.kwargs)):
                self.close(call, node.outputs)
            known.update((id(t), v) for t, v in zip(node.outputs, call.outputs, strict=True))
        return [known[id(t)] for t in functional.outputs]

    def _nested_inputs(self, inner: Any, node: Any, known: dict[int, Value]) -> list[Value]:
        given = node.arguments.args[0] if node.arguments.args else node.arguments.kwargs.get("inputs")
        if isinstance(given, dict):  # which may hold more than the model reads
            struct = inputs_of(inner)
            names = sorted(struct) if isinstance(struct, dict) else [operation_of(t).name for t in inner.inputs]
            given = [given[name] for name in names]
        return [
            self.new_value(mine, None, 0) if outer is None else known[id(outer)]
            for mine, outer in zip(inner.inputs, tree.flatten(given), strict=True)
        ]

    def close(self, call: Call, outputs: Sequence[Any]) -> None:
        """Enters a call, and the values that it makes, of which symbolic tensors say shape and dtype."""
        self.graph.calls.append(call)
        for position, value in enumerate(call.inputs):
            value.users.append((call, position))
        for index, tensor in enumerate(outputs):
            value = self.new_value(tensor, call, index)
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
