"""A network with attention computes the same once exported to LiteRT and to ONNX.

Three modules by default; every module, and the variants with code of their own, with `--exhaustive`.
"""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.layers._registry import attention_class

TENSORFLOW = keras.backend.backend() == "tensorflow"
pytestmark = pytest.mark.skipif(not TENSORFLOW, reason="exported from TensorFlow, as most users do")

BY_DEFAULT = ("se", "eca", "cbam")
VARIANTS = [
    ("bam", {"combine": "product"}),
    ("cbam", {"use_bn": True}),
    ("eca", {"padding": "circular"}),
    ("ela", {"group_width": 4, "shared": False, "activation": "silu"}),
    ("gc", {"fusion": "scale"}),
    ("gc", {"pooling": "mean"}),
    ("gct", {"mode": "l1"}),
    ("ge", {"extent": 4}),
    ("ge", {"gather": "conv"}),
    ("ge", {"gather": "conv", "extent": 4, "use_mlp": True}),
    ("nl", {"subsample": 2, "scale": "hidden"}),
    ("scse", {"combine": "max"}),
    ("se", {"gate": "hard_sigmoid"}),
]
CASES = [
    pytest.param(
        key,
        options,
        marks=() if key in BY_DEFAULT and not options else pytest.mark.exhaustive,
        id=f"{key}{options or ''}",
    )
    for key, options in [*((key, {}) for key in attnzoo.list_attentions()), *VARIANTS]
]
SIZE = 24
"""Large enough for the tiled convolutions of the spatial gates."""


def net(key, options, init="paper"):
    """A convolution, the module with random weights, a convolution; sizes fixed, as on a phone."""
    inputs = keras.Input((SIZE, SIZE, 3), batch_size=1, name="image")
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="before")(inputs)
    x = attention_class(key)(init=init, name="attention", **options)(x)
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, name="after")(x), name="net")
    rng = np.random.default_rng(0)
    for weight in model.get_layer("attention").weights:
        value = rng.normal(0.0, 0.4, weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    return model


def image():
    return np.random.default_rng(1).normal(size=(1, SIZE, SIZE, 3)).astype("float32")


def run_litert(path, x):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def run_onnx(path, x):
    session = pytest.importorskip("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


EXPORTS = {"litert": ("net.tflite", run_litert, "ai_edge_litert"), "onnx": ("net.onnx", run_onnx, "tf2onnx")}


@pytest.mark.parametrize("format_", EXPORTS)
@pytest.mark.parametrize(("key", "options"), CASES)
def test_an_exported_network_computes_the_same(key, options, format_, tmp_path, capfd):
    name, run, package = EXPORTS[format_]
    pytest.importorskip(package)
    model, x = net(key, options), image()
    expected = keras.ops.convert_to_numpy(model(x, training=False))  # a model never called does not export
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        model.export(str(tmp_path / name), format=format_, verbose=False)
    np.testing.assert_allclose(run(tmp_path / name, x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(None, 8, 9, 16), (None, None, None, 16)], ids=["batch", "batch and size"])
@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_a_graph_for_any_batch_computes_the_same(key, shape):
    import tensorflow as tf

    layer = attention_class(key)(init="paper", data_format="channels_last")
    x = np.random.default_rng(0).normal(size=(3, 8, 9, 16)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))
    traced = tf.function(layer, jit_compile=False).get_concrete_function(tf.TensorSpec(shape, "float32"))
    np.testing.assert_allclose(traced(tf.constant(x)).numpy(), expected, rtol=1e-5, atol=1e-5)
