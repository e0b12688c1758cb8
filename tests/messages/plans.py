"""What cannot be planned: where attention goes, which module, which options; and what cannot be frozen."""

from __future__ import annotations

import functools

import keras
from keras import layers

import attnzoo

from ..helpers import conv_bn_relu, small_backbone, small_resnet
from ..planning.test_planning_zoo import REFUSED, net
from .collector import Example

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
def attended():
    return attnzoo.augment(resnet(), "se")


@functools.cache
def pre_attended():
    return attnzoo.augment(resnet(), "se", placement="pre", stages=[2, 3])


def double(channels):
    return layers.Conv2D(channels, 1)


def plan(attention="se", model=resnet, **request):
    return lambda: attnzoo.plan(model(), attention, **request)


def freeze(model, train):
    return lambda: attnzoo.freeze(model(), train=train)


POSSIBLE = "Possible here: stage, residual, pre, shortcut, inner, parallel, or after=[layer names]."
LIST = "is not a whole number or a list of them, such as [0, 1]."
WHOLE = "is not a whole number; expected such as [0, 1]."

STAGES_AND_BLOCKS = [
    (plan(stages=[5]), "'small_resnet' has no stage 5; it has 1 (stride 1), 2 (stride 2), 3 (stride 4)."),
    (plan(stages=[0, 2, 9]), "'small_resnet' has no stage 0, 9; it has 1 (stride 1), 2 (stride 2), 3 (stride 4)."),
    (plan(stages=[]), "stages is empty; name at least one, or leave it out for all."),
    (plan(stages="34"), f"stages='34' {LIST}"),
    (plan(stages=3.0), f"stages=3.0 {LIST}"),
    (plan(stages=[1.5]), f"stages=[1.5]: 1.5 {WHOLE}"),
    (plan(stages=True), f"stages=True: True {WHOLE}"),
    (
        plan(stages=[1], model=flat),
        "no stages were found in 'flat'; name layers with after=[...] instead.",
    ),
    (
        plan(blocks=[0]),
        "placement 'stage' goes once after each stage and takes no blocks; use placement 'post' to choose blocks.",
    ),
    (
        plan(blocks="lst", placement="post"),
        "blocks='lst' is not known; expected whole numbers, 'first' or 'last'. Did you mean 'last'?",
    ),
    (plan(blocks=[], placement="post"), "blocks is empty; name at least one, or leave it out for all."),
    (
        plan(blocks=[7, 8], placement="post", stages=[1, 2]),
        "'small_resnet' has no block 7, 8: stage 1 has 2 blocks; stage 2 has 2 blocks, counted from 0.",
    ),
]

PLACEMENTS = [
    (
        plan(placement="residul"),
        "placement 'residul' is not known. Did you mean 'residual'?"
        " Known: stage, post, residual, pre, shortcut, inner, parallel.",
    ),
    (
        plan(placement="residual", model=plain),
        "'plain' has no place for placement 'residual': no repeated blocks were found."
        " Possible here: stage, or after=[layer names].",
    ),
    (
        plan(placement="residual", model=dense),
        "'dense' has no place for placement 'residual': none of 2 blocks has it; block 0 ('cell0_join'): it is merged"
        " by concatenation and has no residual branch. Possible here: stage, post, or after=[layer names].",
    ),
    (
        plan(placement="shortcut", model=projections),
        "'projections' has no place for placement 'shortcut': none of 2 blocks has it; block 0 ('b0_norm'): it has no"
        " shortcut. Possible here: stage, post, residual, pre, inner, or after=[layer names].",
    ),
    (
        plan(placement="parallel", model=projections, blocks="last"),
        "'projections' has no place for placement 'parallel': none of 1 blocks has it; block 1 ('b1_norm'): it has no"
        " addition to take part in. Possible here: stage, post, residual, pre, inner, or after=[layer names].",
    ),
    (
        plan(placement="inner", model=pointwise),
        "'pointwise' has no place for placement 'inner': none of 1 blocks has it; block 0 ('sum'): its branch has no"
        " spatial convolution before the last one that can be reached."
        " Possible here: stage, post, residual, pre, shortcut, parallel, or after=[layer names].",
    ),
]

NAMED_LAYERS = [
    (
        plan(after="s0b9_out"),
        "'small_resnet' has no layer 's0b9_out'. Nearest: 's0b1_out', 's0b0_out', 's2b1_out'.",
    ),
    (
        plan(after=["s0b1_out", "qqq"]),
        "'small_resnet' has no layer 'qqq'. Its layers are stem_conv, stem_bn, stem_relu, s0b0_1_conv, s0b0_1_bn,"
        " ... (47 more).",
    ),
    (
        plan(after=["s0b1_out", "s1b0_9*"]),
        "after='s1b0_9*' matches no layer of 'small_resnet'. Those that begin with 's1b0_' are s1b0_1_conv, s1b0_1_bn,"
        " s1b0_1_relu, s1b0_2_conv, s1b0_0_conv, ... (4 more).",
    ),
    (
        plan(after="*_concat"),
        "after='*_concat' matches no layer of 'small_resnet'. Its layers are stem_conv, stem_bn, stem_relu,"
        " s0b0_1_conv, s0b0_1_bn, ... (47 more).",
    ),
    (plan(after=3), "after=3 is not a layer name, a glob such as 'conv4_*', or a list of them."),
    (plan(after=[3]), "after=[3] is not a layer name, a glob such as 'conv4_*', or a list of them."),
    (plan(after=[]), "after is empty; name at least one layer, or leave it out for stages and placement."),
    (
        plan(after="s0b1_out", stages=[1]),
        "after=[...] names layers itself; it cannot be combined with stages, blocks or placement.",
    ),
    (
        plan(after=["through", "halves", "flat"], model=odd),
        "after names no layer of 'odd' that can be attended to; 'through': its output is an input of the model as it"
        " came, 'halves': it has 2 outputs, and attention goes after one map, 'flat': its output (None, 2048) is not a"
        " feature map.",
    ),
]

THERE_ALREADY = [
    (
        plan(model=attended, stages=[2, 3], ratio=4),
        "'small_resnet' has this se already: 's1b1_out_se', 's2b1_out_se'. Choose other sites, take it out first with"
        " attnzoo.strip(model), or augment the model as it was before.",
    ),
    (
        plan(model=attended, after="s0b1_out"),
        "'small_resnet' has this se already: 's0b1_out_se'. Choose other sites, take it out first with"
        " attnzoo.strip(model), or augment the model as it was before.",
    ),
    (
        plan(model=pre_attended, placement="pre", stages=[2]),
        "'small_resnet' has this se already: 's0b1_out_se', 's1b0_out_se'. Choose other sites, take it out first with"
        " attnzoo.strip(model), or augment the model as it was before.",
    ),
    (
        plan(double, model=lambda: attnzoo.augment(resnet(), double, stages=[1]), stages=[1]),
        "'small_resnet' has this double already: 's0b1_out_double'. Choose other sites, take it out first with"
        " attnzoo.strip(model), or augment the model as it was before.",
    ),
]

MODULES = [
    (
        plan("cmab"),
        "attention 'cmab' is not registered. Did you mean 'cbam'? Known: bam, cbam, channel, coord, eca, ela, ema, ese,"
        " fca, gc, gct, ge, lcbam, nl, scse, se, sge, simam, spatial, srm, strip, triplet.",
    ),
    (
        plan(3),
        "attention=3 is not a registered key, a keras.layers.Layer subclass, or a callable channels -> layer.",
    ),
    (
        plan(attnzoo.layers.CBAM(name="mine")),
        "attention='mine' is one CBAM layer, and each site needs its own; give the class and its options, or a callable"
        " channels -> layer.",
    ),
    (plan(lambda channels: "x"), "attention callable returned str for 8 channels; expected a keras layer."),
    (
        plan(lambda channels: layers.Identity(), ratio=4),
        "options ratio cannot be given with a callable; set them inside it.",
    ),
    (plan(init="idntity"), "init='idntity' is not known; expected 'identity' or 'paper'. Did you mean 'identity'?"),
    (
        plan(ratoi=4),
        "SqueezeExcite has no option 'ratoi'. Did you mean 'ratio'? Options: ratio, use_bias, gate,"
        " kernel_initializer.",
    ),
    (plan(ratio=0), "SqueezeExcite: ratio=0 is not a whole number of 1 or more."),
    (
        plan(lambda c: layers.Conv2D(3, 1, name="bad")),
        "'bad' (Conv2D) makes (None, 32, 32, 3) of (None, 32, 32, 8); attention must keep the shape.",
    ),
    (
        plan(lambda c: layers.Dot(1, name="bad")),
        "'bad' (Dot) cannot be called on a map of (None, 32, 32, 8): A `Dot` layer should be called on a list of 2"
        " inputs. Received: input_shape=(None, 32, 32, 8); attention takes one map and returns one of its shape.",
    ),
    (
        plan(model=unknown_channels, after="relu"),
        "attention 'se' cannot go on 1 of 1 sites: after 'relu': its number of channels is not known.",
    ),
    *((plan(key, model=net, after=after, **options), text) for key, options, after, text in REFUSED),
]

FREEZE = [
    (
        freeze(resnet, "heads"),
        "train='heads' is not known. Did you mean 'head'? Expected 'attention+head', 'attention', 'head', 'all'.",
    ),
    (
        freeze(resnet, "attention"),
        "train='attention': 'small_resnet' has no attention; augment it first, or choose another part.",
    ),
    (
        freeze(backbone, "head"),
        "train='head': 'backbone' has no head; add one after global pooling, or choose another part.",
    ),
    (
        freeze(lambda: keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="mlp"), "head"),
        "train='head': no layer of 'mlp' makes a feature map, so that backbone and head cannot be told apart (models"
        " inside TimeDistributed and other wrappers are not read); choose 'all', or set layer.trainable yourself.",
    ),
]

EXAMPLES = [
    Example(provoke, text)
    for provoke, text in [*STAGES_AND_BLOCKS, *PLACEMENTS, *NAMED_LAYERS, *THERE_ALREADY, *MODULES, *FREEZE]
]
