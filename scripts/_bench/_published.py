"""SE, ECA and CBAM as they are passed around: functions of Keras layers, each here as one layer that calls them.

The functions are those of blog posts, moved to Keras 3 and otherwise kept: `K.mean` in a `Lambda` is `ops.mean`, and
`_keras_shape` is `shape`. A layer around them costs nothing: in a graph there is no trace of it.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops


class _Published(keras.layers.Layer):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class PublishedSE(_Published):
    """`se_block(x, ratio=8)`"""

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        self.pool = layers.GlobalAveragePooling2D()
        self.reshape = layers.Reshape((1, 1, channels))
        self.squeeze = layers.Dense(channels // 8, activation="relu", kernel_initializer="he_normal")
        self.excite = layers.Dense(channels, activation="sigmoid", kernel_initializer="he_normal")
        self.multiply = layers.Multiply()
        self.squeeze.build((None, 1, 1, channels))
        self.excite.build((None, 1, 1, channels // 8))

    def call(self, x: Any) -> Any:
        return self.multiply([x, self.excite(self.squeeze(self.reshape(self.pool(x))))])


class PublishedECA(_Published):
    """`eca_block(x, b=1, gamma=2)`"""

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        size = int(abs((math.log(channels, 2) + 1) / 2))
        self.pool = layers.GlobalAveragePooling2D()
        self.as_sequence = layers.Reshape((-1, 1))
        self.conv = layers.Conv1D(1, size if size % 2 else size + 1, padding="same", use_bias=False)
        self.activation = layers.Activation("sigmoid")
        self.as_map = layers.Reshape((1, 1, -1))
        self.multiply = layers.Multiply()
        self.conv.build((None, channels, 1))

    def call(self, x: Any) -> Any:
        return self.multiply([x, self.as_map(self.activation(self.conv(self.as_sequence(self.pool(x)))))])


class PublishedCBAM(_Published):
    """`cbam_block(x, ratio=8)`: `channel_attention`, then `spatial_attention`"""

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        self.mean, self.peak = layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D()
        self.reshape = layers.Reshape((1, 1, channels))
        self.one = layers.Dense(channels // 8, activation="relu", kernel_initializer="he_normal")
        self.two = layers.Dense(channels, kernel_initializer="he_normal")
        self.add, self.activation, self.multiply = layers.Add(), layers.Activation("sigmoid"), layers.Multiply()
        self.concatenate = layers.Concatenate(axis=3)
        self.conv = layers.Conv2D(
            1, 7, padding="same", activation="sigmoid", kernel_initializer="he_normal", use_bias=False
        )
        self.multiply_again = layers.Multiply()
        self.one.build((None, 1, 1, channels))
        self.two.build((None, 1, 1, channels // 8))
        self.conv.build((*input_shape[:-1], 2))

    def call(self, x: Any) -> Any:
        mean = self.two(self.one(self.reshape(self.mean(x))))
        peak = self.two(self.one(self.reshape(self.peak(x))))
        x = self.multiply([x, self.activation(self.add([mean, peak]))])
        pair = [ops.mean(x, axis=3, keepdims=True), ops.max(x, axis=3, keepdims=True)]
        return self.multiply_again([x, self.conv(self.concatenate(pair))])


PUBLISHED = {"se": PublishedSE, "eca": PublishedECA, "cbam": PublishedCBAM}
