"""Layers that call other layers, read as if those stood in the graph: the blocks of KerasHub, and of everybody else.

A layer is opened where its steps were proven to be what it does; else it stays one call, and `closed` says why. What is
inside is named after the layer: `block_3.conv2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from attnzoo._keras import Closed, Held, is_container, may_be_opened, proven_inside
from attnzoo.anatomy.graph import Call, Graph, Value


class Entering(Protocol):
    """Where calls are entered: the reader."""

    graph: Graph

    def close(self, call: Call, outputs: Any) -> None:
        """Enters a call that is not opened."""


def open_layer(reader: Entering, call: Call, arguments: Any) -> bool:
    """Enters what is inside a layer instead of the layer; returns False if it cannot be opened."""
    if not may_be_opened(call.op) or len(call.inputs) != 1 or len(call.inputs[0].shape) != 4:
        return False
    args, kwargs = arguments
    if len(args) != 1 or not set(kwargs) <= {"training", "mask"}:
        call.closed = "it is called with more than one map"
        return False
    held = vars(call.op).get("attnzoo_held") if not call.around else _held_at(call)
    try:
        inside = proven_inside(call.op, call.inputs[0].shape)
    except Closed as reason:
        call.closed = str(reason)
        return False
    if any(len(shape) != 4 for shape in inside.output_shapes):
        return False  # it makes tokens, as those of transformers
    call.opened = True
    around, top = (*call.around, call), call.around[0].op if call.around else call.op
    address: tuple[int, ...] = call.place if call.around else ()
    first = {id(step.op): n for n, step in reversed(list(enumerate(inside.steps)))}

    def attend(after: bool, n: int, index: int, value: Value) -> Value:
        for module in held.at.get((after, n, index), ()) if held else ():
            known = next((u.outputs[0] for u, _ in value.users if u.op is module and u.around == around), None)
            if known is None:
                attention = Call(module, module, top, call.path, [value], [], around=around)
                reader.close(attention, [value.tensor])
                known = attention.outputs[0]
            value = known
        return value

    def enter(n: int, step: Any, read: list[Value]) -> list[Value]:
        inner = Call(step.op, (*address, n), top, call.path, read, [], around=around, label=f"{call.name}.{step.name}")
        if may_be_opened(step.op):  # one layer, one place, however often it is called
            inner.place = (*address, first[id(step.op)])
        if not open_layer(reader, inner, step.arguments):
            inner.place = (*address, n)
            reader.close(inner, step.outputs)
        return inner.outputs

    call.outputs = inside.run(call.inputs[0], attend, enter)
    reader.graph.containers.append(call)
    return True


def _held_at(call: Call) -> Held | None:
    """Returns what the outermost layer holds for a layer inside it."""
    held: Held | None = vars(call.around[0].op).get("attnzoo_held")
    for step in call.place:
        held = held.deeper.get(step) if held else None
    return held


def find_ways_out(graph: Graph) -> None:
    """Finds the values that leave a layer as its only output."""
    for call in graph.containers:  # a layer inside another stands before it
        if is_container(call.op) or len(call.outputs) != 1:
            continue
        value = call.outputs[0]
        made_inside = value.call is not None and call in value.call.around and not value.call.inserted
        if made_inside and not any(call in user.around for user, _ in value.users):
            value.way_out = call


def whole_layers(graph: Graph, merges: set[Value]) -> Iterator[tuple[Call, Value]]:
    """Yields layers that stay one thing, with what they return: closed ones, and opened ones without a block inside.

    Args:
        graph: the graph.
        merges: where blocks end that were found.
    """
    rooms = [c for c in graph.containers if not is_container(c.op) and len(c.outputs) == 1]
    busy = {id(room) for v in merges if v.call for room in v.call.around}
    free = [c for c in (*rooms, *graph.calls) if id(c) not in busy and all(id(room) in busy for room in c.around)]
    yield from sorted(((c, v) for c in free for v in c.outputs), key=lambda found: found[1].order)


def only_layer_around(merge: Value, merges: Iterable[Value]) -> Call | None:
    """Returns the innermost layer around a merge, if it holds no other and returns one map.

    It is the block then: HGNetV2's go on after their concatenation.
    """
    room = merge.call.around[-1] if merge.call and merge.call.around else None
    if room is None or len(room.outputs) != 1 or room.outputs[0].stride is None:
        return None
    others = (v.call for v in merges if v is not merge and v.call)
    return None if any(room in call.around for call in others) else room


Edge = tuple[Call, int]


def lifted(value: Value, edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Moves readers of a value out of each layer of which all readers of it are among them.

    A module inside a layer reaches readers inside that layer only; so that the branch of a block, which may be several
    layers, gets one. Returns the readers, such a layer standing for those inside it.
    """
    found = list(edges)
    while room := next((r for r in _rooms(found) if _all_inside(value, r, found)), None):
        found = [(c, i) for c, i in found if room not in c.around] + [(room, room.inputs.index(value))]
    return tuple(found)


def _rooms(edges: list[Edge]) -> list[Call]:
    rooms = dict.fromkeys(c.around[-1] for c, _ in edges if c.around)
    return sorted(rooms, key=lambda room: -len(room.around))


def _all_inside(value: Value, room: Call, edges: list[Edge]) -> bool:
    if value not in room.inputs or value in room.outputs:
        return False
    return all(
        any((reader is c and i == j) or reader in c.around for reader, j in edges)
        for c, i in value.users
        if room in c.around
    )
