"""From what the user calls an attention to a layer for one site, and what that layer costs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from attnzoo._keras import layers_inside
from attnzoo.errors import AttnzooError, PlanError, did_you_mean, first_line, listing
from attnzoo.layers import Attention
from attnzoo.layers._custom import Inserted
from attnzoo.layers._registry import attention_class, options_of

ARGUMENTS = ("stages", "blocks", "placement", "after", "init", "share_weights", "trust")
"""What `augment` takes beside the options of a module."""

SIZE = 8
"""Height and width of the map that a module is tried on where the model leaves them open."""

AttentionLike = str | type[Any] | Callable[[int], Any]


@dataclass(frozen=True)
class Factory:
    """Makes the attention for one site."""

    key: str
    build: Callable[[int], Any]
    init: str
    cls: type[Attention] | None
    options: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def of(cls, attention: AttentionLike, init: str, options: dict[str, Any]) -> Factory:
        if init not in ("identity", "paper"):
            raise PlanError(
                f"init={init!r} is not known; expected 'identity' or 'paper'."
                f"{did_you_mean(init, ('identity', 'paper'))}"
            )
        kind = attention_class(attention) if isinstance(attention, str) else attention
        if isinstance(kind, type) and issubclass(kind, keras.layers.Layer):
            _check_options(kind, options)
            if issubclass(kind, Attention):
                key = getattr(kind, "key", kind.__name__.lower())
                return cls(key, lambda channels: kind(**options), init, kind, options, kind(**options).get_config())
            return cls(kind.__name__.lower(), lambda channels: kind(**options), init, None, options, {})
        if isinstance(kind, keras.layers.Layer):
            raise PlanError(
                f"attention={kind.name!r} is one {type(kind).__name__} layer, and each site needs its own;"
                " give the class and its options, or a callable channels -> layer."
            )
        if callable(kind):
            if options:
                raise PlanError(f"options {listing(options)} cannot be given with a callable; set them inside it.")
            return cls(getattr(kind, "__name__", "attention").strip("<>"), kind, init, None, {}, {})
        raise PlanError(
            f"attention={attention!r} is not a registered key, a keras.layers.Layer subclass,"
            " or a callable channels -> layer."
        )

    def layer(
        self, channels: int, *, name: str, dtype: Any, site: str, parallel: bool, data_format: str, init: str
    ) -> Any:
        """Makes one inserted layer, not yet built."""
        extra = {"name": name, "dtype": dtype, "site": site, "parallel": parallel, "init": init}
        if self.cls is not None:
            return self.cls(**self.options, **extra, data_format=data_format)
        try:
            inner = self.build(channels)
        except AttnzooError:
            raise
        except Exception as error:  # the user's code: anything may come
            raise PlanError(
                f"attention callable '{self.key}' failed when called with {channels} channels:"
                f" {first_line(error).removesuffix('.')}; expected a function that takes the number of channels and"
                " returns a layer. Put a function of a tensor into the call() of a keras.layers.Layer."
            ) from error
        if not isinstance(inner, keras.layers.Layer):
            raise PlanError(
                f"attention callable returned {type(inner).__name__} for {channels} channels; expected a keras layer."
            )
        if isinstance(inner, Attention):
            return type(inner).from_config({**inner.get_config(), **extra, "data_format": data_format})
        return Inserted(inner, **extra, data_format=data_format)

    def init_for(self, data_format: str, shape: tuple[int | None, ...], dtype: Any, parallel: bool) -> str:
        """Returns how the module starts on a map: as asked for, but `"paper"` where it is an identity by itself.

        Blended in by an alpha of zero, a module that returns its input would never learn: the gradients of alpha and of
        the module are products with zero for ever. The zoo's own say so themselves (`identity_as_published`).
        """
        own = self.cls is not None and self.cls.__module__.startswith(f"{Attention.__module__.rpartition('.')[0]}.")
        if self.init == "paper" or parallel or own:
            return self.init
        try:
            return "paper" if self._returns_its_input(shape, dtype, data_format) else self.init
        except Exception:  # the user's code; what is wrong with it is told where the layer is built
            return self.init

    def _returns_its_input(self, shape: tuple[int | None, ...], dtype: Any, data_format: str) -> bool:
        channel_axis = len(shape) - 1 if data_format == "channels_last" else 1
        layer = self.layer(
            shape[channel_axis] or 1,
            name="trial",
            dtype=dtype,
            site="trial",
            parallel=False,
            data_format=data_format,
            init="paper",
        )
        sizes = [2, *(SIZE if d is None else d for d in shape[1:])]
        x = keras.ops.cast(np.random.default_rng(0).normal(size=sizes), layer.compute_dtype)
        same = all(bool(keras.ops.all(layer(x, training=t) == x)) for t in (False, True))
        return same and bool(layer.trainable_weights)


def _check_options(cls: type[Any], options: dict[str, Any]) -> None:
    known = options_of(cls)
    anything = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.__init__).parameters.values())
    for option in options:
        if option not in known and not (anything and not issubclass(cls, Attention)):
            raise PlanError(
                f"{cls.__name__} has no option {option!r}.{did_you_mean(option, (*known, *ARGUMENTS))}"
                f" Options: {listing(known) or 'none'}."
            )


def costs(
    factory: Factory,
    data_format: str,
    channels: int,
    height: int | None,
    width: int | None,
    parallel: bool,
    init: str,
) -> tuple[int, int | None]:
    """Returns trainable parameters and MACs of one module, counted on a throw-away layer filled with zeros."""
    layer = factory.layer(
        channels, name="cost", dtype="float32", site="cost", parallel=parallel, data_format=data_format, init=init
    )
    shape = (None, height, width, channels) if data_format == "channels_last" else (None, channels, height, width)
    with cheap_initializers(layer):
        layer.build(shape)
    parameters = sum(int(keras.ops.size(w)) for w in layer.trainable_weights)
    if height is None or width is None:
        return parameters, None
    try:
        return parameters, int(layer.macs(channels, height, width))
    except NotImplementedError:
        return parameters, None


@contextlib.contextmanager
def cheap_initializers(layer: Any) -> Iterator[None]:
    """Builds a layer that is only counted with zeros instead of random numbers."""
    swapped = [
        (vars(sub), name, value)
        for sub in (layer, *layers_inside(layer))
        for name, value in vars(sub).items()
        if isinstance(value, keras.initializers.Initializer)
    ]
    for attributes, name, _ in swapped:
        attributes[name] = keras.initializers.Zeros()
    try:
        yield
    finally:
        for attributes, name, value in swapped:
            attributes[name] = value
