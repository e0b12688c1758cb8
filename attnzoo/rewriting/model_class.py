"""Models that hold attention which the constructor of their class knows nothing of, and their files.

A file holds the config of the model without attention, and beside it the attention with its addresses. Loading makes
the model from the class that the config names, found as Keras finds it (among registered classes, and in Keras,
KerasHub and KerasCV), and inserts the attention again.

This file is imported while Keras is, to be known before a model is loaded: what it needs of attnzoo comes later.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import weakref
from typing import Any

import keras
from keras.src.models.functional import functional_like_constructor

from attnzoo.errors import AttnzooError, RewriteError

_KEYS = {"name", "trainable", "base", "operations", "frozen", "attention"}
_stripped: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class Attended:
    """Mixed into a model's class where the model holds attention that its constructor knows nothing of."""

    attnzoo_base: type[Any]
    """The class of the model without attention; a longer name than `base`, which many classes use themselves."""

    def get_config(self) -> dict[str, Any]:
        """Returns, JSON-pure, the class, the config of the model without attention, and the attention.

        Raises:
            RewriteError: if a model could not be made from it again.
        """
        from attnzoo.rewriting.addresses import containers, operations, write
        from attnzoo.rewriting.carry import tensors_held

        base = plain_class(self)
        config = _plain(self).get_config()
        _check_describes(self, base, config)
        rooms = containers(self)
        frozen = [
            [i, j]
            for i, room in enumerate(rooms)
            for j, op in enumerate(operations(room))
            if isinstance(op, keras.layers.Layer) and not op.trainable
        ]
        return {
            "name": self.name,  # type: ignore[attr-defined]
            "trainable": self.trainable,  # type: ignore[attr-defined]
            "base": {
                "module": base.__module__,
                "class_name": base.__name__,
                "config": keras.saving.serialize_keras_object(config),
                "registered_name": keras.saving.get_registered_name(base),
            },
            "operations": sum(len(operations(room)) for room in rooms),
            "frozen": frozen,
            "attention": write(self, {id(room): tensors_held(room) for room in rooms}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the model without attention and inserts the attention again.

        Raises:
            AttnzooError: if the class is not known here, or makes another graph than the one that was saved.
        """
        from attnzoo.rewriting.addresses import read
        from attnzoo.rewriting.rebuilding import Insertion, rebuild

        if set(config) != _KEYS:
            raise AttnzooError(
                f"the config of a model with attention has the keys {sorted(config)}; expected {sorted(_KEYS)},"
                " as this version of attnzoo writes them."
            )
        base = _made(config)
        _set_trainable(base, config)
        insertions = [Insertion(*place) for place in read(base, config["attention"])]
        flags = [i.layer.trainable for i in insertions]
        new = rebuild(base, insertions)
        for insertion, flag in zip(insertions, flags, strict=True):
            insertion.layer.trainable = flag
        return new


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


def is_made_from_tensors(cls: type[Any]) -> bool:
    """True if a class of Functional models takes inputs and outputs, as keras.Model does."""
    return bool(functional_like_constructor(cls))


# Files ---------------------------------------------------------------------------------------------------------------


def _plain(model: Any) -> Any:
    """Returns a model without attention whose config is that of the base class."""
    from attnzoo._keras import is_container, is_inserted, layers_inside
    from attnzoo.rewriting.rebuilding import strip

    inside = [part for part in layers_inside(model) if is_container(part)]
    if any(is_inserted(layer) for part in inside for layer in part.layers):
        # A constructor's argument may be a model with attention in it. Kept alive as long as the model, because Keras
        # recognises what it has saved already by its identity.
        _stripped[model] = strip(model)
        return _stripped[model]
    # The same object, seen as an instance of its base class: Keras asks who overrides get_config().
    plain = object.__new__(plain_class(model))
    vars(plain).update(vars(model))
    return plain


def _check_describes(model: Any, base: type[Any], config: dict[str, Any]) -> None:
    """Refuses a file that could not be loaded while there is still something to be done about it."""
    if getattr(base.from_config, "__func__", None) is not keras.Model.from_config.__func__:
        return
    try:
        inspect.signature(base.__init__).bind(model, **config)
    except TypeError as error:
        raise RewriteError(
            f"'{model.name}' ({base.__name__}) cannot be saved: its get_config() does not return the arguments of its"
            f" constructor: {error}."
        ) from None


def _made(config: dict[str, Any]) -> Any:
    """Makes the model without attention that a config describes."""
    from attnzoo._keras import is_container, is_inserted
    from attnzoo.rewriting.addresses import containers, operations

    base, name = config["base"], config["name"]
    what = f"'{name}', a {base['class_name']} with attention,"
    package = str(base["module"]).partition(".")[0]
    if package in ("keras_hub", "keras_cv") and importlib.util.find_spec(package) is None:
        extra = package.replace("_", "-")
        raise AttnzooError(f"{what} needs {package}, which is not installed; run `pip install 'attnzoo[{extra}]'`.")
    model = keras.saving.deserialize_keras_object(base)
    if not is_container(model):
        raise AttnzooError(f"{what} was loaded as a {type(model).__name__}, which is no Functional model.")
    rooms = containers(model)
    if any(is_inserted(layer) for room in rooms for layer in room.layers):
        raise AttnzooError(
            f"{what} cannot be loaded: its constructor inserts attention itself;"
            " let it make the network without, and call attnzoo.augment on the result."
        )
    count = sum(len(operations(room)) for room in rooms)
    if count != config["operations"]:
        raise AttnzooError(
            f"{what} was saved with {config['operations']} operations, but its class makes {count} here;"
            " load it with the version of the package that it was saved with."
        )
    model.name = name
    return model


def _set_trainable(model: Any, config: dict[str, Any]) -> None:
    """Sets the flags from the outside in, because setting one sets all below it."""
    from attnzoo.rewriting.addresses import containers, operations

    if model.trainable != config["trainable"]:
        model.trainable = config["trainable"]
    frozen = {tuple(address) for address in config["frozen"]}
    for i, room in enumerate(containers(model)):
        for j, op in enumerate(operations(room)):
            if isinstance(op, keras.layers.Layer) and op.trainable == ((i, j) in frozen):
                op.trainable = not op.trainable


def _no_preset(self: Any, *args: Any, **kwargs: Any) -> None:
    """Refuses: a preset holds the arguments of a constructor that knows nothing of attention."""
    raise AttnzooError(
        f"'{self.name}' cannot be saved as a preset, which has no place for attention;"
        " use model.save('name.keras'), or save attnzoo.strip(model)."
    )
