"""Subclassed models: taken as the graph of their call(), shown to be equal, or refused with what stood in the way."""

import gc
import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import attnzoo
from attnzoo.errors import RewriteError

from ..helpers import array, moved, outputs, randomize, reloaded

SIZE = (32, 32, 3)
X = np.random.default_rng(0).uniform(size=(2, *SIZE)).astype("float32")


class Unit(layers.Layer):
    """Convolution and norm, for the networks below."""

    def __init__(self, filters, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.strides = filters, strides
        self.conv = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)
        self.norm = layers.BatchNormalization()

    def call(self, x):
        return self.norm(self.conv(x))


class Net(keras.Model):
    """Four residual blocks at strides 2 and 4, written as most people write a subclassed ResNet."""

    def __init__(self, classes=5, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Conv2D(8, 3, 2, padding="same", name="stem")
        self.convs = [layers.Conv2D(f, 3, s, padding="same", name=f"conv_{i}") for i, (f, s) in enumerate(self.plan())]
        self.norms = [layers.BatchNormalization(name=f"norm_{i}") for i, _ in enumerate(self.plan())]
        self.short = layers.Conv2D(16, 1, 2, name="short")
        self.drop = layers.Dropout(0.5, seed=3)
        self.out = layers.Dense(classes, name="out")

    @staticmethod
    def plan():
        return [(8, 1)] * 4 + [(16, 2), (16, 1), (16, 1), (16, 1)]

    def body(self, x, training):
        x = ops.relu(self.stem(x))
        for i in range(0, 8, 2):
            y = ops.relu(self.norms[i](self.convs[i](x), training=training))
            y = self.norms[i + 1](self.convs[i + 1](y), training=training)
            x = ops.relu(y + (self.short(x) if i == 4 else x))
        return x

    def call(self, x, training=False):
        x = ops.mean(self.body(x, training), axis=(1, 2))
        return self.out(self.drop(x, training=training))

    def train_step(self, data):
        return super().train_step(data)

    @property
    def loudness(self):
        return 11


def built(model, x=X):
    model(x)
    return randomize(model)


def same_network_as_graph(model):
    """The network of `Net`, built with the functional API by hand, around the same layers."""
    x = first = keras.Input(SIZE)
    x = ops.relu(model.stem(x))
    for i in range(0, 8, 2):
        y = ops.relu(model.norms[i](model.convs[i](x)))
        y = model.norms[i + 1](model.convs[i + 1](y))
        x = ops.relu(y + (model.short(x) if i == 4 else x))
    return keras.Model(first, model.out(model.drop(ops.mean(x, axis=(1, 2)))), name=model.name)


def nodes_of(model):
    return [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model._flatten_layers()]


def states(model):
    return [array(v).copy() for v in model.variables]


def assert_equal(expected, found):
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("placement", ["stage", "post", "residual", "pre", "parallel"])
def test_a_subclassed_model_gets_attention_where_its_functional_twin_gets_it(placement):
    model = built(Net())
    before = nodes_of(model), states(model)
    new = attnzoo.augment(model, "cbam", placement=placement)
    assert type(new).__name__ == "Functional"
    assert_equal(outputs(model, X), outputs(new, X))
    assert (nodes_of(model), len(before[1])) == (before[0], len(states(model)))
    assert_equal(before[1], states(model))

    twin = attnzoo.augment(same_network_as_graph(model), "cbam", placement=placement)
    acting = outputs(moved(new), X)
    assert_equal(outputs(moved(twin), X), acting)
    assert any(not np.array_equal(a, b) for a, b in zip(acting, outputs(model, X), strict=True))


def test_describe_reads_a_subclassed_model_and_leaves_it_as_it_was():
    model = built(Net())
    before = nodes_of(model)
    text = str(attnzoo.describe(model))
    assert nodes_of(model) == before
    outputs_numbered_by_keras = re.compile(r"relu_\d+")
    twin = str(attnzoo.describe(same_network_as_graph(model)))
    assert outputs_numbered_by_keras.sub("relu", text) == outputs_numbered_by_keras.sub("relu", twin)
    assert [len(s.blocks) for s in attnzoo.describe(model)] == [2, 2]


def test_training_is_the_same_statistics_and_dropout_included():
    model = built(Net())
    new = attnzoo.augment(model, "se")
    for net in (model, new):
        net.compile(keras.optimizers.SGD(0.1), "mse")
    y = np.ones((2, 5), "float32")
    losses = [net.train_on_batch(X, y) for net in (model, new)]
    assert losses[0] == losses[1]
    norm = {n: array(net.get_layer(n).moving_mean) for net in (model,) for n in ("norm_0", "norm_7")}
    for name, mean in norm.items():
        np.testing.assert_array_equal(array(new.get_layer(name).moving_mean), mean)


def test_the_plan_says_that_the_result_is_functional_and_what_is_left_behind():
    class WithSpare(Net):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.spare = layers.Dense(1, name="spare")
            self.spare.build((None, 4))

    model = built(WithSpare(name="mine"))
    note = next(n for n in attnzoo.plan(model, "se").notes if "mine" in n)
    assert "the result is a Functional model" in note
    for left in ("train_step()", "body()", "loudness", "layer 'spare', which call() does not use"):
        assert left in note
    assert "call()," not in note
    assert not any("Functional" in n for n in attnzoo.plan(same_network_as_graph(model), "se").notes)


def test_a_plan_outlives_training_and_applies_twice():
    model = built(Net())
    plan = attnzoo.plan(model, "eca")
    model.out.kernel.assign(array(model.out.kernel) + 1.0)
    first, second = plan.apply(), plan.apply()
    assert_equal(outputs(model, X), outputs(first, X))
    assert_equal(outputs(model, X), outputs(second, X))
    assert not {id(w) for w in first.weights} & {id(w) for w in [*second.weights, *model.weights]}


def test_two_plans_of_one_model_do_not_meet():
    model = built(Net())
    one, two = attnzoo.plan(model, "se", stages=[1]), attnzoo.plan(model, "cbam", stages=[2])
    new = two.apply(), one.apply()
    for net in new:
        assert_equal(outputs(model, X), outputs(net, X))
    gc.collect()
    assert_equal(outputs(model, X), outputs(attnzoo.augment(model, "se"), X))


def test_the_result_saves_strips_and_takes_more_attention(tmp_path):
    model = built(Net())
    new = moved(attnzoo.augment(model, "cbam", stages=[2]))
    again = reloaded(new, tmp_path)
    assert_equal(outputs(new, X), outputs(again, X))
    more = attnzoo.augment(again, "eca", stages=[1])
    assert_equal(outputs(new, X), outputs(more, X))
    assert_equal(outputs(model, X), outputs(attnzoo.strip(more), X))
    assert_equal(outputs(model, X), outputs(attnzoo.strip(model), X))


def test_shared_weights_train_both():
    model = built(Net())
    new = attnzoo.augment(model, "se", share_weights=True)
    assert_equal(outputs(model, X), outputs(new, X))
    model.out.kernel.assign(array(model.out.kernel) * 2.0)
    assert_equal(outputs(model, X), outputs(new, X))
    # The calls stay in the layers: the new model can be read, and so can the old one.
    assert len(attnzoo.plan(new, "eca")) == len(attnzoo.plan(model, "eca"))
    assert_equal(outputs(new, X), outputs(attnzoo.augment(new, "eca"), X))
    assert_equal(outputs(model, X), outputs(attnzoo.strip(new), X))


def test_flags_and_policies_stay():
    model = built(Net(dtype="float32"))
    model.stem.trainable = False
    model.norms[0].trainable = False
    new = attnzoo.augment(model, "se")
    frozen = {x.name for x in new.layers if x.weights and not x.trainable}
    assert frozen == {"stem", "norm_0"}
    model.trainable = False
    assert not attnzoo.augment(model, "se").get_layer("out").trainable


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = built(Net())
        new = attnzoo.augment(model, "se")
    finally:
        keras.config.set_dtype_policy("float32")
    assert_equal([y.astype("float32") for y in outputs(model, X)], [y.astype("float32") for y in outputs(new, X)])


class TwoInputs(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = Net(name="inner")
        self.table = layers.Dense(4)

    def call(self, inputs, training=None):
        image, table = inputs["image"], inputs["table"]
        x = ops.mean(self.net.body(image, training), axis=(1, 2))
        return {"features": x, "both": ops.concatenate([x, self.table(table)], axis=-1)}


def test_inputs_and_outputs_keep_their_structure():
    x = {"image": X, "table": np.ones((2, 3), "float32")}
    model = built(TwoInputs(), x)
    new = attnzoo.augment(model, "cbam", stages=[2])
    assert set(new(x)) == {"features", "both"}
    assert_equal(outputs(model, x), outputs(new, x))


class Overriding(keras.Model):
    """A Functional model whose call() adds to its graph."""

    def call(self, x, training=None, mask=None):
        return ops.softmax(super().call(x, training=training))


def test_what_an_overridden_call_adds_to_a_graph_is_taken_too():
    x = first = keras.Input(SIZE, name="pixels")
    for i in range(2):
        x = layers.ReLU()(layers.Add()([x, layers.Conv2D(3, 3, padding="same", name=f"c{i}")(x)]))
    model = randomize(Overriding(first, layers.Dense(5)(layers.GlobalAveragePooling2D()(x))))
    before = nodes_of(model), [len(op._inbound_nodes) for op in model.operations]
    new = attnzoo.augment(model, "se", after="c1")
    assert (nodes_of(model), [len(op._inbound_nodes) for op in model.operations]) == before
    assert_equal(outputs(model, X), outputs(new, X))
    np.testing.assert_allclose(outputs(new, X)[0].sum(-1), 1.0, rtol=1e-5)
    assert [t.name for t in new.inputs] == ["pixels"]


def test_an_open_size_stays_open():
    class Open(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Conv2D(4, 3, 2, padding="same"), layers.Conv2D(8, 3, 2, padding="same")

        def build(self, shape):
            self.a.build(shape)
            self.b.build((*shape[:3], 4))

        def call(self, x):
            return ops.mean(self.b(ops.relu(self.a(x))), axis=(1, 2))

    model = Open()
    model.build((None, None, None, 3))
    new = attnzoo.augment(model, "se", after="conv2d*")
    for size in (32, 48):
        x = np.ones((1, size, size, 3), "float32")
        assert_equal(outputs(model, x), outputs(new, x))


# What cannot be taken --------------------------------------------------------------------------------------------


class Branching(Net):
    def call(self, x, training=False):
        if training:
            x = x * 2.0
        return super().call(x, training=training)


class Asking(Net):
    def call(self, x, training=False):
        if ops.max(x) > 0.5:
            x = x - 0.5
        return super().call(x, training=training)


class Own(Net):
    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")

    def call(self, x, training=False):
        return super().call(x * self.scale, training=training)


class Anew(Net):
    def call(self, x, training=False):
        return super().call(layers.Conv2D(3, 1, name="each_time")(x), training=training)


class Noisy(Net):
    def call(self, x, training=False):
        return super().call(x + float(np.random.default_rng().normal()), training=training)


class Lossy(Net):
    def call(self, x, training=False):
        y = super().call(x, training=training)
        self.add_loss(ops.mean(x))
        return y


REFUSED = {
    Branching: "in training it computes something else",
    Asking: "`if ops.max(x) > 0.5:`",
    Own: "reads the weight 'scale' of the model itself",
    Anew: "layer 'each_time' (Conv2D) is made anew by each call()",
    Noisy: "in inference it computes something else",
    Lossy: "`self.add_loss(ops.mean(x))`",
}


@pytest.mark.parametrize("cls", REFUSED, ids=lambda c: c.__name__)
def test_what_cannot_be_taken_is_refused_with_what_stood_in_the_way(cls):
    model = cls(name="mine")
    model(X)
    before = nodes_of(model), states(model)
    with pytest.raises(RewriteError) as raised:
        attnzoo.augment(model, "se")
    text = str(raised.value)
    assert f"model 'mine' ({cls.__name__}) is a subclassed model that cannot be taken as a graph" in text
    assert REFUSED[cls] in text
    assert "\n" not in text
    assert nodes_of(model) == before[0]
    assert_equal(before[1], states(model))


def test_a_model_that_was_never_called_says_so():
    with pytest.raises(RewriteError, match="call it on one batch of data"):
        attnzoo.describe(Net())
