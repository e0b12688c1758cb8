"""What a file holds of a model whose class knows nothing of its attention, and the model made from it."""

from __future__ import annotations

import importlib.util
import inspect
import weakref
from typing import Any

import keras

from attnzoo._keras import is_container, is_inserted, layers_inside, set_frozen_parts
from attnzoo.errors import AttnzooError, RewriteError
from attnzoo.layers._attended import plain_class
from attnzoo.layers._attended_layer import AttendedLayer
from attnzoo.rewriting.addresses import containers, operations, read, write
from attnzoo.rewriting.carry import tensors_held
from attnzoo.rewriting.insertion import Insertion
from attnzoo.rewriting.layer_files import held_config, held_from
from attnzoo.rewriting.layers import insertion_at
from attnzoo.rewriting.rebuilding import rebuild, strip

_KEYS = {"name", "trainable", "base", "operations", "frozen", "attention"}
_stripped: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def config_of(model: Any) -> dict[str, Any]:
    """Returns, JSON-pure, the class, the config of the model without attention, and the attention.

    Raises:
        RewriteError: if a model could not be made from it again.
    """
    base = plain_class(model)
    config = _plain(model).get_config()
    _check_describes(model, base, config)
    rooms = containers(model)
    frozen = [
        [i, j]
        for i, room in enumerate(rooms)
        for j, op in enumerate(operations(room))
        if isinstance(op, keras.layers.Layer) and not op.trainable
    ]
    return {
        "name": model.name,
        "trainable": model.trainable,
        "base": {
            "module": base.__module__,
            "class_name": base.__name__,
            "config": keras.saving.serialize_keras_object(config),
            "registered_name": keras.saving.get_registered_name(base),
        },
        "operations": sum(len(operations(room)) for room in rooms),
        "frozen": frozen,
        "attention": write(model, {id(room): tensors_held(room) for room in rooms}),
        **_inside(rooms),
    }


def _inside(rooms: list[Any]) -> dict[str, Any]:
    """Returns what layers hold inside, each with its number; nothing for the many models without such layers."""
    entries = [
        {"model": i, "operation": j, **held_config(op)}
        for i, room in enumerate(rooms)
        for j, op in enumerate(operations(room))
        if isinstance(op, AttendedLayer)
    ]
    return {"inside": entries} if entries else {}


def model_from(config: dict[str, Any]) -> Any:
    """Makes the model without attention and inserts the attention again.

    Raises:
        AttnzooError: if the class is not known here, or makes another graph than the one that was saved.
    """
    if set(config) - {"inside"} != _KEYS:
        raise AttnzooError(
            f"the config of a model with attention has the keys {sorted(config)}; expected {sorted(_KEYS)},"
            " as this version of attnzoo writes them."
        )
    base = _made(config)
    _set_trainable(base, config)
    insertions = read(base, config["attention"]) + [i for e in config.get("inside", ()) for i in _read_inside(base, e)]
    flags = [i.layer.trainable for i in insertions]
    new = rebuild(base, insertions)
    for insertion, flag in zip(insertions, flags, strict=True):
        insertion.layer.trainable = flag
    return new


def _plain(model: Any) -> Any:
    """Returns a model without attention whose config is that of the base class."""

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


def _read_inside(model: Any, entry: dict[str, Any]) -> list[Insertion]:
    """Returns the insertions into one layer, whose flags it sets."""
    try:
        layer = operations(containers(model)[entry["model"]])[entry["operation"]]
        modules, where = held_from(entry, layer.name)
        insertions = [insertion_at(module, layer, w) for module, w in zip(modules, where, strict=True)]
        set_frozen_parts(layer, [], entry["frozen"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, AttnzooError):
            raise
        raise RewriteError(
            f"'{model.name}': attention refers to a layer that this model does not have inside; its config was changed"
            " after it was saved."
        ) from None
    return insertions


def _set_trainable(model: Any, config: dict[str, Any]) -> None:
    """Sets the flags from the outside in, because setting one sets all below it."""

    if model.trainable != config["trainable"]:
        model.trainable = config["trainable"]
    frozen = {tuple(address) for address in config["frozen"]}
    for i, room in enumerate(containers(model)):
        for j, op in enumerate(operations(room)):
            if isinstance(op, keras.layers.Layer) and op.trainable == ((i, j) in frozen):
                op.trainable = not op.trainable
