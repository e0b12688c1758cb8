"""Which layers are attention, backbone and head."""

from __future__ import annotations

from typing import Any

import keras

from attnzoo._keras import attention_inside
from attnzoo.anatomy.graph import Graph
from attnzoo.layers import Attention


def parts_of(graph: Graph) -> dict[str, list[Any]]:
    """Returns the layers with weights of each part.

    A layer that holds inserted attention inside counts as backbone, and that attention as attention. What is inside an
    opened layer is that layer's.
    """
    leads_to_map: set[int] = set()
    for call in reversed(graph.calls):
        if attention_inside(call.op) or any(
            v.stride is not None or any(id(u) in leads_to_map for u, _ in v.users) for v in call.outputs
        ):
            leads_to_map.add(id(call))
    parts: dict[str, list[Any]] = {"attention": [], "backbone": [], "head": []}
    seen: set[int] = set()
    for call in graph.calls:
        op = call.top
        if isinstance(op, keras.layers.Layer) and id(op) not in seen:
            seen.add(id(op))
            part = "backbone" if id(call) in leads_to_map else "head"
            parts["attention"] += attention_inside(op)
            parts["attention" if isinstance(op, Attention) else part].append(op)
    # What a wrapper holds may stand in the graph too.
    return {part: [x for x in {id(x): x for x in layers}.values() if x.weights] for part, layers in parts.items()}
