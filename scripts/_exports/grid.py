"""Networks x modules x formats: how far what an exported file computes is from Keras."""

from __future__ import annotations

import gc
import importlib.util
import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
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
FORMATS = {
    "keras": ".keras",
    "weights": ".weights.h5",
    "tf_saved_model": "",
    "litert": ".tflite",
    "onnx": ".onnx",
    "openvino": ".xml",
}
NEEDS = {"litert": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnxruntime"), "openvino": ("openvino",)}
SIZE = 96
BRANCH = 0.2
"""What the last normalisation of a branch of ResNet50 multiplies by."""
STAGE = 4
CLASSES = 10
NONE = "none"
AT_ONCE = 6
"""Modules in one file: eight ends of ResNet50 take its ONNX converter 19 GB."""


@dataclass(frozen=True)
class Exported:
    """One network with one module, in one format.

    Attributes:
        network, module, format: which; the module "none" is the network with attention that has not been trained.
        deviation: largest difference between the outputs of the file and those of Keras, which are probabilities.
        logits: the same before the softmax, in parts of the largest logit.
        effect: the same between Keras with the module and without.
        failure: what was said when it could not be exported or run; the deviations are infinite then.
    """

    network: str
    module: str
    format: str
    deviation: float
    logits: float
    effect: float
    failure: str = ""


def network(name: str) -> keras.Model:
    """Returns a network with random weights whose activations are of order one, as in a network that has been trained.

    ResNet50 adds sixteen branches to one sum that nothing normalises. In a fresh one each adds as much as the first and
    rounding grows with them; training may begin with branches that add nothing (Goyal et al. 2017, section 5.1) and
    ends with ones that add a part.
    """
    keras.utils.set_random_seed(0)
    shape = (SIZE, SIZE, 3)
    options = {"weights": None, "classes": CLASSES, "classifier_activation": None, **NETWORKS[name]}
    model = getattr(keras.applications, name)(input_shape=shape, **options)
    for x in model.layers:
        if x.name.endswith("_3_bn"):
            x.gamma.assign(BRANCH * x.gamma)
    return calibrated(model)


def calibrated(model: keras.Model) -> keras.Model:
    """Normalises activations, by statistics of one batch, as in a network that has been trained."""
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    momentum = [x.momentum for x in norms]
    for x in norms:
        x.momentum = 0.0
    model(images(model, 16, seed=1), training=True)
    for x, old in zip(norms, momentum, strict=True):
        x.momentum = old
    return model


def images(model: keras.Model, number: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (number, *model.input_shape[1:])).astype("float32")


def attended(model: keras.Model, modules: Sequence[str], stage: int) -> keras.Model:
    """Returns the network with each module, on its own, after a stage: the logits of all of them side by side.

    One module: what `augment` returns. Several: up to that stage the networks are the same, and there only once; after
    it there is one of each, cut out of what `augment` returns. It makes one file of several exports.
    """
    networks = {
        module: attnzoo.augment(model, "se", stages=[stage])
        if module == NONE
        else _trained(attnzoo.augment(model, module, stages=[stage]))
        for module in modules
    }
    if len(networks) == 1:
        return networks[modules[0]]
    places = {module: _attention(new)[0].input for module, new in networks.items()}
    trunk = keras.Model(networks[modules[0]].input, places[modules[0]], name="trunk")
    ends = [keras.Model(places[module], new.output, name=module) for module, new in networks.items()]
    inputs = keras.Input(model.input_shape[1:], name="images")
    attended_to = trunk(inputs)
    return keras.Model(inputs, keras.layers.Concatenate(name="all_logits")([end(attended_to) for end in ends]))


def _attention(model: keras.Model) -> list[attnzoo.layers.Attention]:
    return [x for x in model.layers if isinstance(x, attnzoo.layers.Attention) and x.site is not None]


def _trained(model: keras.Model) -> keras.Model:
    """Gives attention weights as training might leave them, so that it acts."""
    rng = np.random.default_rng(0)
    for weight in (w for x in _attention(model) for w in x.weights):
        inputs = max(1, math.prod(weight.shape[:-1]))  # a product of large weights would multiply rounding errors
        value = rng.normal(0.0, min(0.4, inputs**-0.5), weight.shape)
        weight.assign(np.abs(value) + 0.5 if weight.name in ("alpha", "moving_variance") else value)
    return model


def export(model: keras.Model, format_: str, path: Path) -> None:
    model(images(model))  # ONNX of a model that was never called fails
    if format_ == "keras":
        model.save(path)
        return
    if format_ == "weights":
        model.save_weights(path)
        Path(f"{path}.json").write_text(model.to_json())
        return
    normalised = any(isinstance(x, keras.layers.Normalization) for x in model._flatten_layers())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        if format_ == "onnx" and normalised:
            # The constants of a Normalization layer would become inputs of the file; not by way of a SavedModel.
            folder = path.with_suffix("")
            model.export(str(folder), verbose=False)
            command = ["-m", "tf2onnx.convert", "--saved-model", str(folder), "--output", str(path)]
            subprocess.run([sys.executable, *command], capture_output=True, check=True)
        else:
            model.export(str(path), format=format_, verbose=False)


def run(format_: str, jobs: list[tuple[Path, Path, Path]], folder: Path) -> None:
    """Runs exported files in another process.

    Raises:
        RuntimeError: with the last line the process wrote, if it failed.
    """
    listed = folder / f"{format_}.json"
    listed.write_text(json.dumps([[str(p) for p in job] for job in jobs]))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).with_name("runner.py")), format_, str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def measure(
    plain: keras.Model, modules: Sequence[str], formats: Iterable[str], folder: Path, stage: int = STAGE
) -> Iterator[Exported]:
    """Yields what came of each module and format in one network; files are written to `folder`."""
    for i in range(0, len(modules), AT_ONCE):
        yield from _measure_together(plain, modules[i : i + AT_ONCE], formats, folder, stage)
        gc.collect()


def _measure_together(
    plain: keras.Model, modules: Sequence[str], formats: Iterable[str], folder: Path, stage: int
) -> Iterator[Exported]:
    x = folder / "x.npy"
    np.save(x, images(plain))
    model = attended(plain, modules, stage)
    expected, usual = _logits(model), _logits(plain)
    expected = expected.reshape(len(usual), len(modules), -1)
    effects = _of_largest(np.stack([usual] * len(modules), axis=1), expected)
    for format_ in formats:
        path, result = folder / f"{plain.name}_{format_}{FORMATS[format_]}", folder / f"{format_}.npy"
        failure, deviations, logits = "", *[[float("inf")] * len(modules)] * 2
        try:
            export(model, format_, path)
            run(format_, [(path, x, result)], folder)
        except Exception as error:  # whatever a converter raises is the result
            failure = (str(error).strip() or type(error).__name__).splitlines()[0]
        else:
            found = np.load(result).reshape(expected.shape)
            deviations = [float(d) for d in np.abs(_softmax(found) - _softmax(expected)).max((0, 2))]
            logits = _of_largest(found, expected)
        for module, *numbers in zip(modules, deviations, logits, effects, strict=True):
            yield Exported(plain.name, module, format_, *numbers, failure)


def installed(format_: str) -> bool:
    return all(importlib.util.find_spec(package) for package in NEEDS.get(format_, ()))


def _logits(model: keras.Model) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images(model), training=False)))


def _of_largest(found: np.ndarray, expected: np.ndarray) -> list[float]:
    """Returns one number for each module: arrays are (image, module, class)."""
    return [float(d) for d in np.abs(found - expected).max((0, 2)) / np.abs(expected).max((0, 2))]


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
