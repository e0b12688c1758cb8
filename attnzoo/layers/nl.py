"""Non-local block, embedded Gaussian.

Differences between sources, each an option: the paper does not scale the logits; its authors' later code divides by the
root of the inner width (`scale="hidden"`), timm by that of the channels (`scale="channels"`), with ratio 8 and widths
rounded to multiples of 8 (give `hidden`). Paper: pooling after key and value (`subsample=2`); the authors' code pools
in front of them. Without normalisation the last projection starts at zero instead (`use_bn=False`). Default: the paper,
without a scale; the kernels start small instead, as its authors' do.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attnzoo.layers._base import TIMM, Attention
from attnzoo.layers._functional import from_channels_last, project, softmax
from attnzoo.layers._registry import register_attention


@register_attention("nl")
class NonLocal(Attention):
    """Non-local block: y = x + BN(W softmax(q k^T) v), q, k, v three 1x1 convolutions of x.

    Every position looks at every other: self-attention, with a logit for each pair of positions (HW^2 memory; meant
    for stages 3 and 4).

    Reference: Wang, Girshick, Gupta, He, "Non-local Neural Networks", CVPR 2018, arXiv:1711.07971, section 3,
    equations 4 and 6.

    The normalisation's scale starts at zero: an identity as published, without alpha.

    Args:
        ratio: reduction; q, k and v have `max(1, channels // ratio)` channels.
        hidden: that number itself, instead of the ratio.
        scale: of the logits: `"none"`, `"hidden"` (hidden^-1/2) or `"channels"` (channels^-1/2).
        subsample: keys and values are max-pooled by this factor; 1 for none.
        use_bias: whether the four projections have a bias.
        use_bn: whether batch normalisation (epsilon 1e-5) follows the last one.
        kernel_initializer: initializer of the kernels; None is a normal of standard deviation 0.01, as in the authors'
            code: larger unscaled logits leave softmax nothing to learn from.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `name`, `dtype`.

    Weights: kernel_q (C, h), bias_q (h), kernel_k, bias_k, kernel_v, bias_v alike, kernel (h, C), bias (C); with
    `use_bn` gamma, beta, moving_mean, moving_variance, each (C).
    """

    title = "Non-local block"
    paper = "arXiv:1711.07971"
    year = 2018
    checked_against = f"{TIMM} NonLocalAttn; NumPy from the paper"
    kind = "context"
    identity_as_published = True
    no_gradient = ("bias_k", "bias_v", "bias")

    def __init__(
        self,
        ratio: int = 2,
        hidden: int | None = None,
        scale: str = "none",
        subsample: int = 1,
        use_bias: bool = True,
        use_bn: bool = True,
        kernel_initializer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.ratio = self._positive("ratio", ratio)
        self.hidden = None if hidden is None else self._positive("hidden", hidden)
        self.scale = self._choice("scale", scale, ("none", "hidden", "channels"))
        self.subsample = self._positive("subsample", subsample)
        self.use_bias = bool(use_bias)
        self.use_bn = bool(use_bn)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        factor = options.get("subsample") or 1
        for side, size in (("height", height), ("width", width)):
            if size is not None and size < factor:
                return f"a map of {side} {size} cannot be pooled by subsample={factor}"
        return None

    def width_for(self, channels: int) -> int:
        """Returns h for a number of channels."""
        return self.hidden or max(1, channels // self.ratio)

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        if height is None or width is None or (height // self.subsample) * (width // self.subsample) > 1:
            return {}
        names = ("kernel_q", "kernel_k", *(["bias_q"] if self.use_bias else []))
        return dict.fromkeys(names, "with a single key there is nothing to choose from")

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        hidden = self.width_for(channels)
        start = self.kernel_initializer or keras.initializers.RandomNormal(stddev=0.01)
        for name in ("q", "k", "v"):
            setattr(self, f"kernel_{name}", self.weight(f"kernel_{name}", (channels, hidden), start))
            setattr(self, f"bias_{name}", self.weight(f"bias_{name}", (hidden,)) if self.use_bias else None)
        self.kernel = self.weight("kernel", (hidden, channels), start if self.use_bn else "zeros")
        self.bias = self.weight("bias", (channels,)) if self.use_bias else None
        if self.use_bn:
            self.norm = self.batch_norm("norm", (None, height, width, channels), gamma_initializer="zeros")

    def context(self, x: Any, training: bool | None = None) -> Any:
        q = project(x, self.kernel_q, self.bias_q, self.data_format)
        k = self._subsampled(project(x, self.kernel_k, self.bias_k, self.data_format))
        v = self._subsampled(project(x, self.kernel_v, self.bias_v, self.data_format))
        if self.scale != "none":
            q = q * (q.shape[-1] if self.scale == "hidden" else x.shape[self.channel_axis]) ** -0.5
        # Products of matrices, not einsum: Keras' einsum does not trace these for a batch of unknown size.
        _, height, width, hidden = ops.shape(q)
        q, k, v = (ops.reshape(z, (-1, ops.shape(z)[1] * ops.shape(z)[2], hidden)) for z in (q, k, v))
        z = ops.matmul(softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1)))), v)
        z = project(ops.reshape(z, (-1, height, width, hidden)), self.kernel, self.bias, "channels_last")
        if self.use_bn:
            z = self.norm(z, training=training)
        return ops.cast(from_channels_last(z, self.data_format), x.dtype)

    def _subsampled(self, z: Any) -> Any:
        if self.subsample == 1:
            return z
        return ops.max_pool(z, self.subsample, self.subsample, padding="valid", data_format="channels_last")

    def macs(self, channels: int, height: int, width: int) -> int:
        hidden, positions = self.width_for(channels), height * width
        keys = (height // self.subsample) * (width // self.subsample)
        return 4 * channels * hidden * positions + 2 * hidden * positions * keys

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            hidden=self.hidden,
            scale=self.scale,
            subsample=self.subsample,
            use_bias=self.use_bias,
            use_bn=self.use_bn,
            kernel_initializer=self.kernel_initializer and keras.initializers.serialize(self.kernel_initializer),
        )
        return config
