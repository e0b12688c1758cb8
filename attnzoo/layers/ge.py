"""Gather-Excite.

Differences between sources, each an option: the paper's three forms are GE-theta-minus (the default), GE-theta
(`gather="conv"`) and GE-theta-plus (`gather="conv", use_mlp=True`), each over a neighbourhood of `extent` or over the
whole map. The authors' Caffe release is partial; timm's `ge` is `use_mlp=True`, which over the whole map and with
`gather="mean"` is Squeeze-and-Excitation. timm pads the convolution over the whole map, whose result is then a map; the
paper's, and this one, is a single position. Default: the form without weights over the whole map, which goes on maps of
any size.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from attnzoo.errors import AttnzooError
from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import add_bottleneck, as_channels_last, bottleneck, from_channels_last, global_mean
from attnzoo.layers._registry import register_attention


@register_attention("ge")
class GatherExcite(Attention):
    """Gather-Excite: y = x * s(upsample(MLP(gather(x)))), the MLP only if asked for.

    Each position is rescaled by what its neighbourhood says; without weights, or with a learned gathering.

    Reference: Hu, Shen, Albanie, Sun, Vedaldi, "Gather-Excite: Exploiting Feature Context in Convolutional Neural
    Networks", NeurIPS 2018, arXiv:1810.12348, section 3.

    Args:
        extent: a power of two, the factor by which gathering reduces the map; 0 gathers the whole map.
        gather: `"mean"` averages (2 extent - 1) x (2 extent - 1) windows, positions outside the map not counted;
            `"conv"` halves the map by depthwise 3x3 convolutions of stride 2, each with batch normalisation, a ReLU
            between them, and over the whole map is one depthwise convolution of the size of the map, which must then
            be known.
        use_mlp: whether Squeeze-and-Excitation's bottleneck follows.
        ratio: its reduction; the hidden layer has `max(1, channels // ratio)` units.
        kernel_initializer: initializer of all kernels.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: with `gather="conv"` gather_kernel (3, 3, C, 1) for each halving, or (H, W, C, 1); with `use_mlp` kernel_1
    (C, h), bias_1 (h), kernel_2 (h, C), bias_2 (C); then gamma, beta, moving_mean, moving_variance (C) of the
    normalisation after each gather_kernel.
    """

    title = "Gather-Excite"
    paper = "arXiv:1810.12348"
    year = 2018
    checked_against = f"{TIMM} GatherExcite; NumPy from the paper"

    def __init__(
        self,
        extent: int = 0,
        gather: str = "mean",
        use_mlp: bool = False,
        ratio: int = 16,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(extent, bool) or extent not in (0, 2, 4, 8, 16, 32):
            raise AttnzooError(f"{type(self).__name__}: extent={extent!r} is not 0 or a power of two from 2 to 32.")
        self.extent = int(extent)
        self.gather = self._choice("gather", gather, ("mean", "conv"))
        self.use_mlp = bool(use_mlp)
        self.ratio = self._positive("ratio", ratio)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        fixed = options.get("gather") == "conv" and not options.get("extent", 0)
        if fixed and (height is None or width is None):
            return "gather='conv' over the whole map has a weight for each position, so height and width must be known"
        return None

    def hidden_for(self, channels: int) -> int | None:
        """Returns h for a number of channels; None without the MLP."""
        return max(1, channels // self.ratio) if self.use_mlp else None

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        self.kernels = []
        if self.gather == "conv" and self.extent:
            shapes = [(3, 3, channels, 1)] * int(math.log2(self.extent))
        elif self.gather == "conv" and height and width:
            shapes = [(height, width, channels, 1)]
            axes = dict(zip(self.spatial_axes, (height, width), strict=True))
            self.input_spec = keras.layers.InputSpec(ndim=4, axes=axes)
        else:
            shapes = []
        self.kernels = [self.weight("gather_kernel", shape, self.kernel_initializer) for shape in shapes]
        if self.use_mlp:
            add_bottleneck(self, channels, max(1, channels // self.ratio), self.kernel_initializer)
        self.norms = [self.batch_norm(f"norm_{i}", (None, None, None, channels)) for i in range(len(shapes))]

    def gate(self, x: Any, training: bool | None = None) -> Any:
        z = self._gather(x, training)
        z = ops.sigmoid(bottleneck(self, z) if self.use_mlp else z)
        if self.extent:
            height, width = (ops.shape(x)[axis] for axis in self.spatial_axes)
            z = _nearest(_nearest(z, height, 1), width, 2)
        return from_channels_last(z, self.data_format)

    def _gather(self, x: Any, training: bool | None) -> Any:
        """Returns the gathered map, channels_last."""
        if not self.extent and not self.kernels:
            return global_mean(x, self.spatial_axes, self.gate_dtype)[:, None, None, :]
        z = as_channels_last(ops.cast(x, self.gate_dtype), self.data_format)
        if not self.kernels:
            return _window_means(z, self.extent)
        for i, (kernel, norm) in enumerate(zip(self.kernels, self.norms, strict=True)):
            if not self.extent:
                z = ops.sum(z * kernel[..., 0], axis=(1, 2), keepdims=True)
            else:
                z = ops.relu(z) if i else z
                # Padded by hand: "same" puts the odd row of an even map on the other side than the papers' frameworks.
                z = ops.pad(z, [[0, 0], [1, 1], [1, 1], [0, 0]])
                z = ops.depthwise_conv(z, kernel, strides=2, padding="valid", data_format="channels_last")
            z = norm(z, training=training)
        return z

    def macs(self, channels: int, height: int, width: int) -> int:
        total, rows, cols = 0, 1, 1
        if self.extent:
            rows, cols = height, width
            for _ in range(int(math.log2(self.extent))):
                rows, cols = (rows + 1) // 2, (cols + 1) // 2
                total += 9 * channels * rows * cols if self.gather == "conv" else 0
        elif self.gather == "conv":
            total = channels * height * width
        return total + (2 * channels * max(1, channels // self.ratio) * rows * cols if self.use_mlp else 0)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            extent=self.extent,
            gather=self.gather,
            use_mlp=self.use_mlp,
            ratio=self.ratio,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config


def _window_means(x: Any, extent: int) -> Any:
    """Means over windows of 2 extent - 1 pixels in steps of `extent`, the border counted out; channels_last."""
    edge = extent - 1

    def pool(z: Any) -> Any:
        z = ops.pad(z, [[0, 0], [edge, edge], [edge, edge], [0, 0]])
        return ops.average_pool(z, 2 * extent - 1, extent, padding="valid", data_format="channels_last")

    return pool(x) / pool(ops.ones_like(x[:1, :, :, :1]))


def _nearest(z: Any, size: Any, axis: int) -> Any:
    """Nearest-neighbour upsampling of one axis to `size`."""
    return ops.take(z, ops.arange(size) * ops.shape(z)[axis] // size, axis=axis)
