"""Writes the golden files of a release: small models with attention, and what they compute.

    python scripts/make_golden.py 0.1.0

Run once, when a version is released; `tests/golden` then loads them with every later version. Files that are there are
never replaced: they were written by the version they are named after, and nothing else may claim that.

    tests/golden/VERSION/NAME.keras     models: every module, every placement, models in models
    tests/golden/VERSION/outputs.npz    NAME/x, NAME/y (with attention) and NAME/plain (without)
    tests/golden/VERSION/plan.yaml      a configuration
    tests/golden/VERSION/names.json     the layers that were inserted: names are an API
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import attnzoo
from attnzoo.building import plan_config

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
OPTIONS = {"gc": {"ratio": 2}, "se": {"ratio": 2}, "cbam": {"ratio": 2}, "coord": {"min_hidden": 4}}
PLACED = {
    "stage": "eca",
    "post": "simam",
    "residual": "se",
    "pre": "gct",
    "shortcut": "ese",
    "inner": "spatial",
    "parallel": "cbam",
}
PLAN = """\
backbone:
  name: MobileNetV2
  alpha: 0.35
  input_shape: [32, 32, 3]
  weights: null
insert:
  - attention: se
    placement: residual
    stages: [2, 3]
  - attention: cbam
    stages: [3, 4]
  - attention: eca
    after: [block_1_*_relu, out_relu]
  - attention: simam
    placement: parallel
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="the version that this is; must be that of the package")
    parser.add_argument("--folder", type=Path, default=GOLDEN, help="where the versions' folders are")
    args = parser.parse_args(argv)
    if args.version != attnzoo.__version__:
        parser.error(f"this is attnzoo {attnzoo.__version__}, not {args.version}.")
    folder = args.folder / args.version
    if folder.exists():
        parser.error(f"{folder} exists; golden files are never replaced.")
    folder.mkdir(parents=True)
    write(folder)
    return 0


def write(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    arrays: dict[str, Any] = {}
    names: dict[str, list[str]] = {}
    for model in models():
        disturb(model)
        x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
        arrays |= {f"{model.name}/x": x, f"{model.name}/y": output(model, x)}
        arrays[f"{model.name}/plain"] = output(attnzoo.strip(model), x)
        names[model.name] = inserted(model)
        save(model, folder / f"{model.name}.keras")
    np.savez_compressed(folder / "outputs.npz", **arrays)
    (folder / "plan.yaml").write_text(PLAN)
    plans = plan_config(folder / "plan.yaml")
    names["plan.yaml"] = [site.name for plan in plans for site in plan]
    (folder / "names.json").write_text(json.dumps(names, indent=1) + "\n")


def save(model: keras.Model, path: Path) -> None:
    """Saves a model; Keras stores the parts of the file as they are, here they are packed to a fifth."""
    model.save(path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in parts.items():
            file.writestr(name, data)


def output(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return np.concatenate([keras.ops.convert_to_numpy(y).ravel() for y in keras.tree.flatten(model(x))])


def inserted(model: keras.Model) -> list[str]:
    """Returns the names of the layers that were inserted, in nested models too, sorted."""
    found = []
    for layer in model.layers:
        found += inserted(layer) if hasattr(layer, "layers") else []
        found += [layer.name] if getattr(layer, "site", None) else []
    return sorted(found)


def disturb(model: keras.Model) -> None:
    """Moves every weight, alpha above all, so that a wrong one shows in the output."""
    rng = np.random.default_rng(1)
    adapted = {id(w) for v in model.layers if isinstance(v, layers.Normalization) for w in v.weights}
    for w in model.weights:
        if id(w) not in adapted and "float" in w.dtype:
            value = keras.ops.convert_to_numpy(w)
            w.assign(
                0.3 if w.name == "alpha" else value * rng.uniform(0.8, 1.2, w.shape) + rng.uniform(0, 0.05, w.shape)
            )


# Models ----------------------------------------------------------------------------------------------------------


def models() -> Iterator[keras.Model]:
    keys = attnzoo.list_attentions()
    for start in range(0, len(keys), 6):
        yield chain(keys[start : start + 6])
    yield placements()
    yield nested()


def chain(keys: list[str]) -> keras.Model:
    """Each module after a convolution of its own, on a map of 8 channels."""
    x = inputs = keras.Input((7, 7, 8), name="image")
    for key in keys:
        x = layers.Conv2D(8, 1, name=f"for_{key}")(x)
    model = keras.Model(inputs, x, name="modules_" + "_".join((keys[0], keys[-1])))
    for key in keys:
        model = attnzoo.augment(model, key, after=f"for_{key}", **OPTIONS.get(key, {}))
    return model


def block(x: Any, name: str, strides: int) -> Any:
    y = layers.Conv2D(8, 1, use_bias=False, name=f"{name}_1")(x)
    y = layers.ReLU(name=f"{name}_1_relu")(layers.BatchNormalization(name=f"{name}_1_bn")(y))
    y = layers.Conv2D(8, 3, strides, "same", use_bias=False, name=f"{name}_2")(y)
    y = layers.ReLU(name=f"{name}_2_relu")(layers.BatchNormalization(name=f"{name}_2_bn")(y))
    y = layers.BatchNormalization(name=f"{name}_3_bn")(layers.Conv2D(8, 1, use_bias=False, name=f"{name}_3")(y))
    if strides > 1:
        x = layers.Conv2D(8, 1, strides, use_bias=False, name=f"{name}_0")(x)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def placements() -> keras.Model:
    """A module in each placement, all in one residual network of two blocks."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    x = block(block(x, "a", 1), "b", 2)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(name="pool")(x), name="placements")
    for placement, key in PLACED.items():
        model = attnzoo.augment(model, key, placement=placement, **OPTIONS.get(key, {}))
    return model


def pointwise(channels: int) -> layers.Layer:
    return layers.Conv2D(channels, 1, name="pointwise")


def nested() -> keras.Model:
    """A backbone in a model, after an adapted normalisation; a layer of Keras's own as attention; two outputs."""
    inner = keras.Input((8, 8, 3), name="pixels")
    backbone = keras.Model(
        inner, block(layers.Conv2D(8, 3, padding="same", name="stem")(inner), "a", 2), name="backbone"
    )
    norm = layers.Normalization(name="norm")
    norm.adapt(np.random.default_rng(2).normal(3.0, 2.0, size=(4, 8, 8, 3)))
    inputs = keras.Input((8, 8, 3), name="image")
    features = backbone(norm(inputs))
    head = layers.Dense(2, name="head")(layers.GlobalAveragePooling2D(name="pool")(features))
    model = keras.Model(inputs, {"head": head, "features": features}, name="nested")
    model = attnzoo.augment(model, "se", placement="residual", ratio=2)
    return attnzoo.augment(model, pointwise, after="backbone/a_out", init="paper")


if __name__ == "__main__":
    sys.exit(main())
