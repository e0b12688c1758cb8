"""Functions that modules share: pooling, strips, groups, the bottleneck MLP, convolutions over a two-channel map."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops


def global_mean(x: Any, axes: tuple[int, int], dtype: str) -> Any:
    """Mean over the spatial axes, (batch, channels), in `dtype`."""
    x = ops.cast(x, dtype)
    height, width = x.shape[axes[0]], x.shape[axes[1]]
    if axes != (1, 2) or height is None or width is None:
        return ops.mean(x, axis=axes)
    # A row of equal weights times the map: a matrix product reads it twice as fast as a reduction, where it is large.
    weights = ops.full((1, height * width), 1.0 / (height * width), dtype=dtype)
    return ops.matmul(weights, ops.reshape(x, (-1, height * width, x.shape[3])))[:, 0]


def global_max(x: Any, axes: tuple[int, int], dtype: str) -> Any:
    """Maximum over the spatial axes, (batch, channels), in `dtype`."""
    height, width = x.shape[axes[0]], x.shape[axes[1]]
    windowed = keras.backend.backend() == "tensorflow" and keras.backend.standardize_dtype(x.dtype) == "float32"
    if not windowed or axes != (1, 2) or height is None or width is None:
        return ops.cast(ops.max(x, axis=axes), dtype)
    # TensorFlow pools a whole map twice as fast as it reduces it; others have no kernel of their own for it.
    return ops.cast(ops.max_pool(x, (height, width), data_format="channels_last")[:, 0, 0], dtype)


def dense(x: Any, kernel: Any, bias: Any = None) -> Any:
    """x (batch, in) times kernel (in, out), plus bias (out)."""
    y = ops.matmul(x, kernel)
    return y if bias is None else y + bias


TILE = 4
TILED_FROM = 20
"""Maps with at least this many rows are convolved in tiles; below, the plain convolution is as fast."""


def conv_to_one(x: Any, kernel: Any) -> Any:
    """'same' convolution of x (batch, height, width, c) with kernel (k, k, c, 1), c small, k odd; channels_last.

    A convolution over two channels leaves most of a vector unit idle. Cutting the map into 4x4 tiles turns it into
    the same sums over 16 c channels (space to depth, the kernel rearranged to match), equal up to rounding: measured
    12 times faster at 112x112 and 5 times at 56x56 on TensorFlow CPU, level at 14x14.
    """
    height, width = x.shape[1], x.shape[2]
    if height is None or width is None or height < TILED_FROM or width < TILED_FROM:
        return ops.conv(x, kernel, padding="same", data_format="channels_last")
    pad_h, pad_w = -height % TILE, -width % TILE
    if pad_h or pad_w:
        x = ops.pad(x, [[0, 0], [0, pad_h], [0, pad_w], [0, 0]])
    rows, cols, c = (height + pad_h) // TILE, (width + pad_w) // TILE, x.shape[3]
    x = ops.transpose(ops.reshape(x, (-1, rows, TILE, cols, TILE, c)), (0, 1, 3, 2, 4, 5))
    x = ops.reshape(x, (-1, rows, cols, TILE * TILE * c))
    y = ops.conv(x, _tiled_kernel(kernel, c), padding="same", data_format="channels_last")
    y = ops.transpose(ops.reshape(y, (-1, rows, cols, TILE, TILE)), (0, 1, 3, 2, 4))
    y = ops.reshape(y, (-1, height + pad_h, width + pad_w, 1))
    return y[:, :height, :width] if pad_h or pad_w else y


def _tiled_kernel(kernel: Any, c: int) -> Any:
    """Rearranges (k, k, c, 1) into (reach, reach, 16 c, 16): from every pixel of a tile to every pixel of one."""
    size = int(kernel.shape[0])
    taps = _tap_index(size)
    reach = taps.shape[0]
    flat = ops.reshape(ops.pad(kernel[..., 0], [[0, 1], [0, 1], [0, 0]]), ((size + 1) ** 2, c))
    table = taps[:, None, :, None, :, None] * (size + 1) + taps[None, :, None, :, None, :]
    wide = ops.take(flat, table.reshape(-1), axis=0)
    wide = ops.transpose(ops.reshape(wide, (reach, reach, TILE**2, TILE**2, c)), (0, 1, 2, 4, 3))
    return ops.reshape(wide, (reach, reach, TILE**2 * c, TILE**2))


@functools.cache
def _tap_index(size: int) -> np.ndarray:
    """One axis: index of the kernel tap that joins pixel i of tile t to pixel o of the middle tile; `size` for none."""
    radius = size // 2
    half = -(-radius // TILE)
    tile, i, o = np.ogrid[-half : half + 1, 0:TILE, 0:TILE]
    tap = tile * TILE + i - o + radius
    return np.where((tap >= 0) & (tap < size), tap, size).astype("int32")


def conv_plane_to_one(x: Any, kernel: Any) -> Any:
    """`conv_to_one` for planes that may be long and narrow, such as channels by width.

    Zeros beyond the narrow side are what 'same' would add; with them the plane is wide enough to be tiled: measured
    8 times faster at 1024x14 on TensorFlow CPU.
    """
    height, width = x.shape[1], x.shape[2]
    if height is None or width is None or height * width < TILED_FROM**2:
        return conv_to_one(x, kernel)
    pad_h, pad_w = max(TILED_FROM - height, 0), max(TILED_FROM - width, 0)
    if pad_h or pad_w:
        x = ops.pad(x, [[0, 0], [0, pad_h], [0, pad_w], [0, 0]])
    return conv_to_one(x, kernel)[:, :height, :width]


def largest_divisor(number: int, at_most: int) -> int:
    """The largest divisor of `number` that is not above `at_most`."""
    return next(d for d in range(min(number, at_most), 0, -1) if number % d == 0)


def misfit(option: str, groups: int | None, channels: int, fit: int | None = None) -> str | None:
    """Says that the channels do not divide into a given number of groups, and which number would fit; else None."""
    if groups is None or channels % groups == 0:
        return None
    fit = fit or largest_divisor(channels, groups)
    return f"{channels} channels do not divide into {option}={groups} ({option}={fit} would fit)"


def as_channels_last(x: Any, data_format: str) -> Any:
    """x in channels_last; a copy only where it is not already."""
    return x if data_format == "channels_last" else ops.transpose(x, (0, 2, 3, 1))


def from_channels_last(x: Any, data_format: str) -> Any:
    """The inverse of `as_channels_last`."""
    return x if data_format == "channels_last" else ops.transpose(x, (0, 3, 1, 2))


def softmax(z: Any) -> Any:
    """Softmax over the last axis."""
    # Keras warns of one over a single value, which is what a group of one channel or a map of one position has.
    return ops.softmax(z) if z.shape[-1] != 1 else ops.ones_like(ops.convert_to_tensor(z))


def project(x: Any, kernel: Any, bias: Any, data_format: str) -> Any:
    """1x1 convolution of a map with kernel (in, out) and bias (out) or None; the result is channels_last."""
    x = ops.cast(x, kernel.dtype)
    layout = "nhwc" if data_format == "channels_last" else "nchw"
    y = ops.einsum(f"{layout},cd->nhwd", x, kernel)
    return y if bias is None else y + bias


def strip_means(x: Any, data_format: str, dtype: str) -> tuple[Any, Any]:
    """Means over the width (batch, height, channels) and over the height (batch, width, channels), in `dtype`."""
    x = ops.cast(x, dtype)
    if data_format == "channels_last":
        return ops.mean(x, axis=2), ops.mean(x, axis=1)
    return ops.transpose(ops.mean(x, axis=3), (0, 2, 1)), ops.transpose(ops.mean(x, axis=2), (0, 2, 1))


def strip_factors(rows: Any, columns: Any, data_format: str) -> tuple[Any, Any]:
    """Reshapes (batch, height, c) and (batch, width, c) so that they broadcast against the map."""
    if data_format == "channels_last":
        return ops.expand_dims(rows, 2), ops.expand_dims(columns, 1)
    return ops.expand_dims(ops.transpose(rows, (0, 2, 1)), 3), ops.expand_dims(ops.transpose(columns, (0, 2, 1)), 2)


def degrees_of_freedom(x: Any, axes: tuple[int, int], dtype: str) -> Any:
    """Positions of the map less one, as the papers divide by; 1 for a map of one position, which would give 0/0."""
    shape = ops.shape(x)
    return ops.cast(ops.maximum(shape[axes[0]] * shape[axes[1]] - 1, 1), dtype)


def group_sum(x: Any, groups: int, data_format: str) -> Any:
    """Sums the channels of each group: a map of C channels becomes one of `groups`."""
    if data_format == "channels_last":
        batch, height, width, channels = ops.shape(x)
        return ops.sum(ops.reshape(x, (batch, height, width, groups, channels // groups)), axis=4)
    batch, channels, height, width = ops.shape(x)
    return ops.sum(ops.reshape(x, (batch, groups, channels // groups, height, width)), axis=2)


def group_norm(x: Any, groups: int, gamma: Any, beta: Any, epsilon: float = 1e-5) -> Any:
    """Group normalisation of x (batch, positions, channels) with scale and shift (channels)."""
    batch, positions, channels = ops.shape(x)
    z = ops.reshape(x, (batch, positions, groups, channels // groups))
    mean = ops.mean(z, axis=(1, 3), keepdims=True)
    z = z - mean
    z = z * ops.rsqrt(ops.mean(ops.square(z), axis=(1, 3), keepdims=True) + epsilon)
    return ops.reshape(z, (batch, positions, channels)) * gamma + beta


def add_bottleneck(
    layer: Any, channels: int, hidden: int, initializer: Any, use_bias: bool = True, last: Any = None
) -> None:
    """Gives a layer the weights of Dense(hidden) -> Dense(channels): kernel_1, bias_1, kernel_2, bias_2.

    `last` is the initializer of kernel_2 where it differs.
    """
    layer.kernel_1 = layer.weight("kernel_1", (channels, hidden), initializer)
    layer.bias_1 = layer.weight("bias_1", (hidden,)) if use_bias else None
    layer.kernel_2 = layer.weight("kernel_2", (hidden, channels), last or initializer)
    layer.bias_2 = layer.weight("bias_2", (channels,)) if use_bias else None


def bottleneck(layer: Any, z: Any) -> Any:
    """W2 relu(W1 z) over the last axis, with the weights of `add_bottleneck`."""
    return dense(ops.relu(dense(z, layer.kernel_1, layer.bias_1)), layer.kernel_2, layer.bias_2)
