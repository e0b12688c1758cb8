"""What augment sees in a model: its trunk, blocks and stages, read from topology and shapes, never from names.

graph of values and calls  ->  blocks  ->  stages
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from attnzoo.anatomy.blocks import Block, FoundBlock, after_norm_and_activation, find_blocks, level, up
from attnzoo.anatomy.graph import Graph, Value
from attnzoo.anatomy.holders import attended_holders, holders, named
from attnzoo.anatomy.predicates import is_conv
from attnzoo.anatomy.reader import nearest_common, read_graph
from attnzoo.tables import table


@dataclass(frozen=True, eq=False)
class Stage:
    """All blocks that run at one resolution.

    Attributes:
        index: stage s runs at output stride 2^(s+1) on networks that reach stride 32; else stages count from 1.
        stride: output stride, relative to where its stream starts.
        channels: at the end of the stage.
        output: name of the layer at the end of the stage.
        stream: which of the model's streams it lies in, by the input that this starts from.
        blocks: its blocks, empty in networks that repeat none.
    """

    index: int
    stride: int
    channels: int
    output: str
    stream: str
    blocks: tuple[Block, ...]
    end: Value = field(repr=False)


class Unread(NamedTuple):
    """A block that lies in no stage: the layer at its end, and why."""

    output: str
    reason: str


@dataclass(frozen=True, repr=False, eq=False)
class Anatomy:
    """Stages and blocks of a model. `print` it; iterate it for its stages.

    A model with several inputs, or several backbones on one, has the stages of each of these streams, one after the
    other: several with the same index.
    """

    model: str
    stages: tuple[Stage, ...]
    unread: tuple[Unread, ...]
    trunk: tuple[str, ...]
    graph: Graph = field(repr=False)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(b for s in self.stages for b in s.blocks)

    @property
    def gated(self) -> bool:
        """True if the backbone carries attention of its own."""
        return any(b.gated for b in self.blocks)

    def to_dict(self) -> dict[str, Any]:
        """Returns the same as plain values."""
        return {
            "model": self.model,
            "carries_attention": self.gated,
            "stages": [
                {
                    "index": s.index,
                    "stride": s.stride,
                    "channels": s.channels,
                    "output": s.output,
                    "stream": s.stream,
                    "blocks": [
                        {
                            "index": b.index,
                            "kind": b.kind,
                            "input": b.input,
                            "output": b.output,
                            "channels": b.channels,
                            "gated": b.gated,
                        }
                        for b in s.blocks
                    ],
                }
                for s in self.stages
            ],
            "unread": [{"output": u.output, "reason": u.reason} for u in self.unread],
        }

    def __repr__(self) -> str:
        if not self.stages:
            return "\n".join([f"{self.model}: no stages found; {self.advice}.", *self._notes()])
        rows: list[tuple[str, ...]] = [("stage", "stride", "channels", "blocks", "output", "stream")]
        for s in self.stages:
            kinds = sorted({b.kind for b in s.blocks})
            blocks = f"{len(s.blocks)} {'/'.join(kinds)}" if s.blocks else "-"
            rows.append((str(s.index), str(s.stride), str(s.channels), blocks, s.output, s.stream))
        if len(self.graph.streams) == 1:
            rows = [row[:-1] for row in rows]
        return "\n".join([self.model, table(rows), *self._notes()])

    @property
    def advice(self) -> str:
        """What to do about a model without stages."""
        hidden = holders(self.graph)
        if not hidden:
            return "name layers with after=[...] instead"
        return f"attnzoo does not reach into {named(hidden)}: augment the model before wrapping it"

    def _notes(self) -> Iterator[str]:
        if self.gated:
            yield "The backbone carries squeeze-and-excitation of its own."
        if inside := attended_holders(self.graph):
            yield f"There is attention inside {named(inside)}, which attnzoo does not reach into."


def describe(model: Any) -> Anatomy:
    """Reads a model and returns its stages and blocks; the model is not touched.

    Args:
        model: a Functional or Sequential `keras.Model`, also with models nested in it, or a subclassed one whose call()
            can be taken as a graph.

    Raises:
        RewriteError: if the model has no graph to read, and none can be taken of its call().
    """
    graph = read_graph(model)
    found = find_blocks(graph)
    stages = _stages(graph, [b for b in found if b.merge.deepest == b.merge.stride])
    trunk = tuple(reversed([v.name for v in up(nearest_common(graph.outputs))]))
    return Anatomy(model.name, stages, _unread(found, stages), trunk, graph)


# Stages ----------------------------------------------------------------------------------------------------------


def _stages(graph: Graph, blocks: list[FoundBlock]) -> tuple[Stage, ...]:
    """Returns the stages of each stream, and of what follows where some are joined, by the same rule."""
    repeating = frozenset[int]().union(*(b.merge.streams for b in blocks))
    paths = sorted({v.streams for v in graph.values if v.streams}, key=lambda p: (len(p), sorted(p)))
    ends = {p: _block_ends(blocks, p) if p & repeating else _plain_ends(graph, p) for p in paths}
    stages = []
    for path in paths:
        alike = [p for p in paths if p == path or (ends[p] and (p < path or path < p))]
        deepest = max(level(v) for v in graph.values if v.stride and v.streams in alike)
        depths = sorted({depth for p in alike for depth in ends[p]})
        name = " + ".join(graph.streams[i] for i in sorted(path))
        for depth, end in sorted(ends[path].items()):
            index = depth - 1 if deepest >= 5 else depths.index(depth) + 1
            if index < (0 if path & repeating else 1):
                continue
            members = [b for b in blocks if b.merge.streams == path and level(b.merge) == depth]
            built = tuple(b.freeze(i, graph) for i, b in enumerate(members))
            stages.append(Stage(index, 2**depth, graph.split_shape(end)[0], end.host, name, built, end))
    return tuple(stages)


def _block_ends(blocks: list[FoundBlock], path: frozenset[int]) -> dict[int, Value]:
    return {level(b.merge): b.end for b in blocks if b.merge.streams == path}


def _plain_ends(graph: Graph, path: frozenset[int]) -> dict[int, Value]:
    """Streams that repeat no block: a stage ends with its last convolution, norm and activation included.

    Where the maps grow again, as in a U-Net, the way down to the smallest ones counts: its encoder.
    """
    convs = [c.outputs[0] for c in graph.calls if is_conv(c) and c.outputs[0].streams == path]
    if not convs:
        return {}
    spine = set(up(max(convs, key=lambda v: (v.stride, v.order))))
    return {level(v): after_norm_and_activation(v) for v in convs if v in spine}


def _unread(blocks: list[FoundBlock], stages: tuple[Stage, ...]) -> tuple[Unread, ...]:
    """Says of each block that lies in no stage why."""
    read = {b.merge for s in stages for b in s.blocks}
    return tuple(
        Unread(
            b.end.host,
            f"it runs at stride {b.merge.stride:g}, before stage 0"
            if b.merge.stride == b.merge.deepest
            else f"it runs at stride {b.merge.stride:g} after stride {b.merge.deepest:g}, in a decoder",
        )
        for b in blocks
        if b.merge not in read
    )
