"""Several streams, and what stands in front of a backbone: the sites are those of the backbone alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import attnzoo

from ..helpers import basic_block, conv_bn_relu, images, mobilenet, moved, outputs, small_resnet

SHAPE = (64, 64, 3)


def backbone(name=None, size=64):
    model = mobilenet(size, include_top=False)
    if name:
        model.name = name
    return model


def pooled(x):
    return layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))


def tower(x, name, filters=(8, 12, 16)):
    for i, count in enumerate(filters):
        x = conv_bn_relu(layers.MaxPooling2D()(x) if i else x, count, name=f"{name}{i}")
    return x


def small_body(x, name):
    """A stem and a residual block at each of the strides 1, 2, 4."""
    x = conv_bn_relu(x, 8, name=f"{name}_stem")
    for i, filters in enumerate((8, 12, 16)):
        x = basic_block(x, filters, strides=2 if i else 1, name=f"{name}{i}")
    return x


def sites(model, **request):
    return [(s.stage, s.block, s.host) for s in attnzoo.plan(model, "se", **request)]


def check_acting(model, plan):
    """Attention acts at the planned sites: after each host, on what the host gives in the model as it is."""
    x = images(model)
    new = plan.apply()
    for a, b in zip(outputs(model, x), outputs(new, x), strict=True):
        np.testing.assert_array_equal(a, b)
    acting = outputs(moved(new), x)
    assert not np.array_equal(acting[0], outputs(model, x)[0])
    for a, b in zip(acting, outputs(by_hand(model, new, plan), x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    return new


def by_hand(model, new, plan):
    """Runs the calls of the model's flat graph one by one, with the attention of the plan after its sites."""
    graph = attnzoo.describe(model).graph
    after = {s.path: attention(new, s.name) for s in plan}

    def run(x):
        given = keras.tree.flatten(x)
        known = {v: ops.convert_to_tensor(g) for v, g in zip(graph.inputs, given, strict=True)}
        for call in graph.calls:
            (node,) = [n for n in call.op._inbound_nodes if n.outputs[0] is call.outputs[0].tensor]
            args, kwargs = filled(node.arguments, [known[v] for v in call.inputs])
            made = keras.tree.flatten(call.op(*args, **kwargs))
            layer = after.get("/".join((*call.path, call.op.name)))
            known.update(zip(call.outputs, [layer(t) for t in made] if layer else made, strict=True))
        return [known[v] for v in graph.outputs]

    return lambda x, **_: run(x)


def filled(arguments, tensors):
    """The arguments of a call, with tensors in the place of the symbolic ones."""
    left = iter(tensors)
    return keras.tree.map_structure(
        lambda t: next(left) if isinstance(t, keras.KerasTensor) else t, (arguments.args, arguments.kwargs)
    )


def attention(model, name):
    (layer,) = [x for x in model._flatten_layers() if x.name == name]
    return layer


# Several streams -------------------------------------------------------------------------------------------------


def nested(join, one_input=False):
    inputs = [keras.Input(SHAPE, name=n) for n in (("image",) if one_input else ("left", "right"))]
    maps = [backbone(n)(i) for n, i in zip(("a", "b"), inputs * 2 if one_input else inputs, strict=True)]
    return keras.Model(inputs, pooled(join(maps)), name="pair")


def flat(join, one_input=False):
    inputs = [keras.Input(SHAPE, name=n) for n in (("image",) if one_input else ("left", "right"))]
    maps = [small_body(i, n) for n, i in zip(("a", "b"), inputs * 2 if one_input else inputs, strict=True)]
    return keras.Model(inputs, pooled(join(maps)), name="pair")


def vectors(maps):
    return layers.Concatenate()([layers.GlobalAveragePooling2D(keepdims=True)(x) for x in maps])


JOINS = [layers.Concatenate(), layers.Add(), vectors]


@pytest.mark.parametrize("one_input", [False, True])
@pytest.mark.parametrize("join", JOINS, ids=["concat", "add", "vectors"])
def test_two_backbones_have_a_site_for_each_stage_end(join, one_input):
    model = nested(join, one_input)
    alone = [(s.index, s.stride, len(s.blocks), s.output) for s in attnzoo.describe(backbone())]
    assert [(s.index, s.stride, len(s.blocks), s.output) for s in attnzoo.describe(model)] == alone + alone
    plan = attnzoo.plan(model, "se", stages=[3, 4])
    hosts = ["block_12_add", "block_16_project_BN"]
    assert sorted(s.path for s in plan) == [f"{n}/{h}" for n in "ab" for h in hosts]
    assert plan.left_out == ()


def test_attention_in_two_nested_backbones_acts_in_both():
    model = nested(layers.Concatenate())
    check_acting(model, attnzoo.plan(model, "se", stages=[3, 4]))


@pytest.mark.parametrize("one_input", [False, True])
@pytest.mark.parametrize("join", JOINS, ids=["concat", "add", "vectors"])
def test_two_flat_backbones(join, one_input):
    model = flat(join, one_input)
    assert sorted(sites(model, stages=[2, 3])) == [(s, None, f"{n}{s - 1}_out") for s in (2, 3) for n in "ab"]
    last = sites(model, placement="post", blocks="last", stages=[1])
    assert sorted(last) == [(1, 0, "a0_out"), (1, 0, "b0_out")]
    check_acting(model, attnzoo.plan(model, "se", placement="post"))


def test_streams_are_called_after_their_inputs_and_else_after_where_they_start():
    streams = [sorted(attnzoo.describe(flat(vectors, one)).graph.streams) for one in (False, True)]
    assert streams == [["left", "right"], ["image through a_stem_conv", "image through b_stem_conv"]]


@pytest.mark.parametrize("one_input", [False, True])
def test_two_towers_of_plain_convolutions(one_input):
    inputs = [keras.Input(SHAPE, name=f"in{i}") for i in range(1 if one_input else 2)]
    maps = [tower(inputs[0], "a"), tower(inputs[-1], "b")]
    model = keras.Model(inputs, pooled(layers.Concatenate()(maps)))
    assert sorted(sites(model)) == [(s, None, f"{n}{s - 1}_relu") for s in (1, 2, 3) for n in "ab"]
    check_acting(model, attnzoo.plan(model, "se", stages=[2, 3]))


def test_stages_go_on_where_streams_are_joined():
    inputs = [keras.Input(SHAPE, name=n) for n in ("rgb", "depth")]
    x = layers.Concatenate()([tower(inputs[0], "rgb", (8, 12)), tower(inputs[1], "depth", (8, 12))])
    x = tower(layers.MaxPooling2D()(x), "both", (16, 20))
    model = keras.Model(inputs, pooled(x))
    assert [(s.index, s.stride, s.stream, s.output) for s in attnzoo.describe(model)] == [
        (1, 1, "rgb", "rgb0_relu"),
        (2, 2, "rgb", "rgb1_relu"),
        (1, 1, "depth", "depth0_relu"),
        (2, 2, "depth", "depth1_relu"),
        (3, 4, "rgb + depth", "both0_relu"),
        (4, 8, "rgb + depth", "both1_relu"),
    ]
    assert attnzoo.plan(model, "se", stages=[1, 4]).left_out == ()
    check_acting(model, attnzoo.plan(model, "se", stages=[2, 3]))


def test_streams_that_have_come_differently_far_keep_their_blocks_after_the_join():
    large, small = keras.Input((32, 32, 3), name="large"), keras.Input((16, 16, 3), name="small")
    a, b = small_body(large, "a"), basic_block(conv_bn_relu(small, 8), 16, strides=2, name="b")
    x = basic_block(layers.Concatenate()([a, b]), 32, name="both")
    model = keras.Model([large, small], pooled(x))
    assert [b.output for b in attnzoo.describe(model).blocks] == ["a0_out", "a1_out", "a2_out", "b_out", "both_out"]
    assert attnzoo.describe(model).unread == ()


def test_a_block_at_the_start_makes_no_streams_of_its_branches():
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, pooled(basic_block(basic_block(inputs, 8, name="a"), 12, 2, name="b")))
    assert [(s.stride, s.stream, s.output) for s in attnzoo.describe(model)] == [
        (1, inputs.name, "a_out"),
        (2, inputs.name, "b_out"),
    ]


def test_one_backbone_called_on_two_images_gets_one_module_for_both():
    inputs = [keras.Input((32, 32, 3), name=n) for n in ("left", "right")]
    image = keras.Input((32, 32, 3))
    shared = keras.Model(image, small_body(image, "a"), name="shared")
    difference = layers.Subtract()([layers.GlobalAveragePooling2D()(shared(i)) for i in inputs])
    model = keras.Model(inputs, layers.Dense(3)(difference))
    plan = attnzoo.plan(model, "se", stages=[2, 3])
    assert [s.host for s in plan] == ["a1_out", "a2_out"]
    assert plan.left_out == ()
    check_acting(model, plan)


def test_a_table_beside_the_images_is_no_stream():
    image, table = keras.Input((32, 32, 3), name="image"), keras.Input((5,), name="table")
    maps = layers.GlobalAveragePooling2D()(small_body(image, "a"))
    model = keras.Model([image, table], layers.Dense(3)(layers.Concatenate()([maps, layers.Dense(4)(table)])))
    anatomy = attnzoo.describe(model)
    assert anatomy.graph.streams == ["image"]
    assert [s.output for s in anatomy] == ["a0_out", "a1_out", "a2_out"]
    check_acting(model, attnzoo.plan(model, "se", stages=[2]))


def test_a_localisation_network_is_a_stream_beside_the_classifier():
    """A spatial transformer: the map that it turns is the input still."""
    inputs = keras.Input((32, 32, 3), name="image")
    shift = layers.Dense(3)(layers.Flatten()(tower(inputs, "where", (4, 6, 8, 8))))
    model = keras.Model(inputs, pooled(small_body(inputs + ops.reshape(shift, (-1, 1, 1, 3)), "a")))
    assert [b.output for b in attnzoo.describe(model).blocks] == ["a0_out", "a1_out", "a2_out"]


def test_a_stream_without_the_stage_is_left_out_by_name():
    left, right = keras.Input((32, 32, 3), name="left"), keras.Input((32, 32, 3), name="right")
    x = [layers.GlobalAveragePooling2D()(t) for t in (small_body(left, "a"), tower(right, "b", (8, 12)))]
    model = keras.Model([left, right], layers.Dense(3)(layers.Concatenate()(x)), name="pair")
    plan = attnzoo.plan(model, "se", stages=[3], ratio=2)
    assert str(plan).splitlines()[-1] == (
        "left out: stream 'right': it has no stage 3; it has 1 (stride 1), 2 (stride 2)"
    )
    plan = attnzoo.plan(model, "se", stages=[2], placement="residual", ratio=2)
    assert str(plan).splitlines()[-1] == "left out: b1_relu (stage 2): no block repeats there"
    assert [s.host for s in plan] == ["a1_2_bn"]


def test_printed_table_of_several_streams():
    assert str(attnzoo.describe(flat(vectors))) == (
        "pair\n"
        "stage  stride  channels  blocks      output  stream\n"
        "    1       1         8  1 residual  a0_out  left\n"
        "    2       2        12  1 residual  a1_out  left\n"
        "    3       4        16  1 residual  a2_out  left\n"
        "    1       1         8  1 residual  b0_out  right\n"
        "    2       2        12  1 residual  b1_out  right\n"
        "    3       4        16  1 residual  b2_out  right"
    )


# Something in front ----------------------------------------------------------------------------------------------


def three(x):
    return layers.Concatenate()([x, x, x])


FRONTS = {
    "resizing": ((48, 80, 3), layers.Resizing(64, 64)),
    "open resizing": ((None, None, 3), layers.Resizing(64, 64)),
    "upsampling": ((16, 16, 3), layers.UpSampling2D(4)),
    "crop": ((96, 96, 3), layers.CenterCrop(64, 64)),
    "pooling": ((128, 128, 3), layers.AveragePooling2D(2)),
    "rescaling": (SHAPE, layers.Rescaling(1 / 127.5, -1)),
    "normalization": (SHAPE, layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])),
    "augmentation": (SHAPE, keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])),
    "up and down": ((64, 64, 3), lambda x: layers.AveragePooling2D(3)(layers.UpSampling2D(3)(x))),
    "reshape": ((64, 64), lambda x: three(layers.Reshape((64, 64, 1))(x))),
    "expand_dims": ((64, 64), lambda x: three(ops.expand_dims(x, -1))),
    "vector": ((64 * 64 * 3,), layers.Reshape(SHAPE)),
    "permute": ((3, 64, 64), layers.Permute((2, 3, 1))),
    "transpose": ((3, 64, 64), lambda x: ops.transpose(x, (0, 2, 3, 1))),
    "frames": ((4, 64, 64, 3), lambda x: layers.Reshape(SHAPE)(layers.Conv3D(3, 3, (4, 1, 1), "same")(x))),
    "three frames": ((3, 64, 64, 1), lambda x: ops.transpose(x[..., 0], (0, 2, 3, 1))),
}


def after_front(name):
    shape, front = FRONTS[name]
    inputs = keras.Input(shape, name="given")
    return keras.Model(inputs, pooled(backbone()(front(inputs))), name="whole")


def as_found(model):
    return [(s.index, s.stride, s.channels, s.output, len(s.blocks)) for s in attnzoo.describe(model)]


@pytest.mark.parametrize("front", FRONTS)
def test_what_stands_in_front_of_a_backbone_does_not_count(front):
    alone, model = backbone(), after_front(front)
    assert as_found(model) == as_found(alone)
    assert attnzoo.describe(model).graph.streams == ["given"]
    for placement in ("stage", "residual"):
        assert sites(model, placement=placement) == sites(alone, placement=placement)


@pytest.mark.parametrize("front", ["upsampling", "reshape", "permute", "frames"])
def test_attention_acts_whatever_stands_in_front(front):
    model = after_front(front)
    check_acting(model, attnzoo.plan(model, "se", stages=[3, 4]))


def test_two_inputs_merged_in_front_are_one_stream():
    inputs = [keras.Input((64, 64, n), name=f"in{n}") for n in (1, 2)]
    model = keras.Model(inputs, pooled(backbone()(layers.Concatenate()(inputs))))
    assert as_found(model) == as_found(backbone())
    assert attnzoo.describe(model).graph.streams == ["in1 and in2"]


def test_each_stream_has_a_front_of_its_own():
    large, small = keras.Input((64, 64, 3), name="large"), keras.Input((16, 16, 3), name="small")
    maps = [backbone("a")(large), backbone("b")(layers.UpSampling2D(4)(small))]
    model = keras.Model([large, small], pooled(layers.Add()(maps)))
    assert as_found(model) == as_found(backbone()) * 2


def test_no_block_of_a_resnet50_is_lost_after_upsampling():
    inputs = keras.Input((32, 32, 3))
    resnet = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(224, 224, 3))
    model = keras.Model(inputs, resnet(layers.UpSampling2D(7)(inputs)))
    assert [len(s.blocks) for s in attnzoo.describe(model)] == [3, 4, 6, 3]
    assert len(attnzoo.plan(model, "eca", placement="residual")) == 16


def test_digits_of_two_axes_have_the_stages_of_the_network_after_them():
    inputs = keras.Input((28, 28))
    model = keras.Model(inputs, pooled(small_body(layers.Reshape((28, 28, 1))(inputs), "a")))
    assert [(s.index, s.stride, s.output) for s in attnzoo.describe(model)] == [
        (1, 1, "a0_out"),
        (2, 2, "a1_out"),
        (3, 4, "a2_out"),
    ]


def test_a_map_made_of_a_label_counts_for_nothing_further_down():
    image, label = keras.Input((32, 32, 3), name="image"), keras.Input((10,), name="label")
    x = basic_block(conv_bn_relu(image, 8), 12, strides=2, name="a")
    x = layers.Concatenate()([x, layers.Reshape((16, 16, 1))(layers.Dense(256)(label))])
    model = keras.Model([image, label], pooled(basic_block(x, 16, strides=2, name="b")))
    assert [(s.stride, s.output) for s in attnzoo.describe(model)] == [(2, "a_out"), (4, "b_out")]


def test_what_a_decoder_makes_of_a_vector_is_no_start():
    inputs = keras.Input((32, 32, 3), name="image")
    code = layers.Dense(64)(layers.Flatten()(small_body(inputs, "a")))
    x = conv_bn_relu(layers.UpSampling2D(4)(layers.Reshape((8, 8, 1))(code)), 8)
    model = keras.Model(inputs, layers.Conv2D(3, 3, padding="same")(x))
    assert [s.output for s in attnzoo.describe(model)] == ["a0_out", "a1_out", "a2_out"]


def test_blocks_that_lie_in_no_stage_are_listed():
    inputs = keras.Input((64, 64, 3))
    a = basic_block(conv_bn_relu(inputs, 8), 8, name="a")
    b = basic_block(a, 16, strides=2, name="b")
    x = layers.Concatenate()([layers.UpSampling2D()(b), a])
    model = keras.Model(inputs, basic_block(x, 8, name="decoder"), name="unet")
    plan = attnzoo.plan(model, "se", placement="residual")
    assert [(x.stage, x.output, x.reason) for x in plan.left_out] == [
        (None, "decoder_out", "it runs at stride 1 after stride 2, in a decoder")
    ]
    assert attnzoo.plan(model, "se", placement="residual", stages=[1]).left_out == ()
    x = basic_block(conv_bn_relu(keras.Input((64, 64, 3)), 8), 8, name="first")
    for i in range(5):
        x = basic_block(x, 8, strides=2, name=f"s{i}")
    deep = attnzoo.describe(keras.Model(keras.utils.get_source_inputs(x), x))
    assert deep.unread == (("first_out", "it runs at stride 1, before stage 0"),)
    assert [s.output for s in deep] == [f"s{i}_out" for i in range(5)]


def test_small_networks_have_one_stream():
    assert attnzoo.describe(small_resnet()).graph.streams == ["image"]
