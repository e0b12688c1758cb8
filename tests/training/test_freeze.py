"""freeze: what trains, BatchNorm leaf by leaf, and the printed table."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo

from ..helpers import array, conv_bn_relu, leaf_layers, small_backbone


def transfer_model():
    backbone = small_backbone()
    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(backbone(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="transfer")


@pytest.fixture
def model():
    return attnzoo.augment(transfer_model(), "se", stages=[1, 2])


@pytest.mark.parametrize(
    ("train", "trained"),
    [
        ("attention+head", {"backbone/b0_add_se", "backbone/b3_project_bn_se", "logits"}),
        ("attention", {"backbone/b0_add_se", "backbone/b3_project_bn_se"}),
        ("head", {"logits"}),
    ],
)
def test_only_the_chosen_parts_train(model, train, trained):
    attnzoo.freeze(model, train=train, verbose=False)
    assert {k for k, v in leaf_layers(model).items() if v.trainable_weights} == trained
    before = {k: [array(w).copy() for w in v.weights] for k, v in leaf_layers(model).items()}
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    x, y = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8) % 3
    model.fit(x, y, epochs=2, verbose=0)
    for path, layer in leaf_layers(model).items():
        changed = any((a != array(w)).any() for a, w in zip(before[path], layer.weights, strict=True))
        assert changed == (path in trained), path


def test_batch_norm_statistics_stand_still(model):
    attnzoo.freeze(model, verbose=False)
    norms = [x for x in leaf_layers(model).values() if isinstance(x, layers.BatchNormalization)]
    before = [array(w).copy() for x in norms for w in x.weights]
    model.compile("adam", "mse", jit_compile=False)
    model.fit(np.random.default_rng(0).normal(3.0, 2.0, size=(8, 32, 32, 3)), np.zeros((8, 3)), epochs=2, verbose=0)
    for a, w in zip(before, (w for x in norms for w in x.weights), strict=True):
        np.testing.assert_array_equal(a, array(w))


def test_all_opens_what_was_frozen(model):
    model.layers[1].trainable = False
    attnzoo.freeze(model, train="attention", verbose=False)
    attnzoo.freeze(model, train="all", verbose=False)
    assert all(x.trainable for x in leaf_layers(model).values())
    assert model.trainable_weights


def test_a_frozen_model_around_the_attention_does_not_hide_it():
    base = transfer_model()
    base.trainable = False
    model = attnzoo.augment(base, "se", stages=[2])
    attnzoo.freeze(model, train="attention", verbose=False)
    assert len(model.trainable_weights) == 5


def test_printed_table(model, capsys):
    table = attnzoo.freeze(model)
    expected = (
        "transfer: 208 of 4,472 parameters train (4.65 %)\n"
        "part       layers  parameters  trainable\n"
        "attention       2         109        109\n"
        "backbone       28       4,264          0\n"
        "head            1          99         99"
    )
    assert capsys.readouterr().out == str(table) + "\n"
    assert str(table) == expected
    assert [p.name for p in table] == ["attention", "backbone", "head"]


def test_the_head_is_what_follows_the_last_map():
    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3), alpha=0.75, classes=3)
    attnzoo.freeze(model, train="head", verbose=False)
    assert [x.name for x in model.layers if x.trainable_weights] == ["conv_2", "logits"]


def test_a_backbone_without_head_trains_its_attention():
    inputs = keras.Input((16, 16, 3))
    model = attnzoo.augment(keras.Model(inputs, conv_bn_relu(conv_bn_relu(inputs, 4), 4)), "eca", init="paper")
    table = attnzoo.freeze(model, verbose=False)
    assert table.trainable == 1  # four channels: a kernel of one
