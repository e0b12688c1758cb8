"""Which weights can learn nothing on which maps: what modules say about themselves is what gradients show."""

from __future__ import annotations

import fnmatch

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.layers._registry import attention_class, options_of

SHAPES = [(1, 1), (1, 4), (2, 2), (3, 3)]
CHANNELS = [8, 16, 32]
OPTIONS = {
    "ela": [{}, {"norm_groups": 1}, {"shared": False}, {"group_width": 2, "norm_groups": 8}],
    "ema": [{}, {"groups": 1}],
    "fca": [{"ratio": 1}, {"ratio": 1, "selection": "bot"}],
    "gc": [{}, {"ratio": 1}, {"ratio": 1, "fusion": "scale"}, {"pooling": "mean"}],
    "ge": [{}, {"use_mlp": True, "ratio": 1}, {"gather": "conv"}],
    "nl": [{}, {"subsample": 2}, {"use_bias": False}],
    "sge": [{}, {"groups": 1}],
}
CASES = [
    (key, options)
    for key in attnzoo.list_attentions()
    for options in OPTIONS.get(key, [{"ratio": 1} if "ratio" in options_of(attention_class(key)) else {}])
]


def silent(make, shape, seeds=3):
    """Names of weights whose gradient is zero for all seeds: momentum is the sum of all gradients."""
    found = None
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        layer = make()
        inputs = keras.Input(shape)
        model = keras.Model(inputs, layer(inputs))
        if layer.alpha is not None:
            layer.alpha.assign(0.5)
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9, clipnorm=1.0)
        model.compile(optimizer, "mse", run_eagerly=True, jit_compile=False)
        x = rng.normal(size=(8, *shape)) + rng.normal(size=(8, 1, 1, shape[-1]))
        for _ in range(3):
            model.train_on_batch(x, rng.normal(size=x.shape))
        sums = [np.abs(keras.ops.convert_to_numpy(m)).max() for m in optimizer.momentums]
        names = {
            w.name
            for w, m in zip(model.trainable_variables, sums, strict=True)
            if m <= 1e-7 * max(sums) and not any(fnmatch.fnmatch(w.name, p) for p in layer.no_gradient)
        }
        found = names if found is None else found & names
        if not found:
            break
    return found


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(("key", "options"), CASES, ids=str)
def test_what_a_module_says_of_itself_is_what_gradients_show(key, options):
    cls = attention_class(key)

    def make():
        return cls(init="identity", data_format="channels_last", **options)

    for height, width in SHAPES:
        for channels in CHANNELS:
            if cls.check_site(channels, height, width, make().get_config()):
                continue
            said = set(make().learns_nothing(channels, height, width))
            assert silent(make, (height, width, channels)) == said, (height, width, channels)


def dead_gates(key, options, channels, seeds=24):
    """The share of seeds for which the first layer of a gate has no gradient on maps as a ReLU leaves them."""
    x = np.random.default_rng(0).normal(size=(8, 4, 4, channels)).clip(0).astype("float32")
    dead = 0
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        layer = attention_class(key)(data_format="channels_last", **options)
        layer.build(x.shape)
        named = {w.name: w for w in layer.weights}
        seen = layer(x)
        named["kernel_1"].assign(keras.ops.convert_to_numpy(named["kernel_1"]) * 1.5)
        dead += bool((keras.ops.convert_to_numpy(layer(x)) == keras.ops.convert_to_numpy(seen)).all())
    return dead / seeds


NARROW = [
    ("se", {}),
    ("cbam", {}),
    ("channel", {}),
    ("lcbam", {}),
    ("scse", {}),
    ("ge", {"use_mlp": True}),
]


@pytest.mark.parametrize(("key", "options"), NARROW, ids=str)
def test_one_hidden_unit_is_dead_for_many_seeds_and_the_option_named_in_the_plan_helps(key, options):
    channels = 8
    assert dead_gates(key, {"ratio": 8, **options}, channels) >= 0.2
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, layers.Conv2D(channels, 3, padding="same", name="conv")(inputs))
    note = attnzoo.plan(model, key, after="conv", ratio=8, **options).notes[-1]
    assert note == (
        f"{key} has a hidden layer of one unit at 8 channels, which is dead from the start for up to half of all seeds;"
        " ratio=2 gives it more."
    )
    assert dead_gates(key, {"ratio": 2, **options}, channels) <= 0.15
    assert not any("hidden" in n for n in attnzoo.plan(model, key, after="conv", ratio=2, **options).notes)


def test_a_plan_says_what_can_learn_nothing_and_where():
    x = inputs = keras.Input((4, 4, 3))
    for i in range(2):
        x = layers.Conv2D(16, 3, strides=2, padding="same", name=f"c{i}")(x)
    model = keras.Model(inputs, x)
    assert attnzoo.plan(model, "nl", after="c*").notes == (
        "nl after 'c1': kernel_q, kernel_k, bias_q can learn nothing, because with a single key there is nothing to"
        " choose from.",
    )
    assert attnzoo.plan(model, "gc", after="c0").notes == (
        "gc after 'c0': kernel, kernel_1, bias_1, gamma, beta, kernel_2 can learn nothing, because normalising a single"
        " hidden unit leaves a constant (ratio=4 gives it more).",
    )
    assert attnzoo.plan(model, "gc", after="c0", ratio=4).notes == ()
