"""Layers that hide a block: found, used as wholes, refused by name where their parts would be needed."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import array, assert_same_outputs, conv_bn_relu, images, moved, randomize


@keras.saving.register_keras_serializable(package="tests")
class Unit(layers.Layer):
    """A residual block in one layer, whose constructor takes its name for a prefix."""

    def __init__(self, filters, strides=1, name=None, **kwargs):
        super().__init__(name=f"{name}_0", **kwargs)
        self.filters = filters
        self.strides = strides
        self.first = layers.Conv2D(filters, 3, strides, padding="same", name="first", dtype=self.dtype_policy)
        self.second = layers.Conv2D(filters, 3, padding="same", name="second", dtype=self.dtype_policy)

    def build(self, shape):
        self.first.build(shape)
        self.second.build(self.first.compute_output_shape(shape))

    def call(self, x):
        y = self.second(keras.ops.relu(self.first(x)))
        return x + y if x.shape == y.shape else y

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


@keras.saving.register_keras_serializable(package="tests")
class Scaled(Unit):
    """A unit that computes with a weight of its own outside of all layers and of its input."""

    def build(self, shape):
        super().build(shape)
        self.scale = self.add_weight(name="scale", shape=())

    def call(self, x):
        return super().call(x) * keras.ops.sigmoid(self.scale)


class OtherWay(Unit):
    """Computes something else in training."""

    def call(self, x, training=None):
        return super().call(x) if training else 2 * super().call(x)


@keras.saving.register_keras_serializable(package="tests")
class Picky(Unit):
    """Cannot be called on symbolic tensors."""

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            raise ValueError("numbers only")
        return super().call(x)


class Constant(Unit):
    """Makes its output of nothing."""

    def call(self, x):
        return keras.ops.zeros((1, *x.shape[1:3], self.filters))


_SOMEWHERE = layers.Conv2D(3, 1)
_SOMEWHERE.build((None, 32, 32, 3))


class Borrowing(Unit):
    """Calls a layer that it does not hold."""

    def call(self, x):
        return super().call(x) + keras.ops.mean(_SOMEWHERE(x[..., :3]))


class OneSize(Unit):
    """Takes maps of one size only."""

    def call(self, x):
        if tuple(x.shape[1:3]) not in ((32, 32), (16, 16), (8, 8)):
            raise ValueError("what a size")
        return super().call(x)


class Shy(Unit):
    """Takes no batch of two."""

    def call(self, x):
        if x.shape[0] == 2:
            raise ValueError("too many at once")
        return super().call(x)


CLOSED = {
    OtherWay: "its call goes another way in training, or for another size",
    Picky: "its call cannot be taken apart: numbers only",
    Constant: "its call makes tensors out of nothing",
    Borrowing: "its call uses a Conv2D that it does not hold",
    Shy: "it cannot be called by itself: ",
    Scaled: "what it computes is more than the layers and operations that it calls",
}
"""Layers that cannot be taken apart, each with the reason."""


def units(unit=Scaled):
    inputs = keras.Input((32, 32, 3), name="image")
    x = conv_bn_relu(inputs, 8, name="stem")
    for i, (filters, strides) in enumerate([(8, 2), (8, 1), (16, 2), (16, 1)]):
        x = unit(filters, strides, name=f"unit_{i}")(x)
    return keras.Model(inputs, x, name="units")


@pytest.fixture(scope="module")
def model():
    return randomize(units())


@pytest.mark.parametrize("unit", CLOSED)
def test_layers_that_cannot_be_taken_apart_stay_whole_and_the_reason_is_said(unit):
    model = units(unit)
    assert {b.kind for b in attnzoo.describe(model).blocks} == {"composite"}
    with pytest.raises(PlanError) as error:
        attnzoo.plan(model, "se", placement="residual")
    assert f"one layer that hides its parts: {CLOSED[unit]}" in str(error.value)
    assert_same_outputs(model, attnzoo.augment(model, "se", share_weights=True), images(model, 1))


class Encoder(layers.Layer):
    """Several blocks in one layer that returns a map of each stride, and cannot be taken apart."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.units = [Scaled(8, 2), Scaled(16, 2)]

    def call(self, x):
        maps = [x]
        for unit in self.units:
            maps.append(unit(maps[-1]))
        if isinstance(x, keras.KerasTensor):
            raise ValueError("numbers only")
        return maps[1:]


def test_a_closed_encoder_has_a_stage_for_each_map_it_returns():
    inputs = keras.Input((32, 32, 3), name="image")
    model = keras.Model(inputs, Encoder(name="encoder")(inputs), name="closed")
    assert [(s.output, s.channels, s.stride) for s in attnzoo.describe(model)] == [
        ("encoder", 8, 2),
        ("encoder", 16, 4),
    ]


def test_a_layer_that_is_called_twice_gets_one_module_and_a_sequential_model_is_read_too():
    inputs = keras.Input((16, 16, 8), name="image")
    unit = Unit(8, name="twice")
    model = randomize(keras.Model(inputs, unit(layers.ReLU()(unit(inputs))), name="model"))
    new = attnzoo.augment(model, "se", placement="residual", ratio=4)
    assert_same_outputs(model, new)
    attended = moved(new).get_layer("twice_0")
    assert [a.site for a in attended.attnzoo_attention] == ["twice_0.second"]
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 8)).astype("float32")
    np.testing.assert_array_equal(array(new(x)), array(attended(keras.ops.relu(attended(x)))))
    assert (array(new(x)) != array(model(x))).any()
    row = keras.Sequential([keras.Input((16, 16, 8)), Unit(8, name="a"), Unit(8, name="b")], name="row")
    both = attnzoo.augment(row, "se", placement="residual", ratio=4)
    assert_same_outputs(row, both)
    assert isinstance(both, keras.Sequential)
    assert_same_outputs(row, attnzoo.strip(both))


def test_layers_that_take_one_size_only_are_compared_on_that():
    assert [b.kind for b in attnzoo.describe(units(OneSize)).blocks].count("residual") == 2


def test_layers_that_can_be_taken_apart_are_read_as_if_their_parts_stood_in_the_graph():
    blocks = attnzoo.describe(units(Unit)).blocks
    assert [(b.kind, b.output, b.stride) for b in blocks] == [
        ("composite", "unit_0_0", 2),
        ("residual", "unit_1_0", 2),
        ("composite", "unit_2_0", 4),
        ("residual", "unit_3_0", 4),
    ]
    plan = attnzoo.plan(units(Unit), "se", placement="residual", ratio=4)
    assert [s.host for s in plan] == ["unit_1_0.second", "unit_3_0.second"]
    assert {left.reason for left in plan.left_out} == {"it is a Unit (tests), one layer in which no branch was found"}


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
        f"'units' has no place for placement {placement!r}: none of 4 blocks has it; block 0 ('unit_0_0'): it is a"
        " Scaled (tests), one layer that hides its parts: what it computes is more than the layers and operations that"
        " it calls. Possible here: stage, post, or after=[layer names]."
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
