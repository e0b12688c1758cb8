"""The spatial half of CBAM, on its own.

Differences between sources, each an option: the authors' code normalises after the filter and takes the maximum first
(`use_bn=True, pool_order="max_mean"`), timm normalises and takes the mean first. Default: the equation of the paper,
mean first and not normalised.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.errors import AttnzooError
from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import conv_to_one
from attnzoo.layers._registry import register_attention


@register_attention("spatial")
class SpatialAttention(Attention):
    """CBAM's spatial gate: y = x * s(conv_k([mean_C(x), max_C(x)])), one k x k filter, 'same', no bias.

    Rescales each position by what its neighbourhood looks like across all channels.

    Reference: Woo, Park, Lee, Kweon, "CBAM", ECCV 2018, arXiv:1807.06521, section 3, equation 3.

    Args:
        kernel_size: odd size of the filter.
        pool_order: `"mean_max"`, or `"max_mean"` as in the authors' code (decides which weights fit).
        use_bn: whether the convolution is followed by batch normalisation (epsilon 1e-5), as in the authors' code and
            timm. The authors start its scale at zero, `bn_gamma="zeros"`: a constant gate of one half.
        bn_gamma: initializer of the normalisation's scale.
        kernel_initializer: initializer of the filter.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel (k, k, 2, 1); with `use_bn` gamma, beta, moving_mean, moving_variance, each (1).
    """

    title = "CBAM spatial gate"
    paper = "arXiv:1807.06521"
    year = 2018
    checked_against = f"{TIMM} SpatialAttn; NumPy from the paper"

    def __init__(
        self,
        kernel_size: int = 7,
        pool_order: str = "mean_max",
        use_bn: bool = False,
        bn_gamma: Any = "ones",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kernel_size = self._positive("kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise AttnzooError(f"{type(self).__name__}: kernel_size={kernel_size} must be odd.")
        self.pool_order = self._choice("pool_order", pool_order, ("mean_max", "max_mean"))
        self.use_bn = bool(use_bn)
        self.bn_gamma = keras.initializers.get(bn_gamma)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.kernel = self.weight("kernel", (self.kernel_size, self.kernel_size, 2, 1), self.kernel_initializer)
        if self.use_bn:
            self.norm = self.batch_norm("norm", (None, height, width, 1), gamma_initializer=self.bn_gamma)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        mean = ops.mean(ops.cast(x, self.gate_dtype), axis=self.channel_axis)
        peak = ops.cast(ops.max(x, axis=self.channel_axis), self.gate_dtype)
        pair = (mean, peak) if self.pool_order == "mean_max" else (peak, mean)
        z = conv_to_one(pair, self.kernel)
        if self.use_bn:
            z = self.norm(z[..., None], training=training)[..., 0]
        return ops.expand_dims(ops.sigmoid(z), self.channel_axis)

    def macs(self, channels: int, height: int, width: int) -> int:
        return 2 * self.kernel_size**2 * height * width

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size,
            pool_order=self.pool_order,
            use_bn=self.use_bn,
            bn_gamma=keras.initializers.serialize(self.bn_gamma),
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
