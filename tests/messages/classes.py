"""Models of a class of their own: what cannot be carried over, saved or loaded; and layers that hide their parts."""

from __future__ import annotations

import importlib.util
from unittest import mock

import attnzoo
from attnzoo.layers._attended import Attended

from ..networks.test_composites import hidden, units
from ..rewriting import test_backbone_classes as known
from .collector import Example
from .rest import rows

# Carried over ----------------------------------------------------------------------------------------------------


def carry(value):
    return lambda: attnzoo.augment(known.with_extra(value), "se")


CARRIED = [
    *(
        (carry(value), known.extra_text(what))
        for value, what in rows(known.test_an_attribute_that_cannot_be_carried_is_an_error_that_names_it)
    ),
    (
        lambda: attnzoo.augment(known.FixedStack(), "se", after="*"),
        "Sequential model 'fixed' (FixedStack) has a constructor of its own and cannot be made from layers;"
        " start from keras.Sequential(model.layers) or a Functional model.",
    ),
    (lambda: attnzoo.plan(units(), "se", placement="inner"), hidden("inner")),
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
    (
        lambda: attnzoo.augment(known.Fixed(4), "se").save("m.keras"),
        "'fixed' (Fixed) cannot be saved: its get_config() does not return the arguments of its constructor:"
        " missing a required argument: 'width'.",
    ),
    (
        lambda: with_attention_in_an_attribute().save("m.keras"),
        "'stem_relu_se' in 'net' cannot be saved: an attribute of the model holds its output, while layers read past"
        " it; delete the attribute first, or put the attention after a layer.",
    ),
    (
        lambda: attnzoo.augment(WithPreset(name="mine"), "se", stages=[1]).save_to_preset("preset"),
        "'mine' cannot be saved as a preset, which has no place for attention;"
        " use model.save('name.keras'), or save attnzoo.strip(model).",
    ),
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
    *((load(change), text) for change, text in rows(known.test_a_config_that_does_not_fit_is_one_clear_error)),
    (
        lambda: Attended.from_config(attnzoo.augment(known.Own(), "eca", stages=[2]).get_config()),
        "'own', a Own with attention, cannot be loaded: its constructor inserts attention itself;"
        " let it make the network without, and call attnzoo.augment on the result.",
    ),
]

EXAMPLES = [Example(provoke, text) for provoke, text in [*CARRIED, *SAVED, *LOADED]]
