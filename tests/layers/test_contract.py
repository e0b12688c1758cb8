"""Every registered attention keeps the contract; every way of breaking it is noticed."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from keras import ops

import attnzoo
from attnzoo import layers
from attnzoo.errors import AttnzooError
from attnzoo.layers._registry import attention_class
from attnzoo.testing import check_attention

OPTIONS = {"gc": {"ratio": 4}}
"""A layer normalisation over a single hidden unit, all that 16 channels leave by default, learns nothing."""

VARIANTS = [
    ("bam", {"ratio": 4, "combine": "product"}),
    ("cbam", {"use_bn": True}),
    ("ela", {"group_width": 8, "shared": False, "activation": "silu"}),
    ("ema", {"groups": 4}),
    ("gc", {"ratio": 4, "fusion": "scale"}),
    ("gct", {"mode": "l1"}),
    ("ge", {"extent": 4}),
    ("ge", {"extent": 4, "gather": "conv", "use_mlp": True, "ratio": 4}),
    ("ge", {"gather": "conv"}),
    ("nl", {"use_bn": False, "subsample": 2}),
    ("scse", {"combine": "max"}),
    ("sge", {"groups": 4}),
]


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_every_registered_attention_keeps_the_contract(key):
    check_attention(attention_class(key), **OPTIONS.get(key, {}))


@pytest.mark.parametrize(("key", "options"), VARIANTS, ids=str)
def test_variants_keep_the_contract(key, options):
    check_attention(attention_class(key), **options)


@pytest.mark.parametrize("key", [k for k in attnzoo.list_attentions() if attention_class(k).no_gradient])
def test_what_is_said_to_learn_nothing_is_there(key):
    cls = attention_class(key)
    layer = cls(data_format="channels_last", **({"use_bias": True} if key == "strip" else {}))
    layer.build((None, 8, 8, 16))
    names = [w.name for w in layer.weights]
    assert all(fnmatch.filter(names, pattern) for pattern in cls.no_gradient)


def test_every_file_is_a_registered_key_and_every_class_is_public():
    folder = Path(layers.__file__).parent
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert files == set(attnzoo.list_attentions())
    assert {attention_class(key).__name__ for key in files} <= set(layers.__all__)
    assert all(attention_class(key).__module__ == f"attnzoo.layers.{key}" for key in files)
    assert all(hasattr(layers, name) for name in layers.__all__)


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_every_attention_says_where_it_comes_from(key):
    cls = attention_class(key)
    assert cls.title
    assert cls.paper
    assert cls.year
    assert cls.__doc__.index("Reference:") < cls.__doc__.index("Args:") < cls.__doc__.index("Weights:")
    assert all(f"        {name}" in cls.__doc__ or f", {name}" in cls.__doc__ for name in _options(cls))


def _options(cls):
    return layers._registry.options_of(cls)


class _Broken(layers.Attention):
    def gate(self, x, training=None):
        return ops.zeros_like(x)

    def macs(self, channels, height, width):
        return 0


class _Shape(_Broken):
    def call(self, x, training=None):
        return x[:, 1:]


class _Inexact(_Broken):
    def call(self, x, training=None):
        return x * (1 + 1e-6)


class _Layout(_Broken):
    def gate(self, x, training=None):
        return ops.sigmoid(ops.cumsum(x, axis=1))


class _Deaf(_Broken):
    def build_weights(self, channels, height, width):
        self.ear = self.weight("ear", (channels,))


class _Infinite(_Broken):
    def gate(self, x, training=None):
        return 0.5 * x / ops.std(x, axis=self.spatial_axes, keepdims=True)


class _Config(_Broken):
    def get_config(self):
        return {**super().get_config(), "gate": ops.sigmoid}


class _Macs(_Broken):
    def macs(self, channels, height, width):
        return channels / 2


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (_Shape, "a map of shape (2, 8, 8, 16) came out as (2, 7, 8, 16)"),
        (_Infinite, "a map of shape (2, 1, 1, 16) gives values that are not finite"),
        (_Layout, "channels_first and channels_last disagree"),
        (_Inexact, "init='identity' is off by "),
        (_Deaf, "'ear' has had no gradient after two steps"),
        (_Config, "get_config is not plain JSON: Object of type function is not JSON serializable"),
        (_Macs, "macs returns 8.0, not a whole number of 0 or more"),
    ],
)
def test_a_broken_promise_is_named(cls, message):
    with pytest.raises(AttnzooError) as error:
        check_attention(cls)
    assert str(error.value).startswith(f"{cls.__name__}(channels 16, size 8): {message}")
    assert "\n" not in str(error.value)
