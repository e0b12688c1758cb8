"""Coordinate Attention.

Differences between sources, each an option: the authors' code has biases in all three convolutions, timm in none
(`use_bias=False`), and timm sets the hidden width to C/24 rounded to a multiple of 8 (give `hidden`). Default: the
authors' code, which the paper's numbers come from and whose weights fit.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import dense, strip_factors, strip_means
from attnzoo.layers._registry import register_attention


@register_attention("coord")
class CoordinateAttention(Attention):
    """Coordinate Attention: y = x * s(W_h f_h) * s(W_w f_w), [f_h; f_w] = hswish(BN(W1 [mean_W(x); mean_H(x)])).

    A gate for rows and one for columns: channel attention that keeps track of where.

    Reference: Hou, Zhou, Feng, "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021,
    arXiv:2103.02907, section 3.2.

    Args:
        ratio: reduction; the hidden layer has `max(min_hidden, channels // ratio)` units.
        min_hidden: least width of the hidden layer.
        hidden: its width, instead of the formula.
        use_bias: whether the three convolutions have a bias.
        kernel_initializer: initializer of all kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, m), bias_1 (m), kernel_h (m, C), bias_h (C), kernel_w (m, C), bias_w (C); then gamma, beta,
    moving_mean, moving_variance, each (m).
    """

    title = "Coordinate Attention"
    paper = "arXiv:2103.02907"
    year = 2021
    checked_against = f"{TIMM} CoordAttn; authors' code (houqb/CoordAttention 7619bea); NumPy from the paper"
    no_gradient = ("bias_1",)

    def __init__(
        self,
        ratio: int = 32,
        min_hidden: int = 8,
        hidden: int | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.min_hidden = self._positive("min_hidden", min_hidden)
        self.hidden = None if hidden is None else self._positive("hidden", hidden)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def width_for(self, channels: int) -> int:
        """Returns m for a number of channels."""
        return self.hidden or max(self.min_hidden, channels // self.ratio)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        hidden = self.width_for(channels)
        for name, shape in {"1": (channels, hidden), "h": (hidden, channels), "w": (hidden, channels)}.items():
            setattr(self, f"kernel_{name}", self.weight(f"kernel_{name}", shape, self.kernel_initializer))
            setattr(self, f"bias_{name}", self.weight(f"bias_{name}", shape[1:]) if self.use_bias else None)
        self.norm = self.batch_norm("norm", (None, None, hidden))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        rows, columns = strip_means(x, self.data_format, self.gate_dtype)
        z = dense(ops.concatenate((rows, columns), axis=1), self.kernel_1, self.bias_1)
        z = self.norm(z, training=training)
        z = z * ops.hard_sigmoid(z)
        height = ops.shape(rows)[1]
        rows = ops.sigmoid(dense(z[:, :height], self.kernel_h, self.bias_h))
        columns = ops.sigmoid(dense(z[:, height:], self.kernel_w, self.bias_w))
        return strip_factors(rows, columns, self.data_format)

    def macs(self, channels: int, height: int, width: int) -> int:
        return 2 * channels * self.width_for(channels) * (height + width)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            min_hidden=self.min_hidden,
            hidden=self.hidden,
            use_bias=self.use_bias,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
