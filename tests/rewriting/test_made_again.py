"""Layers made again: the short way is Keras's own, functions may be shared, what misdescribes itself is named."""

import functools
import types

import keras
import numpy as np
import pytest
from keras import layers, ops

import attnzoo
from attnzoo._keras.clone import _long_way, _short_way
from attnzoo.errors import RewriteError

from ..helpers import assert_same_outputs, basic_block, conv_bn_relu, moved, outputs, randomize

SIZE = (16, 16, 3)


def with_layer(layer):
    inputs = keras.Input(SIZE, name="image")
    return randomize(keras.Model(inputs, basic_block(layer(conv_bn_relu(inputs, 4)), 4)))


# The short way, which writes what Keras's constructors write -----------------------------------------------------

MAP = (8, 8, 4)
SHORT = [
    layers.Activation("silu"),
    layers.Add(),
    layers.AveragePooling2D(2),
    layers.BatchNormalization(momentum=0.9),
    layers.Concatenate(),
    layers.Conv2D(4, 3, use_bias=False, kernel_regularizer="l2"),
    layers.Conv2DTranspose(4, 3),
    layers.Cropping2D(),
    layers.Dense(3, activation="relu", dtype="mixed_float16"),
    layers.DepthwiseConv2D(3),
    layers.EinsumDense("abcd,de->abce", (8, 8, 2)),
    layers.Flatten(),
    layers.GlobalAveragePooling2D(keepdims=True),
    layers.GroupNormalization(2),
    layers.LayerNormalization(),
    layers.LeakyReLU(),
    layers.MaxPooling2D(3, 2, "same"),
    layers.Multiply(),
    layers.PReLU(shared_axes=[1, 2]),
    layers.Permute((2, 1, 3)),
    layers.ReLU(6.0),
    layers.Reshape((64, 4)),
    layers.SeparableConv2D(4, 3),
    layers.Softmax(),
    layers.UpSampling2D(),
    layers.ZeroPadding2D(1),
]


def facts(layer):
    """What a layer is, and what it holds."""
    weights = [(v.name, v.path, tuple(v.shape), v.dtype, v.trainable, type(v.regularizer)) for v in layer.variables]
    held = sorted(name for name in vars(layer) if not name.startswith("_self_"))
    return layer.get_config(), weights, held, (layer.built, layer.autocast, layer._lock, layer._build_shapes_dict)


@pytest.mark.parametrize("layer", SHORT, ids=lambda x: type(x).__name__)
def test_the_short_way_is_taken_and_makes_what_the_constructor_makes(layer):
    x = keras.Input(MAP)
    layer([x, x] if isinstance(layer, layers.Add | layers.Concatenate | layers.Multiply) else x)
    short, long = _short_way(layer), _long_way(layer)
    long.build_from_config(layer.get_build_config() or {})
    assert facts(short) == facts(long)


# Functions in Lambda layers --------------------------------------------------------------------------------------

SHARED = layers.Dense(4, name="shared")
SHARED.build((None, 4))
FACTOR, TABLE, SETTINGS = 3.0, np.arange(4.0, dtype="float32"), types.SimpleNamespace(scale=2.0)


def holding(value):
    return lambda x: x * value


def scaled(x):
    return ops.relu(x) * FACTOR + TABLE * SETTINGS.scale


def through_a_global(x):
    return SHARED(x)


class Scaler:
    def __init__(self, layer):
        self.layer = layer

    def __call__(self, x):
        return self.layer(x)

    def scale(self, x):
        return self.layer(x)


HARMLESS = {
    "code only": lambda x: x * 2.0,
    "a float in its closure": holding(2.0),
    "an array in its closure": holding(np.array([1.0, 2.0, 3.0, 4.0], "float32")),
    "a list in its closure": (lambda table: lambda x: x * table[0]["a"])([{"a": 2.0}]),
    "globals": scaled,
    "functions of the same module": lambda x: scaled(x) + 1.0,
    "a function in its closure": (lambda f: lambda x: f(x))(scaled),
    "a function of Keras": keras.activations.relu,
    "a partial": functools.partial(ops.multiply, 2.0),
}
HOLDING = {
    "a layer in its closure": lambda: (lambda layer: lambda x: layer(x))(SHARED),
    "a layer in a list in its closure": lambda: (lambda held: lambda x: held[0]["a"](x))([{"a": SHARED}]),
    "a global layer": lambda: through_a_global,
    "a layer by a function that it calls": lambda: lambda x: through_a_global(x),
    "a layer in a function inside": lambda: lambda x: (lambda y: SHARED(y))(x),
    "a layer as a default": lambda: lambda x, layer=SHARED: layer(x),
    "a layer in a partial": lambda: functools.partial(lambda layer, x: layer(x), SHARED),
    "a layer in an object": lambda: Scaler(SHARED),
    "a layer by a method": lambda: Scaler(SHARED).scale,
    "a variable in its closure": lambda: holding(SHARED.bias),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_lambda_that_holds_nothing_that_trains_is_called_by_the_new_model_too(name):
    model = with_layer(layers.Lambda(HARMLESS[name], output_shape=lambda shape: shape))
    new = attnzoo.augment(model, "se", placement="residual")
    assert_same_outputs(model, new)
    assert not np.array_equal(outputs(model, noise())[0], outputs(moved(new), noise())[0])
    assert_same_outputs(model, attnzoo.strip(new))


def test_a_lambda_in_a_wrapper_calls_the_same_function():
    code = layers.Lambda(lambda x: scaled(x) + TABLE, output_shape=lambda shape: shape)
    model = with_layer(layers.TimeDistributed(code))
    new = attnzoo.augment(model, "se", placement="residual")
    assert_same_outputs(model, new)
    assert_same_outputs(model, attnzoo.strip(moved(new)))


def noise():
    return np.random.default_rng(0).normal(size=(2, *SIZE)).astype("float32")


@pytest.mark.parametrize("name", HOLDING)
def test_a_lambda_that_holds_something_is_refused_by_name(name):
    held = r"'bias' \(Variable\)" if "variable" in name else r"'shared' \(Dense\)"
    model = with_layer(layers.Lambda(HOLDING[name](), name="code", output_shape=lambda shape: shape))
    with pytest.raises(RewriteError, match=rf"^layer 'code' \(Lambda\) calls a function that holds {held}, which two "):
        attnzoo.augment(model, "se")
    new = attnzoo.augment(model, "se", trust=True)
    assert_same_outputs(model, new)
    assert_same_outputs(model, attnzoo.strip(new, trust=True))


def test_a_lambda_in_a_wrapper_that_holds_a_layer_is_refused_too():
    code = layers.Lambda(HOLDING["a layer in its closure"](), output_shape=lambda shape: shape)
    with pytest.raises(RewriteError, match=r"^layer '.*' \(TimeDistributed\) cannot be made again from its config: "):
        attnzoo.augment(with_layer(layers.TimeDistributed(code)), "se")


# Configs that misdescribe their layers ---------------------------------------------------------------------------


class Wrong(layers.Layer):
    """Its config names another size."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))

    def call(self, x):
        return ops.matmul(x, self.kernel)

    def get_config(self):
        return {**super().get_config(), "units": 7}


class WrongInside(Wrong):
    """The same, but its output has the same shape."""

    def call(self, x):
        return x * ops.mean(self.kernel)


class Failing(layers.Layer):
    """Can be called once."""

    def __init__(self, times=1, **kwargs):
        super().__init__(**kwargs)
        self.times = times

    def call(self, x):
        if not self.times:
            raise ValueError("only 3 channels\nare supported here")
        return x

    def get_config(self):
        return {**super().get_config(), "times": 0}


class Fewer(layers.Layer):
    """Its config does not say how many layers it holds."""

    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.inside = [layers.ReLU() for _ in range(depth)]

    def call(self, x):
        for layer in self.inside:
            x = layer(x)
        return x

    def get_config(self):
        return {"name": self.name}


MISDESCRIBED = {
    Wrong: "the new one makes (None, 14, 14, 7) float32 where (None, 14, 14, 4) float32 was expected",
    WrongInside: "the new one has weights (4, 7) float32 where (4, 4) float32 was expected",
    Failing: "called as before, it fails: only 3 channels are supported here",
}


def stacked(layer):
    parts = [layers.Conv2D(4, 3, name="conv"), layer, layers.ReLU(), layers.Conv2D(4, 3)]
    return keras.Sequential([keras.Input(SIZE), *parts], name="stack")


def in_a_graph(layer):
    inputs = keras.Input(SIZE)
    return keras.Model(inputs, layers.Dense(2)(layer(layers.Conv2D(4, 3, name="conv")(inputs))))


@pytest.mark.parametrize("cls", MISDESCRIBED)
@pytest.mark.parametrize("make", [in_a_graph, stacked])
def test_a_layer_that_misdescribes_itself_is_named_with_the_reason_and_the_way_out(make, cls):
    model = make(cls(name="mine"))
    with pytest.raises(RewriteError) as error:
        attnzoo.augment(model, "se", after="conv")
    assert str(error.value) == (
        f"layer 'mine' ({cls.__name__}) cannot be made again from its config: {MISDESCRIBED[cls]}. Give the class a"
        " get_config() that returns its constructor's arguments, or pass share_weights=True to attnzoo.augment."
    )
    if cls is not Failing:
        assert_same_outputs(model, attnzoo.augment(model, "se", after="conv", share_weights=True), noise())


def test_a_layer_that_holds_fewer_layers_is_named():
    with pytest.raises(RewriteError, match=r"^layer 'mine' \(Fewer\) .* holds ReLU, ReLU where ReLU, ReLU, ReLU was "):
        attnzoo.augment(in_a_graph(Fewer(3, name="mine")), "se", after="conv")
