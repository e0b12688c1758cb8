"""Concurrent spatial and channel Squeeze & Excitation.

Differences between sources, each an option: the paper adds the two results, the authors' later code takes their maximum
(`combine="max"`); ratio 2 in paper and code, 16 in most reimplementations. Default: the paper's sum, which can start as
an identity, and its ratio.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import add_bottleneck, bottleneck, from_channels_last, global_mean, project
from attnzoo.layers._registry import register_attention


@register_attention("scse")
class SCSE(Attention):
    """Concurrent spatial and channel squeeze & excitation: y = x * s(W2 relu(W1 GAP(x))) + x * s(w x).

    Squeeze-and-Excitation for segmentation, where what counts is not only which channel but also which pixel.

    Reference: Roy, Navab, Wachinger, "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional
    Networks", MICCAI 2018, arXiv:1803.02579, section 2.

    With `combine="add"` and both last projections at zero each gate is exactly one half, and the sum the input:
    `init="identity"` starts there and needs no alpha.

    Args:
        ratio: reduction; the hidden layer has `max(1, channels // ratio)` units.
        combine: `"add"`, or `"max"`, the larger of the two results element by element.
        kernel_initializer: initializer of all kernels (with `init="identity"` and `"add"`: of kernel_1).
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, h), bias_1 (h), kernel_2 (h, C), bias_2 (C), spatial_kernel (C, 1), spatial_bias (1).
    """

    title = "Concurrent spatial and channel Squeeze & Excitation"
    paper = "arXiv:1803.02579"
    year = 2018
    checked_against = "authors' code (ai-med/squeeze_and_excitation acdd26e); NumPy from the paper"

    def __init__(self, ratio: int = 2, combine: str = "add", kernel_initializer: Any = "he_normal", **kwargs: Any):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.combine = self._choice("combine", combine, ("add", "max"))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.identity_as_published = self.combine == "add" and self.init == "identity"

    def hidden_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return max(1, channels // self.ratio)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        start_at_identity = self.identity_as_published and not self.needs_alpha
        last = "zeros" if start_at_identity else self.kernel_initializer
        add_bottleneck(self, channels, self.hidden_for(channels), self.kernel_initializer, last=last)
        self.spatial_kernel = self.weight("spatial_kernel", (channels, 1), last)
        self.spatial_bias = self.weight("spatial_bias", (1,))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = bottleneck(self, global_mean(x, self.spatial_axes, self.gate_dtype))
        channel = self.broadcast_channels(ops.sigmoid(z))
        spatial = ops.sigmoid(project(x, self.spatial_kernel, self.spatial_bias, self.data_format))
        spatial = from_channels_last(spatial, self.data_format)
        if self.combine == "add":
            return channel + spatial
        # Of two multiples of a negative x the larger one has the smaller factor.
        return ops.where(x >= 0, ops.maximum(channel, spatial), ops.minimum(channel, spatial))

    def macs(self, channels: int, height: int, width: int) -> int:
        return 2 * channels * self.hidden_for(channels) + channels * height * width

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            combine=self.combine,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
