"""The light variant of CBAM.

Differences between sources, each an option: there is no paper; timm, where the variant comes from, has ratio 16, no MLP
biases and a batch normalisation in the spatial gate, and so has this file. `ratio=8, use_bias=True, use_bn=False` makes
it the light twin of this package's `cbam`. Default: timm's, the only source.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import add_bottleneck, bottleneck, conv_to_one
from attnzoo.layers._registry import register_attention


@register_attention("lcbam")
class LightCBAM(Attention):
    """Light CBAM: mean and maximum are averaged before each gate instead of being passed on as two.

    p(x) = (mean(x) + max(x)) / 2; x' = x * s(MLP(p_HW(x))); y = x' * s(BN(conv_k(p_C(x')))).

    CBAM with one pass through the MLP and one input map to the filter.

    Reference: timm (`lcbam`), after Woo, Park, Lee, Kweon, "CBAM", ECCV 2018, arXiv:1807.06521, section 3.

    Args:
        ratio: reduction of the channel gate; its hidden layer has `max(1, channels // ratio)` units.
        kernel_size: odd size of the spatial filter.
        use_bias: whether the channel gate's layers have a bias.
        use_bn: whether the spatial filter is followed by batch normalisation (epsilon 1e-5).
        kernel_initializer: initializer of all kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, h), bias_1 (h), kernel_2 (h, C), bias_2 (C), kernel (k, k, 1, 1); with `use_bn` gamma, beta,
    moving_mean, moving_variance, each (1).
    """

    title = "Light CBAM"
    paper = "arXiv:1807.06521"
    year = 2020
    checked_against = f"{TIMM} LightCbamModule; NumPy from the paper"

    def __init__(
        self,
        ratio: int = 16,
        kernel_size: int = 7,
        use_bias: bool = False,
        use_bn: bool = True,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.kernel_size = self._odd("kernel_size", kernel_size)
        self.use_bias = bool(use_bias)
        self.use_bn = bool(use_bn)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def hidden_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return max(1, channels // self.ratio)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        add_bottleneck(self, channels, self.hidden_for(channels), self.kernel_initializer, self.use_bias)
        self.kernel = self.weight("kernel", (self.kernel_size, self.kernel_size, 1, 1), self.kernel_initializer)
        if self.use_bn:
            self.norm = self.batch_norm("norm", (None, height, width, 1))

    def steps(self) -> tuple[Any, ...]:
        return self._channel_gate, self._spatial_gate

    def _channel_gate(self, x: Any, training: bool | None = None) -> Any:
        return self.broadcast_channels(ops.sigmoid(bottleneck(self, self._pool(x, self.spatial_axes))))

    def _spatial_gate(self, x: Any, training: bool | None = None) -> Any:
        z = conv_to_one([self._pool(x, self.channel_axis)], self.kernel)
        if self.use_bn:
            z = self.norm(z[..., None], training=training)[..., 0]
        return ops.expand_dims(ops.sigmoid(z), self.channel_axis)

    def _pool(self, x: Any, axes: Any) -> Any:
        mean = ops.mean(ops.cast(x, self.gate_dtype), axis=axes)
        return 0.5 * mean + 0.5 * ops.cast(ops.max(x, axis=axes), self.gate_dtype)

    def macs(self, channels: int, height: int, width: int) -> int:
        return 2 * channels * self.hidden_for(channels) + self.kernel_size**2 * height * width

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            kernel_size=self.kernel_size,
            use_bias=self.use_bias,
            use_bn=self.use_bn,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
