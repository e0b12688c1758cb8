"""Random models: whatever the functional API can wire, drawn step by step, so that a failure shrinks to few steps."""

from __future__ import annotations

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers, ops

from .helpers import leaf_layers, randomize


@keras.saving.register_keras_serializable(package="tests")
class Halves(layers.Layer):
    """A layer with two outputs."""

    def call(self, x):
        half = x.shape[-1] // 2
        return x[..., :half], x[..., half:]


class Builder:
    """Grows a graph by drawn steps: each takes a map and returns one that the next step can take."""

    STEPS = (
        *("conv", "conv", "residual", "residual", "residual", "inverted", "dense", "cell", "gated", "pool", "upsample"),
        *("dropout", "shared_conv", "raw", "split", "halves"),
        *("nested", "nested", "nested_twice", "nested_in_nested", "nested_sequential"),
    )

    def __init__(self, draw):
        self.draw = draw

    def of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def maybe(self, step, x):
        return step(x) if self.of(True, False) else x

    # Layers ------------------------------------------------------------------------------------------------------

    def norm(self, x):
        kind = self.of("batch", "batch", "layer", "group", "unit")
        if kind == "group":
            return layers.GroupNormalization(1 if x.shape[-1] % 2 else self.of(1, 2))(x)
        named = {
            "batch": layers.BatchNormalization,
            "layer": layers.LayerNormalization,
            "unit": layers.UnitNormalization,
        }
        return named[kind]()(x)

    def activation(self, x):
        kind = self.of("layer", "relu", "swish", "prelu")
        if kind == "layer":
            return layers.Activation(self.of("relu", "silu", "gelu"))(x)
        if kind == "prelu":
            return layers.PReLU(shared_axes=[1, 2])(x)
        return ops.relu(x) if kind == "relu" else x * ops.sigmoid(x)

    def convolve(self, x, filters, strides=1):
        kind = self.of("plain", "plain", "half", "dilated", "grouped", "separable", "pointwise")
        grouped = kind == "grouped" and x.shape[-1] % 2 == 0
        if kind == "separable":
            return layers.SeparableConv2D(filters, 3, strides, padding="same")(x)
        return layers.Conv2D(
            filters,
            1 if kind == "pointwise" else 3,
            strides=strides,
            padding="same",
            groups=2 if grouped else 1,
            dilation_rate=2 if kind == "dilated" and strides == 1 else 1,
            use_bias=self.of(True, False),
            dtype="mixed_float16" if kind == "half" else None,
        )(x)

    # Steps -------------------------------------------------------------------------------------------------------

    def conv(self, x, strides=None, filters=None):
        x = self.convolve(x, filters or self.of(4, 6, 8), strides or self.of(1, 1, 2))
        return self.maybe(self.activation, self.maybe(self.norm, x))

    def residual(self, x):
        strides, filters = self.of(1, 1, 2), x.shape[-1]
        y = self.conv(x, strides, 4)
        y = self.maybe(self.activation, layers.DepthwiseConv2D(3, padding="same")(y)) if self.of(True, False) else y
        y = self.maybe(self.norm, layers.Conv2D(filters, 1)(y))
        y = self.maybe(layers.Dropout(0.3), y)
        x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x) if strides > 1 else x
        merged = self.of(layers.Add(), lambda t: t[0] + t[1], lambda t: t[0] + 0.5 * t[1])([x, y])
        return self.maybe(layers.ReLU(), merged)

    def inverted(self, x):
        y = layers.ReLU()(self.norm(layers.Conv2D(8, 1)(x)))
        y = layers.ReLU()(self.norm(layers.DepthwiseConv2D(3, strides=self.of(1, 2), padding="same")(y)))
        return layers.BatchNormalization()(layers.Conv2D(6, 1)(y))

    def dense(self, x):
        return layers.Concatenate()([x, self.conv(x, 1, 4)])

    def cell(self, x):
        return ops.concatenate([self.conv(x, 1), self.conv(x, 1), layers.MaxPooling2D(3, 1, "same")(x)], axis=-1)

    def gated(self, x):
        z = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(z)])

    def pool(self, x):
        return self.of(layers.MaxPooling2D, layers.AveragePooling2D)(2, padding="same")(x)

    def upsample(self, x):
        return layers.UpSampling2D(2)(x)

    def dropout(self, x):
        return self.of(layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise)(0.2)(x)

    def shared_conv(self, x):
        conv = layers.Conv2D(x.shape[-1], 3, padding="same")
        return conv(layers.ReLU()(conv(x)))

    def raw(self, x):
        kind = self.of("arithmetic", "slice", "reshape", "pad")
        if kind == "slice" and x.shape[-1] > 2:
            return x[..., 1:]
        if kind == "reshape" and None not in x.shape[1:]:
            return ops.reshape(ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3])), (-1, *x.shape[1:]))
        if kind == "pad":
            return ops.pad(x, [[0, 0], [1, 1], [0, 1], [0, 0]])
        return 1.5 * x - ops.mean(x, axis=(1, 2), keepdims=True)

    def split(self, x):
        if x.shape[-1] % 2:
            return self.conv(x, 1, 4)
        first, second = ops.split(x, 2, axis=-1)
        return layers.Concatenate()([self.conv(first, 1, 4), second])

    def halves(self, x):
        if x.shape[-1] % 2:
            return self.conv(x, 1, 4)
        first, second = Halves()(x)
        return ops.concatenate([second, layers.Conv2D(4, 3, padding="same")(first)], axis=-1)

    # Models in models --------------------------------------------------------------------------------------------

    def model(self, shape, *steps):
        x = inputs = keras.Input(shape)
        for step in steps:
            x = step(x)
        return keras.Model(inputs, x)

    def nested(self, x):
        return self.model(x.shape[1:], self.conv, self.residual)(x)

    def nested_twice(self, x):
        inner = self.model(x.shape[1:], self.residual, layers.Conv2D(x.shape[-1], 1))
        return inner(x) + 0.5 * inner(2.0 * x)

    def nested_in_nested(self, x):
        inner = self.model(x.shape[1:], self.conv, self.maybe_any)
        return self.model(x.shape[1:], inner, self.maybe_any)(x)

    def nested_sequential(self, x):
        parts = [keras.Input(x.shape[1:]), layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization()]
        return keras.Sequential([*parts, layers.ReLU()])(x)

    def maybe_any(self, x):
        return self.maybe(self.residual, x)

    def step(self, x):
        return getattr(self, self.of(*self.STEPS))(x)


# Whole models ----------------------------------------------------------------------------------------------------


def data_for(model, size=14):
    """Random inputs with the structure of the model's; open heights and widths become `size`."""
    rng = np.random.default_rng(0)

    def one(tensor):
        return rng.normal(size=[2, *(size if d is None else d for d in tensor.shape[1:])]).astype("float32")

    if isinstance(model, keras.Sequential):
        return one(model.inputs[0])
    return keras.tree.map_structure(one, model.input)


def sequential(build, shape):
    """A Sequential model at the top, with a model in it."""
    backbone = build.model(shape, build.conv, build.residual)
    return keras.Sequential(
        [
            keras.Input(shape),
            backbone,
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def functional(build, shape):
    """One or two trunks, joined after global pooling; outputs in one of the structures Keras takes."""
    inputs = [keras.Input(shape, name=f"in{i}") for i in range(build.of(1, 1, 2))]
    trunks = []
    for given in inputs:
        x = build.maybe(adapted(shape), given)
        for _ in range(build.of(1, 2, 3, 4)):
            x = build.step(x)
        trunks.append(layers.Conv2D(4, 1)(x) if build.of(True, False) else x)
    pooled = [layers.GlobalAveragePooling2D()(t) for t in trunks]
    head = layers.Dense(3, name="head")(layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0])
    outputs = {
        "one": head,
        "list": [head, trunks[0]],
        "dict": {"head": head, "features": trunks[-1]},
        "nested": {"head": head, "maps": [trunks[0], {"last": trunks[-1]}]},
    }[build.of("one", "list", "dict", "nested")]
    given = build.of(inputs, {t.name: t for t in inputs}, inputs[0] if len(inputs) == 1 else tuple(inputs))
    return keras.Model(given, outputs)


def adapted(shape):
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(1.0, 2.0, size=(8, *(8 if d is None else d for d in shape))))
    return norm


def draw_model(draw):
    """Returns a model with weights of its own, some of its layers frozen, compiled or not."""
    build = Builder(draw)
    shape = build.of((12, 12, 3), (15, 15, 3), (16, 10, 1), (16, 16, 2), (None, None, 3))
    make = build.of(functional, functional, functional, functional, sequential)
    model = randomize(make(build, shape))
    leaves = list(leaf_layers(model).values())
    for layer in draw(st.lists(st.sampled_from(leaves), max_size=4)):
        layer.trainable = False
    if build.of(False, False, True):
        model.compile("sgd", "mse")
    return model
