"""What kind of operation a call is, judged by what it does to shapes and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import keras

from attnzoo._keras import is_keras_layer, layers_inside
from attnzoo.layers import Attention

if TYPE_CHECKING:
    from attnzoo.anatomy.graph import Call, Graph

NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
POOLS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)
NOT_CONV = (*NORMS, keras.layers.Normalization, keras.layers.PReLU)
RAW_CONVS = ("Conv", "DepthwiseConv", "SeparableConv")
RAW_ADD, RAW_CONCAT, RAW_MULTIPLY = "Add", "Concatenate", "Multiply"


def _keeps_shape(call: Call) -> bool:
    return len(call.inputs) == 1 and len(call.outputs) == 1 and call.inputs[0].shape == call.outputs[0].shape


def _is_layer(call: Call) -> bool:
    return isinstance(call.op, keras.layers.Layer)


def is_conv(call: Call) -> bool:
    """True for what mixes the channels of a map by a kernel: convolutions, dense layers on maps, opaque blocks."""
    if call.inserted or not call.inputs or call.inputs[0].stride is None or call.outputs[0].stride is None:
        return False
    if not _is_layer(call):
        return type(call.op).__name__ in RAW_CONVS
    return not isinstance(call.op, NOT_CONV) and any(len(w.shape) >= 2 for w in call.op.weights)


def convolves(call: Call) -> bool:
    """True for what only makes sense on maps: 2-D convolutions, and layers that hold one."""
    if not call.inputs or len(call.inputs[0].shape) != 4 or isinstance(call.op, keras.layers.Conv2DTranspose):
        return False
    if not _is_layer(call):
        return type(call.op).__name__ in RAW_CONVS
    return not call.inserted and any(len(w.shape) == 4 for w in call.op.weights)


def is_composite(call: Call) -> bool:
    """True for a layer that hides a block, or several: one map in, maps out, and two convolutions or more inside."""
    parts = [part for part in layers_inside(call.op) if not layers_inside(part)]
    if not parts or not is_conv(call) or isinstance(call.op, Attention) or len(call.inputs) != 1:
        return False
    return sum(any(len(w.shape) == 4 for w in part.weights) for part in parts) >= 2


def is_pointwise(call: Call) -> bool:
    """True for convolutions that look at one position at a time."""
    size = getattr(call.op, "kernel_size", 1)
    return all(k == 1 for k in ([size] if isinstance(size, int) else size))


def is_depthwise(call: Call) -> bool:
    """True for convolutions that keep channels apart."""
    if isinstance(call.op, keras.layers.DepthwiseConv2D) or type(call.op).__name__ == "DepthwiseConv":
        return True
    return bool(getattr(call.op, "groups", 1) > 1 and call.op.groups == getattr(call.op, "filters", None))


def is_norm(call: Call) -> bool:
    """True for normalisation, also of classes unknown here: shape kept, all weights one number a channel."""
    if not _keeps_shape(call) or not _is_layer(call) or call.inserted:
        return False
    weights = call.op.weights
    flat = all(len(w.shape) == 1 for w in weights)
    # One weight a channel is a scale, unless its class says that it is a norm (KerasHub's RmsNorm2d).
    many = flat and (len(weights) >= 2 or (len(weights) == 1 and "norm" in type(call.op).__name__.lower()))
    return isinstance(call.op, NORMS) or (many and not isinstance(call.op, NOT_CONV))


def is_activation(call: Call) -> bool:
    """True for what acts on each number by itself, without weights and without chance."""
    if not _keeps_shape(call) or call.inserted or isinstance(call.op, POOLS) or is_padding(call):
        return False
    if isinstance(call.op, keras.layers.PReLU):
        return True
    if not _is_layer(call):
        return not hasattr(call.op, "strides")
    return not call.op.weights and not is_stochastic(call) and not isinstance(call.op, (keras.layers.Identity, *NORMS))


def is_padding(call: Call) -> bool:
    return isinstance(call.op, keras.layers.ZeroPadding2D)


def is_no_padding(call: Call) -> bool:
    """True for a padding by nothing, as KerasHub's blocks have it before pointwise convolutions."""
    return is_padding(call) and _keeps_shape(call) and not any(map(any, call.op.padding))


def is_stochastic(call: Call) -> bool:
    """True for dropout and its kin: shape kept, no weights, a random state."""
    if not _keeps_shape(call) or not _is_layer(call) or call.op.weights:
        return False
    return isinstance(getattr(call.op, "seed_generator", None), keras.random.SeedGenerator) or bool(
        getattr(call.op, "rate", None)
    )


def merge_kind(call: Call, graph: Graph) -> Literal["sum", "concat", "gate"] | None:
    """Says how a call joins several maps: by addition, by concatenation, or by multiplying one with a gate."""
    if len({id(v) for v in call.inputs}) < 2 or len(call.outputs) != 1:
        return None
    out = call.outputs[0]
    maps = [v for v in call.inputs if v.stride is not None]
    multiplies = isinstance(call.op, keras.layers.Multiply) or type(call.op).__name__ == RAW_MULTIPLY
    if multiplies and len(maps) == 1 and maps[0].shape == out.shape:
        return "gate"
    if len(maps) < 2 or out.stride is None or len(maps) != len(call.inputs):
        return None
    if _adds(call) and all(v.shape == out.shape for v in maps):
        return "sum"
    if isinstance(call.op, keras.layers.Concatenate) or type(call.op).__name__ == RAW_CONCAT:
        channels = [graph.split_shape(v)[0] for v in maps]
        if None not in channels and sum(channels) == graph.split_shape(out)[0]:
            return "concat"
    return None


def is_gate(call: Call | None, graph: Graph) -> bool:
    """True for the multiplication that ends a squeeze-and-excitation."""
    return call is not None and merge_kind(call, graph) == "gate"


def _adds(call: Call) -> bool:
    """True for additions; a layer from outside Keras that joins equal maps into one is taken for a scaled addition."""
    if isinstance(call.op, keras.layers.Add) or type(call.op).__name__ == RAW_ADD:
        return True
    return _is_layer(call) and not is_keras_layer(call.op)
