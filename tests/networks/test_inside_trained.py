"""Attention inside layers that call others: what trains, weights of the plain network, shared and frozen layers."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import RewriteError

from ..helpers import array, assert_same_outputs, basic_block, images, moved, outputs, randomize, reloaded
from ..hub_models import FAMILIES
from .test_composites import Unit
from .test_inside import attention_in


@keras.saving.register_keras_serializable(package="tests")
class Bottleneck(layers.Layer):
    """A residual block with a norm, a dropout and a weight of its own: all that training may move."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        dtype = self.dtype_policy
        self.parts = {
            "conv": layers.Conv2D(filters, 3, padding="same", name="conv", dtype=dtype),
            "norm": layers.BatchNormalization(name="norm", dtype=dtype),
        }
        self.last = Unit(filters, name=f"{self.name}_unit", dtype=dtype)
        self.drop = layers.Dropout(0.3, seed=3, dtype=dtype)

    def build(self, shape):
        self.gamma = self.add_weight(name="gamma", shape=(self.filters,), initializer="ones")
        self.parts["conv"].build(shape)
        self.parts["norm"].build(shape)
        self.last.build(shape)

    def call(self, x, training=None):
        y = keras.ops.relu(self.parts["norm"](self.parts["conv"](x), training=training))
        y = self.drop(self.last(y), training=training)
        return x + y * self.gamma

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def network(dtype=None):
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem", dtype=dtype)(inputs)
    for i in range(2):
        x = Bottleneck(8, name=f"block_{i}", dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(inputs, layers.Dense(2, name="logits", dtype=dtype)(x), name="net")


@pytest.fixture
def model():
    return randomize(network())


WHERE = {"after": ["block_*.parts.norm", "block_1.last.first"]}


def trained(model):
    """The paths of the weights that training changes."""
    before = [array(w).copy() for w in model.weights]
    model.compile("sgd", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(4, 16, 16, 3)), rng.normal(size=(4, 2)), epochs=2, verbose=0)
    return {w.path for a, w in zip(before, model.weights, strict=True) if (a != array(w)).any()}


def test_random_states_and_norms_go_the_same_way_in_training(model):
    new = attnzoo.augment(model, "se", ratio=4, **WHERE)
    x = images(model)
    for _ in range(2):
        assert_same_outputs(model, new, x, training=True)
    for a, b in zip(
        model.get_layer("block_1").variables, attnzoo.strip(new).get_layer("block_1").variables, strict=True
    ):
        np.testing.assert_array_equal(array(a), array(b))


@pytest.mark.parametrize("train", ["attention", "attention+head"])
def test_freeze_trains_attention_inside_and_nothing_beside_it_also_after_a_file(model, train, tmp_path):
    new = attnzoo.augment(model, "se", ratio=4, **WHERE)
    report = attnzoo.freeze(new, train=train)
    attention = {w.path for x in attention_in(new) for w in x.weights}
    head = {w.path for w in new.get_layer("logits").weights} if train != "attention" else set()
    assert len(attention_in(new)) == 3
    assert {w.path for w in new.trainable_weights} == attention | head
    assert report.trainable == sum(int(np.prod(w.shape)) for w in new.trainable_weights)
    assert report.parameters == sum(int(np.prod(w.shape)) for w in new.weights)
    again = reloaded(new, tmp_path)
    assert {w.path for w in again.trainable_weights} == attention | head
    for x in (new, again):
        changed = trained(x)
        assert changed <= attention | head
        assert {a.alpha.path for a in attention_in(x)} <= changed
    attnzoo.freeze(again, train="all", batch_norm="train")
    assert all(x.trainable for x in again._flatten_layers())
    assert {w.path for w in again.trainable_weights} > attention | head


def test_a_backbone_of_a_class_of_its_own_keeps_what_does_not_train_in_its_file(tmp_path):
    new = attnzoo.augment(FAMILIES["MobileNet"](), "se", placement="inner", ratio=4)
    for x in attention_in(new):
        x.trainable = x.name.startswith("block_1")
    for part in pieces(new):
        part.trainable = "conv1" not in part.name
    again = reloaded(new, tmp_path)
    theirs, ours = ({w.path.split("/", 1)[-1] for w in m.trainable_weights} for m in (new, again))
    assert theirs == ours
    assert ours
    assert not any("conv1/" in path for path in ours)


def pieces(model):
    return [x for x in model._flatten_layers() if isinstance(x, layers.Conv2D)]


def test_what_was_frozen_stays_so_and_the_attention_inside_trains(model):
    model.get_layer("block_1").trainable = False
    model.get_layer("block_0").parts["norm"].trainable = False
    new = attnzoo.augment(model, "se", ratio=4, **WHERE)
    assert not any(x.trainable for x in model.get_layer("block_1")._flatten_layers())
    theirs = {w.path for w in model.trainable_weights}
    assert {w.path for w in new.trainable_weights} == theirs | {
        w.path for x in attention_in(new) for w in x.trainable_weights
    }
    changed = trained(new)
    assert {x.alpha.path for x in attention_in(new)} <= changed
    assert {w.path for w in attnzoo.strip(new).trainable_weights} == theirs


@pytest.mark.parametrize("name", ["plain.weights.h5", "plain.keras", "plain.h5"])
def test_weights_of_the_plain_network_go_into_the_layers_that_attention_was_put_into(model, name, tmp_path):
    (model.save_weights if ".weights" in name else model.save)(tmp_path / name)
    new = attnzoo.augment(network(), "se", ratio=4, **WHERE)
    report = attnzoo.load_backbone_weights(new, tmp_path / name)
    assert [*report.missing, *report.unexpected, *report.mismatched] == []
    assert_same_outputs(model, new)
    moved(new).save_weights(tmp_path / "attended.weights.h5")
    other = attnzoo.augment(network(), "se", ratio=4, **WHERE)
    attnzoo.load_backbone_weights(other, tmp_path / "attended.weights.h5")
    assert_same_outputs(new, other)


def test_shared_layers_have_the_weights_of_the_old_model_which_stays_without_attention(model):
    x = images(model)
    before = outputs(model, x)
    new = attnzoo.augment(model, "se", ratio=4, after="block_*.parts.norm", share_weights=True)
    assert_same_outputs(model, new, x)
    y = outputs(moved(new), x)
    for a, b, c in zip(before, outputs(model, x), y, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    assert not attention_in(model)
    kernel = model.get_layer("block_0").parts["conv"].kernel
    assert kernel is new.get_layer("block_0").parts["conv"].kernel
    assert kernel.path in trained(new)
    with pytest.raises(RewriteError, match="layers inside 'block_1' that the old model calls too"):
        attnzoo.augment(model, "se", ratio=4, after="block_1.last.first", share_weights=True)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_equal_and_attention_takes_the_policy_of_its_host(dtype, tmp_path):
    model = network(dtype)
    x = images(model)
    new = attnzoo.augment(model, "se", ratio=4, **WHERE)
    assert {a.dtype_policy.name for a in attention_in(new)} == {dtype}
    for training in (False, True):
        assert_same_outputs(model, new, x, training=training)
    assert_same_outputs(moved(new), reloaded(new, tmp_path), x)


def test_sizes_that_the_model_leaves_open_are_taken_as_they_come():
    inputs = keras.Input((None, None, 8), name="image")
    model = randomize(keras.Model(inputs, Bottleneck(8, name="block")(inputs), name="open"))
    new = attnzoo.augment(model, "se", ratio=4, after="block.parts.norm")
    for size in (12, 20):
        assert_same_outputs(model, new, np.random.default_rng(0).normal(size=(2, size, size, 8)).astype("float32"))
    assert (array(moved(new)(np.ones((1, 9, 9, 8)))) != array(model(np.ones((1, 9, 9, 8))))).any()


def test_attention_inside_and_beside_layers_and_in_nested_models_composes():
    inner_in = keras.Input((16, 16, 8), name="inner")
    inner = keras.Model(inner_in, Bottleneck(8, name="deep")(basic_block(inner_in, 8, name="flat")), name="backbone")
    outer_in = keras.Input((16, 16, 8), name="outer")
    model = randomize(keras.Model(outer_in, layers.ReLU()(inner(outer_in)), name="outside"))
    new = attnzoo.augment(attnzoo.augment(model, "se", placement="residual", ratio=4), "eca", placement="shortcut")
    assert [x.site for x in attention_in(new)]
    assert_same_outputs(model, new)
    hosts = {s.path for s in attnzoo.plan(model, "se", placement="residual", ratio=4)}
    assert hosts == {"backbone/flat_2_bn", "backbone/deep.multiply"}
    assert_same_outputs(model, attnzoo.strip(new))
