"""Gated Channel Transformation.

Differences between sources, each an option: the authors' code has an l1 form beside the paper's l2 (`mode="l1"`).
Theirs may leave out the absolute value after a ReLU, where it changes nothing. Paper and code put it before every
convolution, with no weight decay on the gating bias. Default: l2, the paper's equation.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._registry import register_attention


@register_attention("gct")
class GatedChannelTransformation(Attention):
    """Gated channel transformation: y = x * (1 + tanh(gamma * e / sqrt(mean_C(e^2) + eps) + beta)),
    e = alpha * sqrt(sum_HW(x^2) + eps).

    Channels compete (gamma < 0) or cooperate (gamma > 0) by their energy, with three weights a channel.

    Reference: Yang, Zhu, Wu, Yang, "Gated Channel Transformation for Visual Recognition", CVPR 2020, arXiv:1909.11519,
    section 3.

    gamma and beta start at zero: an identity as published, without the blend's alpha.

    Args:
        mode: `"l2"`, or `"l1"`: e = alpha * sum_HW|x|, divided by mean_C|e| + eps.
        epsilon: eps.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: embedding_weight (C), the paper's alpha, from one; gating_weight (C), gamma; gating_bias (C), beta.
    """

    title = "Gated Channel Transformation"
    paper = "arXiv:1909.11519"
    year = 2020
    checked_against = "authors' code (z-x-yang/GCT 68983ed); NumPy from the paper"
    identity_as_published = True

    def __init__(self, mode: str = "l2", epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.mode = self._choice("mode", mode, ("l2", "l1"))
        self.epsilon = self._above_zero("epsilon", epsilon)

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        return {"embedding_weight": "normalising a single channel leaves a constant"} if channels == 1 else {}

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.embedding_weight = self.weight("embedding_weight", (channels,), "ones")
        self.gating_weight = self.weight("gating_weight", (channels,))
        self.gating_bias = self.weight("gating_bias", (channels,))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = ops.cast(x, self.gate_dtype)
        if self.mode == "l2":
            e = ops.sqrt(ops.sum(ops.square(z), axis=self.spatial_axes) + self.epsilon) * self.embedding_weight
            e = e / ops.sqrt(ops.mean(ops.square(e), axis=-1, keepdims=True) + self.epsilon)
        else:
            e = ops.sum(ops.abs(z), axis=self.spatial_axes) * self.embedding_weight
            e = e / (ops.mean(ops.abs(e), axis=-1, keepdims=True) + self.epsilon)
        return self.broadcast_channels(1.0 + ops.tanh(self.gating_weight * e + self.gating_bias))

    def macs(self, channels: int, height: int, width: int) -> int:
        return 0

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(mode=self.mode, epsilon=self.epsilon)
        return config
