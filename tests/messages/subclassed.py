"""Subclassed models: what the plan says of them, and what stands in the way of taking their call() as a graph."""

from __future__ import annotations

import keras
from keras import layers, ops

import attnzoo

from .collector import says


class Tiny(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.conv = layers.Conv2D(4, 3, name="conv")
        self.spare = layers.Dense(1, name="spare")
        self.spare.build((None, 4))

    def call(self, x, training=False):
        return self.conv(x)

    def preview(self):
        return self.name


class Asks(Tiny):
    def call(self, x, training=False):
        return self.conv(x) if ops.max(x) > 0 else x


class InTraining(Tiny):
    def call(self, x, training=False):
        return self.conv(x) * (2.0 if training else 1.0)


class OwnWeight(Tiny):
    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(3,))

    def call(self, x, training=False):
        return self.conv(x * self.scale)


class MakesLayers(Tiny):
    def call(self, x, training=False):
        return layers.Conv2D(4, 3, name="anew")(self.conv(x))


def planned(cls):
    def run():
        model = cls()
        model(ops.ones((1, 16, 16, 3)))
        return attnzoo.plan(model, "se", after="conv")

    return run


SUBCLASSED = [
    lambda: attnzoo.describe(Tiny()),
    planned(Asks),
    planned(InTraining),
    planned(OwnWeight),
    planned(MakesLayers),
    says(lambda: planned(Tiny)().notes[0]),
]
