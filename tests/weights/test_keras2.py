"""Weights that Keras 2 wrote, into the networks that Keras 3 makes: by name, though it renamed layers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import AttnzooError
from tests.helpers import array, moved, randomize

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "tests" / "fixtures" / "keras2"


def backbone(name: str = "backbone", unlike: dict[str, str] | None = None) -> keras.Model:
    """The network of scripts/make_keras2_fixtures.py under the names that Keras 3 allows."""

    def called(name: str) -> str:
        return (unlike or {}).get(name, name)

    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name=called("conv"))(image)
    x = layers.ReLU()(layers.BatchNormalization(name=called("conv_bn"))(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="expanded_conv_depthwise")(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization(name="expanded_conv_depthwise_bn")(y))
    g = layers.GlobalAveragePooling2D(keepdims=True)(y)
    g = layers.Conv2D(8, 1, activation="relu", name="expanded_conv_squeeze_excite_conv")(g)
    g = layers.Conv2D(4, 1, activation="sigmoid", name="expanded_conv_squeeze_excite_conv_1")(g)
    x = layers.Add()([x, layers.Multiply()([y, g])])
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1_conv")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    return randomize(keras.Model(image, x, name=name))


def outputs(version: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What Keras 2 was given, and what it made of it."""
    arrays = np.load(FILES / version / "outputs.npz")
    return arrays["image"], arrays[name]


def assert_loaded(model: keras.Model, path: Path, version: str = "2.15") -> attnzoo.weights.load.WeightsReport:
    report = attnzoo.load_backbone_weights(model, path)
    assert (report.missing, report.mismatched) == ((), {})
    image, made = outputs(version, "names")
    np.testing.assert_allclose(array(model(image)), made, rtol=1e-5, atol=1e-5 * np.abs(made).max())
    return report


@pytest.mark.parametrize("augmented", [False, True])
def test_slashes_in_the_names_of_layers_are_read_as_keras_3_writes_them(augmented: bool) -> None:
    model = backbone()
    if augmented:
        model = attnzoo.augment(model, "se", after=["conv*", "expanded_conv_depthwise_bn"], ratio=2)
    report = assert_loaded(model, FILES / "2.15" / "names.h5")
    assert report.unexpected == ()
    assert report.matched["expanded_conv_depthwise_bn"] == "expanded_conv/depthwise/BatchNorm"
    assert report.matched["conv_bn"] == "Conv/BatchNorm"


@pytest.mark.parametrize("version", ["2.12", "2.15"])
def test_weights_of_the_new_format_of_keras_2_have_no_names_and_go_by_rank(version: str) -> None:
    assert_loaded(attnzoo.augment(backbone(), "eca", after=["conv1_bn"]), FILES / version / "names.weights.h5", version)


@pytest.mark.parametrize(
    "file",
    ["2.15/tutorial.h5", "2.15/tutorial.keras", "2.12/tutorial.keras", "2.12/tutorial.h5.keras", "2.19/tutorial.keras"],
)
def test_the_backbone_nested_in_a_model_of_keras_2_is_found(file: str) -> None:
    """The way out for a model that cannot be read: build the network, and load its weights from the model's file."""
    model = attnzoo.augment(backbone(), "eca", after=["conv1_bn"])
    report = assert_loaded(model, FILES / file)
    assert all(name.startswith("backbone/") for name in report.matched.values())
    assert report.unexpected == ("dense",)
    x = inputs = keras.Input((16, 16, 3))
    inner = backbone()
    report = attnzoo.load_backbone_weights(
        keras.Model(inputs, layers.Dense(1, name="dense")(layers.GlobalAveragePooling2D()(inner(x)))), FILES / file
    )
    assert (report.missing, report.mismatched, report.unexpected) == ((), {}, ())
    image, made = outputs("2.15", "names")
    np.testing.assert_allclose(array(inner(image)), made, rtol=1e-5, atol=1e-5 * np.abs(made).max())


def test_attention_that_acts_stays_as_it_was_and_in_its_place() -> None:
    model = moved(attnzoo.augment(backbone(), "se", after=["conv_bn", "conv1_bn"], ratio=2))
    before = array(model.get_layer("conv1_bn_se").alpha)
    attnzoo.load_backbone_weights(model, FILES / "2.15" / "names.h5")
    assert array(model.get_layer("conv1_bn_se").alpha) == before
    image, made = outputs("2.15", "names")
    assert np.abs(array(model(image)) - made).max() > 1e-2


def test_a_name_that_two_layers_of_the_file_have_by_now_is_matched_to_neither(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes((FILES / "2.15" / "names.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file.move("conv1", "Conv1")  # and the first one is written again: both are conv1_conv in Keras 3
        file.copy("Conv1", "conv1")
        file.attrs["layer_names"] = [*file.attrs["layer_names"], "Conv1/conv"]
    with pytest.raises(AttnzooError, match="there are no weights for layer 'conv1_conv'"):
        attnzoo.load_backbone_weights(backbone(), path)


def test_names_are_not_changed_in_a_file_of_keras_3(tmp_path: Path) -> None:
    x = keras.Input((4, 4, 3))
    keras.Model(x, layers.Conv2D(3, 1, name="Conv")(layers.Conv2D(3, 1, name="a")(x))).save(tmp_path / "m.keras")
    model = keras.Model(x, layers.Conv2D(3, 1, name="conv")(layers.Conv2D(3, 1, name="a")(x)))
    with pytest.raises(AttnzooError, match="there are no weights for layer 'conv'"):
        attnzoo.load_backbone_weights(model, tmp_path / "m.keras")


PYTHON = os.environ.get("ATTNZOO_KERAS2_PYTHON")
APPLICATIONS = [n for n in dir(keras.applications) if n[0].isupper()]


@pytest.mark.exhaustive
@pytest.mark.skipif(not PYTHON, reason="ATTNZOO_KERAS2_PYTHON names no Python with tf_keras")
@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_application_loads_what_keras_2_wrote_of_it(name: str, tmp_path: Path) -> None:
    script = ROOT / "scripts" / "make_keras2_fixtures.py"
    done = subprocess.run([PYTHON, script, "--application", name, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    arrays = np.load(tmp_path / f"{name}.npz")
    shape = arrays["image"].shape[1:]
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, include_top=False)
    report = attnzoo.load_backbone_weights(model, tmp_path / f"{name}.h5")
    assert (report.missing, report.mismatched, report.unexpected) == ((), {}, ())
    largest = np.abs(arrays["output"]).max()
    # Another TensorFlow made these: a hundred layers on, its rounding shows (2e-6 in ResNet152).
    deep = 3e-6 if len(model.layers) > 300 else 1e-6
    np.testing.assert_allclose(array(model(arrays["image"])) / largest, arrays["output"] / largest, atol=deep)
