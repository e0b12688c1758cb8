"""Models of a class of their own: what cannot be carried over, saved or loaded; and layers that hide their parts."""

from __future__ import annotations

import importlib.util
import threading
from unittest import mock

import keras
from keras import layers

import attnzoo
from attnzoo.layers._attended import Attended

from ..networks.test_composites import units
from ..rewriting import test_backbone_classes as known

# Carried over ----------------------------------------------------------------------------------------------------


def carry(value):
    return lambda: attnzoo.augment(known.with_extra(value), "se")


CARRIED = [
    carry(lambda m: threading.Lock()),
    carry(lambda m: {"x": [keras.Input((3,))]}),
    carry(lambda m: layers.Dense(1, name="far").add_weight(name="far")),
    carry(lambda m: lambda: m.width),
    lambda: attnzoo.augment(known.FixedStack(), "se", after="*"),
    lambda: attnzoo.plan(units(), "se", placement="inner"),
]

# Saved -----------------------------------------------------------------------------------------------------------


class WithPreset(known.Net):
    def save_to_preset(self, path):
        raise AssertionError("a preset has no place for attention")


def with_attention_in_an_attribute():
    model = attnzoo.augment(known.net(), "se", stages=[1], placement="shortcut")
    model.mine = next(layer for layer in model.layers if isinstance(layer, attnzoo.layers.Attention)).output
    return model


SAVED = [
    lambda: attnzoo.augment(known.Fixed(4), "se").save("m.keras"),
    lambda: with_attention_in_an_attribute().save("m.keras"),
    lambda: attnzoo.augment(WithPreset(name="mine"), "se", stages=[1]).save_to_preset("preset"),
]

# Loaded ----------------------------------------------------------------------------------------------------------


def load(change):
    def run():
        config = known.config_of_net()
        change(config)
        with mock.patch.object(importlib.util, "find_spec", return_value=None):
            Attended.from_config(config)

    return run


LOADED = [
    load(lambda c: c.update(data_format="channels_last")),
    load(
        lambda c: c["base"].update(module="keras.layers", class_name="Dense", config={"units": 3}, registered_name=None)
    ),
    load(
        lambda c: c["base"].update(module="keras_hub.src.models", class_name="Gone", registered_name="keras_hub>Gone")
    ),
    load(lambda c: c.update(operations=7)),
    load(lambda c: c["attention"][0].update(behind=[500, 0])),
    load(lambda c: c["attention"][0].update(model=3)),
    load(
        lambda c: c["attention"][0].update(
            layer={"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": None}
        )
    ),
    lambda: Attended.from_config(attnzoo.augment(known.Own(), "eca", stages=[2]).get_config()),
]
