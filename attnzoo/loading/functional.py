"""The graph of a model as Keras 2 wrote it -> the model, by calling each layer as it was called."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree

from attnzoo.loading.operations import OPERATIONS
from attnzoo.loading.reasons import NotLoaded
from attnzoo.loading.translation import layer_name, make_layer

_MODELS = ("Functional", "Model", "Sequential")
_OPERATION = "TFOpLambda"
_CONSTANT = "_CONSTANT_VALUE"


def make_model(entry: dict[str, Any], objects: dict[str, Any]) -> Any:
    """Makes a model without weights, the models nested in it included.

    Raises:
        NotLoaded: if Keras 3 lacks something that is in it.
    """
    config = entry["config"]
    if entry["class_name"] == "Sequential":
        model = _sequential(config if isinstance(config, dict) else {"layers": config}, objects)
    elif entry["class_name"] in _MODELS and isinstance(config, dict) and "input_layers" in config:
        model = _Graph(config, objects).model()
    else:
        raise NotLoaded(f"it is a {entry['class_name']}, a class of its author's")
    if config.get("trainable") is False if isinstance(config, dict) else False:
        model.trainable = False
    return model


def _make(entry: dict[str, Any], objects: dict[str, Any]) -> Any:
    return make_model(entry, objects) if entry["class_name"] in _MODELS else make_layer(entry, objects)


def _input(entry: dict[str, Any]) -> Any:
    config = entry["config"]
    if config.get("ragged"):
        raise NotLoaded(f"its input {config['name']!r} is ragged")
    shape = config.get("batch_input_shape") or config["batch_shape"]
    return keras.Input(
        batch_shape=shape, dtype=config["dtype"], sparse=bool(config.get("sparse")), name=layer_name(entry)
    )


def _sequential(config: dict[str, Any], objects: dict[str, Any]) -> Any:
    entries = list(config["layers"])
    model = keras.Sequential(name=config.get("name"))
    first = entries[0]
    if first["class_name"] == "InputLayer":
        model.add(_input(entries.pop(0)))
    elif first["class_name"] not in _MODELS:
        shape = first["config"].get("batch_input_shape") or config.get("build_input_shape")
        if shape:
            model.add(keras.Input(batch_shape=shape, dtype=first["config"].get("dtype", "float32")))
    for layer in entries:
        model.add(_make(layer, objects))
    return model


class _Graph:
    """A Functional model that is being made.

    Attributes:
        made: the outputs of each call, by the name of the layer, in the order of its calls.
    """

    def __init__(self, config: dict[str, Any], objects: dict[str, Any]):
        self.config = config
        self.made: dict[str, list[Any]] = {}
        self.entries = {entry["name"]: entry for entry in config["layers"]}
        self.layers: dict[str, Any] = {}
        for name, entry in self.entries.items():
            if entry["class_name"] == "InputLayer":
                self.made[name] = [_input(entry)]
            else:
                self.made[name] = []
                self.layers[name] = _operation(entry) if entry["class_name"] == _OPERATION else _make(entry, objects)
        names = [layer_name(entry) for entry in self.entries.values()]
        if len(set(names)) < len(names):
            raise NotLoaded("two of its layers have one name in Keras 3, which allows no '/'")
        # A nested model was called once before this graph called it, when it was made.
        self.first = dict.fromkeys(self.entries, 0)
        for name, number, _ in _tensors(
            [config["output_layers"], *(e["inbound_nodes"] for e in self.entries.values())]
        ):
            if name in self.entries:
                self.first[name] = max(self.first[name], number + 1 - max(1, len(self.entries[name]["inbound_nodes"])))

    def model(self) -> Any:
        waiting = list(self.layers)
        while waiting:
            later = [name for name in waiting if not self._call(name)]
            if later == waiting:
                raise NotLoaded("its graph is not complete")
            waiting = later
        inputs, outputs = (self._resolved(self.config[key]) for key in ("input_layers", "output_layers"))
        return keras.Model(_single(inputs), _single(outputs), name=self.config.get("name"))

    def _call(self, name: str) -> bool:
        """Makes the calls of a layer for which all is there; says whether these are all."""
        calls = self.entries[name]["inbound_nodes"]
        for node in calls[len(self.made[name]) :]:
            if any(not self._is_made(reference) for reference in _tensors(node)):
                return False
            args, kwargs = self._arguments(node)
            self.made[name].append(self.layers[name](*args, **kwargs))
        return True

    def _is_made(self, reference: tuple[str, int, Any]) -> bool:
        name, number, _ = reference
        return name == _CONSTANT or number - self.first[name] < len(self.made[name])

    def _arguments(self, node: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        kwargs = (node if isinstance(node[0], str) else node[0])[3:]
        given = {k: self._resolved(v) for k, v in (kwargs[0] if kwargs else {}).items() if v is not None}
        tensors = [self._tensor(node)] if isinstance(node[0], str) else [self._resolved([r[:3] for r in node])]
        if not isinstance(node[0], str) and len(node) == 1:
            tensors = tensors[0]
        return tensors, {k: v for k, v in given.items() if k != "name"}

    def _tensor(self, reference: list[Any]) -> Any:
        name, number, index = reference[:3]
        if name == _CONSTANT:
            return index
        return tree.flatten(self.made[name][number - self.first[name]])[index]

    def _resolved(self, value: Any) -> Any:
        if _is_reference(value):
            return self._tensor(value)
        if isinstance(value, list):
            return [self._resolved(v) for v in value]
        return {k: self._resolved(v) for k, v in value.items()} if isinstance(value, dict) else value


def _operation(entry: dict[str, Any]) -> Any:
    function = str(entry["config"].get("function"))
    found = OPERATIONS.get(function.rpartition(".")[2])
    if found is None:
        raise NotLoaded(f"it calls tf.{function}, for which there is no translation")
    return found


def _single(values: Any) -> Any:
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and (isinstance(value[2], int) or value[0] == _CONSTANT)
    )


def _tensors(value: Any) -> list[tuple[str, int, Any]]:
    """Returns the references to tensors in a part of a config."""
    if _is_reference(value):
        return [(value[0], value[1], value[2]), *(_tensors(value[3]) if len(value) == 4 else [])]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [reference for v in inside for reference in _tensors(v)]
