"""Style-based Recalibration Module.

Differences between sources, each an option: none that changes shapes. The authors' code takes the standard deviation
plainly, which has no gradient on a constant channel, in one version and of the variance plus 1e-5 in others (here,
`epsilon`), and starts the style weights at zero. Default: the sum with 1e-5, which has a gradient everywhere; zeros, as
published, where the module is not blended in.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import degrees_of_freedom
from attnzoo.layers._registry import register_attention


@register_attention("srm")
class StyleRecalibration(Attention):
    """Style recalibration: y = x * s(BN(sum over t of w * t)), t = [mean_HW(x), std_HW(x)], w (C, 2).

    Each channel is rescaled by its own style, mean and contrast, with four weights a channel.

    Reference: Lee, Kim, Nam, "SRM: A Style-based Recalibration Module for Convolutional Neural Networks", ICCV 2019,
    arXiv:1903.10829, section 3.

    Args:
        epsilon: added to the unbiased variance before its root.
        style_initializer: initializer of the style weights; None is zeros, as published, and with `init="identity"`
            ones, so that the normalisation has something to scale when alpha has moved.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: style (C, 2); then gamma, beta, moving_mean, moving_variance, each (C).
    """

    title = "Style-based Recalibration Module"
    paper = "arXiv:1903.10829"
    year = 2019
    checked_against = "authors' code (hyunjaelee410/style-based-recalibration-module f6221c7); NumPy from the paper"

    def __init__(self, epsilon: float = 1e-5, style_initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = self._above_zero("epsilon", epsilon)
        self.style_initializer = keras.initializers.get(style_initializer)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        start = self.style_initializer or ("ones" if self.init == "identity" else "zeros")
        self.style = self.weight("style", (channels, 2), start)
        self.norm = self.batch_norm("norm", (None, channels))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = ops.cast(x, self.gate_dtype)
        mean = ops.mean(z, axis=self.spatial_axes, keepdims=True)
        squares = ops.sum(ops.square(z - mean), axis=self.spatial_axes)
        deviation = ops.sqrt(squares / degrees_of_freedom(x, self.spatial_axes, self.gate_dtype) + self.epsilon)
        z = ops.reshape(mean, (-1, x.shape[self.channel_axis])) * self.style[:, 0] + deviation * self.style[:, 1]
        return self.broadcast_channels(ops.sigmoid(self.norm(z, training=training)))

    def macs(self, channels: int, height: int, width: int) -> int:
        return 2 * channels

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            epsilon=self.epsilon,
            style_initializer=self.style_initializer and keras.initializers.serialize(self.style_initializer),
        )
        return config
