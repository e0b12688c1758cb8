"""Bottleneck Attention Module.

Differences between sources, each an option: the paper adds the two branches, the authors' released code multiplies them
(`combine="product"`). The paper's equations end each branch in a batch normalisation; the released code, and so this
file, normalises the hidden layers instead and leaves the last ones bare. Default: the sum, the paper's equation; the
normalisations of the released code.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import Attention
from attnzoo.layers._functional import dense, from_channels_last, global_mean, project
from attnzoo.layers._registry import register_attention


@register_attention("bam")
class BAM(Attention):
    """Bottleneck Attention Module: y = x * (1 + s(Mc(x) + Ms(x))).

    Mc(x) = W2 relu(BN(W1 GAP(x))), one number a channel; Ms(x) = 1x1 to 1 of two dilated 3x3 convolutions of a 1x1
    reduction, one number a position.

    Channels and positions are weighed side by side; dilation lets a position see far. Meant for the ends of stages.

    Reference: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv:1807.06514, section 3.

    Args:
        ratio: reduction; both branches have `max(1, channels // ratio)` hidden units.
        dilation: of the 3x3 convolutions.
        num_convs: number of 3x3 convolutions.
        combine: `"sum"`, or `"product"` as in the authors' code.
        kernel_initializer: initializer of all kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, h), bias_1 (h), kernel_2 (h, C), bias_2 (C), reduce_kernel (C, h), reduce_bias (h), for each
    3x3 convolution conv_kernel (3, 3, h, h), conv_bias (h), last_kernel (h, 1), last_bias (1); then gamma, beta,
    moving_mean, moving_variance (h) of the normalisations after kernel_1, reduce_kernel and each convolution.
    """

    title = "Bottleneck Attention Module"
    paper = "arXiv:1807.06514"
    year = 2018
    checked_against = "authors' code (Jongchan/attention-module 459efad); NumPy from the paper"
    no_gradient = ("bias_1", "reduce_bias", "conv_bias_*")
    limits = {"dilation": 255, "num_convs": 1024}

    def __init__(
        self,
        ratio: int = 16,
        dilation: int = 4,
        num_convs: int = 2,
        combine: str = "sum",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.dilation = self._positive("dilation", dilation)
        self.num_convs = self._positive("num_convs", num_convs)
        self.combine = self._choice("combine", combine, ("sum", "product"))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        hidden = max(1, channels // self.ratio)
        self.kernel_1 = self.weight("kernel_1", (channels, hidden), self.kernel_initializer)
        self.bias_1 = self.weight("bias_1", (hidden,))
        self.kernel_2 = self.weight("kernel_2", (hidden, channels), self.kernel_initializer)
        self.bias_2 = self.weight("bias_2", (channels,))
        self.reduce_kernel = self.weight("reduce_kernel", (channels, hidden), self.kernel_initializer)
        self.reduce_bias = self.weight("reduce_bias", (hidden,))
        self.convs = []
        for i in range(1, 1 + self.num_convs):
            # Legacy .h5 files need names that differ within a layer.
            kernel = self.weight(f"conv_kernel_{i}", (3, 3, hidden, hidden), self.kernel_initializer)
            self.convs.append((kernel, self.weight(f"conv_bias_{i}", (hidden,))))
        self.last_kernel = self.weight("last_kernel", (hidden, 1), self.kernel_initializer)
        self.last_bias = self.weight("last_bias", (1,))
        self.norm = self.batch_norm("norm", (None, hidden))
        self.norms = [self.batch_norm(f"norm_{i}", (None, height, width, hidden)) for i in range(1 + self.num_convs)]

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = dense(global_mean(x, self.spatial_axes, self.gate_dtype), self.kernel_1, self.bias_1)
        z = dense(ops.relu(self.norm(z, training=training)), self.kernel_2, self.bias_2)
        channel = self.broadcast_channels(z)
        spatial = from_channels_last(self._spatial(x, training), self.data_format)
        return 1.0 + ops.sigmoid(channel + spatial if self.combine == "sum" else channel * spatial)

    def _spatial(self, x: Any, training: bool | None) -> Any:
        z = project(x, self.reduce_kernel, self.reduce_bias, self.data_format)
        z = ops.relu(self.norms[0](z, training=training))
        for (kernel, bias), norm in zip(self.convs, self.norms[1:], strict=True):
            z = ops.conv(z, kernel, padding="same", data_format="channels_last", dilation_rate=self.dilation)
            z = ops.relu(norm(z + bias, training=training))
        return project(z, self.last_kernel, self.last_bias, "channels_last")

    def macs(self, channels: int, height: int, width: int) -> int:
        hidden = max(1, channels // self.ratio)
        position = channels * hidden + self.num_convs * 9 * hidden**2 + hidden
        return 2 * channels * hidden + position * height * width

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            dilation=self.dilation,
            num_convs=self.num_convs,
            combine=self.combine,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
