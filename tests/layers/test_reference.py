"""Each layer computes what its paper says, to 1e-5 of a NumPy reference, in both data formats."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

import attnzoo
from attnzoo.layers._registry import attention_class

from .reference import REFERENCE

SHAPES = [(2, 9, 14, 16), (1, 5, 7, 16), (2, 1, 1, 16), (1, 6, 1, 16), (1, 4, 5, 1), (1, 7, 7, 12)]

CASES = [
    *((key, {}) for key in attnzoo.list_attentions()),
    ("se", {"use_bias": False}),
    ("se", {"gate": "hard_sigmoid", "ratio": 4}),
    ("ese", {"gate": "sigmoid"}),
    ("eca", {"kernel_size": 7}),
    ("eca", {"padding": "circular", "min_kernel_size": 3}),
    ("eca", {"gamma": 1, "b": 3}),
    ("channel", {"use_bias": False, "ratio": 2}),
    ("spatial", {"kernel_size": 3, "pool_order": "max_mean"}),
    ("spatial", {"use_bn": True}),
    ("cbam", {"use_bias": False, "use_bn": True, "pool_order": "max_mean", "kernel_size": 5, "ratio": 4}),
    ("lcbam", {"use_bias": True, "use_bn": False, "kernel_size": 3, "ratio": 4}),
    ("bam", {"combine": "product", "ratio": 4, "dilation": 2, "num_convs": 1}),
    ("scse", {"combine": "max", "ratio": 4}),
    ("gc", {"fusion": "scale", "ratio": 4, "epsilon": 0.1}),
    ("gc", {"pooling": "mean", "ratio": 4}),
    ("ge", {"extent": 2}),
    ("ge", {"extent": 4, "use_mlp": True, "ratio": 4}),
    ("ge", {"extent": 8}),
    ("ge", {"gather": "conv"}),
    ("ge", {"gather": "conv", "extent": 2}),
    ("ge", {"gather": "conv", "extent": 4, "use_mlp": True}),
    ("ge", {"use_mlp": True}),
    ("srm", {"epsilon": 0.1}),
    ("gct", {"mode": "l1", "epsilon": 0.1}),
    ("coord", {"use_bias": False, "min_hidden": 4, "ratio": 2}),
    ("coord", {"hidden": 5}),
    ("triplet", {"spatial": False, "kernel_size": 3}),
    ("simam", {"e_lambda": 0.1}),
    ("sge", {"groups": 4}),
    ("ela", {"kernel_size": 5, "group_width": 4, "norm_groups": 2}),
    ("ela", {"shared": False, "norm_groups": 1, "activation": "silu"}),
    ("ema", {"groups": 4}),
    ("strip", {"use_bias": True}),
    ("fca", {"selection": "low", "num_frequencies": 4, "ratio": 4}),
    ("fca", {"selection": "bot", "size": 14, "ratio": 4}),
    ("nl", {"scale": "hidden", "use_bn": False, "ratio": 4}),
    ("nl", {"scale": "channels", "use_bias": False, "subsample": 2, "hidden": 3}),
]


def randomize(layer, rng):
    """Gives every weight of the layer random values, variances positive ones."""
    for weight in layer.weights:
        value = rng.normal(0.0, 0.5, weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)


def compare(key, options, shape, scale=1.0):
    cls = attention_class(key)
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(0.2, scale, shape).astype("float32")
    last = cls(data_format="channels_last", **options)
    last.build(shape)
    randomize(last, rng)
    weights = [w.astype("float64") for w in last.get_weights()]
    expected = REFERENCE[key](x.astype("float64"), weights, **options)
    np.testing.assert_allclose(ops.convert_to_numpy(last(x)), expected, rtol=1e-5, atol=1e-5)
    first = cls(data_format="channels_first", **options)
    turned = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    first.build(turned.shape)
    first.set_weights(last.get_weights())
    y = ops.convert_to_numpy(first(turned)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def accepted(key, options, shape):
    _, height, width, channels = shape
    return attention_class(key).check_site(channels, height, width, options) is None


@pytest.mark.parametrize(
    ("key", "options", "shape"),
    [(*case, shape) for case in CASES for shape in SHAPES if accepted(*case, shape)],
    ids=str,
)
def test_layer_equals_the_reference(key, options, shape):
    compare(key, options, shape)


@pytest.mark.parametrize("key", ["spatial", "cbam", "lcbam", "triplet"])
def test_filters_on_large_maps_equal_the_reference(key):
    compare(key, {}, (1, 23, 21, 3))


def test_triplet_planes_of_many_channels_equal_the_reference():
    compare("triplet", {}, (1, 21, 22, 24))
    compare("triplet", {}, (1, 6, 9, 90))


def test_fca_at_the_sizes_of_the_paper_equals_the_reference():
    compare("fca", {"num_frequencies": 32}, (1, 14, 28, 32))


def test_every_registered_attention_has_a_reference():
    assert sorted(REFERENCE) == attnzoo.list_attentions()


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_identity_becomes_the_paper_at_alpha_one(key):
    cls = attention_class(key)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 16)).astype("float32")
    paper, blend, beside = cls(), cls(init="identity"), cls(init="identity", parallel=True)
    paper.build(x.shape)
    randomize(paper, np.random.default_rng(1))
    for layer in (blend, beside):
        layer.build(x.shape)
        alpha = [] if layer.alpha is None else [np.float32(1)]
        own = [w for w in layer.weights if w is not layer.alpha]
        for weight, value in zip(own, paper.get_weights(), strict=True):
            weight.assign(value)
        assert len(own) + len(alpha) == len(layer.weights)
        if alpha:
            layer.alpha.assign(1.0)
    published = ops.convert_to_numpy(paper(x))
    np.testing.assert_allclose(ops.convert_to_numpy(blend(x)), published, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(beside(x)), x + published, rtol=1e-5, atol=1e-5)
