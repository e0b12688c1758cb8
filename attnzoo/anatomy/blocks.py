"""Finding the pieces that an architecture repeats.

A merge closes a block if everything between it and the value that dominates it runs at its resolution or a finer one:
that keeps the long skips of a U-Net out. A projection closes a block if it is a normalised 1x1 convolution that
nothing activates, after a spatial convolution that something did. A layer that holds several convolutions (KerasHub's
MobileNet) is a block whose parts cannot be reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from attnzoo.anatomy.graph import Call, Graph, Value
from attnzoo.anatomy.opening import only_layer_around, whole_layers
from attnzoo.anatomy.predicates import (
    is_activation,
    is_composite,
    is_conv,
    is_depthwise,
    is_gate,
    is_no_padding,
    is_norm,
    is_padding,
    is_pointwise,
    is_stochastic,
    merge_kind,
)

Kind = Literal["residual", "concat", "projection", "composite"]


@dataclass(frozen=True, eq=False)
class Block:
    """A piece of the network that the architecture repeats.

    Attributes:
        index: position within its stage, from 0.
        kind: `"residual"` (merged by addition), `"concat"` (a dense or Inception cell), `"projection"` (an inverted
            bottleneck without a shortcut) or `"composite"` (one layer that is closed, or holds none of these).
        input, output: names of the layers whose outputs enter and leave the block.
        channels: of the output.
        stride: output stride, relative to where its stream starts.
        gated: True if the block carries attention of its own (Squeeze-and-Excitation).
    """

    index: int
    kind: Kind
    input: str
    output: str
    channels: int
    stride: int
    gated: bool
    merge: Value = field(repr=False)
    entry: Value = field(repr=False)
    end: Value = field(repr=False)
    branch: Value | None = field(repr=False, default=None)
    shortcut: Value | None = field(repr=False, default=None)
    middle: Value | None = field(repr=False, default=None)


def level(value: Value) -> int:
    """Returns the base-2 logarithm of a map's stride."""
    return round(math.log2(value.stride or 1.0))


def up(value: Value | None) -> Iterator[Value]:
    """Yields a value and all that dominate it, nearest first."""
    while value is not None:
        yield value
        value = value.parent


# Walking along chains --------------------------------------------------------------------------------------------


def only_user(value: Value) -> Call | None:
    """Returns the call that reads a value, if it is the only one."""
    return value.users[0][0] if len(value.users) == 1 else None


def after_inserted(value: Value) -> Value:
    """Steps over attention that was inserted right after a value."""
    while (user := only_user(value)) is not None and user.inserted:
        value = user.outputs[0]
    return value


def after_norm_and_activation(value: Value, norm: bool = True) -> Value:
    """Steps over a norm (if `norm`) and the activation after a value, and over attention inserted after it."""
    value = after_inserted(value)
    user = only_user(value)
    if norm and user is not None and is_norm(user):
        value = after_inserted(user.outputs[0])
        user = only_user(value)
    if user is not None and is_activation(user):
        value = after_inserted(user.outputs[0])
    return value


def before(value: Value, *skip: Any) -> Value:
    """Steps back over calls with one input for which one of `skip` is true, and over inserted attention."""
    while value.call is not None and len(value.call.inputs) == 1:
        if not (value.call.inserted or any(test(value.call) for test in skip)):
            break
        value = value.call.inputs[0]
    return value


def between(entry: Value, ends: list[Value]) -> list[Value]:
    """Returns all values on the way from `entry` (left out) to `ends` (included), in topological order."""
    seen = {entry}
    queue = [v for v in ends if v not in seen]
    seen.update(queue)
    while queue:
        call = queue.pop().call
        new = [v for v in call.inputs if v not in seen] if call else []
        seen.update(new)
        queue.extend(new)
    return sorted(seen - {entry}, key=lambda v: v.order)


# Blocks ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class FoundBlock:
    """A block while it is being read."""

    kind: Kind
    merge: Value
    entry: Value
    inside: list[Value]
    branch: Value | None = None
    shortcut: Value | None = None

    @property
    def end(self) -> Value:
        return after_norm_and_activation(self.merge, norm=False)

    def freeze(self, index: int, graph: Graph) -> Block:
        return Block(
            index=index,
            kind=self.kind,
            input=self.entry.host,
            output=self.end.host,
            channels=graph.split_shape(self.merge)[0],
            stride=2 ** level(self.merge),
            gated=any(is_gate(v.call, graph) for v in self.inside),
            merge=self.merge,
            entry=self.entry,
            end=self.end,
            branch=self.branch,
            shortcut=self.shortcut,
            middle=_middle(self),
        )


def find_blocks(graph: Graph) -> list[FoundBlock]:
    """Returns all blocks of a graph in its order, those after maps that have grown again included."""
    merged = _without_nested([b for v in graph.values if (b := _merged_block(v, graph)) is not None])
    for block in (b for b in merged if b.kind == "concat"):
        if room := only_layer_around(block.merge, [b.merge for b in merged]):
            block.merge, block.entry = room.outputs[0], room.inputs[0]
            block.inside = between(block.entry, [block.merge])
    taken = {v for b in merged for v in b.inside}
    projected = [b for v in graph.values if v not in taken and (b := _projection_block(v, graph)) is not None]
    taken.update(v for b in projected for v in (*b.inside, b.merge))
    hidden = [
        FoundBlock("composite", v, call.inputs[0], [v])
        for call, v in whole_layers(graph, {b.merge for b in merged + projected})
        if v.stride is not None and v not in taken and is_composite(call) and not is_gate(v.call, graph)
    ]
    return sorted(merged + projected + hidden, key=lambda b: b.merge.order)


def _merged_block(value: Value, graph: Graph) -> FoundBlock | None:
    call, entry = value.call, value.parent
    kind = merge_kind(call, graph) if call else None
    if call is None or entry is None or kind not in ("sum", "concat") or entry.stride is None or value.stride is None:
        return None
    if len({v.streams for v in call.inputs if v.streams}) > 1:
        return None  # it joins two streams
    inside = between(entry, call.inputs)
    strides = [v.stride for v in inside if v.stride is not None]
    if not all(entry.stride <= s <= value.stride for s in strides):
        return None
    if not any(is_conv(v.call) for v in inside if v.call and v.stride is not None):
        return None
    found = FoundBlock("residual" if kind == "sum" else "concat", value, entry, [*inside, value])
    if kind == "sum":
        weight = {v: _path_length(entry, v) for v in call.inputs}
        found.branch = max(reversed(call.inputs), key=lambda v: weight[v])
        found.shortcut = min(call.inputs, key=lambda v: weight[v])
    return found


def _path_length(entry: Value, end: Value) -> tuple[int, int]:
    """Returns the most convolutions, and then calls, on any way from `entry` to `end`."""
    longest: dict[Value, tuple[int, int]] = {entry: (0, 0)}
    for value in between(entry, [end]):
        call = value.call
        known = [longest[v] for v in call.inputs if v in longest] if call else []
        if call and known:
            convs, calls = max(known)
            longest[value] = (convs + is_conv(call), calls + 1)
    return longest.get(end, (0, 0))


def _without_nested(blocks: list[FoundBlock]) -> list[FoundBlock]:
    """Keeps the outermost of nested merges.

    Two exceptions: a merge that spans a sequence of residual blocks is a global skip, not a block. And concatenations
    that start at the same value follow each other rather than nest: the cells of NASNet each read the two before, so
    that nothing but the stem dominates them, and some DenseNets concatenate all features anew.
    """
    kept: list[FoundBlock] = []
    for block in sorted(blocks, key=lambda b: -len(b.inside)):
        inside = set(block.inside)
        inner = [b for b in blocks if b.kind == block.kind == "residual" and b is not block and b.merge in inside]
        if any(a.merge in up(b.entry) for a in inner for b in inner):
            continue
        around = [k for k in kept if block.merge in k.inside]
        if all(k.kind == block.kind == "concat" and k.entry is block.entry for k in around):
            kept.append(block)
    return kept


def _projection_block(value: Value, graph: Graph) -> FoundBlock | None:
    """An inverted bottleneck without a shortcut: [expand ->] spatial conv -> activation -> projection -> norm."""
    norm = value.call
    if norm is None or value.stride is None or not is_norm(norm):
        return None
    if any(is_activation(user) or is_norm(user) for user, _ in after_inserted(value).users):
        return None
    project = before(norm.inputs[0]).call
    if project is None or not (is_conv(project) and is_pointwise(project)):
        return None
    middle = before(_before_gate(before(project.inputs[0], is_no_padding), graph))
    spatial = before(middle, is_activation, is_norm)
    conv = spatial.call
    if spatial is middle or conv is None or not is_conv(conv) or is_pointwise(conv):
        return None
    entry = before(conv.inputs[0], is_padding)
    if is_depthwise(conv):
        expand = before(entry, is_activation, is_norm).call
        if expand and is_conv(expand) and is_pointwise(expand) and _widens(expand, graph):
            entry = before(expand.inputs[0])
    inside = between(entry, [value])
    return FoundBlock("projection", value, entry, inside, branch=value)


def _before_gate(value: Value, graph: Graph) -> Value:
    """Steps back over a squeeze-and-excitation, to the map it rescales."""
    if value.call and is_gate(value.call, graph):
        return next(v for v in value.call.inputs if v.stride is not None)
    return value


def _widens(conv: Call, graph: Graph) -> bool:
    return bool(graph.split_shape(conv.inputs[0])[0] < graph.split_shape(conv.outputs[0])[0])


def _middle(block: FoundBlock) -> Value | None:
    """The value at the middle width: after the last spatial convolution but the branch's final one."""
    if block.branch is None:
        return None
    trail = _main_path(block.entry, block.branch)
    convs = [v for v in trail if v.call and is_conv(v.call)]
    spatial = [v for v in convs[:-1] if v.call and not is_pointwise(v.call)]
    return after_norm_and_activation(spatial[-1]) if spatial else None


def _main_path(entry: Value, end: Value) -> list[Value]:
    """Returns the values on the longest way (most convolutions) from `entry` to `end`."""
    trail: list[Value] = []
    value = end
    while value is not entry and value.call is not None:
        trail.append(value)
        maps = [v for v in value.call.inputs if v.stride is not None]
        if not maps:
            break
        value = max(maps, key=lambda v: _path_length(entry, v))
    return trail[::-1]


def before_stochastic(value: Value) -> Value:
    """Steps back over dropout and stochastic depth at the end of a branch."""
    while value.call is not None and is_stochastic(value.call):
        value = value.call.inputs[0]
    return value
