"""Layers that hide a block: found, used as wholes, refused by name where their parts would be needed."""

import keras
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import assert_same_outputs, conv_bn_relu, randomize


@keras.saving.register_keras_serializable(package="tests")
class Unit(layers.Layer):
    """A residual block in one layer, whose constructor takes its name for a prefix."""

    def __init__(self, filters, strides=1, name=None, **kwargs):
        super().__init__(name=f"{name}_0", **kwargs)
        self.filters = filters
        self.strides = strides
        self.first = layers.Conv2D(filters, 3, strides, padding="same")
        self.second = layers.Conv2D(filters, 3, padding="same")

    def build(self, shape):
        self.first.build(shape)
        self.second.build(self.first.compute_output_shape(shape))

    def call(self, x):
        y = self.second(keras.ops.relu(self.first(x)))
        return x + y if x.shape == y.shape else y

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


def units():
    inputs = keras.Input((32, 32, 3), name="image")
    x = conv_bn_relu(inputs, 8, name="stem")
    for i, (filters, strides) in enumerate([(8, 2), (8, 1), (16, 2), (16, 1)]):
        x = Unit(filters, strides, name=f"unit_{i}")(x)
    return keras.Model(inputs, x, name="units")


@pytest.fixture(scope="module")
def model():
    return randomize(units())


def test_composite_layers_are_blocks(model):
    blocks = attnzoo.describe(model).blocks
    assert [(b.kind, b.output, b.stride) for b in blocks] == [
        ("composite", "unit_0_0", 2),
        ("composite", "unit_1_0", 2),
        ("composite", "unit_2_0", 4),
        ("composite", "unit_3_0", 4),
    ]


@pytest.mark.parametrize("placement", ["stage", "post"])
def test_attention_goes_behind_composite_layers_and_their_names_stay(model, placement):
    new = attnzoo.augment(model, "se", placement=placement)
    assert_same_outputs(model, new)
    assert {x.name for x in model.layers} <= {x.name for x in new.layers}
    assert [x.name for x in attnzoo.strip(new).layers] == [x.name for x in model.layers]


@pytest.mark.parametrize("placement", ["residual", "pre", "shortcut", "inner", "parallel"])
def test_what_needs_the_parts_is_refused_by_name(model, placement):
    with pytest.raises(PlanError) as error:
        attnzoo.plan(model, "se", placement=placement)
    assert str(error.value) == hidden(placement)


def hidden(placement):
    return (
        f"'units' has no place for placement {placement!r}: none of 4 blocks has it; block 0 ('unit_0_0'): it is a Unit"
        " (tests), one layer that hides its parts. Possible here: stage, post, or after=[layer names]."
    )


class WrongConfig(layers.Layer):
    """Its get_config() returns what its constructor does not take, as that of KerasHub's MiT encoder does."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(filters, 3, padding="same")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x):
        return self.conv(x)

    def get_config(self):
        return {**super().get_config(), "filtres": 8}


def test_a_layer_with_a_wrong_config_is_made_from_the_arguments_it_was_made_with():
    inputs = keras.Input((16, 16, 3), name="image")
    model = randomize(keras.Model(inputs, WrongConfig(8, name="wrong")(inputs)))
    new = attnzoo.augment(model, "se", after="wrong")
    assert_same_outputs(model, new)
    assert new.get_layer("wrong") is not model.get_layer("wrong")
