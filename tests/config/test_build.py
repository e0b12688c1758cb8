"""Building: shipped configurations, heads, weights, and what fails on the way."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo import backbones
from attnzoo.building import build, plan_config
from attnzoo.config import load_config
from attnzoo.errors import ConfigError, PlanError

SMALL = {"name": "MobileNetV2", "alpha": 0.35, "input_shape": [32, 32, 3], "weights": None}
IMAGE = np.random.default_rng(0).random((2, 32, 32, 3), "float32")


def of_image(model: keras.Model) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(IMAGE)))


@pytest.fixture
def made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations that share a backbone get the same one: inserting leaves it as it is."""
    monkeypatch.setattr(backbones, "make_backbone", ONCE)


ONCE = functools.lru_cache(maxsize=None)(backbones.make_backbone)


@pytest.mark.usefixtures("made_once")
@pytest.mark.parametrize("name", attnzoo.list_configs())
def test_every_shipped_configuration_builds(name: str) -> None:
    config = load_config(name)
    overrides: dict[str, Any] = {"backbone.weights": None}
    if not config.backbone.include_top:
        overrides["backbone.input_shape"] = [64, 64, 3]
    model = build(name, overrides=overrides)
    inserted = [layer for layer in model.layers if isinstance(layer, attnzoo.layers.Attention)]
    assert model.name == name
    assert len({layer.key for layer in inserted}) == len(config.insert)
    assert model.output_shape == (None, config.head.classes if config.head else 1000)
    # The head is part of one flat graph; models that were nested in the backbone (ConvNeXt's stem) stay nested.
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model) and len(layer.layers) > 10]


@pytest.mark.parametrize("name", attnzoo.list_configs())
def test_every_shipped_configuration_opens_with_what_whence_and_how(name: str) -> None:
    from attnzoo.config._shipped import find_config

    what, whence, how, *_ = find_config(name).read_text("utf-8").splitlines()
    assert what.startswith("# ")
    assert whence.startswith("# Source: ")
    assert how.startswith(f"# attnzoo build {name} -o {name}.keras")


def test_there_are_shipped_configurations_for_every_placement() -> None:
    used = {entry.placement for name in attnzoo.list_configs() for entry in load_config(name).insert}
    assert used == set(attnzoo.planning.PLACEMENTS)


def test_an_inserted_module_leaves_the_backbone_as_it_was() -> None:
    keras.utils.set_random_seed(3)
    bare = build({"backbone": SMALL})
    keras.utils.set_random_seed(3)
    model = build({"backbone": SMALL, "insert": [{"attention": "se", "placement": "residual"}]})
    assert np.array_equal(of_image(bare), of_image(model))


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        ({"classes": 3}, [("head_pool", "GlobalAveragePooling2D"), ("predictions", "Dense")]),
        (
            {"classes": 3, "pooling": "max", "dropout": 0.5, "activation": None},
            [("head_pool", "GlobalMaxPooling2D"), ("head_dropout", "Dropout"), ("head_logits", "Dense")],
        ),
        ({"classes": 3, "name": "species"}, [("head_pool", "GlobalAveragePooling2D"), ("species", "Dense")]),
    ],
)
def test_the_head_has_the_layers_it_asks_for(head: dict[str, Any], layers: list[tuple[str, str]]) -> None:
    model = build({"backbone": SMALL, "head": head})
    assert [(x.name, type(x).__name__) for x in model.layers[-len(layers) :]] == layers
    total = keras.ops.convert_to_numpy(keras.ops.sum(model(IMAGE), axis=-1))
    assert np.allclose(total, 1, atol=1e-5) == (head.get("activation", "softmax") == "softmax")


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow has no channels_first convolution on a CPU"
)
def test_the_head_pools_a_channels_first_backbone_by_its_own_axes(tmp_path: Path) -> None:
    inputs = keras.Input((3, 16, 16))
    maps = keras.layers.Conv2D(8, 3, strides=2, data_format="channels_first")(inputs)
    keras.Model(inputs, maps).save(tmp_path / "first.keras")
    model = build({"backbone": {"name": f"file:{tmp_path / 'first.keras'}"}, "head": {"classes": 3}})
    assert model.get_layer("head_pool").output.shape == (None, 8)


def test_the_head_computes_in_float32_under_mixed_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build({"backbone": SMALL, "head": {"classes": 3}})
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("head_pool").compute_dtype == "float16"
    assert model.output.dtype == "float32"


def test_the_name_comes_from_the_file_or_else_from_the_backbone(tmp_path: Path) -> None:
    file = tmp_path / "my net (2).yaml"
    file.write_text("backbone: {name: MobileNetV2, alpha: 0.35, input_shape: [32, 32, 3], weights: null}\n")
    assert build(file).name == "my_net__2_"
    assert build({"backbone": SMALL}).name == "mobilenetv2_0.35_32"


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_weights_are_read_relative_to_the_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build({"backbone": SMALL})
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / f"w{suffix}"
    if suffix == ".weights.h5":
        old.save_weights(path)
    else:
        old.save(path)
    (tmp_path / "sub" / "c.yaml").write_text(
        f"backbone: {{name: MobileNetV2, alpha: 0.35, input_shape: [32, 32, 3], weights: w{suffix}}}\n"
        "insert: [{attention: eca, stages: [1]}]\n"
    )
    monkeypatch.chdir(tmp_path)
    new = build("sub/c.yaml")
    assert np.array_equal(of_image(old), of_image(new))


def test_a_model_file_is_a_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build({"backbone": SMALL})
    attnzoo.files.save_model(old, tmp_path / "old.keras")
    monkeypatch.chdir(tmp_path)
    new = build({"backbone": {"name": "file:old.keras"}, "head": {"classes": 2}})
    backbone = keras.Model(new.input, new.get_layer("out_relu").output)
    assert np.array_equal(of_image(old), of_image(backbone))


def test_a_plan_needs_no_weights() -> None:
    plans = plan_config("resnet50_eca_cbam", overrides={"backbone.input_shape": [32, 32, 3]})
    assert [(len(plan), plan.model) for plan in plans] == [(7, "resnet50"), (2, "resnet50")]


def fails(config: Any, kind: type[Exception] = ConfigError) -> str:
    with pytest.raises(kind) as error:
        build(config)
    return str(error.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("none.h5", "backbone.weights: weights '{here}/none.h5': no such file."),
        (
            "w.txt",
            "backbone.weights: weights '{here}/w.txt': expected 'imagenet', null or a .keras, .h5 or .weights.h5 file.",
        ),
    ],
)
def test_weights_that_are_not_there(
    weights: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fails({"backbone": {**SMALL, "weights": weights}}) == message.format(here=tmp_path)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    text = fails({"backbone": {**SMALL, "weights": str(path)}})
    assert text.startswith(f"backbone.weights: MobileNetV2 cannot be made with the weights '{path}': ")
    assert "\n" not in text


def test_weights_that_fit_only_in_part_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    build({"backbone": SMALL}).save_weights(path)
    text = fails({"backbone": {**SMALL, "weights": str(path), "include_top": True}})
    assert text == f"backbone.weights: weights '{path}': fit MobileNetV2 only in part: 'predictions' is missing."


def test_a_plan_that_fails_names_the_line_that_asks_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(
        "backbone: {name: MobileNetV2, alpha: 0.35, input_shape: [32, 32, 3], weights: null}\n"
        "insert:\n  - attention: se\n  - attention: se\n    stages: [9]\n"
    )
    assert fails("c.yaml", PlanError).startswith("c.yaml:5:5: insert.1.stages: ")
