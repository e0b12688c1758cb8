"""Classes of models that hold attention which the constructor of their class knows nothing of.

A file holds the config of the model without attention, and beside it the attention with its addresses. Loading makes
the model from the class that the config names, found as Keras finds it (among registered classes, and in Keras,
KerasHub and KerasCV), and inserts the attention again.

Layers register together with Keras, and so does this class, so that it is known before any file is loaded; what writes
and reads the configs, `attnzoo.rewriting.model_files`, is imported when it is needed.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import keras

from attnzoo.errors import AttnzooError


def _files() -> Any:
    return importlib.import_module("attnzoo.rewriting.model_files")


class Attended:
    """Mixed into a model's class where the model holds attention that its constructor knows nothing of."""

    attnzoo_base: type[Any]
    """The class of the model without attention; a longer name than `base`, which many classes use themselves."""

    def get_config(self) -> dict[str, Any]:
        """Returns, JSON-pure, the class, the config of the model without attention, and the attention.

        Raises:
            RewriteError: if a model could not be made from it again.
        """
        config: dict[str, Any] = _files().config_of(self)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the model without attention and inserts the attention again.

        Raises:
            AttnzooError: if the class is not known here, or makes another graph than the one that was saved.
        """
        return _files().model_from(config)


keras.saving.register_keras_serializable("attnzoo", "Attended")(Attended)


@functools.cache
def attended_class(base: type[Any]) -> type[Any]:
    """Returns the class of models like `base` that hold attention; a subclass of it, saved as `attnzoo>Attended`."""
    body: dict[str, Any] = {"__module__": __name__, "__doc__": base.__doc__, "attnzoo_base": base}
    if hasattr(base, "save_to_preset"):
        body["save_to_preset"] = _no_preset
    cls = type(f"Attended{base.__name__}", (Attended, base), body)
    # One name in files for all of them, which Keras finds without knowing `base` yet.
    keras.saving.register_keras_serializable("attnzoo", "Attended")(cls)
    keras.saving.register_keras_serializable("attnzoo", "Attended")(Attended)
    return cls


def plain_class(model: Any) -> Any:
    """Returns the class of a model, or of the model it would be without attention."""
    return type(model).attnzoo_base if isinstance(model, Attended) else type(model)


def _no_preset(self: Any, *args: Any, **kwargs: Any) -> None:
    """Refuses: a preset holds the arguments of a constructor that knows nothing of attention."""
    raise AttnzooError(
        f"'{self.name}' cannot be saved as a preset, which has no place for attention;"
        " use model.save('name.keras'), or save attnzoo.strip(model)."
    )
