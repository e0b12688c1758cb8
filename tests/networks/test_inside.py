"""Attention inside layers that call other layers: KerasHub's blocks, and blocks of somebody's own."""

import subprocess
import sys

import keras
import keras_hub
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import (
    array,
    assert_same_outputs,
    assert_state,
    images,
    moved,
    outputs,
    randomize,
    reloaded,
    state_of,
)
from ..hub_models import FAMILIES

KEY = "se"


@pytest.fixture(scope="module")
def mobilenet():
    return randomize(FAMILIES["MobileNet"]())


def by_hand(block, x, attend, placement, training=False):
    """KerasHub's InvertedResidualBlock written out, with attention at one place."""
    att = attend if callable(attend) else (lambda t: t)
    skip = block.stride == 1 and block.infilters == block.filters
    y = att(x) if placement == "pre" else x
    y = block.activation1(block.batch_normalization1(block.conv1(y), training=training))
    y = block.batch_normalization2(block.conv2(block.pad(y)), training=training)
    y = block.activation2(y)
    y = att(y) if placement == "inner" else y
    y = block.squeeze_excite(y) if block.squeeze_excite else y
    y = block.batch_normalization3(block.conv3(y), training=training)
    if placement == "parallel":
        return x + att(y)  # the module adds to its input
    y = att(y) if placement == "residual" else y
    shortcut = att(x) if placement == "shortcut" else x
    return shortcut + y if skip else y


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("placement", ["residual", "pre", "shortcut", "inner", "parallel"])
def test_acting_attention_stands_where_the_block_written_by_hand_has_it(mobilenet, placement, training):
    plan = attnzoo.plan(mobilenet, KEY, placement=placement, stages=[3], blocks=[1], ratio=4)
    new = moved(plan.apply())
    block = new.get_layer("block_2_1")
    attention = next(x for x in new._flatten_layers() if isinstance(x, attnzoo.layers.Attention))
    x = np.random.default_rng(3).normal(size=(2, 8, 8, 16)).astype("float32")
    with keras.StatelessScope():
        expected = array(by_hand(block, x, attention, placement, training))
        plain = array(by_hand(block, x, None, placement, training))
    assert np.abs(expected - plain).max() > 1e-3
    with keras.StatelessScope():
        np.testing.assert_array_equal(array(keras.Sequential([block])(x, training=training)), expected)


@pytest.mark.parametrize("placement", ["stage", "pre", "inner"])
def test_a_backbone_with_attention_inside_its_blocks_stays_itself(mobilenet, placement, tmp_path):
    before = state_of(mobilenet)
    calls = {id(x): len(x._inbound_nodes) for x in mobilenet._flatten_layers()}
    x = images(mobilenet)
    new = attnzoo.augment(mobilenet, KEY, placement=placement, ratio=4)
    assert_state(mobilenet, before)
    assert {id(x): len(x._inbound_nodes) for x in mobilenet._flatten_layers()} == calls
    assert isinstance(new, type(mobilenet))
    assert_same_outputs(mobilenet, new, x)
    assert {x.name for x in mobilenet.layers} <= {x.name for x in new.layers}
    for old in mobilenet.layers:
        twin = new.get_layer(old.name)
        assert isinstance(twin, type(old))
        if "DepthwiseConvBlock" not in type(old).__name__:  # which takes its name for a prefix, and adds to it
            assert {w.path for w in old.weights} <= {w.path for w in twin.weights}
    acting = moved(new)
    y = outputs(acting, x)
    assert any((a != b).any() for a, b in zip(y, outputs(mobilenet, x), strict=True))
    again = reloaded(acting, tmp_path)
    assert type(again) is type(new)
    for a, b in zip(y, outputs(again, x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [s.name for s in attnzoo.plan(again, "eca", placement=placement)]
    plain = attnzoo.strip(again)
    assert type(plain) is type(mobilenet)
    assert attnzoo.strip(new).get_config() == mobilenet.get_config()
    assert classes_in(plain) == classes_in(mobilenet)
    assert_same_outputs(mobilenet, plain, x)


def classes_in(model):
    return [type(x) for layer in model.layers for x in layer._flatten_layers()]


def attention_in(model):
    return [x for x in model._flatten_layers() if isinstance(x, attnzoo.layers.Attention) and x.site is not None]


@pytest.mark.parametrize("family", ["EfficientNetV2", "HGNetV2", "MobileNetV5"])
def test_every_family_takes_attention_deep_inside_and_keeps_it_in_files(family, tmp_path):
    model = randomize(FAMILIES[family]())
    x = images(model)
    where = {"after": "encoder.stages_list.*.layer_list.1"} if family == "HGNetV2" else {"placement": "inner"}
    new = attnzoo.augment(model, "eca", **where)
    assert_same_outputs(model, new, x)
    assert_same_outputs(moved(new), reloaded(new, tmp_path), x)
    plain = attnzoo.strip(new)
    assert classes_in(plain) == classes_in(model)
    assert_same_outputs(model, plain, x)


def test_attention_in_a_layer_of_a_layer_of_a_layer_is_applied_there():
    model = randomize(FAMILIES["HGNetV2"]())
    new = moved(attnzoo.augment(model, "se", after="encoder.stages_list.1.blocks_list.0.layer_list.1", ratio=2))
    block = new.get_layer("encoder").stages_list[1].blocks_list[0]
    (attention,) = attention_in(new)
    assert attention.site == "encoder.stages_list.1.blocks_list.0.layer_list.1"
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    first = block.layer_list[0](x)
    second = block.layer_list[1](first)
    assert np.abs(array(attention(second)) - array(second)).max() > 1e-3
    y = layers.Concatenate()([x, first, attention(second)])
    expected = block.aggregation_excitation_conv(block.aggregation_squeeze_conv(y))
    np.testing.assert_array_equal(array(block(x)), array(expected))


def test_a_sub_layer_that_is_called_twice_is_attended_after_the_call_that_was_meant():
    model = randomize(FAMILIES["EfficientNetV2"]())
    new = moved(attnzoo.augment(model, "se", placement="inner", stages=[3], ratio=4))
    block = new.get_layer("block3a_")
    (attention,) = attention_in(new)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    y = block.act(block.bn1(block.conv1(x)))
    before = block.act(block.bn2(block.depthwise(y)))
    y = attention(before)
    assert np.abs(array(y) - array(before)).max() > 1e-3
    gate = block.se_conv2(block.se_conv1(keras.ops.mean(y, (1, 2), keepdims=True)))
    expected = block.bn3(block.output_conv(y * gate))
    np.testing.assert_allclose(array(block(x)), array(expected), rtol=1e-5, atol=1e-6)


def test_several_modules_at_one_place_are_applied_in_the_order_in_which_they_were_added(mobilenet, tmp_path):
    where = {"placement": "inner", "stages": [2], "blocks": [1]}
    new = moved(attnzoo.augment(attnzoo.augment(mobilenet, "eca", **where), "se", ratio=4, **where))
    block = new.get_layer("block_1_1")
    eca, se = block.attnzoo_attention
    assert (eca.name, se.name) == ("block_1_1_activation2_eca", "block_1_1_activation2_se")
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 8)).astype("float32")
    np.testing.assert_array_equal(array(block(x)), array(by_hand(block, x, lambda t: se(eca(t)), "inner")))
    with pytest.raises(PlanError, match="has this se already: 'block_1_1_activation2_se'"):
        attnzoo.plan(new, "se", **where)
    again = reloaded(new, tmp_path)
    assert [x.name for x in again.get_layer("block_1_1").attnzoo_attention] == [eca.name, se.name]
    assert_same_outputs(new, again)


def classifier(backbone):
    x = layers.GlobalAveragePooling2D()(keras.tree.flatten(backbone.output)[-1])
    return keras.Model(backbone.input, layers.Dense(3, name="logits")(x), name="classifier")


def test_plain_functional_models_reload_in_a_fresh_process_after_importing_attnzoo_only(mobilenet, tmp_path):
    new = moved(attnzoo.augment(classifier(mobilenet), "cbam", placement="residual", ratio=4))
    assert type(new) is keras.Model or type(new).__name__ == "Functional"
    x = images(new)
    new.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=keras.tree.flatten(x)[0], y=outputs(new, x)[0])
    code = (
        "import sys, numpy as np, attnzoo, keras; assert 'keras_hub' not in sys.modules; d = np.load(sys.argv[2]);"
        "m = keras.models.load_model(sys.argv[1]); b = m.get_layer('block_1_1');"
        "assert any(c.__name__ == 'InvertedResidualBlock' for c in type(b).__mro__);"
        "y = keras.ops.convert_to_numpy(m(d['x'])); assert (y == d['y']).all(), abs(y - d['y']).max();"
        "assert (keras.ops.convert_to_numpy(attnzoo.load_model(sys.argv[1])(d['x'])) == d['y']).all()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras"), str(tmp_path / "data.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_classifier_takes_it_trains_it_saves_it_and_reloads_it(mobilenet, tmp_path):
    new = attnzoo.augment(mobilenet, "se", placement="inner", stages=[3], ratio=4)
    task = keras_hub.models.MobileNetImageClassifier(backbone=new, num_classes=3)
    task.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    x = np.asarray(keras.tree.flatten(images(new, 4))[0])
    task.fit(x, np.arange(4) % 3, batch_size=4, verbose=0)
    assert all(array(a.alpha) != 0 for a in attention_in(task.backbone))
    again = reloaded(task, tmp_path)
    assert type(again) is keras_hub.models.MobileNetImageClassifier
    assert len(attention_in(again)) == 2
    assert_same_outputs(task, again, x)


def test_inspection_lists_attention_inside_layers(mobilenet, tmp_path):
    for model in (mobilenet, classifier(mobilenet)):
        attnzoo.augment(model, "eca", placement="inner", stages=[3]).save(tmp_path / "model.keras")
        report = attnzoo.inspect_file(tmp_path / "model.keras")
        assert [a.name for a in report.attention] == ["block_2_0_activation2_eca", "block_2_1_activation2_eca"]
        assert not report.risks
