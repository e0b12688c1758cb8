"""Strip pooling.

Differences between sources, each an option: in the authors' code, and here, the two strip convolutions have no bias,
which the normalisations after them would cancel; copies of it have one (`use_bias=True`). The larger mixed pooling
module of the same paper and timm's `strip` (a sum of strips without this bottleneck) are other modules. Default: the
authors' code.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import from_channels_last, project, strip_factors, strip_means
from attnzoo.layers._registry import register_attention


@register_attention("strip")
class StripAttention(Attention):
    """Strip pooling: y = x * s(W relu(BN(conv_3x1(mean_W(x))) + BN(conv_1x3(mean_H(x))))).

    A position learns from its whole row and its whole column: long, narrow context for long, narrow things.

    Reference: Hou, Zhang, Cheng, Feng, "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020,
    arXiv:2003.13328, section 3.1.

    Args:
        use_bias: whether the two strip convolutions have a bias; the last one always has.
        kernel_initializer: initializer of all kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_h (3, C, C), kernel_w (3, C, C), with `use_bias` bias_h (C) and bias_w (C) after each; kernel
    (C, C), bias (C); then gamma, beta, moving_mean, moving_variance (C) of the rows' normalisation and of the columns'.
    """

    title = "Strip Pooling"
    paper = "arXiv:2003.13328"
    year = 2020
    checked_against = "authors' code (houqb/SPNet 5e97da3); NumPy from the paper"
    no_gradient = ("bias_h", "bias_w")

    def __init__(self, use_bias: bool = False, kernel_initializer: Any = "he_normal", **kwargs: Any):
        super().__init__(**kwargs)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.strips = []
        for side in ("h", "w"):
            kernel = self.weight(f"kernel_{side}", (3, channels, channels), self.kernel_initializer)
            self.strips.append((kernel, self.weight(f"bias_{side}", (channels,)) if self.use_bias else None))
        self.kernel = self.weight("kernel", (channels, channels), self.kernel_initializer)
        self.bias = self.weight("bias", (channels,))
        self.norms = [self.batch_norm(f"norm_{side}", (None, None, channels)) for side in ("h", "w")]

    def gate(self, x: Any, training: bool | None = None) -> Any:
        strips = []
        means = strip_means(x, self.data_format, self.gate_dtype)
        for z, (kernel, bias), norm in zip(means, self.strips, self.norms, strict=True):
            z = ops.conv(z, kernel, padding="same", data_format="channels_last")
            strips.append(norm(z if bias is None else z + bias, training=training))
        rows, columns = strip_factors(strips[0], strips[1], "channels_last")
        z = project(ops.relu(rows + columns), self.kernel, self.bias, "channels_last")
        return from_channels_last(ops.sigmoid(z), self.data_format)

    def macs(self, channels: int, height: int, width: int) -> int:
        return channels**2 * (3 * (height + width) + height * width)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(use_bias=self.use_bias, kernel_initializer=keras.initializers.serialize(self.kernel_initializer))
        return config
