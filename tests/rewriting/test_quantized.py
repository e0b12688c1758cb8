"""`model.quantize("int8")` on a model with attention, then saving and loading."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import pytest
from keras import layers

import attnzoo
from tests.helpers import assert_same_outputs, randomize, small_backbone


def floating(key: str) -> keras.Model:
    base = small_backbone()
    x = layers.GlobalAveragePooling2D()(base.output)
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    model = keras.Model(base.input, layers.Dense(8, name="logits")(x), name="net")
    return randomize(attnzoo.augment(model, key, stages=[2]))


def quantized(key: str, mode: str) -> keras.Model:
    model = floating(key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras lists the layers that have no quantised form
        model.quantize(mode)
    return model


@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.parametrize(
    "key",
    [pytest.param(k, marks=() if k in ("se", "bam") else pytest.mark.exhaustive) for k in attnzoo.list_attentions()],
)
def test_a_quantised_model_comes_back_with_its_attention_in_float(key: str, mode: str, tmp_path: Path) -> None:
    model = quantized(key, mode)
    path = tmp_path / "m.keras"
    model.save(path)
    again = attnzoo.load_model(path)
    assert_same_outputs(model, again)
    for layer in again.layers:
        assert ("int" in str(layer.dtype_policy.name)) == (layer.name in ("hidden", "logits")), layer.name
        if isinstance(layer, attnzoo.layers.Attention):
            assert {w.dtype for w in layer.weights} <= {"float32"}


@pytest.mark.parametrize("layout", ["m.keras", "w.weights.h5"])
def test_weights_of_a_quantised_model_load_into_another_and_its_dense_layers_not_into_a_float_one(
    layout: str, tmp_path: Path
) -> None:
    quantized("se", "int8").save(tmp_path / "old.keras")
    old, model = (attnzoo.load_model(tmp_path / "old.keras") for _ in range(2))
    old.get_layer("stem_conv").kernel.assign(2.0 * old.get_layer("stem_conv").kernel)
    path = tmp_path / layout
    old.save(path) if layout == "m.keras" else old.save_weights(path)
    attnzoo.load_backbone_weights(model, path)
    assert_same_outputs(old, model)
    report = attnzoo.load_backbone_weights(floating("se"), path)
    assert report.mismatched == dict.fromkeys(["hidden", "logits"], "3 arrays in the file, 2 in the model")
