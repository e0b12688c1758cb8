"""The layers against the article's functions, built with Keras layers as it builds them: same weights, same output."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops

import attnzoo

from ..helpers import array


def se_block(x, ratio=8):
    c = x.shape[-1]
    z = layers.Reshape((1, 1, c))(layers.GlobalAveragePooling2D()(x))
    z = layers.Dense(c // ratio, activation="relu", bias_initializer="random_normal")(z)
    z = layers.Dense(c, activation="sigmoid", bias_initializer="random_normal")(z)
    return layers.multiply([x, z])


def eca_block(x, b=1, gamma=2):
    k = int(abs((math.log(x.shape[-1], 2) + b) / gamma))
    k = k if k % 2 else k + 1
    z = layers.Reshape((-1, 1))(layers.GlobalAveragePooling2D()(x))
    z = layers.Activation("sigmoid")(layers.Conv1D(1, k, padding="same", use_bias=False)(z))
    return layers.multiply([x, layers.Reshape((1, 1, -1))(z)])


def channel_attention(x, ratio=8):
    c = x.shape[-1]
    one = layers.Dense(c // ratio, activation="relu", bias_initializer="random_normal")
    two = layers.Dense(c, bias_initializer="random_normal")
    mean = two(one(layers.Reshape((1, 1, c))(layers.GlobalAveragePooling2D()(x))))
    peak = two(one(layers.Reshape((1, 1, c))(layers.GlobalMaxPooling2D()(x))))
    return layers.multiply([x, layers.Activation("sigmoid")(layers.Add()([mean, peak]))])


def spatial_attention(x, kernel_size=7):
    pooled = layers.Concatenate(axis=3)([ops.mean(x, axis=3, keepdims=True), ops.max(x, axis=3, keepdims=True)])
    gate = layers.Conv2D(1, kernel_size, padding="same", activation="sigmoid", use_bias=False)(pooled)
    return layers.multiply([x, gate])


def cbam_block(x, ratio=8):
    return spatial_attention(channel_attention(x, ratio))


CASES = {
    "se": se_block,
    "eca": eca_block,
    "channel": channel_attention,
    "spatial": spatial_attention,
    "cbam": cbam_block,
}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", [(3, 13, 9, 16), (2, 56, 56, 32), (1, 23, 40, 64), (2, 1, 1, 8)])
@pytest.mark.parametrize("key", CASES)
def test_same_weights_same_output(key, shape, data_format):
    inputs = keras.Input(shape[1:])
    article = keras.Model(inputs, CASES[key](inputs))
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    first = data_format == "channels_first"
    layer = attnzoo.layers._registry.attention_class(key)(data_format=data_format)
    given = x.transpose(0, 3, 1, 2) if first else x
    layer.build(given.shape)
    layer.set_weights(article.get_weights())
    y = array(layer(given))
    np.testing.assert_allclose(y.transpose(0, 2, 3, 1) if first else y, array(article(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("key", CASES)
def test_alpha_one_is_the_published_module(key):
    cls = attnzoo.layers._registry.attention_class(key)
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 16)).astype("float32")
    paper, blended = cls(), cls(init="identity")
    paper.build(x.shape)
    blended.build(x.shape)
    for ours, theirs in zip((w for w in blended.weights if w is not blended.alpha), paper.weights, strict=True):
        ours.assign(theirs)
    blended.alpha.assign(1.0)
    np.testing.assert_allclose(array(blended(x)), array(paper(x)), rtol=1e-6, atol=1e-6)
    blended.alpha.assign(0.25)
    expected = x
    # CBAM is two gates in a row, each blended by the same alpha; the others are one.
    for gate in [paper.channel, paper.spatial] if key == "cbam" else [paper]:
        expected = expected + 0.25 * (array(gate(expected)) - expected)
    np.testing.assert_allclose(array(blended(x)), expected, rtol=1e-5, atol=1e-5)
