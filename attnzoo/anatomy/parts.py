"""Which layers are attention, backbone and head."""

from __future__ import annotations

from typing import Any

import keras

from attnzoo.anatomy.graph import Graph
from attnzoo.layers import Attention


def parts_of(graph: Graph) -> dict[str, list[Any]]:
    leads_to_map: set[int] = set()
    for call in reversed(graph.calls):
        if any(v.stride is not None or any(id(u) in leads_to_map for u, _ in v.users) for v in call.outputs):
            leads_to_map.add(id(call))
    parts: dict[str, list[Any]] = {"attention": [], "backbone": [], "head": []}
    seen: set[int] = set()
    for call in graph.calls:
        if isinstance(call.op, keras.layers.Layer) and id(call.op) not in seen:
            seen.add(id(call.op))
            part = "backbone" if id(call) in leads_to_map else "head"
            parts["attention" if isinstance(call.op, Attention) else part].append(call.op)
    return {part: [layer for layer in layers if layer.weights] for part, layers in parts.items()}
