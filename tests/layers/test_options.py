"""Every option changes something, every bad value is refused in one exact line, and so is an unknown option."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import attnzoo
from attnzoo.errors import AttnzooError
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


WHOLE = "is not a whole number of 1 or more."
ABOVE = "is not a number above 0."
BAD = [
    ("bam", {"ratio": 0}, f"BAM: ratio=0 {WHOLE}"),
    ("bam", {"dilation": 1.5}, f"BAM: dilation=1.5 {WHOLE}"),
    ("bam", {"num_convs": True}, f"BAM: num_convs=True {WHOLE}"),
    ("bam", {"combine": "add"}, "BAM: combine='add' is not one of 'sum', 'product'."),
    ("cbam", {"kernel_size": 4}, "SpatialAttention: kernel_size=4 must be odd."),
    ("cbam", {"pool_order": "max"}, "SpatialAttention: pool_order='max' is not one of 'mean_max', 'max_mean'."),
    ("channel", {"ratio": "8"}, f"ChannelAttention: ratio='8' {WHOLE}"),
    ("coord", {"hidden": 0}, f"CoordinateAttention: hidden=0 {WHOLE}"),
    ("coord", {"min_hidden": -1}, f"CoordinateAttention: min_hidden=-1 {WHOLE}"),
    ("eca", {"gamma": 0}, "EfficientChannelAttention: gamma=0 is not a number other than 0."),
    ("eca", {"kernel_size": 2}, "EfficientChannelAttention: kernel_size=2 must be odd."),
    (
        "eca",
        {"padding": "cyclic"},
        "EfficientChannelAttention: padding='cyclic' is not one of 'same', 'circular'.",
    ),
    ("ela", {"kernel_size": 6}, "EfficientLocalAttention: kernel_size=6 must be odd."),
    ("ela", {"activation": "relu"}, "EfficientLocalAttention: activation='relu' is not one of 'none', 'silu'."),
    ("ela", {"norm_groups": 0}, f"EfficientLocalAttention: norm_groups=0 {WHOLE}"),
    ("ela", {"group_width": None}, f"EfficientLocalAttention: group_width=None {WHOLE}"),
    ("ema", {"groups": 2.0}, f"EfficientMultiScaleAttention: groups=2.0 {WHOLE}"),
    (
        "ese",
        {"gate": "hardsigmoid"},
        "EffectiveSqueezeExcite: gate='hardsigmoid' is not one of 'sigmoid', 'hard_sigmoid'. "
        "Did you mean 'hard_sigmoid'?",
    ),
    ("fca", {"num_frequencies": 3}, "FrequencyChannelAttention: num_frequencies=3 is not one of 1, 2, 4, 8, 16, 32."),
    ("fca", {"size": 10}, "FrequencyChannelAttention: size=10 is not a multiple of 7."),
    (
        "fca",
        {"selection": "top16"},
        "FrequencyChannelAttention: selection='top16' is not one of 'top', 'low', 'bot'. Did you mean 'top'?",
    ),
    ("gc", {"fusion": "mul"}, "GlobalContext: fusion='mul' is not one of 'add', 'scale'."),
    ("gc", {"pooling": "avg"}, "GlobalContext: pooling='avg' is not one of 'attention', 'mean'."),
    ("gc", {"epsilon": 0}, f"GlobalContext: epsilon=0 {ABOVE}"),
    ("gct", {"mode": "l3"}, "GatedChannelTransformation: mode='l3' is not one of 'l2', 'l1'."),
    ("gct", {"epsilon": float("inf")}, f"GatedChannelTransformation: epsilon=inf {ABOVE}"),
    ("ge", {"extent": 3}, "GatherExcite: extent=3 is not 0 or a power of two from 2 to 32."),
    ("ge", {"extent": True}, "GatherExcite: extent=True is not 0 or a power of two from 2 to 32."),
    ("ge", {"gather": "max"}, "GatherExcite: gather='max' is not one of 'mean', 'conv'."),
    ("lcbam", {"kernel_size": 8}, "LightCBAM: kernel_size=8 must be odd."),
    ("nl", {"scale": "sqrt"}, "NonLocal: scale='sqrt' is not one of 'none', 'hidden', 'channels'."),
    ("nl", {"subsample": 0}, f"NonLocal: subsample=0 {WHOLE}"),
    ("nl", {"hidden": 0}, f"NonLocal: hidden=0 {WHOLE}"),
    ("scse", {"combine": "sum"}, "SCSE: combine='sum' is not one of 'add', 'max'."),
    ("se", {"gate": "tanh"}, "SqueezeExcite: gate='tanh' is not one of 'sigmoid', 'hard_sigmoid'."),
    ("sge", {"groups": 0}, f"SpatialGroupEnhance: groups=0 {WHOLE}"),
    ("simam", {"e_lambda": 0}, f"SimAM: e_lambda=0 {ABOVE}"),
    ("spatial", {"kernel_size": 2}, "SpatialAttention: kernel_size=2 must be odd."),
    ("srm", {"epsilon": "small"}, f"StyleRecalibration: epsilon='small' {ABOVE}"),
    ("triplet", {"kernel_size": 4}, "TripletAttention: kernel_size=4 must be odd."),
    (
        "strip",
        {"init": "ident"},
        "StripAttention: init='ident' is not one of 'paper', 'identity'. Did you mean 'identity'?",
    ),
    (
        "strip",
        {"data_format": "channel_last"},
        "StripAttention: data_format='channel_last' is not one of 'channels_last', 'channels_first'. "
        "Did you mean 'channels_last'?",
    ),
]


@pytest.mark.parametrize(("key", "options", "message"), BAD, ids=str)
def test_a_bad_value_is_refused_in_one_line(key, options, message):
    with pytest.raises(AttnzooError) as error:
        attention_class(key)(**options)
    assert str(error.value) == message


REFUSED = [
    ("sge", {"groups": 5}, (None, 8, 8, 12), "12 channels do not divide into groups=5 (groups=4 would fit)"),
    ("ema", {"groups": 32}, (None, 8, 8, 24), "24 channels do not divide into groups=32 (groups=24 would fit)"),
    (
        "ela",
        {"norm_groups": 9},
        (None, 8, 8, 16),
        "16 channels do not divide into norm_groups=9 (norm_groups=8 would fit)",
    ),
    (
        "ela",
        {"group_width": 8},
        (None, 8, 8, 20),
        "20 channels do not divide into group_width=8 (group_width=5 would fit)",
    ),
    (
        "fca",
        {"num_frequencies": 16},
        (None, 8, 8, 24),
        "24 channels do not divide into num_frequencies=16 (num_frequencies=8 would fit)",
    ),
    (
        "ge",
        {"gather": "conv"},
        (None, None, 8, 16),
        "gather='conv' over the whole map has a weight for each position, so height and width must be known",
    ),
    ("nl", {"subsample": 4}, (None, 3, None, 16), "a map of height 3 cannot be pooled by subsample=4"),
]


@pytest.mark.parametrize(("key", "options", "shape", "reason"), REFUSED, ids=str)
def test_a_map_that_does_not_fit_is_refused_with_what_would(key, options, shape, reason):
    layer = attention_class(key)(name="here", **options)
    with pytest.raises(AttnzooError) as error:
        layer.build(shape)
    assert str(error.value) == f"here: cannot attend to a map of shape {shape}: {reason}."


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
