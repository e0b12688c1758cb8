"""Efficient Channel Attention.

Differences between sources, each an option: the official repository does not apply its paper's formula (its ResNet50
checkpoint has kernel sizes 3, 5, 5, 7 by stage: give `kernel_size`); timm never goes below 3 (`min_kernel_size=3`) and
has a variant whose channels wrap around (`padding="circular"`, "ceca"). Default: the paper's formula with zeros at the
ends, which is what the paper describes.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from attnzoo.errors import AttnzooError
from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import global_mean
from attnzoo.layers._registry import register_attention


@register_attention("eca")
class EfficientChannelAttention(Attention):
    """Efficient Channel Attention: y = x * s(conv1d_k(GAP(x))), the convolution running across channels.

    A handful of weights for the whole layer: each channel listens to its k neighbours.

    Reference: Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net", CVPR 2020, arXiv:1910.03151, section 3.2, equation 12.

    Args:
        gamma, b: of the kernel size k = |(log2(channels) + b) / gamma|, rounded down and made odd by adding 1.
        kernel_size: an odd k to use instead of the formula.
        min_kernel_size: the least k the formula may give.
        padding: `"same"` (zeros) or `"circular"` (the first channel is a neighbour of the last).
        kernel_initializer: initializer of the kernel.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel (k, 1, 1); no bias.
    """

    title = "Efficient Channel Attention"
    paper = "arXiv:1910.03151"
    year = 2020
    checked_against = f"{TIMM} EcaModule, CecaModule; authors' code (BangguWu/ECANet b332f6b); NumPy from the paper"

    def __init__(
        self,
        gamma: float = 2,
        b: float = 1,
        kernel_size: int | None = None,
        min_kernel_size: int = 1,
        padding: str = "same",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(gamma, int | float) or gamma == 0:
            raise AttnzooError(f"{type(self).__name__}: gamma={gamma!r} is not a number other than 0.")
        self.gamma = gamma
        self.b = b
        self.kernel_size = None if kernel_size is None else self._positive("kernel_size", kernel_size)
        self.min_kernel_size = self._positive("min_kernel_size", min_kernel_size)
        for option in ("kernel_size", "min_kernel_size"):
            if (getattr(self, option) or 1) % 2 == 0:
                raise AttnzooError(f"{type(self).__name__}: {option}={getattr(self, option)} must be odd.")
        self.padding = self._choice("padding", padding, ("same", "circular"))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def size_for(self, channels: int) -> int:
        """Returns k for a number of channels."""
        if self.kernel_size is not None:
            return self.kernel_size
        k = int(abs((math.log2(channels) + self.b) / self.gamma))
        return max(k if k % 2 else k + 1, self.min_kernel_size)

    def automatic(self, channels: int) -> str | None:
        return None if self.kernel_size else f"kernel_size={self.size_for(channels)}"

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.kernel = self.weight("kernel", (self.size_for(channels), 1, 1), self.kernel_initializer)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = global_mean(x, self.spatial_axes, self.gate_dtype)
        channels, radius = z.shape[-1], self.kernel.shape[0] // 2
        if self.padding == "circular":
            z = ops.take(z, [i % channels for i in range(-radius, channels + radius)], axis=-1)
        else:
            z = ops.pad(z, [[0, 0], [radius, radius]])
        # Convolving a single channel is slow: 0.35 ms a layer of ResNet50 where this takes 0.03 (TensorFlow CPU).
        size = self.kernel.shape[0]
        neighbours = ops.stack([z[:, i : i + channels] for i in range(size)], axis=1)
        z = ops.matmul(ops.reshape(self.kernel, (1, size)), neighbours)[:, 0]
        return self.broadcast_channels(ops.sigmoid(z))

    def macs(self, channels: int, height: int, width: int) -> int:
        return channels * self.size_for(channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            gamma=self.gamma,
            b=self.b,
            kernel_size=self.kernel_size,
            min_kernel_size=self.min_kernel_size,
            padding=self.padding,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
