"""Attention stands where the plan says: compared with the old graph run call by call, with attention that acts."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo

from ..helpers import (
    images,
    mobilenet,
    moved,
    outputs,
    placements_of,
    randomize,
    reloaded,
    small_backbone,
    small_resnet,
)
from ..reference_interpreter import assert_places
from .test_backbone_classes import net
from .test_rewrite import many_inputs_and_outputs, nested, one_activation, sequential, shared_layers, shared_model


def auxiliary_head():
    """A second head reads the residual branch of the last block."""
    plain = small_resnet()
    aux = layers.Dense(2, name="aux")(layers.GlobalAveragePooling2D()(plain.get_layer("s2b1_2_bn").output))
    return keras.Model(plain.input, [plain.output, aux], name="aux")


MODELS = (
    small_resnet,
    mobilenet,
    nested,
    sequential,
    many_inputs_and_outputs,
    shared_layers,
    shared_model,
    one_activation,
    auxiliary_head,
    net,
)


@pytest.mark.parametrize("make", MODELS)
def test_every_placement_stands_where_the_plan_says(make):
    model = randomize(make())
    x = images(model)
    plans = [attnzoo.plan(model, "cbam", placement=p) for p in placements_of(model)]
    hosts = [site.host for site in plans[0]]
    plans.append(attnzoo.plan(model, "cbam", after=hosts[:2]))
    for plan in plans:
        new = moved(plan.apply())
        assert_places(model, plan, new, x)
        assert not np.array_equal(outputs(model, x)[0], outputs(new, x)[0])


@pytest.mark.parametrize("placement", ["stage", "post", "residual", "pre", "shortcut", "inner", "parallel"])
def test_attention_in_a_backbone_class_is_applied_once_after_loading(placement, tmp_path):
    model = net()
    x = images(model)
    plan = attnzoo.plan(model, "cbam", placement=placement)
    new = moved(plan.apply())
    assert_places(model, plan, new, x)
    assert_places(model, plan, reloaded(new, tmp_path), x)


@keras.saving.register_keras_serializable(package="tests")
class TwoViews(keras.Model):
    """One residual block, called on two images."""

    def __init__(self, **kwargs):
        stem, conv, norm = layers.Conv2D(4, 3, padding="same"), layers.Conv2D(4, 3, padding="same"), layers.ReLU()
        last, end = layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()
        views = [keras.Input((16, 16, 3), name=n) for n in ("left", "right")]
        maps = [stem(v) for v in views]
        maps = [layers.ReLU()(layers.Add()([x, end(last(norm(conv(x))))])) for x in maps]
        pooled = [layers.GlobalAveragePooling2D()(x) for x in maps]
        super().__init__(views, layers.Dense(2)(layers.Subtract()(pooled)), **kwargs)

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize("placement", ["pre", "residual", "shortcut", "parallel"])
def test_a_layer_called_twice_in_a_class_has_attention_once_for_each_call_after_loading(placement, tmp_path):
    model = randomize(TwoViews(name="views"))
    x = images(model)
    plan = attnzoo.plan(model, "cbam", placement=placement)
    new = moved(plan.apply())
    assert_places(model, plan, new, x)
    assert_places(model, plan, reloaded(new, tmp_path), x)


def test_small_backbones_in_front_of_two_heads():
    backbone = randomize(small_backbone())
    inputs = keras.Input((32, 32, 3))
    x = backbone(inputs)
    heads = [layers.Dense(2)(layers.GlobalAveragePooling2D()(x)), layers.Conv2D(1, 1)(x)]
    model = randomize(keras.Model(inputs, heads))
    for placement in placements_of(model):
        plan = attnzoo.plan(model, "cbam", placement=placement)
        assert_places(model, plan, moved(plan.apply()), images(model))
