"""What cannot be read or rebuilt, and what a layer or a registration refuses."""

from __future__ import annotations

import sys
import threading
import types
from unittest import mock

import keras
from keras import layers

import attnzoo
import attnzoo._keras.recursion
from attnzoo.layers._registry import attention_class
from attnzoo.testing import check_attention

from .. import test_keras2_objects
from ..helpers import basic_block, conv_bn_relu, small_backbone
from ..layers.test_contract import _Config, _Layout
from ..networks.test_wrappers import video
from ..rewriting import test_backbone_classes as known
from ..rewriting import test_made_again as made_again

# Models ----------------------------------------------------------------------------------------------------------


class Overriding(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def with_layer(layer):
    inputs = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(inputs, 4, name="stem")
    return keras.Model(inputs, basic_block(layer(x), 4), name="net")


def overriding():
    inputs = keras.Input((16, 16, 3))
    return Overriding(inputs, conv_bn_relu(inputs, 4), name="mine")


def sequential():
    return keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(4, 3, name="a"), layers.Conv2D(4, 3, name="b")], name="seq"
    )


def too_deep():
    inputs = x = keras.Input((1, 1, 2))
    for _ in range(700):
        x = layers.ReLU()(x)
    model, limit = keras.Model(inputs, x), sys.getrecursionlimit()
    sys.setrecursionlimit(700)
    try:
        with mock.patch.object(attnzoo._keras.recursion, "DEEP", 0):
            return attnzoo.strip(model)
    finally:
        sys.setrecursionlimit(limit)


# Layers that do not keep what they promise -----------------------------------------------------------------------


class NoConfig(layers.Layer):
    def __init__(self, value):
        super().__init__(name="mystery")
        self.value = value

    def call(self, x):
        return x + self.value


class Forgets(layers.Layer):
    """Its config does not say how many units it has."""

    def __init__(self, units=1, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(self.units, shape[-1]))

    def call(self, x):
        return x * self.scale[0]

    def get_config(self):
        return {"name": self.name}


class Unfinished(attnzoo.layers.Attention):
    def compute_output_spec(self, x, training=None):
        raise NotImplementedError


class Wider(attnzoo.layers.Attention):
    def gate(self, x, training=None):
        return x

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2 * shape[-1])


def shared_through_a_wrapper():
    image, frames, dense = keras.Input((8, 8, 3)), keras.Input((5, 4)), layers.Dense(4, name="twice")
    x = dense(layers.Conv2D(4, 3)(image))
    attnzoo.augment(
        keras.Model([image, frames], [x, layers.TimeDistributed(dense, name="frames")(frames)], name="mine"), "se"
    )


def sequential_with_unfinished():
    attnzoo.augment(sequential(), Unfinished, after="a")


def popped():
    model = sequential()
    plan = attnzoo.plan(model, "se", after="b")
    model.pop()
    plan.apply()


def augmented(layer, attention="se"):
    return lambda: attnzoo.augment(with_layer(layer()), attention)


class Holds(layers.Layer):
    """Has no config, because its argument is a layer."""

    def __init__(self, inner):
        super().__init__(name="holds")
        self.inner = inner

    def call(self, x):
        return self.inner(x)


class Wordy(Holds):
    """Fails as Keras may: with a whole config in the message."""

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        raise ValueError(f"config={'x' * 2000}\nand more")


class FailsToLoad(layers.Layer):
    """Reads no state."""

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["0"] = [1.0]

    def load_own_variables(self, store):
        raise KeyError("kernel")


def set_later(value):
    """A layer with an attribute that its config does not hold."""

    def make():
        layer = layers.Dropout(0.5, name="drop")
        layer.mine = value()
        return layer

    return make


def with_code(function):
    return augmented(lambda: layers.Lambda(function, name="code", output_shape=lambda shape: shape))


class FailsTwice(layers.Layer):
    """Can be called once."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = []

    def call(self, x):
        self.calls.append(1)
        if len(self.calls) > 1:
            raise ValueError("only one call\nis supported")
        return x


class UnbuiltAgain(layers.Layer):
    """Its config does not say what it takes to build it."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(shape[-1] // self.units,))

    def get_config(self):
        return {**super().get_config(), "units": 0}


def outside():
    """A model of a class of its own that holds a layer outside of its graph, whose config names another size."""
    model = known.net()
    model.mine = UnbuiltAgain(name="mine")
    model.mine.build((None, 4))
    attnzoo.augment(model, "se")


MODELS = [
    too_deep,
    lambda: attnzoo.describe(keras.Sequential([keras.Input((16, 16, 3)), overriding()])),
    lambda: attnzoo.describe(keras.Sequential([layers.Conv2D(3, 3)], name="open")),
    lambda: attnzoo.describe("ResNet50"),
    lambda: attnzoo.describe(test_keras2_objects.Functional()),
    augmented(lambda: NoConfig(1.0)),
    augmented(lambda: Holds(layers.ReLU())),
    augmented(lambda: Wordy(layers.ReLU())),
    with_code(made_again.HOLDING["a layer in its closure"]()),
    with_code(made_again.holding(keras.random.SeedGenerator(1, name="chance"))),
    augmented(lambda: Forgets(3, name="forgets")),
    augmented(lambda: FailsToLoad(name="mine")),
    augmented(set_later(lambda: types.SimpleNamespace(weight=keras.Variable(1.0)))),
    augmented(set_later(threading.Lock)),
    lambda: attnzoo.augment(made_again.in_a_graph(made_again.Wrong(name="mine")), "se", after="conv"),
    lambda: attnzoo.augment(made_again.in_a_graph(made_again.Failing(name="mine")), "se", after="conv"),
    lambda: attnzoo.augment(made_again.in_a_graph(made_again.Fewer(3, name="mine")), "se", after="conv"),
    lambda: attnzoo.augment(made_again.stacked(made_again.Failing(name="mine")), "se", after="conv"),
    lambda: attnzoo.augment(made_again.in_a_graph(FailsTwice(name="mine")), "se", after="conv", share_weights=True),
    outside,
    shared_through_a_wrapper,
    sequential_with_unfinished,
    popped,
    lambda: attnzoo.strip(video(attnzoo.augment(small_backbone(), "se", stages=[2]))),
    augmented(lambda: layers.ReLU(name="relu"), Wider),
]

# Layers and registrations ----------------------------------------------------------------------------------------


class Taken(attnzoo.layers.Attention):
    pass


def register(key, cls=Taken):
    return lambda: attnzoo.register_attention(key)(cls)


def build(key, options, shape):
    return lambda: attention_class(key)(name="here", data_format="channels_last", **options).build(shape)


def attention(key, options):
    return lambda: attention_class(key)(**options)


def check(cls):
    return lambda: check_attention(cls)


LAYERS = [
    build("se", {}, (None, 8, 8, None)),
    register("se"),
    register("my-se"),
    register("mine", layers.ReLU),
    check(_Layout),
    check(_Config),
    attention("bam", {"ratio": 0}),
    attention("bam", {"dilation": 1.5}),
    attention("bam", {"num_convs": True}),
    attention("bam", {"combine": "add"}),
    attention("cbam", {"kernel_size": 4}),
    attention("cbam", {"pool_order": "max"}),
    attention("channel", {"ratio": "8"}),
    attention("coord", {"hidden": 0}),
    attention("coord", {"min_hidden": -1}),
    attention("eca", {"gamma": 0}),
    attention("eca", {"kernel_size": 2}),
    attention("eca", {"padding": "cyclic"}),
    attention("ela", {"kernel_size": 6}),
    attention("ela", {"activation": "relu"}),
    attention("ela", {"norm_groups": 0}),
    attention("ela", {"group_width": None}),
    attention("ema", {"groups": 2.0}),
    attention("ese", {"gate": "hardsigmoid"}),
    attention("fca", {"num_frequencies": 3}),
    attention("fca", {"size": 10}),
    attention("fca", {"selection": "top16"}),
    attention("gc", {"fusion": "mul"}),
    attention("gc", {"pooling": "avg"}),
    attention("gc", {"epsilon": 0}),
    attention("gct", {"mode": "l3"}),
    attention("gct", {"epsilon": float("inf")}),
    attention("ge", {"extent": 3}),
    attention("ge", {"extent": True}),
    attention("ge", {"gather": "max"}),
    attention("lcbam", {"kernel_size": 8}),
    attention("nl", {"scale": "sqrt"}),
    attention("nl", {"subsample": 0}),
    attention("nl", {"hidden": 0}),
    attention("scse", {"combine": "sum"}),
    attention("se", {"gate": "tanh"}),
    attention("sge", {"groups": 0}),
    attention("simam", {"e_lambda": 0}),
    attention("spatial", {"kernel_size": 2}),
    attention("srm", {"epsilon": "small"}),
    attention("triplet", {"kernel_size": 4}),
    attention("strip", {"init": "ident"}),
    attention("strip", {"data_format": "channel_last"}),
    build("sge", {"groups": 5}, (None, 8, 8, 12)),
    build("ema", {"groups": 32}, (None, 8, 8, 24)),
    build("ela", {"norm_groups": 9}, (None, 8, 8, 16)),
    build("ela", {"group_width": 8}, (None, 8, 8, 20)),
    build("fca", {"num_frequencies": 16}, (None, 8, 8, 24)),
    build("ge", {"gather": "conv"}, (None, None, 8, 16)),
    build("nl", {"subsample": 4}, (None, 3, None, 16)),
]
