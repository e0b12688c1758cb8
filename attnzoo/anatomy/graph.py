"""The graph of a model, read once and flattened: values, and the calls that make them.

Nested models are opened: a call of a nested Functional or Sequential model is replaced by the calls inside it, so that
whoever reads the graph need not know how its author packed it. Each call remembers the container it stands in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from attnzoo._keras import is_inserted


@dataclass(eq=False)
class Value:
    """One tensor of the flat graph.

    Attributes:
        tensor: its symbolic tensor, in the container of the call that makes it.
        call: the call that makes it; None for an input of the model.
        index: which output of that call it is.
        order: position in topological order.
        stride: rows for one row of this map, where its stream starts; None for what is not a feature map.
        folded: the map whose numbers this holds in another order, for what is not a feature map itself; else None.
        deepest: the largest stride among this value and all it is computed from.
        streams: of a feature map, the positions in `Graph.streams` of those it comes from; empty in front of all.
        users: (call, position among the call's input tensors) of everything that reads it.
        parent: the value nearest above through which every path from the inputs runs (the immediate dominator).
        way_out: the outermost opened layer that returns this value, and nothing else, and does not read it itself:
            attention after the value goes after that layer. None for most.
    """

    tensor: Any
    call: Call | None
    index: int
    order: int
    stride: float | None = None
    folded: Value | None = None
    deepest: float = 0.0
    streams: frozenset[int] = frozenset()
    users: list[tuple[Call, int]] = field(default_factory=list)
    parent: Value | None = None
    depth: int = 0
    way_out: Call | None = None

    @property
    def name(self) -> str:
        """Name of the layer or operation that makes the value."""
        return self.source.name if self.source else str(self.tensor.name)

    @property
    def source(self) -> Call | None:
        """The call after which attention goes that all readers of the value are to see."""
        return self.way_out or self.call

    @property
    def host(self) -> str:
        """The same, but for inserted attention the name of the layer it stands after."""
        return str(self.call.op.site) if self.call and self.call.inserted else self.name

    @property
    def stem(self) -> str:
        """What the names of layers inserted after it begin with; PyTorch does not take dots in names."""
        return self.host.replace(".", "_") if self.source and self.source.around else self.host

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
        place: what attention after or before it is told by, see `places_of`.
        container: the model whose graph the call stands in.
        path: names of the nested models around it, outermost first.
        inputs, outputs: values, in the order of the call's arguments and results.
        opened: True if the operation is a model or layer whose inside stands in the flat graph too.
        closed: why the inside of a layer that holds others does not.
        around: the calls of opened layers that it stands in, outermost first; `container` is the layer of the first
            then, and `place` an address inside it.
        label: its name there, such as `block_3.conv2`.
    """

    op: Any
    place: Any
    container: Any
    path: tuple[str, ...]
    inputs: list[Value]
    outputs: list[Value]
    opened: bool = False
    closed: str = ""
    around: tuple[Call, ...] = ()
    label: str = ""

    @property
    def name(self) -> str:
        """Name of the layer or operation; of one inside a layer, after that of the layer around it."""
        return self.label or str(self.op.name)

    @property
    def top(self) -> Any:
        """The layer of the model's graph that the call is, or is inside of."""
        return self.around[0].op if self.around else self.op

    @property
    def inserted(self) -> bool:
        """True for attention that `augment` put here."""
        return is_inserted(self.op)

    def __repr__(self) -> str:
        return f"<Call {'/'.join((*self.path, self.name))}>"


@dataclass(eq=False)
class Graph:
    """The flat graph of a model, calls and values in topological order; `streams` are named after their inputs."""

    model: Any
    data_format: str
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    containers: list[Call] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)

    def split_shape(self, value: Value) -> tuple[Any, Any, Any]:
        """Returns (channels, height, width) of a feature map."""
        _, a, b, c = value.shape
        return (c, a, b) if self.data_format == "channels_last" else (a, b, c)
