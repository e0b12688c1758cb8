"""What every attention shares: the identity blend, float32 gates, and the options of `augment`.

A module writes one of two methods and nothing else of the forward pass:

    gate(x)      a factor g that broadcasts against x:   A(x) = x * g    (or a tuple of factors, g their product)
    context(x)   an addend c of the shape of x:          A(x) = x + c

`Attention.call` turns it into the output, in one place for the whole zoo:

                       init="paper"    init="identity"          (alpha starts at 0)
    gate               x * g           x * ((1 - alpha) + alpha * g)
    context            x + c           x + alpha * c
    gate, parallel     x * (1 + g)     x * (1 + alpha * g)
    context, parallel  x + (x + c)     x + alpha * (x + c)

A module that is a sequence of gates (CBAM: channel, then spatial) blends each of them by the same alpha. It has the
same two ends as blending the whole, and a forward pass as cheap as the published one: blending the whole needs two
passes over the map more, 7 % of ResNet50's time.

The right-hand column is y = x + alpha * (A(x) - x), or x + alpha * A(x) in parallel, written so that nothing but
the gate is blended: the feature map is read and written once, as in the published module. It is exact at both ends:
x at alpha = 0, the published A(x) at alpha = 1. Because alpha multiplies something that is not zero, alpha learns in
the first step and everything after it in the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from attnzoo.errors import AttnzooError, did_you_mean

Init = Literal["paper", "identity"]

TIMM = "timm 1.0.31"
"""The release that the fixtures of the parity tests were made with; a test compares."""


class Attention(keras.layers.Layer):
    """Base class of all attention: a layer whose output has the shape of its input.

    Args:
        init: `"paper"` is the published module with its published initialisation; `"identity"` blends it in by a
            learnable scalar `alpha` that starts at zero, so that the layer returns its input until trained.
        parallel: if True the module is an addend, y = x + A(x), instead of y = A(x).
        data_format: `"channels_last"`, `"channels_first"` or None for `keras.config.image_data_format()`.
        site: name of the layer after which `attnzoo.augment` inserted this one; None for a layer placed by hand.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Input shape: `(batch, height, width, channels)`, or `(batch, channels, height, width)` with `channels_first`.
    Output shape: the same.

    Raises:
        AttnzooError: for an option value that is not one of those named.
    """

    key: ClassVar[str]
    """Registered name, set by `register_attention`."""
    title: ClassVar[str] = ""
    """The module's name in its paper."""
    paper: ClassVar[str] = ""
    """Authors, title, arXiv number."""
    year: ClassVar[int | None] = None
    checked_against: ClassVar[str] = ""
    """The implementations whose numbers the module reproduces to 1e-5, with their versions."""
    limits: ClassVar[Mapping[str, int]] = {}
    """The largest value that a configuration may give an option which costs time or memory but no weights."""
    kind: Literal["gate", "context"] = "gate"
    identity_as_published: bool = False
    """True if the published initialisation already returns the input, so that no alpha is added."""
    no_gradient: ClassVar[tuple[str, ...]] = ()
    """Names (`*` for any part) of weights cancelled by the softmax or norm that follows; their gradient is zero."""

    def __init__(
        self,
        *,
        init: Init = "paper",
        parallel: bool = False,
        data_format: str | None = None,
        site: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.init: Init = self._choice("init", init, ("paper", "identity"))
        self.parallel = bool(parallel)
        self.data_format: str = self._choice(
            "data_format",
            keras.config.image_data_format() if data_format is None else data_format,
            ("channels_last", "channels_first"),
        )
        self.site = site
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.alpha: Any = None

    # What a module writes ---------------------------------------------------------------------------------------

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        """Creates the module's weights, in the order of its equations."""

    def gate(self, x: Any, training: bool | None = None) -> Any:
        """Returns the factor g of a gate, broadcastable against x, in `gate_dtype`."""
        raise NotImplementedError

    def steps(self) -> tuple[Any, ...]:
        """Returns the gates of a module that is a sequence of them, each seeing what the one before made of x."""
        return (self.gate,)

    def spread(self, g: Any) -> Any:
        """Widens the blended factor so that it broadcasts against x, for gates that several channels share."""
        return g

    def context(self, x: Any, training: bool | None = None) -> Any:
        """Returns the addend c of a context module, broadcastable against x and of its dtype."""
        raise NotImplementedError

    def macs(self, channels: int, height: int, width: int) -> int:
        """Multiply-accumulates of one forward pass of one image, convolutions and matrix products only."""
        raise NotImplementedError

    @classmethod
    def check_site(cls, channels: int, height: int | None, width: int | None, options: dict[str, Any]) -> str | None:
        """Says in one clause why the module cannot go on such a map, or None if it can."""
        return None

    def hidden_for(self, channels: int) -> int | None:
        """Returns the width of the hidden layer that ends in a ReLU, set by `ratio`; None if there is none."""
        return None

    def learns_nothing(self, channels: int, height: int | None, width: int | None) -> dict[str, str]:
        """Returns the weights whose gradient is exactly zero on such maps, each with the reason in one clause.

        Sides that are not known are None, and nothing is said for them. Weights in `no_gradient` are left out.
        """
        return {}

    def automatic(self, channels: int) -> str | None:
        """Says, as `option=value`, what the module chooses by itself on a map of so many channels; None if nothing."""
        return None

    # The forward pass -------------------------------------------------------------------------------------------

    @property
    def needs_alpha(self) -> bool:
        """True if this instance is blended in by a learnable scalar."""
        return self.init == "identity" and (self.parallel or not self.identity_as_published)

    def build(self, input_shape: Any) -> None:
        channels, height, width = self.split_shape(input_shape)
        if channels is None:
            raise AttnzooError(f"{self.name}: the channel dimension of {tuple(input_shape)} must be known.")
        reason = self.check_site(channels, height, width, self.get_config())
        if reason:
            raise AttnzooError(f"{self.name}: cannot attend to a map of shape {tuple(input_shape)}: {reason}.")
        self.build_weights(channels, height, width)
        if self.needs_alpha:
            self.alpha = self.weight("alpha", (), "zeros")

    def call(self, x: Any, training: bool | None = None) -> Any:
        if self.kind == "context":
            c = self.context(x, training=training)
            if self.parallel:
                c = x + c
            return x + (c if self.alpha is None else ops.cast(self.alpha, x.dtype) * c)
        steps = self.steps()
        if self.parallel and len(steps) > 1:
            y = x
            for gate in steps:
                y = y * ops.cast(gate(y, training=training), x.dtype)
            return x + (y if self.alpha is None else ops.cast(self.alpha, x.dtype) * y)
        for gate in steps:
            g = gate(x, training=training)
            x = x * ops.cast(self.spread(self._blend(*(g if isinstance(g, tuple) else (g,)))), x.dtype)
        return x

    def _blend(self, *factors: Any) -> Any:
        """Returns what x is multiplied by; scalars go onto the last factor, so the smallest should stand there."""
        *others, g = factors
        if self.alpha is not None:
            g = self.alpha * g
        for other in others:
            g = other * g
        if self.parallel:
            return 1.0 + g
        return g if self.alpha is None else (1.0 - self.alpha) + g

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    # What modules share -----------------------------------------------------------------------------------------

    @property
    def gate_dtype(self) -> str:
        """Gates are computed in float32 at least: float16 sums overflow and bfloat16 steps are coarse near 1."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def weight(self, name: str, shape: tuple[int, ...], initializer: Any = "zeros") -> Any:
        """Adds a weight that is kept and used in `gate_dtype` even where the layer computes in half precision."""
        # An initializer draws the same numbers each time it is called: two kernels of one shape would be equal.
        if isinstance(initializer, keras.initializers.Initializer):
            initializer = initializer.clone()
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype=self.gate_dtype, autocast=False)

    def batch_norm(self, name: str, shape: tuple[int | None, ...], epsilon: float = 1e-5, **kwargs: Any) -> Any:
        """Builds a batch normalisation over the last axis that computes in `gate_dtype`."""
        norm = keras.layers.BatchNormalization(epsilon=epsilon, name=name, dtype=self.gate_dtype, **kwargs)
        norm.build(shape)
        return norm

    @property
    def spatial_axes(self) -> tuple[int, int]:
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    @property
    def channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def split_shape(self, shape: Any) -> tuple[Any, Any, Any]:
        """Returns (channels, height, width) of a 4-D shape."""
        _, a, b, c = shape
        return (c, a, b) if self.data_format == "channels_last" else (a, b, c)

    def broadcast_channels(self, v: Any) -> Any:
        """Reshapes (batch, channels) so that it broadcasts against the input."""
        shape = (-1, 1, 1, v.shape[-1]) if self.data_format == "channels_last" else (-1, v.shape[-1], 1, 1)
        return ops.reshape(v, shape)

    def _choice(self, option: str, value: Any, known: tuple[str, ...]) -> Any:
        if value not in known:
            expected = ", ".join(repr(k) for k in known)
            raise AttnzooError(
                f"{type(self).__name__}: {option}={value!r} is not one of {expected}.{did_you_mean(value, known)}"
            )
        return value

    def _positive(self, option: str, value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
            raise AttnzooError(f"{type(self).__name__}: {option}={value!r} is not a whole number of 1 or more.")
        return int(value)

    def _above_zero(self, option: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise AttnzooError(f"{type(self).__name__}: {option}={value!r} is not a number above 0.")
        return float(value)

    def _odd(self, option: str, value: Any) -> int:
        if self._positive(option, value) % 2 == 0:
            raise AttnzooError(f"{type(self).__name__}: {option}={value!r} must be odd.")
        return int(value)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(init=self.init, parallel=self.parallel, data_format=self.data_format, site=self.site)
        return config
