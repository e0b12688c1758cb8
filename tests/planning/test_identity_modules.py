"""Modules of the user's own that return their input as they start: inserted as they are, and able to learn."""

import keras
import pytest
from keras import layers, ops

import attnzoo

from ..helpers import assert_same_outputs, small_resnet


class Affine(layers.Layer):
    """A scale of ones and a shift of zeros."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(shape[-1],), initializer="zeros", name="shift")

    def call(self, x):
        return x * self.scale + self.shift


class Adapter(layers.Layer):
    """A bottleneck whose last projection starts at zero."""

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, shape):
        self.down = layers.Dense(self.width, activation="gelu")
        self.up = layers.Dense(shape[-1], kernel_initializer="zeros")
        self.down.build(shape)
        self.up.build((*shape[:-1], self.width))

    def call(self, x):
        return x + self.up(self.down(x))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Forgetful(attnzoo.layers.Attention):
    """An identity as published that does not say so."""

    key = "forgetful"

    def build_weights(self, channels, height, width):
        self.gain = self.weight("gain", (channels,))

    def gate(self, x, training=None):
        return self.broadcast_channels(1.0 + ops.tanh(self.gain[None]))

    def macs(self, channels, height, width):
        return 0


MODULES = {"Affine": Affine, "Adapter": Adapter, "callable": lambda channels: Adapter(2), "Attention": Forgetful}


@pytest.mark.parametrize("name", MODULES)
def test_it_goes_in_without_alpha_is_said_and_learns(name, tmp_path):
    model, module = small_resnet(), MODULES[name]
    plan = attnzoo.plan(model, module, stages=[2, 3])
    (note,) = plan.notes
    assert (
        "returns its input as it starts; it is inserted as it is, without alpha, after 's1b1_out', 's2b1_out'." in note
    )
    new = plan.apply()
    assert_same_outputs(model, new)
    assert [r.alpha for r in attnzoo.attentions(new)] == [None, None]
    assert sum(r.parameters for r in attnzoo.attentions(new)) == plan.parameters
    assert not list(attnzoo.check_gradients(new))
    with keras.saving.custom_object_scope({c.__name__: c for c in (Affine, Adapter, Forgetful)}):
        new.save(tmp_path / "m.keras")
        again = keras.models.load_model(tmp_path / "m.keras")
    assert_same_outputs(new, again)


def test_in_half_precision_and_on_open_sizes_too():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same", dtype="mixed_bfloat16", name="conv")(inputs)
    plan = attnzoo.plan(keras.Model(inputs, x), Affine, after="conv")
    assert plan.sites[0].init == "paper"


@pytest.mark.parametrize("module", ["se", "gct", lambda c: layers.Conv2D(c, 1), lambda c: layers.Dropout(0.5)])
def test_others_keep_what_was_asked_for(module):
    plan = attnzoo.plan(small_resnet(), module, stages=[3])
    assert plan.sites[0].init == "identity"
    assert not any("as it starts" in n for n in plan.notes)


def test_as_a_third_addend_it_keeps_its_alpha_and_learns():
    model = small_resnet()
    plan = attnzoo.plan(model, Affine, placement="parallel", stages=[3])
    assert {s.init for s in plan} == {"identity"}
    new = plan.apply()
    assert_same_outputs(model, new)
    assert not list(attnzoo.check_gradients(new))


def test_blended_in_it_would_never_learn_which_check_gradients_finds():
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 1, name="conv")(inputs)
    x = attnzoo.layers._custom.Inserted(Affine(), init="identity", site="conv", name="trap")(x)
    (row,) = attnzoo.check_gradients(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    assert (row.layer, row.whole) == ("trap", True)
