"""What cannot be planned: where attention goes, which module, which options; and what cannot be frozen."""

from __future__ import annotations

import functools

import keras
from keras import layers

import attnzoo

from ..helpers import conv_bn_relu, small_backbone, small_resnet
from ..networks.test_wrappers import video
from ..planning.test_identity_modules import Affine
from ..planning.test_planning_zoo import net
from ..training.test_decoder import unet
from .collector import says

resnet = functools.cache(small_resnet)
backbone = functools.cache(small_backbone)


@functools.cache
def plain():
    """Three convolutions in a row."""
    x = inputs = keras.Input((32, 32, 3), name="image")
    for i, filters in enumerate((8, 16)):
        x = layers.Conv2D(filters, 3, 2, "same", activation="relu", name=f"conv{i}")(x)
    return keras.Model(inputs, x, name="plain")


@functools.cache
def dense():
    """Two dense cells, merged by concatenation."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(inputs, 8, name="stem")
    for i in range(2):
        y = conv_bn_relu(x, 4, name=f"cell{i}")
        x = layers.Concatenate(name=f"cell{i}_join")([x, y])
    return keras.Model(inputs, x, name="dense")


@functools.cache
def pointwise():
    """A residual block of 1x1 convolutions, which has no middle."""
    x = inputs = keras.Input((16, 16, 8), name="image")
    y = layers.Conv2D(8, 1, name="reduce")(x)
    y = layers.Conv2D(8, 1, name="expand")(layers.ReLU()(y))
    return keras.Model(inputs, layers.Add(name="sum")([x, y]), name="pointwise")


@functools.cache
def projections():
    """Inverted bottlenecks without a shortcut."""
    x = inputs = keras.Input((16, 16, 8), name="image")
    for i, filters in enumerate((12, 16)):
        y = conv_bn_relu(x, 24, size=1, name=f"b{i}_expand")
        y = layers.DepthwiseConv2D(3, padding="same", name=f"b{i}_dw")(y)
        y = layers.ReLU(name=f"b{i}_relu")(layers.BatchNormalization(name=f"b{i}_bn")(y))
        x = layers.BatchNormalization(name=f"b{i}_norm")(layers.Conv2D(filters, 1, name=f"b{i}_project")(y))
    return keras.Model(inputs, x, name="projections")


@functools.cache
def flat():
    inputs = keras.Input((4,), name="numbers")
    return keras.Model(inputs, layers.Dense(2, name="out")(inputs), name="flat")


@functools.cache
def gated():
    """A block with squeeze-and-excitation of its own."""
    inputs = x = keras.Input((8, 8, 4), name="image")
    y = layers.Conv2D(4, 3, padding="same")(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    return keras.Model(inputs, layers.Add(name="sum")([x, layers.Multiply()([y, gate])]), name="gated")


@functools.cache
def odd():
    """Layers that attention cannot go after, each for a reason of its own."""

    class Halves(layers.Layer):
        def call(self, x):
            return x[..., :4], x[..., 4:]

    inputs = keras.Input((16, 16, 8), name="image")
    through = keras.Input((16, 16, 8))
    x = keras.Model(through, through, name="through")(inputs)
    a, b = Halves(name="halves")(x)
    x = layers.Conv2D(8, 3, padding="same", name="conv")(a + b)
    return keras.Model(inputs, layers.Flatten(name="flat")(x), name="odd")


@functools.cache
def unknown_channels():
    inputs = keras.Input((8, 8, None), name="image")
    return keras.Model(inputs, layers.ReLU(name="relu")(inputs), name="open")


@functools.cache
def wrapped():
    return video(backbone())


@functools.cache
def beside_a_wrapper():
    """Feature maps in the graph, and others inside a wrapper."""
    clip, image = keras.Input((3, 32, 32, 3), name="frames_in"), keras.Input((16, 16, 8), name="image")
    return keras.Model([clip, image], [wrapped()(clip), projections()(image)], name="beside")


@functools.cache
def attended():
    return attnzoo.augment(resnet(), "se")


@functools.cache
def pre_attended():
    return attnzoo.augment(resnet(), "se", placement="pre", stages=[2, 3])


def double(channels):
    return layers.Conv2D(channels, 1)


def plan(attention="se", model=resnet, **request):
    return lambda: attnzoo.plan(model(), attention, **request)


def fit(key, options, after):
    """Plans on maps of 12, 24 and 40 channels."""
    return plan(key, model=net, after=[*after], **options)


def freeze(model, train, **options):
    return lambda: attnzoo.freeze(model(), train=train, **options)


@functools.cache
def frozen():
    model = keras.models.clone_model(resnet())
    model.trainable = False
    return model


def notes_of_freezing(model, train):
    model = keras.models.clone_model(model())
    model.compile("sgd", "mse")
    model.layers[-1].bias.trainable = False
    return "\n".join(attnzoo.freeze(model, train=train).notes)


STAGES_AND_BLOCKS = [
    plan(stages=[5]),
    plan(stages=[0, 2, 9]),
    plan(stages=[]),
    plan(stages="34"),
    plan(stages=3.0),
    plan(stages=[1.5]),
    plan(stages=True),
    plan(stages=[1], model=flat),
    plan(stages=[2], model=wrapped),
    plan(blocks=[0]),
    plan(blocks="lst", placement="post"),
    plan(blocks=[], placement="post"),
    plan(blocks=[7, 8], placement="post", stages=[1, 2]),
]

PLACEMENTS = [
    plan(placement="residul"),
    plan(placement="residual", model=plain),
    plan(placement="residual", model=dense),
    plan(placement="shortcut", model=projections),
    plan(placement="parallel", model=projections, blocks="last"),
    plan(placement="inner", model=pointwise),
]

NAMED_LAYERS = [
    plan(after="s0b9_out"),
    plan(after=["s0b1_out", "qqq"]),
    plan(after=["s0b1_out", "s1b0_9*"]),
    plan(after="*_concat"),
    plan(after="b1_dw", model=wrapped),
    plan(after=3),
    plan(after=[3]),
    plan(after=[]),
    plan(after="s0b1_out", stages=[1]),
    plan(after=["through", "halves", "flat"], model=odd),
    plan(after=["conv*", "*" * 2000]),
]

THERE_ALREADY = [
    plan(model=attended, stages=[2, 3], ratio=4),
    plan(model=attended, after="s0b1_out"),
    plan(model=pre_attended, placement="pre", stages=[2]),
    plan(double, model=lambda: attnzoo.augment(resnet(), double, stages=[1]), stages=[1]),
]

MODULES = [
    plan("cmab"),
    plan(3),
    plan(attnzoo.layers.CBAM(name="mine")),
    plan(lambda channels: "x"),
    plan(lambda x: layers.ReLU()(x)),
    plan(lambda channels: layers.Identity(), ratio=4),
    plan(init="idntity"),
    plan(ratoi=4),
    plan(stage=[1]),
    plan(placment="post"),
    plan(ratio=0),
    plan(lambda c: layers.Conv2D(3, 1, name="bad")),
    plan(lambda c: layers.Dot(1, name="bad")),
    plan(model=unknown_channels, after="relu"),
    fit("sge", {"groups": 8}, "abc"),
    fit("ema", {"groups": 32}, "abc"),
    fit("ela", {"kernel_size": 5, "norm_groups": 16}, ["b"]),
    fit("ela", {"norm_groups": 16, "group_width": 9}, ["b"]),
    fit("fca", {"num_frequencies": 16}, ["a", "c"]),
    fit("nl", {"subsample": 8}, "abc"),
]

NOTES = [
    says(lambda: str(attnzoo.describe(flat()))),
    says(lambda: str(attnzoo.describe(gated()))),
    says(lambda: str(attnzoo.describe(video(attnzoo.augment(backbone(), "se"))))),
    says(lambda: attnzoo.plan(beside_a_wrapper(), "se").notes[0]),
    says(lambda: attnzoo.plan(gated(), "se").notes[0]),
    says(lambda: attnzoo.plan(net(), "ela", after=["a", "b", "c"]).notes[0]),
    says(lambda: attnzoo.plan(attended(), "eca", stages=[1, 2]).notes[0]),
    says(lambda: attnzoo.plan(net(8), "gc", after=["b", "c"]).notes[0]),
    says(lambda: attnzoo.plan(net(8), "se", after=["a", "b", "c"], ratio=16).notes[-1]),
    says(lambda: attnzoo.plan(net(8), Affine, after=["b", "c"]).notes[0]),
    says(lambda: attnzoo.plan(frozen(), "se", stages=[3]).notes[0]),
]

FREEZE = [
    freeze(resnet, "heads"),
    freeze(resnet, "attention"),
    freeze(backbone, "head"),
    freeze(lambda: keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="mlp"), "head"),
    freeze(resnet, ""),
    freeze(resnet, "none+head"),
    freeze(resnet, "stages>4"),
    freeze(resnet, "alpha"),
    freeze(resnet, "s9*"),
    freeze(resnet, "decoder"),
    freeze(resnet, "all", batch_norm="frzen"),
    says(lambda: notes_of_freezing(resnet, "all")),
    says(lambda: notes_of_freezing(unet, "backbone")),
    says(lambda: notes_of_freezing(unet, "decoder")),
    says(lambda: attnzoo.freeze(attnzoo.augment(backbone(), "se")).notes[0]),
]

GRADIENTS = [
    lambda: attnzoo.check_gradients(attended(), 3),
]
