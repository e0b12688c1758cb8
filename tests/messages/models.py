"""What cannot be read or rebuilt, and what a layer or a registration refuses."""

from __future__ import annotations

import sys
from unittest import mock

import keras
from keras import layers

import attnzoo
import attnzoo._keras.recursion
from attnzoo.layers._registry import attention_class
from attnzoo.testing import check_attention

from ..helpers import basic_block, conv_bn_relu
from ..layers.test_contract import _Config, _Layout
from ..layers.test_options import BAD, REFUSED
from .collector import Example

# Models ----------------------------------------------------------------------------------------------------------


class Subclassed(keras.Model):
    def call(self, x):
        return x


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


NO_CONFIG = (
    "layer 'mystery' (NoConfig) cannot be made again from its config: NoConfig.__init__() got an unexpected keyword"
    " argument 'dtype'. Give the class a get_config() that returns its constructor's arguments, or pass"
    " share_weights=True to attnzoo.augment."
)
MODELS = [
    (
        too_deep,
        "the model is deeper than Python lets Keras follow, a recursion depth of 700;"
        " if none of its layers calls itself, try again after sys.setrecursionlimit(7000).",
    ),
    (
        lambda: attnzoo.describe(Subclassed(name="mine")),
        "model 'mine' (Subclassed) is a subclassed model without a graph; expected a Functional or Sequential model."
        " Rebuild it with the functional API, or augment the Functional backbone inside it.",
    ),
    (
        lambda: attnzoo.describe(overriding()),
        "model 'mine' (Overriding) overrides call(), so its graph is not what it computes; expected a Functional or"
        " Sequential model. Put what call() adds into layers of the graph.",
    ),
    (
        lambda: attnzoo.describe(keras.Sequential([layers.Conv2D(3, 3)], name="open")),
        "Sequential model 'open' has no input shape yet; start it with keras.Input(shape) or call it on data.",
    ),
    (
        lambda: attnzoo.describe("ResNet50"),
        "expected a keras.Model, got str; make or load it first, such as keras.applications.ResNet50() or"
        " attnzoo.load_model(path).",
    ),
    (
        augmented(lambda: NoConfig(1.0)),
        NO_CONFIG,
    ),
    (
        augmented(lambda: Holds(layers.ReLU())),
        "layer 'holds' (Holds) cannot be made again from its config: Object Holds was created by passing"
        " non-serializable argument values in `__init__()`, and therefore the object must override `get_config()` in"
        " order to be serializable. Please implement `get_config()`. Give the class a get_config() that returns its"
        " constructor's arguments, or pass share_weights=True to attnzoo.augment.",
    ),
    (
        augmented(lambda: Wordy(layers.ReLU())),
        f"layer 'holds' (Wordy) cannot be made again from its config: config={'x' * 290}... Give the class a"
        " get_config() that returns its constructor's arguments, or pass share_weights=True to attnzoo.augment.",
    ),
    (
        augmented(lambda: layers.Lambda(lambda t: t * 2, name="twice")),
        "layer 'twice' (Lambda) is Python code that no config describes; rebuild the model without it, or pass"
        " trust=True to attnzoo.augment or strip: the new model will then call the same function.",
    ),
    (
        augmented(lambda: Forgets(3, name="forgets")),
        "layer 'forgets' (Forgets) has 1 variables, made again from its config it has 1, or others: its get_config()"
        " does not describe it.",
    ),
    (
        shared_through_a_wrapper,
        "layers 'twice', 'frames' of 'mine' have the same weights, one of them by way of a layer around it; copies of"
        " them would train apart. Pass share_weights=True to attnzoo.augment.",
    ),
    (
        sequential_with_unfinished,
        "Sequential model 'seq' cannot be built again: one of its layers does not say what it makes of its input; give"
        " it a compute_output_shape() or a call() that works on symbolic tensors.",
    ),
    (
        popped,
        "'b_se' cannot be inserted: 'seq' has changed since the plan was made; plan again.",
    ),
    (
        augmented(lambda: layers.ReLU(name="relu"), Wider),
        "layer 'block_out_wider' (Wider) returned (None, 16, 16, 8) float32 where (None, 16, 16, 4) float32 was"
        " expected; attention must keep shape and dtype, and a config must describe its layer.",
    ),
]

# Layers and registrations ----------------------------------------------------------------------------------------


class Taken(attnzoo.layers.Attention):
    pass


def register(key, cls=Taken):
    return lambda: attnzoo.register_attention(key)(cls)


def build(key, options, shape):
    return lambda: attention_class(key)(name="here", data_format="channels_last", **options).build(shape)


def check(cls):
    return lambda: check_attention(cls)


LAYERS = [
    (build("se", {}, (None, 8, 8, None)), "here: the channel dimension of (None, 8, 8, None) must be known."),
    (register("se"), "register_attention('se'): the key belongs to SqueezeExcite already."),
    (register("my-se"), "register_attention('my-se'): use lower-case letters, digits and underscores."),
    (
        register("mine", layers.ReLU),
        "register_attention('mine'): <class 'keras.src.layers.activations.relu.ReLU'> is not a subclass of"
        " attnzoo.layers.Attention.",
    ),
    (check(_Layout), "_Layout(channels 16, size 8): channels_first and channels_last disagree."),
    (
        check(_Config),
        "_Config(channels 16, size 8): get_config is not plain JSON: Object of type function is not JSON serializable.",
    ),
    *((lambda key=key, options=options: attention_class(key)(**options), text) for key, options, text in BAD),
    *(
        (build(key, options, shape), f"here: cannot attend to a map of shape {shape}: {reason}.")
        for key, options, shape, reason in REFUSED
    ),
]

EXAMPLES = [Example(provoke, text) for provoke, text in [*MODELS, *LAYERS]]
