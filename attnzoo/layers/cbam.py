"""Convolutional Block Attention Module.

Differences between sources, each an option: the paper uses ratio 16; the authors' code has MLP biases, a batch
normalisation in the spatial gate and the channel order [max, mean]; timm has no biases, the normalisation and [mean,
max]. Default: the paper's equations, which have no normalisation: the one of the code starts as a constant gate of one
half. Biases and ratio 8 as in most Keras code.
"""

from __future__ import annotations

from typing import Any

import keras

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._registry import register_attention
from attnzoo.layers.channel import ChannelAttention
from attnzoo.layers.spatial import SpatialAttention


@register_attention("cbam")
class CBAM(Attention):
    """Convolutional Block Attention Module: the channel gate, then the spatial gate on its result.

    x' = x * s(MLP(GAP(x)) + MLP(GMP(x))); y = x' * s(conv_k([mean_C(x'), max_C(x')])).

    Reference: Woo, Park, Lee, Kweon, "CBAM", ECCV 2018, arXiv:1807.06521, section 3, equations 1 to 3.

    Args:
        ratio: reduction of the channel gate; its hidden layer has `max(1, channels // ratio)` units.
        kernel_size: odd size of the spatial filter.
        use_bias: whether the channel gate's layers have a bias.
        use_bn, bn_gamma, pool_order: of the spatial gate, see `SpatialAttention`.
        kernel_initializer: initializer of all kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: those of `ChannelAttention`, then those of `SpatialAttention`.
    """

    title = "Convolutional Block Attention Module"
    paper = "arXiv:1807.06521"
    year = 2018
    checked_against = f"{TIMM} CbamModule; authors' code (Jongchan/attention-module 459efad); NumPy from the paper"

    def __init__(
        self,
        ratio: int = 8,
        kernel_size: int = 7,
        use_bias: bool = True,
        use_bn: bool = False,
        bn_gamma: Any = "ones",
        pool_order: str = "mean_max",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        shared = {"data_format": self.data_format, "dtype": self.dtype_policy, "kernel_initializer": kernel_initializer}
        self.channel = ChannelAttention(ratio=ratio, use_bias=use_bias, name="channel", **shared)
        self.spatial = SpatialAttention(
            kernel_size=kernel_size, use_bn=use_bn, bn_gamma=bn_gamma, pool_order=pool_order, name="spatial", **shared
        )

    def hidden_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return self.channel.hidden_for(channels)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        last = self.data_format == "channels_last"
        shape = (None, height, width, channels) if last else (None, channels, height, width)
        self.channel.build(shape)
        self.spatial.build(shape)

    def steps(self) -> tuple[Any, ...]:
        return self.channel.gate, self.spatial.gate

    def macs(self, channels: int, height: int, width: int) -> int:
        return self.channel.macs(channels, height, width) + self.spatial.macs(channels, height, width)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.channel.ratio,
            kernel_size=self.spatial.kernel_size,
            use_bias=self.channel.use_bias,
            use_bn=self.spatial.use_bn,
            bn_gamma=keras.initializers.serialize(self.spatial.bn_gamma),
            pool_order=self.spatial.pool_order,
            kernel_initializer=keras.initializers.serialize(self.channel.kernel_initializer),
        )
        return config
