"""The channel half of CBAM, on its own.

Differences between sources, each an option: ratio 16 in the paper; biases in the authors' code, none in timm
(`use_bias=False`). Default: that of `cbam`, whose half it is.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import add_bottleneck, bottleneck, global_max, global_mean
from attnzoo.layers._registry import register_attention


@register_attention("channel")
class ChannelAttention(Attention):
    """CBAM's channel gate: y = x * s(MLP(GAP(x)) + MLP(GMP(x))), MLP = Dense(h, relu) -> Dense(C), shared.

    Squeeze-and-Excitation that also looks at the strongest response of each channel.

    Reference: Woo, Park, Lee, Kweon, "CBAM", ECCV 2018, arXiv:1807.06521, section 3, equation 2.

    Args:
        ratio: reduction; the hidden layer has `max(1, channels // ratio)` units.
        use_bias: whether both layers have a bias.
        kernel_initializer: initializer of both kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, h), bias_1 (h), kernel_2 (h, C), bias_2 (C).
    """

    title = "CBAM channel gate"
    paper = "arXiv:1807.06521"
    year = 2018
    checked_against = f"{TIMM} ChannelAttn; NumPy from the paper"

    def __init__(self, ratio: int = 8, use_bias: bool = True, kernel_initializer: Any = "he_normal", **kwargs: Any):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def hidden_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return max(1, channels // self.ratio)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        add_bottleneck(self, channels, self.hidden_for(channels), self.kernel_initializer, self.use_bias)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        mean = global_mean(x, self.spatial_axes, self.gate_dtype)
        peak = global_max(x, self.spatial_axes, self.gate_dtype)
        # Both through the two layers at once: their kernels are most of what is read here.
        z = bottleneck(self, ops.concatenate((mean, peak), axis=0))
        z = ops.sum(ops.reshape(z, (2, -1, z.shape[-1])), axis=0)
        return self.broadcast_channels(ops.sigmoid(z))

    def macs(self, channels: int, height: int, width: int) -> int:
        return 4 * channels * self.hidden_for(channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            use_bias=self.use_bias,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
