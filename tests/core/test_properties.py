"""Rules that hold for every graph: random Functional models, random modules, random places."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import attnzoo
from attnzoo.errors import PlanError
from attnzoo.placement import PLACEMENTS

from .helpers import array, config_of, leaf_layers, outputs, randomize

STEPS = ["conv", "residual", "residual", "dense", "cell", "gated", "pool", "nested", "nested_sequential", "shared_conv"]
MODULES = ("se", "eca", "cbam", "spatial", "simam", "gct")


class Builder:
    """Grows a graph by drawn steps; every step keeps a map that the next can use."""

    def __init__(self, draw):
        self.draw = draw
        self.shared = None

    def of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def norm_act(self, x):
        if self.of(True, False):
            x = self.of(layers.BatchNormalization, layers.LayerNormalization)()(x)
        kind = self.of("layer", "op", "prelu", "none")
        if kind == "layer":
            return layers.Activation(self.of("relu", "silu", "gelu"))(x)
        if kind == "op":
            return ops.relu(x) if self.of(True, False) else x * ops.sigmoid(x)
        return layers.PReLU(shared_axes=[1, 2])(x) if kind == "prelu" else x

    def conv(self, x, strides=1, filters=None):
        filters = filters or self.of(4, 6, 8)
        size = self.of(1, 3)
        return self.norm_act(layers.Conv2D(filters, size, strides=strides, padding="same")(x))

    def residual(self, x):
        strides, filters = self.of(1, 1, 2), x.shape[-1]
        y = self.conv(x, strides)
        y = self.norm_act(layers.DepthwiseConv2D(3, padding="same")(y)) if self.of(True, False) else y
        y = layers.Conv2D(filters, 1, padding="same")(y)
        if self.of(True, False):
            y = layers.BatchNormalization()(y)
        if self.of(True, False):
            y = layers.Dropout(0.3)(y)
        x = layers.Conv2D(filters, 1, strides=strides)(x) if strides > 1 else x
        merged = self.of(layers.Add(), lambda t: t[0] + t[1])([x, y])
        return layers.ReLU()(merged) if self.of(True, False) else merged

    def dense(self, x):
        return layers.Concatenate()([x, self.conv(x, filters=4)])

    def cell(self, x):
        return layers.Concatenate()([self.conv(x), self.conv(x), layers.MaxPooling2D(3, 1, "same")(x)])

    def gated(self, x):
        z = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(z)])

    def pool(self, x):
        return layers.MaxPooling2D(2, padding="same")(x)

    def nested(self, x):
        inputs = keras.Input(x.shape[1:])
        inner = keras.Model(inputs, self.residual(self.conv(inputs)))
        return inner(x)

    def nested_sequential(self, x):
        return keras.Sequential([keras.Input(x.shape[1:]), layers.Conv2D(6, 3, padding="same"), layers.ReLU()])(x)

    def shared_conv(self, x):
        conv = layers.Conv2D(x.shape[-1], 3, padding="same")
        return conv(conv(x))

    def step(self, x):
        return getattr(self, self.of(*STEPS))(x)


@st.composite
def models(draw):
    build = Builder(draw)
    size = draw(st.sampled_from([12, 15, 16]))
    inputs = [keras.Input((size, size, 3)) for _ in range(draw(st.integers(1, 2)))]
    trunks = []
    for given_ in inputs:
        x = build.conv(given_)
        for _ in range(draw(st.integers(1, 3))):
            x = build.step(x)
        trunks.append(x)
    pooled = [layers.GlobalAveragePooling2D()(t) for t in trunks]
    joined = layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
    head = layers.Dense(3, name="head")(joined)
    form = draw(st.sampled_from(["one", "list", "dict"]))
    outs = {"one": head, "list": [head, trunks[0]], "dict": {"head": head, "features": trunks[-1]}}[form]
    return randomize(keras.Model(inputs if len(inputs) > 1 else inputs[0], outs))


def check(model, key, placement, stage, tmp_path):
    x = keras.tree.map_structure(
        lambda t: np.random.default_rng(0).normal(size=(2, *t.shape[1:])).astype("float32"), model.input
    )
    expected = outputs(model, x)
    config, weights = config_of(model), [array(w).copy() for w in model.weights]
    calls = {k: len(v._inbound_nodes) for k, v in leaf_layers(model).items()}
    try:
        plan = attnzoo.plan(model, key, placement=placement, stages=None if stage is None else [stage])
    except PlanError:
        return 0
    new = plan.apply()
    for a, b in zip(expected, outputs(new, x), strict=True):
        np.testing.assert_array_equal(a, b)
    old_layers, new_layers = leaf_layers(model), leaf_layers(new)
    assert len(new_layers) == len(old_layers) + len(plan)
    assert {s.name for s in plan} == {k.rpartition("/")[2] for k in set(new_layers) - set(old_layers)}
    for path, layer in old_layers.items():
        for a, b in zip(layer.weights, new_layers[path].weights, strict=True):
            np.testing.assert_array_equal(array(a), array(b))
    for site in plan:
        layer = next(v for k, v in new_layers.items() if k.rpartition("/")[2] == site.name)
        assert sum(int(ops.size(w)) for w in layer.trainable_weights) == site.parameters
    assert config_of(model) == config
    assert {k: len(v._inbound_nodes) for k, v in leaf_layers(model).items()} == calls
    for a, b in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, array(b))
    new.save(tmp_path / "m.keras")
    reloaded = attnzoo.load_model(tmp_path / "m.keras")
    stripped = attnzoo.strip(reloaded)
    assert config_of(attnzoo.strip(new)) == config
    for a, b, c in zip(expected, outputs(reloaded, x), outputs(stripped, x), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    return len(plan)


CASES = st.tuples(models(), st.sampled_from(MODULES), st.sampled_from(PLACEMENTS), st.sampled_from([None, None, 1, 2]))
RELAXED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "database": None,
}


@settings(max_examples=40, **RELAXED)
@given(CASES)
def test_forty_random_graphs(tmp_path_factory, case):
    check(*case, tmp_path_factory.getbasetemp())


@pytest.mark.exhaustive
@settings(max_examples=1000, **RELAXED)
@given(CASES)
def test_a_thousand_random_graphs(tmp_path_factory, case):
    check(*case, tmp_path_factory.getbasetemp())
