"""Efficient Local Attention.

Differences between sources, each an option: the authors released no code. The paper's ELA-B is the default; its other
sizes are ELA-T (`kernel_size=5, norm_groups=32`), ELA-S (`kernel_size=5, group_width=8`) and ELA-L (`group_width=8`).
One convolution and normalisation serves both directions in the common reimplementations and here; timm has one each,
normalises over all channels and adds a SiLU (`shared=False, norm_groups=1, activation="silu"`). Default: the paper's
ELA-B with shared strips, as common reimplementations have it.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import group_norm, largest_divisor, misfit, strip_factors, strip_means
from attnzoo.layers._registry import register_attention


@register_attention("ela")
class EfficientLocalAttention(Attention):
    """Efficient Local Attention: y = x * s(GN(conv1d_k(mean_W(x)))) * s(GN(conv1d_k(mean_H(x)))).

    Coordinate attention without its bottleneck: strips keep all channels and look at their neighbours instead.

    Reference: Xu, Wan, "ELA: Efficient Local Attention for Deep Convolutional Neural Networks", 2024,
    arXiv:2403.01123, section 3.

    Args:
        kernel_size: odd size of the convolution along a strip.
        group_width: channels that the convolution mixes; 1 is depthwise.
        norm_groups: groups of the normalisation (epsilon 1e-5); None is the largest divisor of the channels up to 16.
        shared: whether rows and columns share convolution and normalisation.
        activation: `"none"` or `"silu"`, between normalisation and sigmoid.
        kernel_initializer: initializer of the convolution.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel (k, group_width, C), gamma (C), beta (C); without `shared` kernel_h, gamma_h, beta_h for the rows,
    then kernel_w, gamma_w, beta_w.
    """

    title = "Efficient Local Attention"
    paper = "arXiv:2403.01123"
    year = 2024
    checked_against = f"{TIMM} EfficientLocalAttn; NumPy from the paper"

    def __init__(
        self,
        kernel_size: int = 7,
        group_width: int = 1,
        norm_groups: int | None = None,
        shared: bool = True,
        activation: str = "none",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kernel_size = self._odd("kernel_size", kernel_size)
        self.group_width = self._positive("group_width", group_width)
        self.norm_groups = None if norm_groups is None else self._positive("norm_groups", norm_groups)
        self.shared = bool(shared)
        self.activation = self._choice("activation", activation, ("none", "silu"))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        return misfit("norm_groups", options.get("norm_groups"), channels) or misfit(
            "group_width", options.get("group_width"), channels
        )

    def norm_groups_for(self, channels: int) -> int:
        """Returns the groups of the normalisation for a number of channels."""
        return self.norm_groups or largest_divisor(channels, 16)

    def automatic(self, channels: int) -> str | None:
        return None if self.norm_groups else f"norm_groups={self.norm_groups_for(channels)}"

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        if self.norm_groups_for(channels) < channels:
            return {}
        sides = {"": height == width == 1} if self.shared else {"_h": height == 1, "_w": width == 1}
        names = [f"{name}{side}" for side, single in sides.items() if single for name in ("kernel", "gamma")]
        fit = largest_divisor(channels, max(1, channels // 2))
        reason = "normalising a single value leaves zero"
        return dict.fromkeys(names, f"{reason} (norm_groups={fit} gives it more)" if channels > 1 else reason)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.strips = []
        for side in ("",) if self.shared else ("_h", "_w"):
            kernel = self.weight(
                f"kernel{side}", (self.kernel_size, self.group_width, channels), self.kernel_initializer
            )
            gamma = self.weight(f"gamma{side}", (channels,), "ones")
            self.strips.append((kernel, gamma, self.weight(f"beta{side}", (channels,))))

    def gate(self, x: Any, training: bool | None = None) -> Any:
        rows, columns = strip_means(x, self.data_format, self.gate_dtype)
        return strip_factors(self._strip(rows, 0), self._strip(columns, -1), self.data_format)

    def _strip(self, z: Any, side: int) -> Any:
        kernel, gamma, beta = self.strips[side]
        channels = z.shape[-1]
        z = group_norm(self._conv(z, kernel), self.norm_groups_for(channels), gamma, beta)
        return ops.sigmoid(ops.silu(z) if self.activation == "silu" else z)

    def _conv(self, z: Any, kernel: Any) -> Any:
        if self.group_width == 1:
            kernel = ops.transpose(kernel, (0, 2, 1))
            return ops.depthwise_conv(z, kernel, padding="same", data_format="channels_last")
        # Not every backend has a grouped convolution on every device, hence shifted copies: a strip is small.
        batch, length, channels = ops.shape(z)
        radius, groups = self.kernel_size // 2, channels // self.group_width
        z = ops.pad(z, [[0, 0], [radius, radius], [0, 0]])
        z = ops.stack([z[:, tap : tap + length] for tap in range(self.kernel_size)], axis=2)
        z = ops.reshape(z, (batch, length, self.kernel_size, groups, self.group_width))
        kernel = ops.reshape(kernel, (self.kernel_size, self.group_width, groups, self.group_width))
        return ops.reshape(ops.einsum("nltgi,tigo->nlgo", z, kernel), (batch, length, channels))

    def macs(self, channels: int, height: int, width: int) -> int:
        return self.kernel_size * self.group_width * channels * (height + width)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size,
            group_width=self.group_width,
            norm_groups=self.norm_groups,
            shared=self.shared,
            activation=self.activation,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
