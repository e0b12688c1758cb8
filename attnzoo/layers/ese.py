"""Effective Squeeze-Excitation.

Differences between sources, each an option: none in the module; paper, authors' code and timm agree on one layer with
bias and a hard sigmoid. timm lets the gate be any other: `gate="sigmoid"` is the one seen in practice. Default: the
hard sigmoid, on which all three agree.
"""

from __future__ import annotations

from typing import Any

import keras

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import dense, global_mean
from attnzoo.layers._registry import register_attention
from attnzoo.layers.se import GATES


@register_attention("ese")
class EffectiveSqueezeExcite(Attention):
    """Effective Squeeze-Excitation: y = x * hs(W GAP(x)), hs(z) = relu6(z + 3) / 6.

    Squeeze-and-Excitation without its bottleneck, which loses channel information; C^2 weights instead.

    Reference: Lee, Park, "CenterMask: Real-Time Anchor-Free Instance Segmentation", CVPR 2020, arXiv:1911.06667,
    section 3.4.

    Args:
        gate: `"hard_sigmoid"` or `"sigmoid"`.
        kernel_initializer: initializer of the kernel.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel (C, C), bias (C).
    """

    title = "Effective Squeeze-Excitation"
    paper = "arXiv:1911.06667"
    year = 2020
    checked_against = (
        f"{TIMM} EffectiveSEModule; authors' code (youngwanLEE/vovnet-detectron2 b81c813); NumPy from the paper"
    )

    def __init__(self, gate: str = "hard_sigmoid", kernel_initializer: Any = "he_normal", **kwargs: Any):
        super().__init__(**kwargs)
        self.gate_function = self._choice("gate", gate, tuple(GATES))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.kernel = self.weight("kernel", (channels, channels), self.kernel_initializer)
        self.bias = self.weight("bias", (channels,))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = dense(global_mean(x, self.spatial_axes, self.gate_dtype), self.kernel, self.bias)
        return self.broadcast_channels(GATES[self.gate_function](z))

    def macs(self, channels: int, height: int, width: int) -> int:
        return channels**2

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(gate=self.gate_function, kernel_initializer=keras.initializers.serialize(self.kernel_initializer))
        return config
