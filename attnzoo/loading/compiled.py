"""What a model in a file was compiled with, and the state of its optimizer."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attnzoo.files.inspect import Findings, read_config
from attnzoo.loading.reasons import NotLoaded

_LEGACY = {"optimizer": "optimizers", "loss": "losses", "metrics": "metrics", "weighted_metrics": "metrics"}


@dataclass(frozen=True)
class CompileState:
    """What `compile` was given, serialized, and the arrays of the optimizer by group and key."""

    config: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]
    objects: dict[str, Any]

    def restore(self, model: Any) -> None:
        """Compiles a model and gives its optimizer the state that it was saved with.

        Raises:
            NotLoaded: if the model compiles itself in a way of its own.
        """
        import keras

        from attnzoo._keras import LayerState

        with warnings.catch_warnings(), keras.saving.custom_object_scope(self.objects):
            warnings.filterwarnings("error", message="Skipping variable loading")
            warnings.filterwarnings("ignore", message="`compile\\(\\)` was not called")
            for name in set(_losses(self.config.get("loss"))) - set(self.objects):
                try:
                    keras.losses.get(name)  # Keras itself asks when training begins
                except ValueError:
                    raise NotLoaded(
                        f"was compiled with {name!r}, a loss that Keras does not know; hand it over:"
                        f" load_model(path, compile=True, custom_objects={{{name!r}: ...}})."
                    ) from None
            model.compile_from_config(self.config)
            if not model.compiled:
                raise NotLoaded(f"its class {type(model).__name__} has a compile() of its own; use compile=False.")
            values = [array for group in self.arrays.values() for array in group.values()]
            if any(array.any() for array in values if array.dtype.kind in "iu"):  # else it has done no step
                state = LayerState()
                state.groups.update(self.arrays)
                state.load_into(model.optimizer)


def compile_state(path: str, objects: dict[str, Any], *, trust: bool) -> CompileState:
    """Reads the compile state of a model; builds nothing.

    Raises:
        NotLoaded: if there is none, or it holds what is not safe to load.
    """
    from attnzoo.files.known_classes import unknown_classes

    state = _archive(path, objects) if zipfile.is_zipfile(path) else _hdf5(path, objects)
    findings = Findings()
    found = read_config({"config": {"compile": state.config}}, findings)
    unknown = [f"holds a {r.name}, a class Keras does not know." for r in unknown_classes(found.references, objects)]
    for reason in [] if trust else [*findings.risks, *unknown]:
        raise NotLoaded(f"its compile state {reason.removesuffix('.')}; load it with compile=False, and compile it.")
    return state


def _archive(path: str, objects: dict[str, Any]) -> CompileState:
    with zipfile.ZipFile(path) as archive:
        config = _checked(json.loads(archive.read("config.json")).get("compile_config"))
        arrays: dict[str, dict[str, np.ndarray]] = {}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:

            def add(name: str, item: Any) -> None:
                group, _, key = f"/{name}".rpartition("/vars/")
                if isinstance(item, h5py.Dataset) and key:
                    arrays.setdefault(group.strip("/"), {})[key] = np.asarray(item)

            if "optimizer" in file:
                file["optimizer"].visititems(add)
    return CompileState(config, arrays, objects)


def _hdf5(path: str, objects: dict[str, Any]) -> CompileState:
    with h5py.File(Path(path), "r") as file:
        written = file.attrs.get("training_config")
        config = _checked(None if written is None else json.loads(written))
        config["optimizer"] = config.pop("optimizer_config", None)
        arrays = {}
        if "optimizer_weights" in file:
            group = file["optimizer_weights"]
            arrays[""] = {str(i): np.asarray(group[name]) for i, name in enumerate(group.attrs["weight_names"])}
    return CompileState({k: _with_module(v, _LEGACY.get(k)) for k, v in config.items()}, arrays, objects)


def _checked(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict) or not config:
        raise NotLoaded("holds no compile state; load it with compile=False, and compile it.")
    return config


def _losses(value: Any) -> Iterator[str]:
    """Yields the losses that are given by name."""
    if isinstance(value, str):
        yield value
    elif not (isinstance(value, dict) and "class_name" in value):
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from _losses(inner)


def _with_module(value: Any, module: str | None) -> Any:
    """Says of what legacy files name bare where Keras has it."""
    if isinstance(value, list):
        return [_with_module(v, module) for v in value]
    if not isinstance(value, dict):
        return value
    inner = {k: _with_module(v, module) for k, v in value.items()}
    if module and "class_name" in value and "module" not in value:
        return {**inner, "module": f"keras.{module}", "registered_name": value["class_name"]}
    return inner
