"""What augment sees in a model: its trunk, blocks and stages, read from topology and shapes, never from names.

graph of values and calls  ->  blocks  ->  stages
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from attnzoo.anatomy.blocks import Block, FoundBlock, after_norm_and_activation, find_blocks, level, up
from attnzoo.anatomy.graph import Graph, Value
from attnzoo.anatomy.predicates import is_conv
from attnzoo.anatomy.reader import nearest_common, read_graph
from attnzoo.tables import table


@dataclass(frozen=True, eq=False)
class Stage:
    """All blocks that run at one resolution.

    Attributes:
        index: stage s runs at output stride 2^(s+1) on networks that reach stride 32; else stages count from 1.
        stride: output stride, relative to the model's input.
        channels: at the end of the stage.
        output: name of the layer at the end of the stage.
        blocks: its blocks, empty in networks that repeat none.
    """

    index: int
    stride: int
    channels: int
    output: str
    blocks: tuple[Block, ...]
    end: Value = field(repr=False)


@dataclass(frozen=True, repr=False, eq=False)
class Anatomy:
    """Stages and blocks of a model. `print` it; iterate it for its stages."""

    model: str
    stages: tuple[Stage, ...]
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
        }

    def __repr__(self) -> str:
        if not self.stages:
            return f"{self.model}: no stages found; name layers with after=[...] instead."
        rows = [("stage", "stride", "channels", "blocks", "output")]
        for s in self.stages:
            kinds = sorted({b.kind for b in s.blocks})
            blocks = f"{len(s.blocks)} {'/'.join(kinds)}" if s.blocks else "-"
            rows.append((str(s.index), str(s.stride), str(s.channels), blocks, s.output))
        note = "\nThe backbone carries squeeze-and-excitation of its own." if self.gated else ""
        return f"{self.model}\n{table(rows)}{note}"


def describe(model: Any) -> Anatomy:
    """Reads a model and returns its stages and blocks; the model is not touched.

    Args:
        model: a Functional or Sequential `keras.Model`, also with models nested in it.

    Raises:
        RewriteError: if the model has no graph to read.
    """
    graph = read_graph(model)
    blocks = find_blocks(graph)
    ends = _block_ends(blocks) if blocks else _plain_ends(graph)
    trunk = tuple(reversed([v.name for v in up(nearest_common(graph.outputs))]))
    return Anatomy(model.name, _stages(graph, blocks, ends), trunk, graph)


# Stages ----------------------------------------------------------------------------------------------------------


def _stages(graph: Graph, blocks: list[FoundBlock], ends: dict[int, Value]) -> tuple[Stage, ...]:
    deepest = max((level(v) for v in graph.values if v.stride), default=0)
    stages = []
    for count, depth in enumerate(sorted(ends), 1):
        index = depth - 1 if deepest >= 5 else count
        if index < (0 if blocks else 1):
            continue
        members = [b for b in blocks if level(b.merge) == depth]
        built = tuple(b.freeze(i, graph) for i, b in enumerate(members))
        end = ends[depth]
        stages.append(Stage(index, 2**depth, graph.split_shape(end)[0], end.host, built, end))
    return tuple(stages)


def _block_ends(blocks: list[FoundBlock]) -> dict[int, Value]:
    return {level(b.merge): b.end for b in blocks}


def _plain_ends(graph: Graph) -> dict[int, Value]:
    """Networks that repeat no block: a stage ends with its last convolution, norm and activation included.

    Where the maps grow again, as in a U-Net, the way down to the smallest ones counts: its encoder.
    """
    convs = [c.outputs[0] for c in graph.calls if is_conv(c) and c.outputs[0].stride]
    if not convs:
        return {}
    spine = set(up(max(convs, key=lambda v: (v.stride, v.order))))
    return {level(v): after_norm_and_activation(v) for v in convs if v in spine}
