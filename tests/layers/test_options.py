"""Every option changes something, every bad value is refused in one exact line, and so is an unknown option."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import attnzoo
from attnzoo.layers._registry import attention_class, options_of

CHANGES = {
    "bam": {"ratio": 4, "dilation": (1, {"ratio": 4}), "num_convs": 1, "combine": "product"},
    "cbam": {
        "ratio": 2,
        "kernel_size": 3,
        "use_bias": False,
        "use_bn": True,
        "bn_gamma": ("zeros", {"use_bn": True}),
        "pool_order": "max_mean",
    },
    "channel": {"ratio": 2, "use_bias": False},
    "coord": {"ratio": (2, {"min_hidden": 4}), "min_hidden": 4, "hidden": 3, "use_bias": False},
    "eca": {"gamma": 0.5, "b": 9, "kernel_size": 5, "min_kernel_size": 5, "padding": "circular"},
    "ela": {"kernel_size": 3, "group_width": 4, "norm_groups": 2, "shared": False, "activation": "silu"},
    "ema": {"groups": 4},
    "ese": {"gate": "sigmoid"},
    "fca": {"ratio": 4, "selection": "low", "num_frequencies": 2, "size": (14, {"ratio": 4})},
    "gc": {"ratio": 4, "fusion": "scale", "pooling": "mean", "epsilon": (0.5, {"ratio": 4})},
    "gct": {"mode": "l1", "epsilon": 50.0},
    "ge": {"extent": 2, "gather": "conv", "use_mlp": True, "ratio": (4, {"use_mlp": True})},
    "lcbam": {"ratio": 4, "kernel_size": 3, "use_bias": True, "use_bn": False},
    "nl": {"ratio": 4, "hidden": 3, "scale": "hidden", "subsample": 2, "use_bias": False, "use_bn": False},
    "scse": {"ratio": 4, "combine": "max"},
    "se": {"ratio": 2, "use_bias": False, "gate": "hard_sigmoid"},
    "sge": {"groups": 4},
    "simam": {"e_lambda": 0.1},
    "spatial": {"kernel_size": 3, "pool_order": "max_mean", "use_bn": True, "bn_gamma": ("zeros", {"use_bn": True})},
    "srm": {"epsilon": 0.5, "style_initializer": "ones"},
    "strip": {"use_bias": True},
    "triplet": {"kernel_size": 3, "spatial": False},
}
"""Another value for each option; where it only counts together with others, those beside it."""

WITH_MLP = {"ge": {"use_mlp": True}}
TABLE = [(key, option, value) for key, options in CHANGES.items() for option, value in options.items()] + [
    (key, "kernel_initializer", ("zeros", WITH_MLP.get(key, {})))
    for key in CHANGES
    if "kernel_initializer" in options_of(attention_class(key))
]


def weights_and_output(key, options):
    """Returns (initial weights, output with random weights)."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 16)).astype("float32")
    layer = attention_class(key)(**options)
    layer.build(x.shape)
    start = layer.get_weights()
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        value = rng.normal(0.0, 0.5, weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    return start, ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize(("key", "option", "value"), TABLE, ids=str)
def test_every_option_changes_the_layer(key, option, value):
    value, beside = value if isinstance(value, tuple) else (value, {})
    start, y = weights_and_output(key, beside)
    other_start, other_y = weights_and_output(key, {**beside, option: value})
    same_start = len(start) == len(other_start) and all(
        a.shape == b.shape and np.array_equal(a, b) for a, b in zip(start, other_start, strict=True)
    )
    assert not (same_start and np.array_equal(y, other_y))


def test_the_table_holds_every_option_of_every_attention():
    tested = {(key, option) for key, option, _ in TABLE}
    assert tested == {(key, option) for key in attnzoo.list_attentions() for option in options_of(attention_class(key))}


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_an_unknown_option_is_an_error(key):
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to"):
        attention_class(key)(reduction=16)


def test_kernels_of_one_shape_start_different():
    layer = attention_class("nl")()
    layer.build((None, 4, 4, 16))
    q, k, v = (ops.convert_to_numpy(w) for w in (layer.kernel_q, layer.kernel_k, layer.kernel_v))
    assert not np.array_equal(q, k)
    assert not np.array_equal(k, v)


def test_a_whole_map_gather_refuses_another_size():
    layer = attention_class("ge")(gather="conv", data_format="channels_last")
    layer(np.zeros((1, 4, 5, 2), "float32"))
    with pytest.raises(ValueError, match="expected axis 1 of input shape to have value 4"):
        layer(np.zeros((1, 5, 5, 2), "float32"))


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_large_values_in_half_precision_stay_finite(key):
    x = np.full((2, 14, 14, 16), 3e4, "float16")
    x[:, ::2] *= -1
    for init in ("paper", "identity"):
        y = ops.convert_to_numpy(attention_class(key)(init=init, dtype="mixed_float16")(x, training=False))
        assert np.isfinite(y).all()
        assert init == "paper" or np.array_equal(y, x)
