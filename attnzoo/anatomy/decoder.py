"""Which layers are a decoder: what makes maps from the backbone's deepest map on, where maps grow again."""

from __future__ import annotations

from collections import Counter

from attnzoo.anatomy.blocks import after_norm_and_activation, only_user
from attnzoo.anatomy.graph import Call, Value
from attnzoo.anatomy.predicates import is_conv, is_norm
from attnzoo.anatomy.stages import Anatomy

Path = tuple[str, ...]


def decoder_of(anatomy: Anatomy) -> list[Call]:
    """Returns the calls after the backbone in models with a decoder (U-Net, DeepLab, feature pyramids); else none.

    A model has a decoder where maps grow again outside of what leads to the backbone's deepest map. The calls returned
    neither lead to that map nor lie in the nested model that the backbone's blocks lie in; a head is among them.
    """
    if not anatomy.stages:
        return []
    graph = anatomy.graph
    backbone = _before(_deepest(anatomy))
    grown = [v.call for v in graph.values if v.call and v.stride is not None and v.stride < v.deepest]
    grown = [c for c in grown if id(c) not in backbone]
    if not grown:
        return []
    home = _home(anatomy)
    if home and not any(_inside(c, home) for c in grown):
        backbone |= {id(c) for c in graph.calls if _inside(c, home)}
    return [c for c in graph.calls if id(c) not in backbone]


def _deepest(anatomy: Anatomy) -> Value:
    """Returns the backbone's deepest map: with a last 1x1 convolution and norm, as MobileNetV2 has, but without cells
    of another kind than its blocks, as DeepLab's pyramid of dilated convolutions is to a ResNet."""
    kind = Counter(b.kind for b in anatomy.blocks).most_common(1)
    value = anatomy.stages[-1].end
    blocks = [b for b in anatomy.stages[-1].blocks if b.kind != "concat" or b.kind == kind[0][0]]
    if blocks:
        value = max((b.end for b in blocks), key=lambda v: v.order)
    user = only_user(value)
    if user is not None and is_conv(user) and user.outputs[0].stride == value.stride:
        norm = only_user(user.outputs[0])
        if norm is not None and is_norm(norm):
            value = after_norm_and_activation(user.outputs[0])
    return value


def _before(value: Value) -> set[int]:
    """Returns the ids of the calls that a value is computed by."""
    calls: set[int] = set()
    waiting = [value.call]
    while waiting:
        call = waiting.pop()
        if call is not None and id(call) not in calls:
            calls.add(id(call))
            waiting += [v.call for v in call.inputs]
    return calls


def _home(anatomy: Anatomy) -> Path:
    """Returns the path of the nested model that holds most of the blocks; empty for a flat backbone."""
    ends = [b.merge for b in anatomy.blocks] or [s.end for s in anatomy.stages]
    return Counter(v.call.path for v in ends if v.call).most_common(1)[0][0]


def _inside(call: Call, path: Path) -> bool:
    return call.path[: len(path)] == path
