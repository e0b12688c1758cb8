"""Networks with attention, exported: files of every format compute in another process what Keras computes here.

One network with one module by default; five networks with every module with `--exhaustive`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import attnzoo

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exported from TensorFlow, as most users do"
)


@pytest.fixture(scope="module")
def grid():
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("_exports.grid")
    sys.path.remove(str(SCRIPTS))


def too_far(found):
    """What is not within 1e-5 of Keras, or where the module was idle, so that nothing was shown."""
    return [x for x in found if x.deviation > 1e-5 or x.effect < 1e-3]


@pytest.mark.parametrize("format_", ["tf_saved_model", "litert", "onnx", "openvino"])
def test_a_file_computes_the_same_in_a_process_without_keras(grid, format_, tmp_path):
    if not grid.installed(format_):
        pytest.skip(f"{format_} is not installed")
    assert too_far(grid.measure("MobileNetV2", ["cbam"], [format_], tmp_path)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, len(attnzoo.list_attentions()), 4))
@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "DenseNet121", "ResNet50"])
def test_every_network_with_every_module_computes_the_same_in_every_format(grid, name, first, tmp_path):
    formats = [f for f in grid.FORMATS if grid.installed(f)]
    found = list(grid.measure(name, attnzoo.list_attentions()[first : first + 4], formats, tmp_path))
    assert found
    assert too_far(found) == []
    keras.backend.clear_session()


def test_an_export_that_fails_is_reported(grid, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no such operation\nand more")

    monkeypatch.setattr(keras.Model, "export", fail)
    (found,) = grid.measure("MobileNetV2", ["se"], ["onnx"], tmp_path)
    assert (found.failure, found.deviation) == ("no such operation", float("inf"))


def test_a_deviation_is_seen(grid, tmp_path, monkeypatch):
    export = grid.export

    def other(model, format_, path):
        model.get_layer("predictions").bias.assign_add(np.full(10, 1e-4, "float32"))
        export(model, format_, path)

    monkeypatch.setattr(grid, "export", other)
    (found,) = too_far(grid.measure("MobileNetV2", ["se"], ["tf_saved_model"], tmp_path))
    assert 0.9e-4 < found.deviation < 1.1e-4
