"""describe: stages and blocks from topology and shapes."""

import keras
import pytest
from keras import layers

import attnzoo

from ..helpers import basic_block, conv_bn_relu, mobilenet, small_resnet

# model, blocks of stages 1 to 4, channels at their ends, layers at their ends (None: raw additions)
TABLE = [
    (
        "ResNet50",
        [3, 4, 6, 3],
        [256, 512, 1024, 2048],
        "conv2_block3_out conv3_block4_out conv4_block6_out conv5_block3_out",
    ),
    (
        "ResNet50V2",
        [2, 4, 6, 4],
        [256, 512, 1024, 2048],
        "conv2_block2_out conv3_block3_out conv4_block5_out conv5_block3_out",
    ),
    ("MobileNetV2", [2, 3, 7, 4], [24, 32, 96, 320], "block_2_add block_5_add block_12_add block_16_project_BN"),
    (
        "MobileNetV3Small",
        [1, 2, 5, 3],
        [16, 24, 48, 96],
        "expanded_conv_project_bn expanded_conv_2_add expanded_conv_7_add expanded_conv_10_add",
    ),
    ("EfficientNetB0", [2, 2, 6, 5], [24, 40, 112, 320], "block2b_add block3b_add block5c_add block7a_project_bn"),
    (
        "DenseNet121",
        [6, 12, 24, 16],
        [256, 512, 1024, 1024],
        "conv2_block6_concat conv3_block12_concat conv4_block24_concat conv5_block16_concat",
    ),
    ("ConvNeXtTiny", [3, 3, 9, 3], [96, 192, 384, 768], None),
    ("InceptionV3", [3, 5, 3], [288, 768, 2048], "mixed2 mixed7 mixed10"),
    ("VGG16", [0, 0, 0], [256, 512, 512], "block3_conv3 block4_conv3 block5_conv3"),
    ("MobileNet", [0, 0, 0, 0], [128, 256, 512, 1024], "conv_pw_3_relu conv_pw_5_relu conv_pw_11_relu conv_pw_13_relu"),
]
FIRST_STAGE = {"InceptionV3": 2}


def check_row(model, name, blocks, channels, ends):
    stages = [s for s in attnzoo.describe(model).stages if s.index > 0]
    first = FIRST_STAGE.get(name, 1)
    assert [s.index for s in stages] == list(range(first, first + len(blocks)))
    assert [s.stride for s in stages] == [2 ** (s.index + 1) for s in stages]
    assert [len(s.blocks) for s in stages] == blocks
    assert [s.channels for s in stages] == channels
    if ends is None:
        assert all(s.output.startswith("add") and "Add" in repr(type(s.end.call.op)) for s in stages)
    else:
        assert [s.output for s in stages] == ends.split()


@pytest.mark.parametrize(("name", "blocks", "channels", "ends"), TABLE, ids=[row[0] for row in TABLE])
def test_applications_with_open_size(name, blocks, channels, ends):
    application = getattr(keras.applications, name)
    size = (224, 224, 3) if name.startswith("ConvNeXt") else (None, None, 3)
    check_row(application(weights=None, include_top=False, input_shape=size), name, blocks, channels, ends)


@pytest.mark.parametrize("name", ["MobileNetV2", "VGG16", "InceptionV3", "MobileNetV3Small"])
def test_applications_with_top_at_their_own_size(name):
    row = next(r for r in TABLE if r[0] == name)
    check_row(getattr(keras.applications, name)(weights=None), *row)


@pytest.mark.parametrize("size", [32, 75, 96, 160, 161])
def test_small_and_odd_sizes_change_nothing(size):
    model = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(size, size, 3), alpha=0.35)
    assert [len(s.blocks) for s in attnzoo.describe(model)] == [1, 2, 3, 7, 4]


# All 40, checked by eye once against the papers: blocks per stage (from stage 0 where it has blocks), channels, kinds.
ALL = {
    "ConvNeXtBase": ([3, 3, 27, 3], [128, 256, 512, 1024]),
    "ConvNeXtLarge": ([3, 3, 27, 3], [192, 384, 768, 1536]),
    "ConvNeXtSmall": ([3, 3, 27, 3], [96, 192, 384, 768]),
    "ConvNeXtTiny": ([3, 3, 9, 3], [96, 192, 384, 768]),
    "ConvNeXtXLarge": ([3, 3, 27, 3], [256, 512, 1024, 2048]),
    "DenseNet121": ([6, 12, 24, 16], [256, 512, 1024, 1024]),
    "DenseNet169": ([6, 12, 32, 32], [256, 512, 1280, 1664]),
    "DenseNet201": ([6, 12, 48, 32], [256, 512, 1792, 1920]),
    "EfficientNetB0": ([1, 2, 2, 6, 5], [16, 24, 40, 112, 320]),
    "EfficientNetB1": ([2, 3, 3, 8, 7], [16, 24, 40, 112, 320]),
    "EfficientNetB2": ([2, 3, 3, 8, 7], [16, 24, 48, 120, 352]),
    "EfficientNetB3": ([2, 3, 3, 10, 8], [24, 32, 48, 136, 384]),
    "EfficientNetB4": ([2, 4, 4, 12, 10], [24, 32, 56, 160, 448]),
    "EfficientNetB5": ([3, 5, 5, 14, 12], [24, 40, 64, 176, 512]),
    "EfficientNetB6": ([3, 6, 6, 16, 14], [32, 40, 72, 200, 576]),
    "EfficientNetB7": ([4, 7, 7, 20, 17], [32, 48, 80, 224, 640]),
    "EfficientNetV2B0": ([2, 2, 8, 8], [32, 48, 112, 192]),
    "EfficientNetV2B1": ([1, 3, 3, 10, 9], [16, 32, 48, 112, 192]),
    "EfficientNetV2B2": ([1, 3, 3, 10, 10], [16, 32, 56, 120, 208]),
    "EfficientNetV2B3": ([1, 3, 3, 12, 12], [16, 40, 56, 136, 232]),
    "EfficientNetV2L": ([4, 7, 7, 29, 32], [32, 64, 96, 224, 640]),
    "EfficientNetV2M": ([3, 5, 5, 21, 23], [24, 48, 80, 176, 512]),
    "EfficientNetV2S": ([2, 4, 4, 15, 15], [24, 48, 64, 160, 256]),
    "InceptionResNetV2": ([11, 21, 11], [320, 1088, 2080]),
    "InceptionV3": ([3, 5, 3], [288, 768, 2048]),
    "MobileNet": ([0, 0, 0, 0], [128, 256, 512, 1024]),
    "MobileNetV2": ([1, 2, 3, 7, 4], [16, 24, 32, 96, 320]),
    "MobileNetV3Large": ([1, 2, 3, 6, 3], [16, 24, 40, 112, 160]),
    "MobileNetV3Small": ([1, 2, 5, 3], [16, 24, 48, 96]),
    "NASNetLarge": ([1, 7, 7, 7], [168, 1008, 2016, 4032]),
    "NASNetMobile": ([1, 5, 5, 5], [44, 264, 528, 1056]),
    "ResNet101": ([3, 4, 23, 3], [256, 512, 1024, 2048]),
    "ResNet101V2": ([2, 4, 23, 4], [256, 512, 1024, 2048]),
    "ResNet152": ([3, 8, 36, 3], [256, 512, 1024, 2048]),
    "ResNet152V2": ([2, 8, 36, 4], [256, 512, 1024, 2048]),
    "ResNet50": ([3, 4, 6, 3], [256, 512, 1024, 2048]),
    "ResNet50V2": ([2, 4, 6, 4], [256, 512, 1024, 2048]),
    "VGG16": ([0, 0, 0], [256, 512, 512]),
    "VGG19": ([0, 0, 0], [256, 512, 512]),
    "Xception": ([1, 1, 9, 1], [128, 256, 728, 1024]),
}


def test_all_knows_every_application():
    assert sorted(ALL) == sorted(n for n in dir(keras.applications) if n[0].isupper())


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(ALL))
def test_every_application(name):
    application = getattr(keras.applications, name)
    size = 331 if name == "NASNetLarge" else 224
    fixed = application(weights=None, include_top=False, input_shape=(size, size, 3))
    variants = [fixed, application(weights=None)]
    if not name.startswith("NASNet"):  # Keras builds a NASNet of open size without its adjusting convolutions
        variants.append(application(weights=None, include_top=False, input_shape=(None, None, 3)))
    inputs = keras.Input((size, size, 3))
    variants.append(keras.Model(inputs, layers.GlobalAveragePooling2D()(fixed(inputs))))
    for model in variants:
        stages = attnzoo.describe(model).stages
        assert ([len(s.blocks) for s in stages], [s.channels for s in stages]) == ALL[name]
        assert [s.stride for s in stages] == [2 ** (s.index + 1) for s in stages]


# Shapes of networks --------------------------------------------------------------------------------------------


def test_small_image_networks_number_their_stages_in_order():
    stages = attnzoo.describe(small_resnet()).stages
    assert [(s.index, s.stride, len(s.blocks), s.output) for s in stages] == [
        (1, 1, 2, "s0b1_out"),
        (2, 2, 2, "s1b1_out"),
        (3, 4, 2, "s2b1_out"),
    ]


def test_nested_models_are_read_through():
    backbone = mobilenet(include_top=False)
    inputs = keras.Input((64, 64, 3))
    once = keras.Model(inputs, layers.GlobalAveragePooling2D()(backbone(layers.Rescaling(2.0)(inputs))))
    outer = keras.Input((64, 64, 3))
    twice = keras.Sequential([outer, once, layers.Dense(3)])
    expected = [(s.index, s.output, len(s.blocks)) for s in attnzoo.describe(backbone)]
    for model in (once, twice):
        assert [(s.index, s.output, len(s.blocks)) for s in attnzoo.describe(model)] == expected


def test_a_residual_block_of_nested_models_is_one_block():
    inputs = keras.Input((32, 32, 8))
    x = conv_bn_relu(inputs, 8)
    branch = keras.Sequential(
        [keras.Input((32, 32, 8)), layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization()]
    )
    model = keras.Model(inputs, layers.ReLU(name="out")(x + branch(x)))
    (stage,) = attnzoo.describe(model).stages
    assert [(b.kind, b.output) for b in stage.blocks] == [("residual", "out")]


def test_long_skips_of_a_u_net_close_no_block():
    inputs = keras.Input((64, 64, 3))
    a = basic_block(conv_bn_relu(inputs, 8), 8, name="a")
    b = basic_block(a, 16, strides=2, name="b")
    c = basic_block(b, 32, strides=2, name="c")
    up = layers.Concatenate(name="skip_b")([layers.UpSampling2D()(c), b])
    up = conv_bn_relu(up, 16)
    up = layers.Add(name="skip_a")([layers.Conv2D(8, 1)(layers.UpSampling2D()(up)), a])
    model = keras.Model(inputs, basic_block(up, 8, name="decoder"))
    assert [b.output for b in attnzoo.describe(model).blocks] == ["a_out", "b_out", "c_out"]


def test_a_u_net_of_plain_convolutions_has_the_stages_of_its_encoder():
    x = inputs = keras.Input((64, 64, 1))
    skips = []
    for i, filters in enumerate((8, 16, 32, 64)):
        x = conv_bn_relu(layers.MaxPooling2D()(x) if i else x, filters, name=f"down{i}")
        skips.append(x)
    for i in (2, 1, 0):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skips[i]])
        x = conv_bn_relu(x, 8 * 2**i, name=f"up{i}")
    model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))
    assert [(s.index, s.stride, s.channels, s.output) for s in attnzoo.describe(model)] == [
        (i + 1, 2**i, 8 * 2**i, f"down{i}_relu") for i in range(4)
    ]


def test_a_global_skip_does_not_swallow_the_blocks_it_spans():
    inputs = keras.Input((32, 32, 3))
    stem = conv_bn_relu(inputs, 8)
    x = basic_block(basic_block(stem, 8, name="a"), 8, name="b")
    model = keras.Model(inputs, layers.Add(name="global")([layers.Conv2D(8, 3, padding="same")(x), stem]))
    assert [b.output for b in attnzoo.describe(model).blocks] == ["a_out", "b_out"]


def test_a_plain_network_has_stages_but_no_blocks():
    x = inputs = keras.Input((64, 64, 3))
    for i, filters in enumerate((8, 16, 32)):
        x = layers.MaxPooling2D()(conv_bn_relu(x, filters, name=f"c{i}"))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    assert [(s.index, s.stride, s.output, s.blocks) for s in attnzoo.describe(model)] == [
        (1, 1, "c0_relu", ()),
        (2, 2, "c1_relu", ()),
        (3, 4, "c2_relu", ()),
    ]


@pytest.mark.parametrize(("size", "is_map"), [(2, True), (3, True), (4, False), (5, False)])
def test_a_pooling_window_as_large_as_the_map_pools_globally_from_four_rows_on(size, is_map):
    inputs = keras.Input((size, size, 3))
    x = layers.AveragePooling2D(size)(conv_bn_relu(inputs, 8))
    (pooled,) = attnzoo.describe(keras.Model(inputs, x)).graph.outputs
    assert pooled.stride == (size if is_map else None)


def test_channels_first_is_read_alike():
    def build(data_format):
        channels_last = data_format == "channels_last"
        axis = -1 if channels_last else 1
        inputs = x = keras.Input((32, 32, 3) if channels_last else (3, 32, 32))
        for i, filters in enumerate((8, 16)):
            y = layers.Conv2D(filters, 3, strides=2, padding="same", data_format=data_format)(x)
            y = layers.BatchNormalization(axis=axis)(y)
            y = layers.Conv2D(filters, 3, padding="same", data_format=data_format)(layers.ReLU()(y))
            x = layers.Conv2D(filters, 1, strides=2, data_format=data_format)(x)
            x = layers.Add(name=f"add{i}")([x, y])
        return keras.Model(inputs, x)

    last, first = (attnzoo.describe(build(f)).to_dict()["stages"] for f in ("channels_last", "channels_first"))
    assert [{k: s[k] for k in ("index", "stride", "channels", "output")} for s in last] == [
        {k: s[k] for k in ("index", "stride", "channels", "output")} for s in first
    ]
    assert [s["channels"] for s in last] == [8, 16]


def test_squeeze_and_excitation_of_the_backbone_is_recognised():
    assert attnzoo.describe(keras.applications.MobileNetV3Small(weights=None, include_top=False)).gated
    assert not attnzoo.describe(mobilenet(include_top=False)).gated


def test_the_trunk_is_what_every_path_passes():
    trunk = attnzoo.describe(small_resnet()).trunk
    assert trunk[0] == "image"
    assert trunk[-1] == "logits"
    assert "s1b0_out" in trunk
    assert "s1b0_0_conv" not in trunk
    assert "s1b0_1_relu" not in trunk


# Output --------------------------------------------------------------------------------------------------------


def test_printed_table():
    assert str(attnzoo.describe(small_resnet())) == (
        "small_resnet\n"
        "stage  stride  channels  blocks      output\n"
        "    1       1         8  2 residual  s0b1_out\n"
        "    2       2        16  2 residual  s1b1_out\n"
        "    3       4        32  2 residual  s2b1_out"
    )
