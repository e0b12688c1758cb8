"""The config of a layer as Keras 2 wrote it -> the layer, made by Keras 3.

Keras 2                                            Keras 3
{"module": "keras.src.layers...", "class_name"}    {"class_name"}: Keras's own are found by the name of the class
"name": "conv1/bn"                                 "conv1_bn"
"dtype": {"class_name": "Policy", ...}             its name
"axis": [3]                                        3
"groups": 1, "time_major": false, ...              gone, where the class does not take it
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

from attnzoo.files.inspect import Findings, read_config
from attnzoo.files.known_classes import unknown_classes
from attnzoo.loading.reasons import NotLoaded
from attnzoo.weights import name_of_keras3

_OLD_PACKAGES = ("keras", "tf_keras", "keras_core", "tensorflow")
_ANY = object()
_GONE = {
    "groups": 1,
    "implementation": _ANY,
    "time_major": False,
    "input_dim": _ANY,
    "input_length": _ANY,
    "batch_input_shape": _ANY,
    "ragged": False,
    "sparse": False,
    "experimental_autocast": _ANY,
    # What separable convolutions had from their base class, and did not use.
    "kernel_initializer": _ANY,
    "kernel_regularizer": _ANY,
    "kernel_constraint": _ANY,
    # What attention was built with; it is built anew.
    "query_shape": _ANY,
    "key_shape": _ANY,
    "value_shape": _ANY,
}
"""Options that some class of Keras 3 lacks, with the value at which they change nothing."""


def make_layer(entry: dict[str, Any], objects: dict[str, Any]) -> Any:
    """Makes a layer; calls nothing that is neither a layer of Keras's, nor registered, nor handed over.

    Raises:
        NotLoaded: if Keras 3 has no such layer, or it lacks an option that matters.
        Exception: whatever Keras raises for options that do not fit.
    """
    translated = _layer(entry, objects)
    found = read_config({"config": {"layers": [translated]}}, Findings())
    for reference in unknown_classes(found.references, objects):
        raise NotLoaded(f"{_called(entry)} needs {reference.name}, which Keras 3 does not have")
    return keras.saving.deserialize_keras_object(translated, custom_objects=objects)


def layer_name(entry: dict[str, Any]) -> str:
    """Returns what a layer is called in Keras 3, which allows no '/'."""
    name = entry.get("name") or entry["config"]["name"]
    return name_of_keras3(name) if "/" in name else name


def _layer(entry: dict[str, Any], objects: dict[str, Any]) -> dict[str, Any]:
    name = entry["class_name"]
    registered = entry.get("registered_name") or name
    own = keras.saving.get_registered_object(registered, objects) or keras.saving.get_registered_object(name, objects)
    cls = own or getattr(keras.layers, name, None)
    if not (isinstance(cls, type) and issubclass(cls, keras.layers.Layer)) or name in ("Lambda", "TFSMLayer"):
        raise NotLoaded(f"{_called(entry)} is a {name}, which Keras 3 does not have")
    config = {key: _value(value, objects) for key, value in entry["config"].items()}
    config["name"] = layer_name(entry)
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    if own is None:
        config = {k: v for k, v in config.items() if not _is_gone(k, v, cls, entry)}
        return {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}
    return {"module": None, "class_name": name, "config": config, "registered_name": registered}


def _is_gone(key: str, value: Any, cls: type[Any], entry: dict[str, Any]) -> bool:
    if key not in _GONE or key in inspect.signature(cls.__init__).parameters:
        return False
    if _GONE[key] is not _ANY and value != _GONE[key]:
        raise NotLoaded(f"{_called(entry)} has {key}={value!r}, which the {cls.__name__} of Keras 3 does not have")
    return True


def _value(value: Any, objects: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_value(v, objects) for v in value]
    if not isinstance(value, dict):
        # Functions of TensorFlow's given as activations: softmax_v2, relu_v2.
        return value.removesuffix("_v2") if isinstance(value, str) else value
    name, inner = value.get("class_name"), value.get("config")
    if not isinstance(name, str):
        return {k: _value(v, objects) for k, v in value.items()}
    if name in ("Policy", "PolicyV1") and isinstance(inner, dict):
        return inner["name"]
    if name == "__numpy__" and isinstance(inner, dict):  # numbers, as Keras 2.12 wrote them
        return inner["value"]
    if name == "function":
        return _value(inner, objects) if _is_old(value) else value
    if isinstance(inner, dict) and "name" in inner and hasattr(keras.layers, name):
        return _layer(value, objects)
    translated = {"class_name": name, "config": _value(inner, objects)}
    return translated if _is_old(value) else {**value, **translated}


def _is_old(value: dict[str, Any]) -> bool:
    module = value.get("module")
    return module in (None, "builtins") or str(module).partition(".")[0] in _OLD_PACKAGES


def _called(entry: dict[str, Any]) -> str:
    return f"its layer {entry.get('name') or entry['config'].get('name', '')!r}"
