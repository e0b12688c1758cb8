"""Frequency Channel Attention.

Differences between sources, each an option: the paper drops the constants of the cosine transform, the authors' code,
whose weights this file fits, keeps them. The code fixes the transform's size by the number of channels (56 at 64
channels, 28, 14, 7 at 512: give `size`) and pools maps of another size to it; the default is the largest multiple of 7
in the map, the same on ImageNet. Which frequencies, and how many, is left to the user by both. Default: the authors'
constants, so that their weights fit; the top 16 frequencies, which is what their models use.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from attnzoo.errors import AttnzooError
from attnzoo.layers._base import Attention
from attnzoo.layers._functional import add_bottleneck, bottleneck, misfit
from attnzoo.layers._registry import register_attention

FREQUENCIES = {
    "top": "00 01 60 05 02 10 12 40 50 16 30 04 06 03 35 22 46 63 33 53 55 21 61 52 54 32 31 41 23 20 65 13",
    "low": "00 01 10 11 02 20 21 12 22 03 30 40 04 13 31 05 14 23 32 41 50 06 15 24 33 42 51 60 16 25 34 43",
    "bot": "66 14 34 36 26 43 11 24 44 45 56 15 42 62 25 51 64 13 65 20 23 41 31 32 54 52 61 21 55 53 33 63",
}
"""The authors' rankings on a 7x7 grid, vertical then horizontal frequency: best first, lowest first, worst first."""


@register_attention("fca")
class FrequencyChannelAttention(Attention):
    """Frequency channel attention: y = x * s(W2 relu(W1 z)), z_c = sum_HW(x_c * cosine wave of c's group).

    Squeeze-and-Excitation whose mean, the lowest frequency of a cosine transform, makes room for others: each group of
    channels is squeezed by its own fixed wave.

    Reference: Qin, Zhang, Wu, Li, "FcaNet: Frequency Channel Attention Networks", ICCV 2021, arXiv:2012.11879,
    section 3.

    Args:
        ratio: reduction; the hidden layer has `max(1, channels // ratio)` units, without biases.
        selection: which frequencies of the 7x7 grid: `"top"`, `"low"` or `"bot"`.
        num_frequencies: how many, 1, 2, 4, 8, 16 or 32, a divisor of the channels; None is the largest up to 16.
        size: multiple of 7, the size maps are pooled to; None is the largest in the map, at least 7, each way.
        kernel_initializer: initializer of both kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_1 (C, h), kernel_2 (h, C).
    """

    title = "Frequency Channel Attention"
    paper = "arXiv:2012.11879"
    year = 2021
    checked_against = "authors' code (cfzd/FcaNet aa5fb63); NumPy from the paper"
    limits = {"size": 1024}

    def __init__(
        self,
        ratio: int = 16,
        selection: str = "top",
        num_frequencies: int | None = None,
        size: int | None = None,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.selection = self._choice("selection", selection, tuple(FREQUENCIES))
        if num_frequencies is not None and (
            isinstance(num_frequencies, bool) or num_frequencies not in (1, 2, 4, 8, 16, 32)
        ):
            raise AttnzooError(
                f"{type(self).__name__}: num_frequencies={num_frequencies!r} is not one of 1, 2, 4, 8, 16, 32."
            )
        self.num_frequencies = num_frequencies
        self.size = None if size is None else self._positive("size", size)
        if self.size and self.size % 7:
            raise AttnzooError(f"{type(self).__name__}: size={size!r} is not a multiple of 7.")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        # Only powers of two can be asked for, and the common ones of two powers of two are what fits.
        count = options.get("num_frequencies")
        return misfit("num_frequencies", count, channels, fit=math.gcd(channels, count or 1))

    def frequencies_for(self, channels: int) -> int:
        """Returns the number of frequencies for a number of channels."""
        return self.num_frequencies or math.gcd(channels, 16)

    def automatic(self, channels: int) -> str | None:
        return None if self.num_frequencies else f"num_frequencies={self.frequencies_for(channels)}"

    def width_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return max(1, channels // self.ratio)

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        if height is None or width is None:
            return {}
        grid = FREQUENCIES[self.selection].split()[: self.frequencies_for(channels)]
        rows, columns = (
            abs(ops.convert_to_numpy(self._waves(length, [int(pair[i]) for pair in grid]))).max(axis=0)
            for i, length in enumerate((height, width))
        )
        if (rows * columns).max() > 1e-5:
            return {}
        reason = "all its waves are zero on so small a map (selection='low' has one that is not)"
        return dict.fromkeys(("kernel_1", "kernel_2"), reason)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        add_bottleneck(self, channels, self.width_for(channels), self.kernel_initializer, use_bias=False)

    def gate(self, x: Any, training: bool | None = None) -> Any:
        channels = x.shape[self.channel_axis]
        count = self.frequencies_for(channels)
        grid = FREQUENCIES[self.selection].split()[:count]
        height, width = (ops.shape(x)[axis] for axis in self.spatial_axes)
        rows = self._waves(height, [int(pair[0]) for pair in grid])
        columns = self._waves(width, [int(pair[1]) for pair in grid])
        waves = ops.repeat(rows[:, None] * columns[None], channels // count, axis=-1)
        if self.data_format == "channels_first":
            waves = ops.transpose(waves, (2, 0, 1))
        z = ops.sum(ops.cast(x, self.gate_dtype) * waves, axis=self.spatial_axes)
        return self.broadcast_channels(ops.sigmoid(bottleneck(self, z)))

    def _waves(self, length: Any, frequencies: list[int]) -> Any:
        """The cosines (length, frequencies) of one axis, the pooling to the transform's size folded in.

        Pooling and transform are linear, so that one set of weights on the unpooled map does both.
        """
        size = self.size or 7 * (max(length // 7, 1) if isinstance(length, int) else ops.maximum(length // 7, 1))
        at = ops.arange(size)
        first, end = at * length // size, ((at + 1) * length + size - 1) // size
        position = ops.arange(length)[None]
        inside = ops.logical_and(position >= first[:, None], position < end[:, None])
        pool = ops.cast(inside, self.gate_dtype) / ops.cast(end - first, self.gate_dtype)[:, None]
        points = ops.cast(size, self.gate_dtype)
        phase = (ops.cast(at, self.gate_dtype) + 0.5) / points * ops.cast(size // 7, self.gate_dtype)
        wave = ops.cos(phase[:, None] * ops.convert_to_tensor([math.pi * f for f in frequencies], self.gate_dtype))
        norm = ops.convert_to_tensor([2**0.5 if f else 1.0 for f in frequencies], self.gate_dtype) / ops.sqrt(points)
        return ops.matmul(ops.transpose(pool), wave * norm)

    def macs(self, channels: int, height: int, width: int) -> int:
        return channels * height * width + 2 * channels * self.width_for(channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            selection=self.selection,
            num_frequencies=self.num_frequencies,
            size=self.size,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config
