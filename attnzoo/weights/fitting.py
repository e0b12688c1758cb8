"""Whether the arrays a file has for a layer fit it, and how they get in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from attnzoo._keras import LayerState, layers_inside
from attnzoo.errors import listing
from attnzoo.layers._attended_layer import held_attention
from attnzoo.weights.formats import RANDOM_STATE

_INSERTED = "attnzoo_attention/"
"""Where Keras keeps what a layer holds in the attribute of that name: attention inserted inside the layer."""


@dataclass(frozen=True)
class Fit:
    """`read()` takes the arrays out of the file and returns what assigns them."""

    read: Callable[[], Callable[[], None]]


def fit(layer: Any, saved: Mapping[str, Any], legacy: bool) -> Fit | str:
    """Returns how the arrays go into the layer, or why they do not."""
    return _fit_legacy(layer, saved) if legacy else _fit_keras(layer, saved)


def _fit_keras(layer: Any, saved: Mapping[str, Any]) -> Fit | str:
    state = LayerState.of(layer)
    # Random states are no weights: those of the model stay.
    ours = {
        f"{group}/vars/{key}".lstrip("/"): (group, key, value)
        for group, values in state.groups.items()
        for key, value in values.items()
        if RANDOM_STATE not in f"{group}/"
    }
    if not any(name.startswith(_INSERTED) for name in saved):  # a file of the plain network
        ours = {name: place for name, place in ours.items() if not name.startswith(_INSERTED)}
    if ours.keys() != saved.keys():
        return f"{_arrays(len(saved))} in the file, {len(ours)} in the model"
    for name, (_, key, value) in ours.items():
        if why := _disagree(saved[name], value, getattr(value, "name", key)):
            return why

    def read() -> Callable[[], None]:
        for name, (group, key, _) in ours.items():
            state.groups[group][key] = _array(saved[name])
        return lambda: state.load_into(layer)

    return Fit(read)


def _fit_legacy(layer: Any, saved: Mapping[str, Any]) -> Fit | str:
    inserted = {id(w) for module in held_attention(layer) for w in module.weights}
    weights = [w for w in layer.weights if len(layer.weights) == len(saved) or id(w) not in inserted]
    if len(weights) != len(saved):
        return f"{_arrays(len(saved))} in the file, {len(weights)} in the model"
    order = _legacy_order(layer, weights, list(saved))
    if order is None:
        return f"{listing(map(repr, saved), 3)} in the file, {listing((repr(w.path) for w in weights), 3)} in the model"
    for weight, name in zip(weights, order, strict=True):
        if why := _disagree(saved[name], weight, weight.name):
            return why

    def read() -> Callable[[], None]:
        values = [_array(saved[name]) for name in order]

        def assign() -> None:
            for weight, value in zip(weights, values, strict=True):
                weight.assign(value)
            for inner in (layer, *layers_inside(layer)):
                if hasattr(inner, "finalize_state"):
                    inner.finalize_state()

        return assign

    return Fit(read)


def _legacy_order(layer: Any, weights: list[Any], saved: list[str]) -> list[str] | None:
    """Returns the names in the file in the order of the layer's weights."""
    paths = [f"/{weight.path}".rpartition(f"/{layer.name}/")[2].lstrip("/") for weight in weights]
    # How much of the scopes around a layer is in the names depends on how it was built; the ends are the same.
    for depth in range(1, 1 + max(path.count("/") + 1 for path in paths)):
        theirs = {_end(name, depth): name for name in saved}
        ours = [_end(path, depth) for path in paths]
        if len(theirs) == len(set(ours)) == len(saved) and set(ours) == theirs.keys():
            return [theirs[name] for name in ours]
    # Names changed between releases (depthwise_kernel, kernel); the order within a layer did not. The order among the
    # layers inside a composite one depends on what was frozen when the file was written.
    return None if layers_inside(layer) else saved


def _end(path: str, depth: int) -> str:
    return "/".join(path.split("/")[-depth:])


def _arrays(number: int) -> str:
    return "1 array" if number == 1 else f"{number} arrays"


def _disagree(dataset: Any, value: Any, name: str) -> str | None:
    if tuple(dataset.shape) != tuple(value.shape):
        return f"{name} {tuple(dataset.shape)} in the file, {tuple(value.shape)} in the model"
    ours = str(getattr(value, "dtype", "float32"))
    floats = [dataset.dtype.kind == "f" or _is_bfloat16(dataset), "float" in ours]
    if floats[0] != floats[1] and value.shape:
        return f"{name} {dataset.dtype} in the file, {ours} in the model"
    return None


def _is_bfloat16(dataset: Any) -> bool:
    return bool(dataset.attrs.get("dtype") == "bfloat16")


def _array(dataset: Any) -> np.ndarray:
    return np.array(dataset, dtype=ml_dtypes.bfloat16) if _is_bfloat16(dataset) else np.asarray(dataset)
