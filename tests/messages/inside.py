"""Attention inside layers that call others: which cannot be opened, saved, loaded or shared."""

from __future__ import annotations

import copy
import functools

import keras
from keras import layers

import attnzoo
from attnzoo.layers._attended import Attended
from attnzoo.layers._attended_layer import AttendedLayer

from ..helpers import conv_bn_relu, small_backbone
from ..hub_models import FAMILIES
from ..networks.test_composites import CLOSED, Unit, units
from ..networks.test_wrappers import Holder
from .models import Wider


def inner(cls):
    return lambda: attnzoo.plan(units(cls), "se", placement="inner")


OtherWay, Picky, Constant, Borrowing, Shy, Scaled = CLOSED


class Pair(layers.Layer):
    """A layer of two layers of layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.units = [Unit(4, name="a"), Unit(4, name="b")]

    def build(self, shape):
        for unit in self.units:
            unit.build(shape)

    def call(self, x):
        for unit in self.units:
            x = unit(x)
        return x


@functools.cache
def pair():
    inputs = keras.Input((16, 16, 3), name="image")
    return keras.Model(inputs, Pair(name="pair")(conv_bn_relu(inputs, 4)), name="pairs")


class Both(Unit):
    """Takes a second map, which it ignores."""

    def call(self, x, y):
        return super().call(x)

    def build(self, shape, *_):
        super().build(shape)


def with_two_maps():
    x = inputs = keras.Input((16, 16, 4), name="image")
    x = Both(4, name="both")(x, 1.0)
    return keras.Model(inputs, x, name="two")


CANNOT_BE_OPENED = [
    inner(OtherWay),
    inner(Picky),
    inner(Constant),
    inner(Borrowing),
    inner(Shy),
    inner(Scaled),
    lambda: attnzoo.plan(
        keras.Sequential([keras.Input((32, 32, 3)), Holder(small_backbone(), name="holder")], name="held"),
        "se",
        placement="residual",
    ),
    lambda: attnzoo.plan(units(Unit), "se", placement="residual", stages=[1], blocks=[0]),
]

CANNOT_BE_BUILT = [
    lambda: attnzoo.augment(units(Unit), Wider, after="unit_1_0.first"),
    lambda: attnzoo.augment(pair(), "se", after="pair.units.0.first", share_weights=True),
]


@functools.cache
def attended_unit():
    return attnzoo.augment(units(Unit), "eca", after="unit_1_0.first").get_layer("unit_1_0").get_config()


def load(change):
    def run():
        config = copy.deepcopy(attended_unit())
        change(config)
        AttendedLayer.from_config(config)(keras.Input((16, 16, 8)))

    return run


@functools.cache
def backbone_config():
    return attnzoo.augment(FAMILIES["MobileNet"](), "eca", placement="inner", stages=[2]).get_config()


def load_backbone():
    config = copy.deepcopy(backbone_config())
    config["inside"][0]["operation"] = 500
    Attended.from_config(config)


RELU = {"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": None}
CANNOT_BE_LOADED = [
    load(lambda c: c.update(data_format="channels_last")),
    load(lambda c: c["attention"][0].update(layer=RELU)),
    load(lambda c: c["attention"][0].update(behind=[[99], 0])),
    load(lambda c: c["base"].update(class_name="Picky", registered_name="tests>Picky")),
    load_backbone,
]
