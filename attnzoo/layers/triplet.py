"""Triplet Attention.

Differences between sources, each an option: none; paper and authors' code agree, the code can leave the plain spatial
branch out (`spatial=False`). The weights are in its order: channel-width, height-channel, height-width. Default: all
three planes, as in the paper.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import conv_to_one
from attnzoo.layers._registry import register_attention

PLANES = {"cw": "H", "hc": "W", "hw": "C"}
"""Each plane by its rows and columns, and the axis pooled to reach it."""


@register_attention("triplet")
class TripletAttention(Attention):
    """Triplet attention: y = x * mean over the planes CW, HC, HW of s(BN(conv_k([max(x), mean(x)]))).

    Each plane is pooled along the third axis: CBAM's spatial gate, looked at from three sides, so that channels and
    positions interact at almost no weights.

    Reference: Misra, Nalamada, Arasanipalai, Hou, "Rotate to Attend: Convolutional Triplet Attention Module", WACV
    2021, arXiv:2010.03045, section 3.

    Args:
        kernel_size: odd size of the three filters.
        spatial: whether the HW plane takes part.
        kernel_initializer: initializer of the filters.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_cw, kernel_hc, kernel_hw, each (k, k, 2, 1); then gamma, beta, moving_mean, moving_variance, each
    (1), of the normalisation after each.
    """

    title = "Triplet Attention"
    paper = "arXiv:2010.03045"
    year = 2021
    checked_against = "authors' code (LandskapeAI/triplet-attention f07524e); NumPy from the paper"

    def __init__(
        self, kernel_size: int = 7, spatial: bool = True, kernel_initializer: Any = "he_normal", **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.kernel_size = self._odd("kernel_size", kernel_size)
        self.spatial = bool(spatial)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        shape = (self.kernel_size, self.kernel_size, 2, 1)
        planes = list(PLANES) if self.spatial else ["cw", "hc"]
        self.kernels = {plane: self.weight(f"kernel_{plane}", shape, self.kernel_initializer) for plane in planes}
        self.norms = {plane: self.batch_norm(f"norm_{plane}", (None, None, None, 1)) for plane in planes}

    def gate(self, x: Any, training: bool | None = None) -> Any:
        gates = [self._plane_gate(x, plane, training) for plane in self.kernels]
        return sum(gates[1:], gates[0]) / len(gates)

    def _plane_gate(self, x: Any, plane: str, training: bool | None) -> Any:
        layout = "HWC" if self.data_format == "channels_last" else "CHW"
        pooled = layout.index(PLANES[plane]) + 1
        pair = (ops.cast(ops.max(x, axis=pooled), self.gate_dtype), ops.mean(ops.cast(x, self.gate_dtype), axis=pooled))
        # The pooled pair lies in the order of the input; the filter's rows are the plane's.
        turned = layout.replace(PLANES[plane], "") != plane.upper()
        kernel = self.kernels[plane]
        z = conv_to_one(pair, ops.transpose(kernel, (1, 0, 2, 3)) if turned else kernel)
        g = ops.sigmoid(self.norms[plane](z[..., None], training=training))[..., 0]
        return ops.expand_dims(g, pooled)

    def macs(self, channels: int, height: int, width: int) -> int:
        positions = channels * width + height * channels + (height * width if self.spatial else 0)
        return 2 * self.kernel_size**2 * positions

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size,
            spatial=self.spatial,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
