"""SimAM.

Differences between sources, each an option: `e_lambda` is 1e-4 in the authors' code and 0.1 in their ImageNet models.
Default: 1e-4, what the authors' class does when nothing is said.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import degrees_of_freedom
from attnzoo.layers._registry import register_attention


@register_attention("simam")
class SimAM(Attention):
    """SimAM: y = x * s(d / (4 (v + lambda)) + 1/2), d = (x - mean_HW(x))^2, v = sum_HW(d) / (HW - 1).

    What stands out from its channel matters: a gate for every single activation, without weights.

    Reference: Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
    Networks", ICML 2021, PMLR 139:11863 (no arXiv number), section 3, equation 5.

    Args:
        e_lambda: lambda.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: none.
    """

    title = "SimAM"
    paper = "PMLR 139:11863"
    year = 2021
    checked_against = "authors' code (ZjjConan/SimAM ae98f43); NumPy from the paper"

    def __init__(self, e_lambda: float = 1e-4, **kwargs: Any):
        super().__init__(**kwargs)
        self.e_lambda = self._above_zero("e_lambda", e_lambda)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = ops.cast(x, self.gate_dtype)
        d = ops.square(z - ops.mean(z, axis=self.spatial_axes, keepdims=True))
        n = degrees_of_freedom(x, self.spatial_axes, self.gate_dtype)
        v = ops.sum(d, axis=self.spatial_axes, keepdims=True) / n
        return ops.sigmoid(d * (0.25 / (v + self.e_lambda)) + 0.5)

    def macs(self, channels: int, height: int, width: int) -> int:
        return 0

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(e_lambda=self.e_lambda)
        return config
