"""Backbones by name: what is known of each, presets, and registered functions."""

from __future__ import annotations

import sys
import types
from typing import Any

import keras
import pytest

import attnzoo
from attnzoo import backbones


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(backbones, "_REGISTRY", {})
    return backbones._REGISTRY


def tiny(*, input_shape: Any = (8, 8, 3), width: int = 4) -> keras.Model:
    x = keras.Input(input_shape)
    return keras.Model(x, keras.layers.Conv2D(width, 3)(x), name="tiny")


def test_all_applications_are_listed() -> None:
    names = attnzoo.list_backbones()
    assert {"ResNet50", "MobileNetV2", "ConvNeXtTiny", "VGG16"} <= set(names)
    assert names == sorted(names)
    assert all(callable(getattr(keras.applications, name)) for name in names)


@pytest.mark.parametrize(
    ("name", "kind", "takes", "options"),
    [
        (
            "ResNet50",
            "application",
            ("weights", "input_shape", "include_top"),
            {"pooling", "classes", "classifier_activation"},
        ),
        ("file:a/b.keras", "file", (), set()),
        ("keras_hub:resnet_18_imagenet", "keras_hub", ("weights", "input_shape"), set()),
        ("keras_cv:resnet18_imagenet", "keras_cv", ("weights", "input_shape"), set()),
    ],
)
def test_what_is_known_before_anything_is_made(name: str, kind: str, takes: tuple[str, ...], options: set[str]) -> None:
    recipe = backbones.find_backbone(name)
    assert (recipe.kind, recipe.takes, set(recipe.options)) == (kind, takes, options)


def test_a_registered_function_is_a_backbone(registry: dict[str, Any]) -> None:
    assert attnzoo.register_backbone("tiny")(tiny) is tiny
    attnzoo.register_backbone("tiny")(tiny)  # a notebook cell runs twice
    assert "tiny" in attnzoo.list_backbones()
    model = attnzoo.build({"backbone": {"name": "tiny", "input_shape": [16, 16, 3], "width": 6}})
    assert (model.name, model.output_shape) == ("tiny", (None, 14, 14, 6))


def test_the_error_of_a_registered_function_stays_its_own(registry: dict[str, Any]) -> None:
    def broken() -> None:
        raise KeyError("mine")

    attnzoo.register_backbone("broken")(broken)
    with pytest.raises(KeyError, match="mine"):
        backbones.make_backbone("broken")


@pytest.mark.parametrize(("package", "shape"), [("keras_hub", "image_shape"), ("keras_cv", "input_shape")])
@pytest.mark.parametrize("weights", ["imagenet", None])
def test_presets_go_to_their_library(
    package: str, shape: str, weights: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def from_preset(preset: str, **arguments: Any) -> keras.Model:
        calls.append((preset, arguments))
        return tiny()

    fake = types.SimpleNamespace(models=types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=from_preset)))
    monkeypatch.setitem(sys.modules, package, fake)  # type: ignore[arg-type]
    attnzoo.build({"backbone": {"name": f"{package}:net_18", "weights": weights, "input_shape": [8, 8, 3]}})
    assert calls == [("net_18", {"load_weights": weights is not None, shape: (8, 8, 3)})]
