"""KerasCV: its backbones name the layers of their pyramids, and the names follow the attention."""

import keras
import keras_cv
import pytest

import attnzoo

from ..helpers import array, assert_same_outputs, images, moved, randomize, reloaded

SMALL = {"include_rescaling": False, "input_shape": (64, 64, 3)}


def resnet():
    return keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 12, 16], stackwise_blocks=[1, 1, 1], stackwise_strides=[1, 2, 2], **SMALL
    )


def efficientnet():
    return keras_cv.models.EfficientNetV2Backbone(
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 12],
        stackwise_expansion_ratios=[1, 2],
        stackwise_squeeze_and_excite_ratios=[0, 0.25],
        stackwise_strides=[2, 2],
        stackwise_conv_types=["fused", "unfused"],
        skip_connection_dropout=0.1,
        width_coefficient=1,
        depth_coefficient=1,
        **SMALL,
    )


def mobilenet():
    return keras_cv.models.MobileNetV3Backbone(
        stackwise_expansion=[1, 2],
        stackwise_filters=[8, 12],
        stackwise_kernel_size=[3, 3],
        stackwise_stride=[2, 2],
        stackwise_se_ratio=[None, 0.25],
        stackwise_activation=["relu", "relu"],
        **SMALL,
    )


FAMILIES = {
    "ResNet": resnet,
    "DenseNet": lambda: keras_cv.models.DenseNetBackbone(stackwise_num_repeats=[1, 1], **SMALL),
    "VGG16": lambda: keras_cv.models.VGG16Backbone(include_top=False, **SMALL),
    "YOLOV8": lambda: keras_cv.models.YOLOV8Backbone(
        stackwise_channels=[8, 16, 32, 32], stackwise_depth=[1, 1, 1, 1], **SMALL
    ),
    "EfficientNetV2": efficientnet,
    "MobileNetV3": mobilenet,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_keeps_its_class_its_pyramid_and_its_file(family, tmp_path):
    model = randomize(FAMILIES[family]())
    new = attnzoo.augment(model, "eca")
    assert isinstance(new, type(model))
    assert_same_outputs(model, new)
    old_names, names = (getattr(m, "pyramid_level_inputs", {}) for m in (model, new))
    hosts = {site.host for site in attnzoo.plan(model, "eca")}
    assert names == {k: f"{name}_eca" if name in hosts else name for k, name in old_names.items()}
    again = reloaded(moved(new), tmp_path)
    assert type(again) is type(new)
    assert_same_outputs(new, again)
    if family != "MobileNetV3":  # whose constructor leaves names to Keras, which numbers them anew
        assert getattr(again, "pyramid_level_inputs", {}) == names
    for plain in (attnzoo.strip(new), attnzoo.strip(again)):
        assert type(plain) is type(model)
        assert_same_outputs(model, plain)
    assert getattr(attnzoo.strip(new), "pyramid_level_inputs", {}) == old_names


def test_a_layer_that_is_code_is_made_again():
    model = keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=[8, 8], stackwise_depth=[1, 1], use_depthwise=False, **SMALL
    )
    assert_same_outputs(model, attnzoo.augment(model, "eca"))


def test_a_feature_extractor_reads_the_attended_maps():
    model = randomize(resnet())
    new = attnzoo.augment(model, "eca", stages=[2])
    name = new.pyramid_level_inputs["P3"]
    new.get_layer(name).alpha.assign(0.5)
    x = images(model)
    maps = [array(keras.Model(m.input, m.get_layer(m.pyramid_level_inputs["P3"]).output)(x)) for m in (model, new)]
    assert name.endswith("_eca")
    assert (maps[0] != maps[1]).any()
