"""plan: sites, costs, and errors with their whole text."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import conv_bn_relu, images, mobilenet, moved, outputs, randomize, small_resnet
from ..layers.test_counts import TABLE

R50 = keras.applications.ResNet50
MV2 = keras.applications.MobileNetV2


@pytest.fixture(scope="module")
def resnet50():
    return R50(weights=None, include_top=False, input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def mobilenetv2():
    return MV2(weights=None, include_top=False, input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def resnet():
    return small_resnet()


# Sites ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("placement", "r50", "mv2"),
    [
        ("stage", 4, 5),
        ("post", 16, 17),
        ("residual", 16, 17),
        ("pre", 16, 17),
        ("shortcut", 16, 10),
        ("inner", 16, 17),
        ("parallel", 16, 10),
    ],
)
def test_number_of_sites(resnet50, mobilenetv2, placement, r50, mv2):
    assert len(attnzoo.plan(resnet50, "eca", placement=placement)) == r50
    assert len(attnzoo.plan(mobilenetv2, "eca", placement=placement)) == mv2


@pytest.mark.parametrize(
    ("placement", "hosts"),
    [
        ("stage", "conv5_block3_out"),
        ("post", "conv5_block1_out conv5_block2_out conv5_block3_out"),
        ("residual", "conv5_block1_3_bn conv5_block2_3_bn conv5_block3_3_bn"),
        ("pre", "conv4_block6_out conv5_block1_out conv5_block2_out"),
        ("shortcut", "conv5_block1_0_bn conv5_block1_out conv5_block2_out"),
        ("inner", "conv5_block1_2_relu conv5_block2_2_relu conv5_block3_2_relu"),
        ("parallel", "conv5_block1_3_bn conv5_block2_3_bn conv5_block3_3_bn"),
    ],
)
def test_hosts_on_resnet50(resnet50, placement, hosts):
    plan = attnzoo.plan(resnet50, "se", placement=placement, stages=[4])
    assert [s.host for s in plan] == hosts.split()
    assert [s.name for s in plan] == [f"{h}_se" for h in hosts.split()]


@pytest.mark.parametrize(
    ("placement", "hosts"),
    [
        ("stage", "block_2_add"),
        ("post", "block_1_project_BN block_2_add"),
        ("residual", "block_1_project_BN block_2_project_BN"),
        ("pre", "expanded_conv_project_BN block_1_project_BN"),
        ("inner", "block_1_depthwise_relu block_2_depthwise_relu"),
        ("shortcut", "block_1_project_BN"),
    ],
)
def test_hosts_on_mobilenetv2(mobilenetv2, placement, hosts):
    assert [s.host for s in attnzoo.plan(mobilenetv2, "se", placement=placement, stages=[1])] == hosts.split()


def test_residual_goes_before_dropout():
    model = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(None, None, 3))
    plan = attnzoo.plan(model, "eca", placement="residual", stages=[1])
    assert [s.host for s in plan] == ["block2a_project_bn", "block2b_project_bn"]
    assert plan.notes == (
        "16 of 16 blocks carry squeeze-and-excitation of their own; this attention comes on top.",
        "eca chooses for each site: kernel_size=3 at 24 channels.",
    )


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [("first", [0]), ("last", [5]), ([0, -1], [0, 5]), ([2, 2, -4], [2]), (3, [3]), (None, [0, 1, 2, 3, 4, 5])],
)
def test_choice_of_blocks(resnet50, blocks, expected):
    assert [s.block for s in attnzoo.plan(resnet50, "se", placement="post", stages=3, blocks=blocks)] == expected


def test_blocks_a_stage_does_not_have_are_left_out_by_name(resnet50):
    plan = attnzoo.plan(resnet50, "se", placement="post", blocks=[4])
    assert [s.host for s in plan] == ["conv4_block5_out"]
    assert [(x.stage, x.block, x.reason) for x in plan.left_out] == [
        (1, 4, "stage 1 has 3 blocks"),
        (2, 4, "stage 2 has 4 blocks"),
        (4, 4, "stage 4 has 3 blocks"),
    ]


@pytest.mark.parametrize("after", ["s?b1_out", ["s0b1_out", "s1b1_out", "s2b1_out"], ["s0*_out", "s?b1_out"]])
def test_after_takes_globs(resnet, after):
    hosts = [s.host for s in attnzoo.plan(resnet, "se", after=after)]
    assert [h for h in hosts if h.endswith("b1_out")] == ["s0b1_out", "s1b1_out", "s2b1_out"]


def test_after_reaches_into_nested_models_and_behind_them():
    backbone = mobilenet(include_top=False)
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(backbone(inputs)))
    inside = attnzoo.plan(model, "se", after=f"{backbone.name}/block_2_add")
    after = attnzoo.plan(model, "se", after=backbone.name)
    assert [(s.path, s.host) for s in inside] == [(f"{backbone.name}/block_2_add", "block_2_add")]
    assert [(s.path, s.host) for s in after] == [(f"{backbone.name}/out_relu", "out_relu")]


def test_a_name_that_reads_as_a_glob_is_a_name_first():
    inputs = x = keras.Input((16, 16, 3))
    for name in ("block[0].conv", "block0.conv", "stem*", "stem_a"):
        x = layers.Conv2D(4, 3, padding="same", name=name)(x)
    model = keras.Model(inputs, x)
    for after, hosts in (
        ("block[0].conv", ["block[0].conv"]),
        ("stem*", ["stem*"]),
        ("block*.conv", ["block[0].conv", "block0.conv"]),
        (["block[0-9].conv", "stem?a"], ["block0.conv", "stem_a"]),
    ):
        assert [s.host for s in attnzoo.plan(model, "se", after=after)] == hosts


@pytest.mark.parametrize("kind", [np.array, lambda n: [np.int64(i) for i in n], lambda n: np.array(n, "uint8"), tuple])
def test_numbers_may_be_numpys(resnet, kind):
    plan = attnzoo.plan(resnet, "se", placement="post", stages=kind([2, 3]), blocks=kind([1, 0]))
    assert [(s.stage, s.block) for s in plan] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert all(type(s.stage) is int for s in plan)
    one = attnzoo.plan(resnet, "se", placement="post", stages=np.int64(2), blocks=np.array(1))
    assert [(s.stage, s.block) for s in one] == [(2, 1)]


@pytest.mark.parametrize("stages", [np.array([1.0]), np.array([True]), np.array([[1, 2]]), np.array(1.0)])
def test_arrays_of_anything_else_are_refused(resnet, stages):
    with pytest.raises(PlanError, match=r"^stages=.* is not a whole number"):
        attnzoo.plan(resnet, "se", stages=stages)


def test_residual_leaves_what_else_reads_the_branch_as_it_is():
    """An auxiliary head on the branch reads what it read."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(inputs, 8)
    branch = layers.Conv2D(8, 3, padding="same", name="branch")(x)
    aux = layers.GlobalAveragePooling2D()(branch)
    model = randomize(keras.Model(inputs, [layers.ReLU(name="out")(layers.Add(name="sum")([x, branch])), aux]))
    for placement in ("residual", "parallel"):
        (site,) = attnzoo.plan(model, "se", placement=placement)
        assert [(c.op.name, i) for c, i in site.spot.edges] == [("sum", 1)]
        new = moved(attnzoo.augment(model, "se", placement=placement))
        image = images(model)
        (map_before, aux_before), (map_after, aux_after) = outputs(model, image), outputs(new, image)
        assert not np.array_equal(map_before, map_after)
        np.testing.assert_array_equal(aux_before, aux_after)


def test_layers_that_make_no_map_are_left_out(resnet):
    plan = attnzoo.plan(resnet, "se", after=["s2b1_out", "logits"])
    assert [(x.output, x.reason) for x in plan.left_out] == [("logits", "its output (None, 4) is not a feature map")]


# Costs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "options", "r50", "residual", "inner"), TABLE[:8])
def test_parameters_to_the_last_unit(resnet50, mobilenetv2, key, options, r50, residual, inner):
    for model, placement, expected in (
        (resnet50, "residual", r50),
        (mobilenetv2, "residual", residual),
        (mobilenetv2, "inner", inner),
    ):
        paper = attnzoo.plan(model, key, placement=placement, init="paper", **options)
        identity = attnzoo.plan(model, key, placement=placement, **options)
        assert paper.parameters == expected
        assert identity.parameters == expected + len(identity)  # one alpha a site


def test_bam_at_stage_ends(resnet50):
    assert attnzoo.plan(resnet50, "bam", stages=[1, 2, 3], init="paper").parameters == 358_067


def test_applications_without_attention_have_the_known_size():
    assert R50(weights=None).count_params() == 25_636_712
    assert MV2(weights=None).count_params() == 3_538_984


def test_the_plan_is_what_is_built(resnet):
    for key in ("se", "cbam"):
        plan = attnzoo.plan(resnet, key, placement="post")
        built = plan.apply()
        for site in plan:
            layer = built.get_layer(site.name)
            assert sum(int(keras.ops.size(w)) for w in layer.trainable_weights) == site.parameters
            assert (layer.site, layer.dtype_policy.name) == (site.host, site.dtype)
            assert tuple(layer.output.shape[1:]) == site.shape
        added = [x.name for x in built.layers if x.name not in {y.name for y in resnet.layers}]
        assert sorted(added) == sorted(s.name for s in plan)


def test_macs_of_one_image(resnet):
    (site,) = attnzoo.plan(resnet, "cbam", stages=[3], ratio=8)
    assert site.shape == (8, 8, 32)
    assert site.macs == 4 * 32 * 4 + 2 * 49 * 8 * 8


def test_open_sizes_have_no_macs(resnet50):
    plan = attnzoo.plan(resnet50, "se")
    assert plan.macs is None
    assert plan.sites[0].shape == (None, None, 256)


# The plan as a value -------------------------------------------------------------------------------------------


def test_a_plan_is_a_frozen_value_that_touches_nothing(resnet):
    nodes = {x.name: len(x._inbound_nodes) for x in resnet.layers}
    plan = attnzoo.plan(resnet, "se")
    assert {x.name: len(x._inbound_nodes) for x in resnet.layers} == nodes
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.model = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.sites[0].name = "other"


def test_printed_plan(resnet):
    plan = attnzoo.plan(resnet, "se", placement="shortcut", stages=[1, 2], blocks=[0, 2])
    assert str(plan) == (
        "small_resnet: 2 sites, 109 parameters and 80 MACs an image added\n"
        "site          stage  block  placement  shape         parameters  MACs\n"
        "stem_relu_se      1      0  shortcut   32 x 32 x 8           26    16\n"
        "s1b0_0_bn_se      2      0  shortcut   16 x 16 x 16          83    64\n"
        "left out: s0b1_out (stage 1, block 2): stage 1 has 2 blocks\n"
        "left out: s1b1_out (stage 2, block 2): stage 2 has 2 blocks\n"
        "note: se has a hidden layer of one unit at 8 channels, which is dead from the start for up to half of all"
        " seeds; ratio=2 gives it more."
    )


def test_plan_as_plain_values(resnet):
    import json

    data = json.loads(json.dumps(attnzoo.plan(resnet, "se", stages=[1]).to_dict()))
    assert data["sites"][0]["name"] == "s0b1_out_se"
    assert data["sites"][0]["shape"] == [32, 32, 8]
