"""At which stride a value runs: followed through the operations, not guessed from sizes.

35 rows out of 299 say little, a 1x1 map out of 32 less, and inputs of size None nothing at all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import tree

from attnzoo._keras import is_keras_layer
from attnzoo.layers import Attention

if TYPE_CHECKING:
    from attnzoo.anatomy.graph import Call, Graph, Value

GLOBAL_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
TRANSPOSED = (keras.layers.Conv2DTranspose,)
REORDERING = (keras.layers.Reshape, keras.layers.Permute, keras.layers.Flatten)
RAW_REORDERING = ("Reshape", "Transpose", "Moveaxis", "SwapAxes", "ExpandDims", "Squeeze")


def output_stride(call: Call, value: Value, graph: Graph) -> float | None:
    """Follows strides, not sizes: 35 rows out of 299 say little, and inputs of size None nothing."""
    maps = [v for v in call.inputs if v.stride is not None]
    if len(value.shape) != 4 or isinstance(call.op, GLOBAL_POOLING):
        return None
    if not maps or _reorders(call):
        return _unfolded(call, value, graph)
    maps = [v for v in maps if v.streams] or maps  # an input given again further down says nothing
    _, rows, cols = graph.split_shape(value)
    same = [v for v in maps if graph.split_shape(v)[1:] == (rows, cols)]
    # Two streams may have come differently far where they are joined; what follows is no decoder for that.
    nearest = max if len({v.streams for v in maps}) > 1 else min
    source = nearest(same or maps, key=lambda v: v.stride or 0.0)
    before = source.stride or 1.0
    strides = getattr(call.op, "strides", None)
    if strides is None:
        strides = getattr(call.op, "pool_size", None)
    if (rows, cols) == (1, 1) and _covers(getattr(call.op, "pool_size", None), graph.split_shape(source)[1:]):
        return None
    if strides is not None:
        factor = _mean_factor(strides)
        return (
            before / factor
            if isinstance(call.op, TRANSPOSED) or "Transpose" in type(call.op).__name__
            else before * factor
        )
    if isinstance(call.op, keras.layers.UpSampling2D):
        return before / _mean_factor(call.op.size)
    padding = isinstance(call.op, keras.layers.ZeroPadding2D | keras.layers.Cropping2D)
    if padding or (same and (rows is not None or _keeps_size(call.op))):
        return before
    if (rows, cols) == (1, 1):
        return None
    return _stride_from_shapes(call, value, source, graph)


def folded_map(call: Call, value: Value) -> Value | None:
    """Follows a map that is no map for a while: patches, tokens, the five axes of a channel shuffle."""
    for read in call.inputs:
        whole = read if read.stride is not None else read.folded
        if whole is not None and (_reorders(call) or (read.stride is None and read.shape == value.shape)):
            return whole
    return None


def _reorders(call: Call) -> bool:
    return isinstance(call.op, REORDERING) or type(call.op).__name__ in RAW_REORDERING


def _unfolded(call: Call, value: Value, graph: Graph) -> float | None:
    """Recognises a map that was folded: as many numbers, its two sides divided, or multiplied, by one number."""
    whole = folded_map(call, value)
    if whole is None or not _reorders(call):
        return None  # such as attention among tokens, (batch, heads, tokens, tokens)
    (channels_in, *before), (channels, *after) = graph.split_shape(whole), graph.split_shape(value)
    if after == [1, 1] or channels_in is None or channels is None:
        return None
    ratio = math.sqrt(channels / channels_in)
    known = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    if any(a != b * ratio for a, b in known):
        return None
    return (whole.stride or 1.0) * ratio


def _covers(pool: Any, size: tuple[Any, Any]) -> bool:
    """True for a pooling window as large as the map: global pooling as small-image networks write it."""
    return pool is not None and size == tuple(pool) and min(pool) >= 4


def _mean_factor(strides: Any) -> float:
    return float(strides) if isinstance(strides, int) else math.prod(strides) ** (1 / len(strides))


def _keeps_size(op: Any) -> bool:
    """True for layers that are known not to resample, so that nothing need be tried out on a size of None."""
    resampling = (keras.layers.Resizing, keras.layers.RandomCrop)
    return isinstance(op, Attention) or (is_keras_layer(op) and not isinstance(op, resampling))


def _stride_from_shapes(call: Call, value: Value, source: Value, graph: Graph) -> float | None:
    _, rows, _ = graph.split_shape(value)
    _, rows_in, _ = graph.split_shape(source)
    if rows is None or rows_in is None:
        rows_in, rows = _probe(call, value.index, source, graph)
    if not rows or not rows_in:
        return source.stride
    ratio = rows_in / rows
    rounded = round(ratio) if ratio >= 1 else 1 / round(1 / ratio)
    return (source.stride or 1.0) * rounded


def _probe(call: Call, index: int, source: Value, graph: Graph) -> tuple[int | None, int | None]:
    """Asks an operation what it makes of a map of 256 rows, where the graph only says None."""
    rows = 256

    def concrete(value: Value) -> Any:
        shape = [1 if i == 0 else (rows if d is None else d) for i, d in enumerate(value.shape)]
        return keras.KerasTensor(shape, dtype=value.tensor.dtype)

    if len(call.inputs) != 1:
        return None, None
    try:
        out = tree.flatten(call.op.compute_output_spec(concrete(source)))[index]
    except Exception:  # an operation may need arguments or sizes that cannot be guessed: then nothing is known
        return None, None
    row_axis = 1 if graph.data_format == "channels_last" else 2
    return (rows if source.shape[row_axis] is None else source.shape[row_axis]), out.shape[row_axis]
