"""Global Context block.

Differences between sources, each an option: the paper adds the transformed context, ratio 16; timm's `gc` multiplies by
its sigmoid, ratio 8 (`fusion="scale"`), and normalises with epsilon 1e-6, as does its additive `gca`. The authors' code
also multiplies, from a last projection of zeros and so a gate of one half, and has a plain mean in place of the
attention pooling (`pooling="mean"`). Default: the paper's sum, which is also the form that starts as an identity.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import dense, global_mean, project, softmax
from attnzoo.layers._registry import register_attention


@register_attention("gc")
class GlobalContext(Attention):
    """Global Context: y = x + W2 relu(LN(W1 ctx)), ctx = sum over the map of softmax_HW(w x) * x.

    A non-local block whose attention map is the same for every position: one weighted mean of the image, transformed
    and added everywhere.

    Reference: Cao, Xu, Lin, Wei, Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", ICCVW
    2019, arXiv:1904.11492, section 3.4, equation 5.

    Added, W2 starts at zero: an identity as published, without alpha.

    Args:
        ratio: reduction; the hidden layer has `max(1, channels // ratio)` units. With a single unit the layer
            normalisation leaves a constant and only bias_2 learns: choose a smaller ratio on narrow maps.
        fusion: `"add"`, or `"scale"`: y = x * s(W2 relu(LN(W1 ctx))), W2 random.
        pooling: `"attention"`, or `"mean"`: ctx = GAP(x).
        epsilon: of the layer normalisation.
        kernel_initializer: initializer of the kernels that do not start at zero.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: with attention pooling kernel (C, 1), bias (1); kernel_1 (C, h), bias_1 (h), gamma (h), beta (h),
    kernel_2 (h, C), bias_2 (C).
    """

    title = "Global Context"
    paper = "arXiv:1904.11492"
    year = 2019
    checked_against = f"{TIMM} GlobalContext; authors' code (xvjiarui/GCNet 029db54); NumPy from the paper"
    no_gradient = ("bias",)

    def __init__(
        self,
        ratio: int = 16,
        fusion: str = "add",
        pooling: str = "attention",
        epsilon: float = 1e-5,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.fusion = self._choice("fusion", fusion, ("add", "scale"))
        self.pooling = self._choice("pooling", pooling, ("attention", "mean"))
        self.epsilon = self._above_zero("epsilon", epsilon)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kind = "context" if self.fusion == "add" else "gate"
        self.identity_as_published = self.fusion == "add"

    def width_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return max(1, channels // self.ratio)

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        mask = ["kernel"] if self.pooling == "attention" else []
        if self.width_for(channels) == 1:
            reason = "normalising a single hidden unit leaves a constant"
            helps = f" (ratio={max(1, channels // 4)} gives it more)" if channels > 1 else ""
            return dict.fromkeys((*mask, "kernel_1", "bias_1", "gamma", "beta", "kernel_2"), reason + helps)
        single = height == width == 1
        return dict.fromkeys(mask, "there is a single position to weigh") if single else {}

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        hidden = self.width_for(channels)
        if self.pooling == "attention":
            self.kernel = self.weight("kernel", (channels, 1), self.kernel_initializer)
            self.bias = self.weight("bias", (1,))
        self.kernel_1 = self.weight("kernel_1", (channels, hidden), self.kernel_initializer)
        self.bias_1 = self.weight("bias_1", (hidden,))
        self.gamma = self.weight("gamma", (hidden,), "ones")
        self.beta = self.weight("beta", (hidden,))
        last = "zeros" if self.fusion == "add" else self.kernel_initializer
        self.kernel_2 = self.weight("kernel_2", (hidden, channels), last)
        self.bias_2 = self.weight("bias_2", (channels,))

    def context(self, x: Any, training: bool | None = None) -> Any:
        return ops.cast(self.broadcast_channels(self._transform(x)), x.dtype)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        return ops.sigmoid(self.broadcast_channels(self._transform(x)))

    def _transform(self, x: Any) -> Any:
        z = dense(self._pool(x), self.kernel_1, self.bias_1)
        z = z - ops.mean(z, axis=-1, keepdims=True)
        z = z * ops.rsqrt(ops.mean(ops.square(z), axis=-1, keepdims=True) + self.epsilon)
        return dense(ops.relu(z * self.gamma + self.beta), self.kernel_2, self.bias_2)

    def _pool(self, x: Any) -> Any:
        if self.pooling == "mean":
            return global_mean(x, self.spatial_axes, self.gate_dtype)
        # Products of matrices, not einsum: Keras' einsum does not trace this one for a batch of unknown size.
        channels, height, width = self.split_shape(ops.shape(x))
        x = ops.cast(x, self.gate_dtype)
        weights = project(x, self.kernel, self.bias, self.data_format)
        if self.data_format == "channels_last":
            weights = softmax(ops.reshape(weights, (-1, 1, height * width)))
            return ops.matmul(weights, ops.reshape(x, (-1, height * width, channels)))[:, 0]
        weights = softmax(ops.reshape(weights, (-1, height * width)))
        return ops.matmul(ops.reshape(x, (-1, channels, height * width)), weights[..., None])[..., 0]

    def macs(self, channels: int, height: int, width: int) -> int:
        pooling = 2 * channels * height * width if self.pooling == "attention" else 0
        return pooling + 2 * channels * self.width_for(channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            fusion=self.fusion,
            pooling=self.pooling,
            epsilon=self.epsilon,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
