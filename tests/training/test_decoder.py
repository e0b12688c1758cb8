"""freeze on models that make maps again after their backbone: U-Nets, DeepLab, feature pyramids."""

import keras
import pytest
from keras import layers

import attnzoo

from ..helpers import conv_bn_relu, leaf_layers, mobilenet, small_resnet


def encoder(kind):
    """A backbone, its last map and two of its earlier ones."""
    if kind == "mobilenet":
        body = mobilenet(include_top=False)
        names = ("block_2_add", "block_5_add")
    else:
        body = small_resnet()
        body = keras.Model(body.inputs, body.get_layer("s2b1_out").output, name="backbone")
        names = ("s0b1_out", "s1b1_out")
    return body, [body.get_layer(n).output for n in names]


def unet(kind="resnet", nested=False):
    body, skips = encoder(kind)
    inputs, x = body.inputs[0], body.output
    if nested:
        body = keras.Model(body.inputs, [*skips, body.output], name="backbone")
        inputs = keras.Input(body.inputs[0].shape[1:])
        *skips, x = body(inputs)
    for i, skip in enumerate(reversed(skips)):
        x = layers.UpSampling2D(x.shape[1] and skip.shape[1] // x.shape[1], name=f"up{i}")(x)
        x = conv_bn_relu(layers.Concatenate(name=f"skip{i}")([x, skip]), 8, name=f"decoder{i}")
    return keras.Model(inputs, layers.Conv2D(2, 1, name="mask")(x), name="unet")


UNET = {"decoder0_conv", "decoder0_bn", "decoder1_conv", "decoder1_bn", "mask"}


def deeplab(nested=False):
    body, (low, _) = encoder("resnet")
    inputs, x = body.inputs[0], body.output
    if nested:
        body = keras.Model(body.inputs, [low, body.output], name="backbone")
        inputs = keras.Input((32, 32, 3))
        low, x = body(inputs)
    pooled = layers.AveragePooling2D(x.shape[1:3], name="aspp_pool")(x)
    pooled = layers.UpSampling2D(x.shape[1], name="aspp_grow")(conv_bn_relu(pooled, 4, size=1, name="aspp_image"))
    rates = [layers.Conv2D(4, 3, dilation_rate=r, padding="same", name=f"aspp_{r}")(x) for r in (1, 2, 4)]
    x = conv_bn_relu(layers.Concatenate(name="aspp_join")([pooled, *rates]), 8, size=1, name="aspp_out")
    x = layers.UpSampling2D(low.shape[1] // x.shape[1], name="grow")(x)
    x = layers.Concatenate(name="join")([x, conv_bn_relu(low, 4, size=1, name="low")])
    return keras.Model(inputs, layers.Conv2D(2, 1, name="mask")(conv_bn_relu(x, 8, name="last")), name="deeplab")


DEEPLAB = {
    *("aspp_image_conv", "aspp_image_bn", "aspp_1", "aspp_2", "aspp_4", "aspp_out_conv", "aspp_out_bn"),
    *("low_conv", "low_bn", "last_conv", "last_bn", "mask"),
}


def pyramid():
    """A feature pyramid with a head shared by its levels, and a classifier beside it."""
    body, (_, middle) = encoder("resnet")
    top = layers.Conv2D(8, 1, name="lateral_5")(body.output)
    down = layers.Add(name="merge_4")(
        [layers.UpSampling2D(2, name="up")(top), layers.Conv2D(8, 1, name="lateral_4")(middle)]
    )
    box = layers.Conv2D(4, 3, padding="same", name="box")
    boxes = layers.Concatenate(axis=1)([layers.Reshape((-1, 4))(box(level)) for level in (top, down)])
    label = layers.Dense(3, name="label")(layers.GlobalAveragePooling2D()(body.output))
    return keras.Model(body.inputs, [boxes, label], name="pyramid")


MODELS = {
    "unet": (unet, UNET),
    "unet nested": (lambda: unet(nested=True), UNET),
    "unet on mobilenet": (lambda: unet("mobilenet"), UNET),
    "unet on mobilenet, nested": (lambda: unet("mobilenet", nested=True), UNET),
    "deeplab": (deeplab, DEEPLAB),
    "deeplab nested": (lambda: deeplab(nested=True), DEEPLAB),
    "pyramid": (pyramid, {"lateral_4", "lateral_5", "box"}),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_decoder_is_a_part_of_its_own(name):
    make, decoder = MODELS[name]
    model = make()
    table = attnzoo.freeze(model, train="decoder")
    assert {k for k, v in leaf_layers(model).items() if v.trainable_weights} == decoder
    assert {p.name: p.layers for p in table}["decoder"] == len(decoder)


@pytest.mark.parametrize("name", MODELS)
def test_a_decoder_that_does_not_train_is_named_in_the_table(name):
    model = attnzoo.augment(MODELS[name][0](), "se", stages=[1])
    table = str(attnzoo.freeze(model))
    assert f"note: the decoder ({len(MODELS[name][1])} layers, from '" in table
    assert "is frozen; to train it, add '+decoder' or globs of its layers' names to train." in table


def test_globs_name_a_decoder():
    model = attnzoo.augment(unet(), "se", stages=[1])
    table = attnzoo.freeze(model, train="attention+decoder*+mask")
    trained = {k for k, v in leaf_layers(model).items() if v.trainable_weights}
    assert trained == {"s0b1_out_se", *UNET}
    assert {p.name: p.trainable == p.parameters for p in table}["backbone"] is False


def test_batch_norm_of_a_decoder_trains_with_it():
    model = unet()
    attnzoo.freeze(model, train="all")
    assert model.get_layer("decoder0_bn").trainable
    assert not model.get_layer("s0b0_1_bn").trainable


def test_models_without_a_decoder_have_no_such_row():
    for model in (small_resnet(), mobilenet()):
        assert [p.name for p in attnzoo.freeze(model, train="all")] == ["attention", "backbone", "head"]
