"""Spatial Group-wise Enhance.

Differences between sources, each an option: none; the authors use 64 groups wherever their networks allow it. Here the
default is 64 or, where that does not divide the channels, the largest divisor below. Default: 64 groups, as published.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import degrees_of_freedom, group_sum, largest_divisor, misfit
from attnzoo.layers._registry import register_attention


@register_attention("sge")
class SpatialGroupEnhance(Attention):
    """Spatial group-wise enhance: y = x * s(w t' + b), t = sum over the group's channels of x_c GAP(x)_c, t' = t
    standardised over the map.

    Each group of channels lights up where it resembles its own mean, with two weights a group.

    Reference: Li, Hu, Yang, "Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional
    Networks", 2019, arXiv:1905.09646, section 3.

    Args:
        groups: number of groups, a divisor of the channels; None is the largest one up to 64.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: weight (groups), from zero; bias (groups), from one.
    """

    title = "Spatial Group-wise Enhance"
    paper = "arXiv:1905.09646"
    year = 2019
    checked_against = "authors' code (implus/PytorchInsight 2864528); NumPy from the paper"

    def __init__(self, groups: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.groups = None if groups is None else self._positive("groups", groups)

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        return misfit("groups", options.get("groups"), channels)

    def groups_for(self, channels: int) -> int:
        """Returns the number of groups for a number of channels."""
        return self.groups or largest_divisor(channels, 64)

    def automatic(self, channels: int) -> str | None:
        return None if self.groups else f"groups={self.groups_for(channels)}"

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        return {"weight": "standardising a single position leaves zero"} if height == width == 1 else {}

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        groups = self.groups_for(channels)
        self.depth = channels // groups
        self.scale = self.weight("weight", (groups,))
        self.bias = self.weight("bias", (groups,), "ones")

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = ops.cast(x, self.gate_dtype)
        groups = self.scale.shape[0]
        t = group_sum(z * ops.mean(z, axis=self.spatial_axes, keepdims=True), groups, self.data_format)
        t = t - ops.mean(t, axis=self.spatial_axes, keepdims=True)
        n = degrees_of_freedom(x, self.spatial_axes, self.gate_dtype)
        variance = ops.sum(ops.square(t), axis=self.spatial_axes, keepdims=True) / n
        # The root's gradient is infinite on a group without variance (1x1 maps, dead channels), hence the floor.
        t = t / (ops.sqrt(ops.maximum(variance, 1e-20)) + 1e-5)
        return ops.sigmoid(t * self.broadcast_channels(self.scale) + self.broadcast_channels(self.bias))

    def spread(self, g: Any) -> Any:
        return ops.repeat(g, self.depth, axis=self.channel_axis)

    def macs(self, channels: int, height: int, width: int) -> int:
        return channels * height * width

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(groups=self.groups)
        return config
