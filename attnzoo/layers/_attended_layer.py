"""Classes of layers that hold attention inside which the constructor of their class knows nothing of.

A KerasHub block is one layer that calls several. Attention inside it leaves the layer what it is, an instance of its
class with its sub-layers and their weights where they were; only `call` is replaced: it goes through the operations
that the call of its class consists of, and through attention where that was inserted.

Such layers register together with Keras, so that they are known before any file is loaded; what writes and reads their
configs, `attnzoo.rewriting.layer_files`, and what runs them, `attnzoo._keras.attended`, is imported when it is needed.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import keras


def _inside() -> Any:
    return importlib.import_module("attnzoo._keras.attended")


def _files() -> Any:
    return importlib.import_module("attnzoo.rewriting.layer_files")


class AttendedLayer:
    """Mixed into the class of a layer where the layer holds attention that its constructor knows nothing of.

    Attributes:
        attnzoo_base: the class of the layer without attention.
        attnzoo_attention: the attention, in the order in which it was inserted.
        attnzoo_where: for each, JSON-pure, where it stands.
        attnzoo_frozen: which layers inside do not train, as a file says, until they are built.
    """

    attnzoo_base: type[Any]
    attnzoo_attention: list[Any]
    attnzoo_where: list[dict[str, Any]]

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return _inside().call_attended(self, args, kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # What asks for the shape before a layer is first called on numbers expects all inside it to be built then.
        _inside().build_attention(self, args, kwargs)
        return super().compute_output_spec(*args, **kwargs)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """Returns, JSON-pure, the class, the config of the layer without attention, and the attention."""
        config: dict[str, Any] = _files().config_of(self)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the layer without attention and inserts the attention again.

        Raises:
            AttnzooError: if the config is not what `get_config` returns.
        """
        return _files().layer_from(config)


keras.saving.register_keras_serializable("attnzoo", "AttendedLayer")(AttendedLayer)


@functools.cache
def attended_layer_class(base: type[Any]) -> type[Any]:
    """Returns the class of layers like `base` with attention inside: a subclass, saved as `attnzoo>AttendedLayer`."""
    body: dict[str, Any] = {"__module__": __name__, "__doc__": base.__doc__, "attnzoo_base": base}
    cls = type(f"Attended{base.__name__}", (AttendedLayer, base), body)
    # One name in files for all of them, which Keras finds without knowing `base` yet.
    keras.saving.register_keras_serializable("attnzoo", "AttendedLayer")(cls)
    keras.saving.register_keras_serializable("attnzoo", "AttendedLayer")(AttendedLayer)
    return cls


def plain_layer(layer: Any) -> Any:
    """Returns the same layer, seen as one without attention: other object, same attributes."""
    if not isinstance(layer, AttendedLayer):
        return layer
    plain = object.__new__(layer.attnzoo_base)
    vars(plain).update(vars(layer))
    return plain


def held_attention(layer: Any) -> list[Any]:
    """Returns the attention that a layer holds so; that of layers inside it is held by the outermost one."""
    return list(layer.attnzoo_attention) if isinstance(layer, AttendedLayer) else []
