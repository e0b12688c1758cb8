"""Functions that modules share: pooling, strips, groups, the bottleneck MLP, convolutions over a two-channel map."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

# One axis after the other: about as fast as a pooling window over the whole map where TensorFlow runs operation by
# operation (one reduction over both axes takes up to 1.7 times as long). Compiled by XLA for a CPU, such a window takes
# 4 to 20 times as long, and so does a matrix product with equal weights where the number of images is not known.


def global_mean(x: Any, axes: tuple[int, int], dtype: str) -> Any:
    """Mean over the spatial axes, (batch, channels), in `dtype`."""
    first, second = axes
    return ops.mean(ops.mean(ops.cast(x, dtype), axis=second), axis=first)


def global_max(x: Any, axes: tuple[int, int], dtype: str) -> Any:
    """Maximum over the spatial axes, (batch, channels), in `dtype`."""
    first, second = axes
    return ops.cast(ops.max(ops.max(x, axis=second), axis=first), dtype)


def dense(x: Any, kernel: Any, bias: Any = None) -> Any:
    """x (batch, in) times kernel (in, out), plus bias (out)."""
    y = ops.matmul(x, kernel)
    return y if bias is None else y + bias


STRIP, NARROW = 8, 28
"""A map is cut into strips of so many columns; up to `NARROW` columns it is one strip."""


def conv_to_one(planes: Sequence[Any], kernel: Any) -> Any:
    """'same' convolution of c planes (batch, height, width) with kernel (k, k, c, 1), k odd: (batch, height, width).

    A convolution over two channels leaves most of a vector unit idle. Taking each strip of columns as so many channels
    turns it into the same sums over more of them (the kernel rearranged to match), equal up to rounding: measured 11
    times faster at 112x112, 9 at 56x56, 4 at 14x14 and 24 at 1024x14 on TensorFlow CPU.
    """
    height, width = planes[0].shape[1:]
    if height is None or width is None:
        return ops.conv(ops.stack(planes, axis=-1), kernel, padding="same", data_format="channels_last")[..., 0]
    if height < width and height <= NARROW:
        turned = [ops.transpose(p, (0, 2, 1)) for p in planes]
        return ops.transpose(conv_to_one(turned, ops.transpose(kernel, (1, 0, 2, 3))), (0, 2, 1))
    strip = width if width <= NARROW else STRIP
    pad = -width % strip
    if pad:
        planes = [ops.pad(p, [[0, 0], [0, 0], [0, pad]]) for p in planes]
    strips = (width + pad) // strip
    x = ops.concatenate([ops.reshape(p, (-1, height, strips, strip)) for p in planes], axis=-1)
    y = ops.conv(x, _strip_kernel(kernel, strip, strips), padding="same", data_format="channels_last")
    y = ops.reshape(y, (-1, height, width + pad))
    return y[..., :width] if pad else y


def _strip_kernel(kernel: Any, strip: int, strips: int) -> Any:
    """Rearranges (k, k, c, 1) into (k, reach, c strip, strip): from every column of a strip to every column of one."""
    size, _, planes, _ = kernel.shape
    taps = _tap_index(size, strip, 0 if strips == 1 else -(-(size // 2) // strip))
    reach = taps.shape[0]
    padded = ops.pad(kernel[..., 0], [[0, 0], [0, 1], [0, 0]])
    wide = ops.reshape(ops.take(padded, taps.reshape(-1), axis=1), (size, reach, strip, strip, planes))
    return ops.reshape(ops.transpose(wide, (0, 1, 4, 2, 3)), (size, reach, planes * strip, strip))


@functools.cache
def _tap_index(size: int, strip: int, half: int) -> np.ndarray:
    """Index of the kernel tap that joins column i of strip t to column o of the middle strip; `size` for none."""
    t, i, o = np.ogrid[-half : half + 1, 0:strip, 0:strip]
    tap = t * strip + i - o + size // 2
    return np.where((tap >= 0) & (tap < size), tap, size).astype("int32")


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
