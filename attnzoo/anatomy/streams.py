"""What a model makes of each of its inputs until they are joined: its streams, and the strides in each.

A network with two cameras has a backbone for each of them, an ensemble has several on one input. Each is a stream of
its own and starts at its first convolution. What stands in front of that (a resizing, a reshape, a stem of 3-D
convolutions) belongs to no stream, and strides are counted from there: a backbone is the same whatever feeds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnzoo.anatomy.predicates import convolves, is_conv
from attnzoo.anatomy.strides import folded_map, output_stride

if TYPE_CHECKING:
    from attnzoo.anatomy.graph import Call, Graph, Value

APART = 4
"""Paths from one input are streams of their own if two of them come this far down before they join; no block does."""


def measure(graph: Graph) -> None:
    """Gives each value of a graph its stride, what it folds, how deep it has been and its streams."""
    for value in graph.inputs:
        if len(value.shape) == 4:
            value.stride = value.deepest = 1.0
    _follow(graph)
    if _set_back(graph):
        for call in graph.calls:
            for value in call.outputs:
                if value.streams:
                    _measure(call, value, graph)
    _number(graph)


def _maps(call: Call) -> list[Value]:
    return [v for v in call.inputs if v.stride is not None or v.folded is not None]


def _measure(call: Call, value: Value, graph: Graph) -> None:
    value.stride = output_stride(call, value, graph)
    value.folded = folded_map(call, value) if value.stride is None else None
    value.deepest = max([value.stride or 0.0, *(v.deepest for v in _maps(call))])


def _follow(graph: Graph) -> None:
    """Measures everything from the inputs on; a stream is its first call here."""
    leading, learned = _leading(graph), set()
    for position, call in enumerate(graph.calls):
        streams = frozenset[int]().union(*(v.streams for v in _maps(call)))
        late = any(v in learned for v in call.inputs)
        for value in call.outputs:
            _measure(call, value, graph)
            if value.stride is None and value in leading and not late:
                value.stride = value.deepest = 1.0  # made of what is no map, such as an input of (28, 28)
        if late or is_conv(call):
            learned.update(call.outputs)
            streams = streams or frozenset({position} if is_conv(call) else ())
        for value in call.outputs:
            value.streams = frozenset() if value.stride is None and value.folded is None else streams


def _leading(graph: Graph) -> set[Value]:
    """Returns the values of four axes from which a 2-D convolution is reached through nothing but such values."""
    found: set[Value] = set()
    for call in reversed(graph.calls):
        if convolves(call) or any(v in found for v in call.outputs):
            found.update(v for v in call.inputs if len(v.shape) == 4 and graph.split_shape(v)[1:] != (1, 1))
    return found


def _set_back(graph: Graph) -> bool:
    """Lets strides count from the first convolutions; says whether that changes what comes after them.

    What folds rows and columns into channels loses nothing: it is a stem, not a resizing, and counts.
    """
    root: dict[Value, Value] = {}
    changed = False
    for value in graph.values:
        if value.stride is None or value.streams:
            continue
        whole = [v.folded or v for v in value.call.inputs] if value.call else []
        read = [root[v] for v in whole if v in root]
        root[value] = read[0] if read else value
        channels, given = graph.split_shape(value)[0], graph.split_shape(root[value])[0]
        folds = None not in (channels, given) and value.stride > 1 and channels == given * value.stride**2
        stride = value.stride if folds else 1.0
        changed = changed or (value.stride, value.deepest) != (stride, stride)
        value.stride = value.deepest = stride
    return changed


# Which convolutions start one stream, and what it is called ------------------------------------------------------


def _number(graph: Graph) -> None:
    """Numbers the streams, in the order of the model's inputs, and on one input in that of their first convolutions."""
    inputs = _inputs_of(graph)
    first = _united(graph, inputs)
    order = sorted(set(first.values()), key=lambda s: (min(v.order for v in inputs[graph.calls[s]]), s))
    for value in graph.values:
        value.streams = frozenset(order.index(first[s]) for s in value.streams)
    named = [" and ".join(v.name for v in graph.inputs if v in inputs[graph.calls[s]]) for s in order]
    for start, name in zip(order, named, strict=True):
        call = graph.calls[start]
        path = "/".join((*call.path, call.op.name))
        graph.streams.append(name if named.count(name) == 1 else f"{name} through {path}")


def _inputs_of(graph: Graph) -> dict[Call, set[Value]]:
    """Returns which of the model's inputs each call sees."""
    seen: dict[Call, set[Value]] = {}
    for call in graph.calls:
        seen[call] = {v for v in call.inputs if v.call is None}.union(*(seen[v.call] for v in call.inputs if v.call))
    return seen


def _united(graph: Graph, inputs: dict[Call, set[Value]]) -> dict[int, int]:
    """Returns the stream, as its first call, that the convolution at each start belongs to.

    A network may start with several convolutions side by side: those of an Inception cell, of a residual block.
    """
    first = {s: s for v in graph.values for s in v.streams if len(v.streams) == 1}
    for call in graph.calls:
        arms = [v for v in _maps(call) if v.streams]
        if len({v.streams for v in arms}) == 1 or not any(v.streams for v in call.outputs):
            continue
        if sum(v.deepest >= APART * _start(graph, v) for v in arms) >= 2:
            continue
        for one in sorted(s for v in arms for s in v.streams):
            for other in sorted(s for v in arms for s in v.streams):
                if inputs[graph.calls[one]] & inputs[graph.calls[other]]:
                    low, high = sorted((first[one], first[other]))
                    first = {s: low if f == high else f for s, f in first.items()}
    return first


def _start(graph: Graph, value: Value) -> float:
    """Returns the stride at which a map's stream starts."""
    return min(v.stride or 1.0 for s in value.streams for v in graph.calls[s].inputs[:1])
