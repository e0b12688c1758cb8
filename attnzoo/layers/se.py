"""Squeeze-and-Excitation.

Differences between sources, each an option: the paper uses ratio 16 and, for ResNets, no biases in the two layers; the
Caffe release has biases; MobileNetV3 replaces the sigmoid by a hard sigmoid. Default: biases as in the release, at
ratio 8: the paper's own comparison of ratios puts 8 and 16 level (22.25 and 22.28 % error on ResNet50), and Keras code
mostly uses 8.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import add_bottleneck, bottleneck, global_mean
from attnzoo.layers._registry import register_attention

GATES = {"sigmoid": ops.sigmoid, "hard_sigmoid": ops.hard_sigmoid}


@register_attention("se")
class SqueezeExcite(Attention):
    """Squeeze-and-Excitation: y = x * s(W2 relu(W1 GAP(x))).

    Rescales each channel by what the whole image says about it.

    Reference: Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507, section 3.

    Args:
        ratio: reduction; the hidden layer has `max(1, channels // ratio)` units.
        use_bias: whether both layers have a bias.
        gate: `"sigmoid"`, or `"hard_sigmoid"` (relu6(z + 3) / 6) as in MobileNetV3.
        kernel_initializer: initializer of both kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, h), bias_1 (h), kernel_2 (h, C), bias_2 (C).
    """

    title = "Squeeze-and-Excitation"
    paper = "arXiv:1709.01507"
    year = 2018
    checked_against = f"{TIMM} SEModule; NumPy from the paper"

    def __init__(
        self,
        ratio: int = 8,
        use_bias: bool = True,
        gate: str = "sigmoid",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.use_bias = bool(use_bias)
        self.gate_function = self._choice("gate", gate, tuple(GATES))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def hidden_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return max(1, channels // self.ratio)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        add_bottleneck(self, channels, self.hidden_for(channels), self.kernel_initializer, self.use_bias)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = global_mean(x, self.spatial_axes, self.gate_dtype)
        return self.broadcast_channels(GATES[self.gate_function](bottleneck(self, z)))

    def macs(self, channels: int, height: int, width: int) -> int:
        return 2 * channels * self.hidden_for(channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            use_bias=self.use_bias,
            gate=self.gate_function,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
