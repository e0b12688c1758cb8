"""Networks with attention, exported: files of every format compute in another process what Keras computes here.

A small network with some modules by default; five networks with every module with `--exhaustive`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import attnzoo
from tests.helpers import small_resnet

FORMATS = ["keras", "weights", "tf_saved_model", "litert", "onnx", "openvino"]
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
    """What is not within 1e-5 of Keras, or where a module was idle, so that nothing was shown."""
    near = [x for x in found if x.deviation <= 1e-5 and (x.effect >= 1e-3 or x.module == "none")]
    return [x for x in found if x not in near]  # what is no number is not near


@pytest.mark.parametrize(
    "format_",
    [pytest.param(f, marks=pytest.mark.exhaustive if f in ("litert", "onnx") else ()) for f in FORMATS],
)
def test_a_file_computes_the_same_in_a_process_without_attnzoo(grid, format_, tmp_path):
    if not grid.installed(format_):
        pytest.skip(f"{format_} is not installed")
    modules = ["none", "cbam", "nl"]
    found = list(grid.measure(grid.calibrated(small_resnet()), modules, [format_], tmp_path, stage=3))
    assert [x.module for x in found] == modules
    assert too_far(found) == []


NETWORKS = ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "DenseNet121", "ResNet50"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("modules", [attnzoo.list_attentions(), ["cbam"]], ids=["each", "as augmented"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_of_a_known_network_computes_the_same(grid, name, modules, format_, tmp_path):
    if not grid.installed(format_):
        pytest.skip(f"{format_} is not installed")
    network = grid.network(name)
    found = [x for some in (["none"], modules) for x in grid.measure(network, some, [format_], tmp_path)]
    assert too_far(found) == []
    keras.backend.clear_session()


@pytest.mark.exhaustive
def test_what_an_int8_model_exports_to(grid, tmp_path):
    model = attnzoo.augment(grid.calibrated(small_resnet()), "cbam", stages=[3])
    model.quantize("int8")
    model(grid.images(model))
    for format_ in ("tf_saved_model", "onnx", "openvino"):
        model.export(str(tmp_path / f"q{grid.FORMATS[format_]}"), format=format_, verbose=False)
    with pytest.raises(Exception, match="fully_connected"):
        model.export(str(tmp_path / "q.tflite"), format="litert", verbose=False)


def test_a_deviation_that_is_no_number_is_too_far(grid):
    exported = grid.Exported("net", "se", "onnx", float("nan"), float("nan"), 1.0)
    assert too_far([exported]) == [exported]


def test_an_export_that_fails_is_reported(grid, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no such operation\nand more")

    monkeypatch.setattr(keras.Model, "export", fail)
    (found,) = grid.measure(grid.calibrated(small_resnet()), ["se"], ["onnx"], tmp_path, stage=3)
    assert (found.failure, found.deviation) == ("no such operation", float("inf"))


def test_a_deviation_is_seen(grid, tmp_path, monkeypatch):
    plain = grid.calibrated(small_resnet())

    def other_numbers(_, jobs, folder):
        logits = np.array(grid.attended(plain, ["se"], 3)(grid.images(plain)))
        logits[:, 0] += 1e-3
        np.save(jobs[0][2], logits)

    monkeypatch.setattr(grid, "export", lambda *_: None)
    monkeypatch.setattr(grid, "run", other_numbers)
    (found,) = too_far(list(grid.measure(plain, ["se"], ["onnx"], tmp_path, stage=3)))
    assert 1e-5 < found.deviation < 1e-3
    assert 1e-5 < found.logits < 1e-2


def test_a_process_that_fails_says_why(grid, tmp_path):
    with pytest.raises(RuntimeError, match="No such file"):
        grid.run("onnx", [(tmp_path / "none.onnx", tmp_path / "none.npy", tmp_path / "y.npy")], tmp_path)


def test_the_limits_that_the_page_tells_of(tmp_path):
    model = attnzoo.augment(small_resnet(), "se", stages=[3])
    with pytest.raises(ValueError, match="never called"):
        model.export(str(tmp_path / "x.onnx"), format="onnx", verbose=False)
    (tmp_path / "of another").mkdir()
    for name in ("saved_model.pb", "letter.txt"):
        (tmp_path / "of another" / name).write_text("kept?")
    model.export(str(tmp_path / "of another"), verbose=False)
    assert (tmp_path / "of another" / "letter.txt").read_text() == "kept?"
    assert (tmp_path / "of another" / "saved_model.pb").read_bytes() != b"kept?"
