"""Efficient Multi-scale Attention.

Differences between sources, each an option: none; paper and authors' code agree on 32 groups, which the code requires
to divide the channels. Here the default is 32 or, where that does not divide them, the largest divisor below. Default:
32 groups, as published.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import (
    as_channels_last,
    dense,
    from_channels_last,
    group_sum,
    largest_divisor,
    misfit,
    softmax,
    strip_factors,
    strip_means,
)
from attnzoo.layers._registry import register_attention


@register_attention("ema")
class EfficientMultiScaleAttention(Attention):
    """Efficient multi-scale attention, within each group of channels: y = x * s(p(x1) x2 + p(x2) x1).

    x1 = GN(x * s(W mean_W(x)) * s(W mean_H(x))), x2 = conv_3x3(x), p(z) = softmax over the group's channels of GAP(z),
    and p z a weighted sum of channels: one number a position. All groups share the weights.

    A coordinate branch and a local one, each read through the other's channel weights, without a bottleneck.

    Reference: Ouyang, He, Zhang, Luo, Guo, Zhan, Huang, "Efficient Multi-Scale Attention Module with Cross-Spatial
    Learning", ICASSP 2023, arXiv:2305.13563, section 3.

    Args:
        groups: number of groups, a divisor of the channels; None is the largest one up to 32.
        kernel_initializer: initializer of both kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: with d = C / groups, kernel_1 (d, d), bias_1 (d), gamma (d), beta (d), kernel_3 (3, 3, d, d), bias_3 (d).
    """

    # x2 is never computed: only its mean and one weighted sum of its channels are used, and a convolution commutes
    # with both. That leaves a depthwise convolution (9 multiplications an activation) of the published 9 d.
    # Likewise GN normalises each channel on its own here, so that GAP(x1) is beta, and it folds into a scale of x.

    title = "Efficient Multi-scale Attention"
    paper = "arXiv:2305.13563"
    year = 2023
    checked_against = "authors' code (YOLOonMe/EMA-attention-module afc37ec); NumPy from the paper"

    def __init__(self, groups: int | None = None, kernel_initializer: Any = "he_normal", **kwargs: Any):
        super().__init__(**kwargs)
        self.groups = None if groups is None else self._positive("groups", groups)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        return misfit("groups", options.get("groups"), channels)

    def groups_for(self, channels: int) -> int:
        """Returns the number of groups for a number of channels."""
        return self.groups or largest_divisor(channels, 32)

    def automatic(self, channels: int) -> str | None:
        return None if self.groups else f"groups={self.groups_for(channels)}"

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        names = ("kernel_1", "bias_1", "gamma")
        return dict.fromkeys(names, "normalising a single position leaves a constant") if height == width == 1 else {}

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        depth = channels // self.groups_for(channels)
        self.kernel_1 = self.weight("kernel_1", (depth, depth), self.kernel_initializer)
        self.bias_1 = self.weight("bias_1", (depth,))
        self.gamma = self.weight("gamma", (depth,), "ones")
        self.beta = self.weight("beta", (depth,))
        self.kernel_3 = self.weight("kernel_3", (3, 3, depth, depth), self.kernel_initializer)
        self.bias_3 = self.weight("bias_3", (depth,))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        x = as_channels_last(ops.cast(x, self.gate_dtype), self.data_format)
        channels = x.shape[-1]
        groups = self.groups_for(channels)
        rows, columns = strip_means(x, "channels_last", self.gate_dtype)
        a, b = strip_factors(self._strip(rows, groups), self._strip(columns, groups), "channels_last")
        v = x * a * b
        mean = ops.mean(v, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(v - mean), axis=(1, 2), keepdims=True)
        p1, p2 = softmax(self.beta), softmax(self._mean_of_x2(x, columns, groups))
        scale = ops.tile(self.gamma, (groups,)) * ops.rsqrt(variance + 1e-5)
        scale = ops.reshape(p2, (-1, 1, 1, channels)) * scale
        kernel = ops.tile(ops.matmul(self.kernel_3, p1[:, None]), (1, 1, groups, 1))
        p1_x2 = ops.depthwise_conv(x, kernel, padding="same", data_format="channels_last")
        z = group_sum(p1_x2 + v * scale, groups, "channels_last")
        offset = ops.sum(p1 * self.bias_3) + ops.matmul(p2, self.beta)[:, None, None, :]
        z = z + offset - group_sum(mean * scale, groups, "channels_last")
        return from_channels_last(ops.sigmoid(z), self.data_format)

    def spread(self, g: Any) -> Any:
        return ops.repeat(g, self.gamma.shape[0], axis=self.channel_axis)

    def _strip(self, z: Any, groups: int) -> Any:
        batch, length, channels = ops.shape(z)
        z = ops.reshape(z, (batch, length, groups, channels // groups))
        return ops.reshape(ops.sigmoid(dense(z, self.kernel_1, self.bias_1)), (batch, length, channels))

    def _mean_of_x2(self, x: Any, columns: Any, groups: int) -> Any:
        """GAP(x2), (batch, groups, d): each tap of a 'same' convolution sees the map less its last or first line."""
        height, width = (ops.cast(size, self.gate_dtype) for size in ops.shape(x)[1:3])
        taps = []
        for line in (columns - x[:, -1] / height, columns, columns - x[:, 0] / height):
            mean = ops.mean(line, axis=1)
            taps += [mean - line[:, -1] / width, mean, mean - line[:, 0] / width]
        z = ops.reshape(ops.stack(taps, axis=1), (-1, 9, groups, self.gamma.shape[0]))
        kernel = ops.reshape(self.kernel_3, (9, *self.kernel_3.shape[2:]))
        return ops.einsum("ntgi,tio->ngo", z, kernel) + self.bias_3

    def macs(self, channels: int, height: int, width: int) -> int:
        depth = channels // self.groups_for(channels)
        return channels * depth * (height + width + 9) + 10 * channels * height * width

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(groups=self.groups, kernel_initializer=keras.initializers.serialize(self.kernel_initializer))
        return config
