"""The registry: short key -> attention class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import keras

from attnzoo.errors import AttnzooError, PlanError, did_you_mean, listing
from attnzoo.layers._base import Attention

_REGISTRY: dict[str, type[Attention]] = {}
AttentionClass = TypeVar("AttentionClass", bound=type[Attention])


def register_attention(key: str) -> Callable[[AttentionClass], AttentionClass]:
    """Class decorator: makes an `Attention` subclass usable by a short key in code, YAML and shell.

    The class is also registered with Keras for saving: under `attnzoo>` for attnzoo's own modules, under the name of
    the top-level package that defines it for others. Models that hold it reload once that package is imported.

    Args:
        key: lower-case letters, digits and underscores; must be free.

    Raises:
        AttnzooError: if the key is taken or malformed, or the class is not an `Attention`.
    """

    def decorate(cls: AttentionClass) -> AttentionClass:
        if not (isinstance(cls, type) and issubclass(cls, Attention)):
            raise AttnzooError(f"register_attention({key!r}): {cls!r} is not a subclass of attnzoo.layers.Attention.")
        if not key.replace("_", "").isalnum() or key != key.lower():
            raise AttnzooError(f"register_attention({key!r}): use lower-case letters, digits and underscores.")
        taken = _REGISTRY.get(key)
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise AttnzooError(f"register_attention({key!r}): the key belongs to {taken.__name__} already.")
        if keras.saving.get_registered_name(cls) == cls.__name__:
            keras.saving.register_keras_serializable(package=cls.__module__.partition(".")[0])(cls)
        cls.key = key
        _REGISTRY[key] = cls
        return cls

    return decorate


def list_attentions() -> list[str]:
    """Returns the registered keys, sorted."""
    return sorted(_REGISTRY)


def attention_class(key: str) -> type[Attention]:
    """Returns the class registered under `key`.

    Raises:
        PlanError: if there is none, with the nearest key.
    """
    if key not in _REGISTRY:
        raise PlanError(
            f"attention {key!r} is not registered.{did_you_mean(key, _REGISTRY)} "
            f"Known: {listing(list_attentions(), 40)}."
        )
    return _REGISTRY[key]


def identity_recipe(cls: type[Attention]) -> str:
    """Says by which formula `init="identity"` makes the module return its input; alpha starts at zero."""
    layer = cls(init="identity")
    if not layer.needs_alpha:
        return "as published"
    if layer.kind == "context":
        return "x + alpha * c"
    return "x * (1 + alpha * (g - 1))" + (", gate by gate" if len(layer.steps()) > 1 else "")


RESERVED = ("init", "parallel", "data_format", "site", "name", "dtype", "trainable")
"""Constructor arguments that `augment` sets itself."""


def options_of(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """Returns the module's own options: constructor arguments that are not `augment`'s to set."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {
        p.name: p
        for p in parameters
        if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in ("self", *RESERVED)
    }
