"""Networks x modules x formats: how far what an exported file computes is from Keras."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import attnzoo

NETWORKS: dict[str, dict[str, Any]] = {
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {},
    "EfficientNetB0": {},
    "DenseNet121": {},
    "ResNet50": {},
}
FORMATS = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
NEEDS = {"litert": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnxruntime"), "openvino": ("openvino",)}
SIZE = 64
STAGES = [3, 4]


@dataclass(frozen=True)
class Exported:
    """One network with one module, in one format.

    Attributes:
        network, module, format: which.
        deviation: largest difference between the logits of the file and those of Keras, which are of order one.
        effect: largest difference that the module makes to the logits in Keras.
        failure: what Keras said when it could not export; deviation is infinite then.
    """

    network: str
    module: str
    format: str
    deviation: float
    effect: float
    failure: str = ""


def network(name: str) -> keras.Model:
    """Returns a network with random weights whose activations are ordinary: normalised as if it had been trained."""
    keras.utils.set_random_seed(0)
    shape = (SIZE, SIZE, 3)
    options = {"weights": None, "classes": 10, "classifier_activation": None, "input_shape": shape, **NETWORKS[name]}
    model = getattr(keras.applications, name)(**options)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    momentum = [x.momentum for x in norms]
    for x in norms:
        x.momentum = 0.0
    model(images(16, seed=1), training=True)
    for x, old in zip(norms, momentum, strict=True):
        x.momentum = old
    return model


def images(number: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (number, SIZE, SIZE, 3)).astype("float32") / 128 - 1


def attended(model: keras.Model, module: str) -> keras.Model:
    """Returns the network with the module in its last stages, its weights as training might leave them."""
    new = attnzoo.augment(model, module, stages=STAGES)
    rng = np.random.default_rng(0)
    for layer in (x for x in new.layers if isinstance(x, attnzoo.layers.Attention)):
        for weight in layer.weights:
            value = rng.normal(0.0, 0.4, weight.shape)
            weight.assign(np.abs(value) + 0.5 if weight.name in ("alpha", "moving_variance") else value)
    return new


def export(model: keras.Model, format_: str, path: Path) -> None:
    model(images())  # ONNX of a model that was never called fails
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        model.export(str(path), format=format_, verbose=False)


def run(format_: str, jobs: list[tuple[Path, Path, Path]], folder: Path) -> None:
    """Runs exported files in another process.

    Raises:
        RuntimeError: with what the process said, if it failed.
    """
    listed = folder / f"{format_}.json"
    listed.write_text(json.dumps([[str(p) for p in job] for job in jobs]))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).with_name("runner.py")), format_, str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{format_}: {done.stderr.strip()}")


def measure(name: str, modules: Iterable[str], formats: Iterable[str], folder: Path) -> Iterator[Exported]:
    """Yields what came of each module and format in one network; files are written to `folder`."""
    plain, x, formats = network(name), folder / "x.npy", list(formats)
    np.save(x, images())
    usual = _logits(plain)
    made: dict[tuple[str, str], tuple[Path, np.ndarray]] = {}
    for module in modules:
        model = attended(plain, module)
        expected = _logits(model)
        effect = float(np.abs(expected - usual).max())
        for format_ in formats:
            path = folder / f"{name}_{module}_{format_}{FORMATS[format_]}"
            try:
                export(model, format_, path)
            except Exception as error:  # whatever a converter raises is the result
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                yield Exported(name, module, format_, float("inf"), effect, reason)
            else:
                made[module, format_] = path, expected
    for format_ in formats:
        jobs = {m: (path, x, path.with_suffix(".npy")) for (m, f), (path, _) in made.items() if f == format_}
        run(format_, list(jobs.values()), folder)
        for module, (_, _, result) in jobs.items():
            expected = made[module, format_][1]
            deviation = float(np.abs(np.load(result) - expected).max())
            yield Exported(name, module, format_, deviation, float(np.abs(expected - usual).max()))


def installed(format_: str) -> bool:
    return all(importlib.util.find_spec(package) for package in NEEDS.get(format_, ()))


def _logits(model: keras.Model) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images(), training=False)))
