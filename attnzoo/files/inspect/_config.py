"""The config of a model: JSON that names classes and functions, and the numbers they are called with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from attnzoo.errors import quoted
from attnzoo.files.inspect._findings import Findings, Unreadable
from attnzoo.files.inspect._report import Inserted, Reference

MOST_VALUES = 2_000_000
MOST_LAYERS = 20_000
MOST_CALLS = 100_000
MOST_DEPTH = 200
LARGEST = 2**31
"""No size is larger: a map of 8192 x 8192 x 32 has as many values."""

CODE = ("Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
OUTSIDE = ("TFSMLayer",)
FOREIGN = ("TypeSpec", "CompositeTensor", "__typespec__")
VALUES = ("__tensor__", "__numpy__")

_ANY_NUMBER = ("seed", "shared_object_id", "value")
_NAMES = ("name", "class_name", "module", "registered_name", "site")
_FILES = ("vocabulary", "filepath", "idf_weights")
_ADDRESSES = ("http://", "https://", "hf://", "gs://", "s3://", "kaggle://", "file://")
_OURS = "attnzoo>"


@dataclass
class ModelConfig:
    """What a config says."""

    model: tuple[str, str] | None = None
    layers: Counter[str] = field(default_factory=Counter)
    attention: list[Inserted] = field(default_factory=list)
    references: dict[Reference, None] = field(default_factory=dict)
    calls: int = 0

    @property
    def custom(self) -> tuple[str, ...]:
        """Classes that are neither Keras's nor attnzoo's."""
        return tuple(dict.fromkeys(r.registered or r.name for r in self.references if _is_custom(r)))


def parse(text: str | bytes, what: str) -> Any:
    """Returns the values of a JSON text.

    Raises:
        Unreadable: if it is none, or nested so deep that Python gives up.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable(f"its {what} is nested deeper than any model.") from None
    except ValueError as error:
        raise Unreadable(f"its {what} is not JSON: {error}.") from None


def read_config(raw: Any, findings: Findings) -> ModelConfig:
    """Walks through a config.

    Args:
        raw: JSON values.
        findings: receives what is dangerous.

    Raises:
        Unreadable: if it is not the config of a model, or of absurd length.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("config"), dict | list):
        raise Unreadable("its config does not describe a model.")
    config = ModelConfig((str(raw.get("class_name")), _name(raw)))
    for value, key, is_layer, in_list in _values(raw):
        if isinstance(value, dict):
            _look_at(value, is_layer, config, findings)
        elif isinstance(value, str):
            _check_string(key, value, in_list, findings)
        elif isinstance(value, int) and abs(value) > LARGEST and key not in _ANY_NUMBER:
            findings.risk(f"its config sets {quoted(key)} to {_digits(value)}, which no model needs.")
    if sum(config.layers.values()) > MOST_LAYERS or config.calls > MOST_CALLS:
        raise Unreadable(f"its config has more than {MOST_LAYERS:,} layers or {MOST_CALLS:,} calls of them.")
    return config


def _values(raw: Any) -> Iterator[tuple[Any, str, bool, bool]]:
    """Yields every value, the key it stands under, whether it is a layer, and whether it is in a list.

    Entries of a list stand under the key of the list.
    """
    waiting: list[tuple[Any, str, bool, bool, int]] = [(raw, "", False, False, 0)]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        value, key, is_layer, in_list, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise Unreadable(f"its config is nested deeper than {MOST_DEPTH} levels.")
        yield value, key, is_layer, in_list
        if isinstance(value, dict):
            inside = reversed(_inside(value).items())
            waiting.extend((v, k, _is_attention(k, value), False, depth + 1) for k, v in inside)
        elif isinstance(value, list):
            waiting.extend((v, key, key == "layers", True, depth + 1) for v in reversed(value))
    raise Unreadable(f"its config has more than {MOST_VALUES:,} values.")


def _inside(value: dict[str, Any]) -> dict[str, Any]:
    """Returns what is to be looked at in a dict; Keras makes objects of everything in one that has no `config`."""
    name, config = value.get("class_name"), value.get("config")
    if name in CODE:  # does not matter any more
        return {}
    if name in VALUES and isinstance(config, dict):  # the numbers of an array are no sizes, and there may be many
        return {**value, "config": {k: v for k, v in config.items() if k != "value"}}
    return value


def _is_attention(key: str, entry: dict[str, Any]) -> bool:
    """True for what stands beside the config of a model of a class of its own, see `attnzoo.rewriting.addresses`."""
    return key == "layer" and ("behind" in entry or "edges" in entry)


def _look_at(value: dict[str, Any], is_layer: bool, config: ModelConfig, findings: Findings) -> None:
    if "class_name" in value:
        _look_at_object(value, is_layer, config, findings)
    calls = value.get("inbound_nodes")
    if isinstance(calls, list):
        config.calls += len(calls)
        if any(isinstance(call, dict) and not _reads_a_tensor(call) for call in calls):
            findings.risk(
                f"its layer {quoted(value.get('name', ''))} is called on constants and would compute while loading."
            )


def _look_at_object(value: dict[str, Any], is_layer: bool, config: ModelConfig, findings: Findings) -> None:
    name, inner = value["class_name"], value.get("config")
    if not isinstance(name, str):
        findings.defect(f"its config names {quoted(name)} as a class; expected a text.")
        return
    label = f"{name} {quoted(inner['name'])}" if isinstance(inner, dict) and "name" in inner else name
    if name in CODE:
        findings.risk(f"holds a {label}, code that would run on loading.")
    elif name in OUTSIDE:
        findings.risk(f"holds a {label}, a layer that runs a program from another file.")
    elif name in FOREIGN:
        findings.risk(f"holds a {label}, an object of TensorFlow's that no layer needs.")
    called = inner if name == "function" and isinstance(inner, str) else name
    registered = value.get("registered_name")
    module = value.get("module")
    config.references[
        Reference(
            called, module if isinstance(module, str) else None, registered if isinstance(registered, str) else None
        )
    ] = None
    if is_layer:
        shown = str(registered or name).removeprefix(_OURS)
        config.layers[shown] += 1
        if isinstance(inner, dict) and isinstance(inner.get("site"), str) and "init" in inner:
            config.attention.append(Inserted(_name(value), shown, inner["site"]))


def _reads_a_tensor(call: dict[str, Any]) -> bool:
    return any(isinstance(v, dict) and v.get("class_name") == "__keras_tensor__" for v, *_ in _values(call))


def _check_string(key: str, value: str, in_list: bool, findings: Findings) -> None:
    if key in _NAMES and not value.isprintable():
        findings.risk(f"its config has control characters in the {key} {quoted(value)}.")
    if key in _FILES and in_list:  # the words themselves
        return
    if key in _FILES or value.startswith(_ADDRESSES):
        findings.risk(f"its config points at {quoted(value)}, outside the file.")


def _name(value: dict[str, Any]) -> str:
    inner = value.get("config")
    return str(inner.get("name", value.get("name", ""))) if isinstance(inner, dict) else ""


def _digits(value: int) -> str:
    # Thousands of digits take Python long to write out, or are refused.
    return str(value) if value.bit_length() < 128 else f"a number of {value.bit_length():,} bits"


def _is_custom(reference: Reference) -> bool:
    if (reference.registered or "").startswith(_OURS) or reference.name.startswith(_OURS):
        return False
    module = reference.module
    if module is None:  # legacy files name Keras's own classes bare
        return ">" in (reference.registered or reference.name)
    return module != "builtins" and module.partition(".")[0] != "keras"
