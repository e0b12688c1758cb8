"""What a file holds of a layer whose class knows nothing of the attention inside it, and the layer made from it."""

from __future__ import annotations

from typing import Any

import keras

from attnzoo._keras import attach, frozen_parts, is_inserted
from attnzoo.errors import AttnzooError
from attnzoo.layers._attended_layer import plain_layer
from attnzoo.rewriting.layers import held_by

_KEYS = {"name", "trainable", "base", "frozen", "attention"}


def config_of(layer: Any) -> dict[str, Any]:
    """Returns, JSON-pure, the class, the config of the layer without attention, and the attention."""
    base = layer.attnzoo_base
    return {
        "name": layer.name,
        "trainable": layer.trainable,
        "base": {
            "module": base.__module__,
            "class_name": base.__name__,
            "config": keras.saving.serialize_keras_object(plain_layer(layer).get_config()),
            "registered_name": keras.saving.get_registered_name(base),
        },
        **held_config(layer),
    }


def held_config(layer: Any) -> dict[str, Any]:
    """Returns what a file must hold of the attention inside a layer, and of what does not train beside it."""
    entries = []
    for module, where in held_by(layer):
        config = keras.saving.serialize_keras_object(module)
        config.pop("build_config", None)  # it is built where it is put
        entries.append({"layer": config, **where})
    return {"frozen": frozen_parts(layer, layer.attnzoo_attention), "attention": entries}


def layer_from(config: dict[str, Any]) -> Any:
    """Makes the layer without attention and puts the attention into it; it is built when the layer is called.

    Raises:
        AttnzooError: if the config is not what `config_of` returns.
    """
    if set(config) != _KEYS:
        raise AttnzooError(
            f"the config of a layer with attention has the keys {sorted(config)}; expected {sorted(_KEYS)},"
            " as this version of attnzoo writes them."
        )
    layer = keras.saving.deserialize_keras_object(config["base"])
    layer.name = config["name"]
    layer.trainable = config["trainable"]
    modules, where = held_from(config, layer.name)
    attach(layer, modules, where)
    vars(layer)["attnzoo_frozen"] = config["frozen"]
    return layer


def held_from(config: dict[str, Any], name: str) -> tuple[list[Any], list[dict[str, Any]]]:
    """Makes the attention that `held_config` wrote.

    Raises:
        AttnzooError: if it is none, or its places are not said so.
    """
    modules, where = [], []
    for entry in config["attention"]:
        module = keras.saving.deserialize_keras_object(entry["layer"])
        if not is_inserted(module):
            raise AttnzooError(
                f"layer '{name}': a {type(module).__name__} is listed as attention; expected a layer that"
                " attnzoo.augment inserted."
            )
        modules.append(module)
        where.append({key: entry[key] for key in ("behind", "edges") if key in entry})
    return modules, where
