"""check_gradients: which attention cannot learn."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import AttnzooError

from ..helpers import assert_state, mobilenet, small_resnet, state_of
from .test_freeze import transfer_model


@pytest.mark.parametrize("key", ["se", "cbam", "gc", "nl", "scse"])
def test_a_model_that_learns_gives_an_empty_report(key):
    options = {"gc": {"ratio": 4}, "cbam": {"ratio": 1}, "se": {"ratio": 1}}.get(key, {})
    report = attnzoo.check_gradients(attnzoo.augment(small_resnet(), key, stages=[2, 3], **options))
    assert len(report) == 0
    assert repr(report) == "small_resnet: gradients reach all of its 2 attention modules"


def test_dead_modules_are_named_with_their_weights():
    model = attnzoo.augment(transfer_model(), "gc", after="backbone/b3_project_bn")
    report = attnzoo.check_gradients(model)
    assert [(r.layer, r.whole) for r in report] == [("backbone/b3_project_bn_gc", False)]
    assert "kernel_2" in report.rows[0].weights
    assert "1 of 1 attention modules have weights that learn nothing" in str(report)


def test_the_model_is_left_as_it_is_whatever_was_frozen():
    model = attnzoo.augment(mobilenet(), "se", stages=[3, 4])
    attnzoo.freeze(model, train="alpha")
    before, flags = state_of(model), [w.trainable for w in model.weights]
    assert not list(attnzoo.check_gradients(model))
    assert_state(model, before)
    assert [w.trainable for w in model.weights] == flags
    model.trainable = False
    assert not list(attnzoo.check_gradients(model))


def test_a_module_whose_path_is_cut_is_found():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, name="conv")(inputs)
    cut = keras.ops.stop_gradient(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(cut))
    (row,) = attnzoo.check_gradients(attnzoo.augment(model, "se", after="conv", ratio=2))
    assert row.whole


def test_several_outputs_inputs_and_structures():
    a, b = keras.Input((16, 16, 3), name="a"), keras.Input((2,), name="b")
    x = layers.Conv2D(8, 3, name="conv")(a)
    y = layers.Dense(2)(layers.Concatenate()([layers.GlobalAveragePooling2D()(x), b]))
    outputs = {"map": x, "label": keras.ops.argmax(y, axis=-1), "logits": y}
    model = attnzoo.augment(keras.Model({"a": a, "b": b}, outputs), "se", after="conv", ratio=2)
    assert not list(attnzoo.check_gradients(model))
    rng = np.random.default_rng(0)
    given = {"a": rng.normal(size=(4, 16, 16, 3)), "b": rng.normal(size=(4, 2))}
    assert not list(attnzoo.check_gradients(model, given))
    with pytest.raises(
        AttnzooError, match=r"cannot be trained on these inputs: .*; give a batch of its inputs as x\.$"
    ):
        attnzoo.check_gradients(model, np.zeros((2, 5, 5, 1)))


def test_a_model_without_attention_has_nothing_to_check():
    assert repr(attnzoo.check_gradients(small_resnet())) == "small_resnet: no attention"


def test_a_sequential_model_is_looked_at_and_no_call_is_left_in_it():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(8, 3, name="conv"), layers.ReLU(name="relu")])
    model = attnzoo.augment(model, "se", after="conv", ratio=2)
    before = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model._flatten_layers()]
    assert not attnzoo.check_gradients(model)
    assert [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model._flatten_layers()] == before
