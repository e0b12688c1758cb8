"""augment and strip: the six rules of rewriting, on models people have."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo

from ..helpers import (
    array,
    assert_rules,
    assert_same_outputs,
    assert_state,
    basic_block,
    config_of,
    conv_bn_relu,
    images,
    leaf_layers,
    mobilenet,
    moved,
    outputs,
    placements_of,
    randomize,
    small_backbone,
    small_resnet,
    state_of,
)

ARTICLE = ("se", "eca", "cbam")


def nested(depth=2, **kwargs):
    model = small_backbone(**kwargs)
    for i in range(depth):
        inputs = keras.Input(model.input_shape[1:], name=f"image{i}")
        model = keras.Model(inputs, model(inputs), name=f"level{i}")
    inputs = keras.Input(model.input_shape[1:], name="image")
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(model(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="nested")


def sequential():
    backbone = small_backbone()
    return keras.Sequential(
        [keras.Input((32, 32, 3)), backbone, layers.GlobalAveragePooling2D(), layers.Dense(3)], name="seq"
    )


def many_inputs_and_outputs():
    image, meta = keras.Input((32, 32, 3), name="image"), keras.Input((4,), name="meta")
    x = basic_block(conv_bn_relu(image, 8), 8, name="a")
    x = basic_block(x, 16, strides=2, name="b")
    pooled = layers.GlobalAveragePooling2D()(x)
    joined = layers.Concatenate()([pooled, layers.Dense(4)(meta)])
    outs = {"label": layers.Dense(3, name="label")(joined), "map": layers.Conv2D(1, 1, name="map")(x)}
    return keras.Model({"image": image, "meta": meta}, outs, name="many")


def shared_layers():
    """A siamese network: each layer is called twice, flat in one graph."""
    a, b = keras.Input((16, 16, 3), name="a"), keras.Input((16, 16, 3), name="b")
    conv, bn, relu = layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(name="features")
    both = [layers.GlobalAveragePooling2D()(relu(bn(conv(x)))) for x in (a, b)]
    return keras.Model([a, b], layers.Dense(1)(layers.Subtract()(both)), name="siamese")


def one_activation():
    """One `ReLU` and one `Add` serve the whole network, at two widths."""
    relu, add = layers.ReLU(name="relu"), layers.Add(name="add")
    x = inputs = keras.Input((16, 16, 3), name="image")
    for filters in (8, 8, 16, 16):
        y = relu(layers.Conv2D(filters, 3, strides=1 if x.shape[-1] == filters else 2, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        if x.shape != y.shape:
            x = layers.Conv2D(filters, 1, strides=16 // y.shape[1] if x is inputs else 2)(x)
        x = relu(add([x, y]))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)), name="one_relu")


def shared_model():
    backbone = small_backbone()
    a, b = keras.Input((32, 32, 3), name="a"), keras.Input((32, 32, 3), name="b")
    return keras.Model([a, b], layers.Subtract()([backbone(a), backbone(b)]), name="twins")


def raw_operations():
    inputs = keras.Input((32, 32, 3), name="image")
    x = conv_bn_relu(inputs, 8)
    y = layers.Conv2D(8, 3, padding="same")(keras.ops.relu(x))
    x = x + y * 0.5
    return keras.Model(inputs, keras.ops.mean(x, axis=(1, 2)), name="raw")


def baked_training_flag():
    inputs = keras.Input((32, 32, 3), name="image")
    backbone = small_backbone()
    x = backbone(inputs, training=False)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)), name="baked")


def adapted_normalization():
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(3.0, 2.0, size=(8, 32, 32, 3)))
    inputs = keras.Input((32, 32, 3), name="image")
    return keras.Model(inputs, basic_block(conv_bn_relu(norm(inputs), 8), 8), name="adapted")


def functional_subclass():
    @keras.saving.register_keras_serializable(package="tests")
    class Mine(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = keras.Input((32, 32, 3), name="image")
    return Mine(inputs, basic_block(conv_bn_relu(inputs, 8), 8), name="mine")


def one_channel_not_square():
    inputs = keras.Input((48, 20, 1), name="image")
    return keras.Model(inputs, basic_block(basic_block(conv_bn_relu(inputs, 8), 8, name="a"), 8, 2, name="b"))


MODELS = {
    f.__name__: f
    for f in (
        small_resnet,
        mobilenet,
        nested,
        sequential,
        many_inputs_and_outputs,
        shared_layers,
        one_activation,
        shared_model,
        raw_operations,
        baked_training_flag,
        adapted_normalization,
        functional_subclass,
        one_channel_not_square,
    )
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request):
    return randomize(MODELS[request.param]())


def test_rules_of_rewriting(model):
    """1 untouched, 2 weights, 3 names and flags, 4 each site once, 5 nesting, in every placement the model has."""
    before = state_of(model)
    x = images(model)
    for placement in placements_of(model):
        plan = attnzoo.plan(model, "se", placement=placement)
        new = plan.apply()
        assert_rules(model, plan, new, x)
        assert_same_outputs(model, new, x, training=False)
        stripped = attnzoo.strip(new)
        assert_same_outputs(model, stripped, x)
        assert config_of(stripped) == before["config"]
    assert_state(model, before)


def test_saved_models_reload_equal(model, tmp_path):
    x = images(model)
    new = moved(attnzoo.augment(model, "cbam", placement=placements_of(model)[-1]))
    new.save(tmp_path / "model.keras")
    assert not np.array_equal(outputs(model, x)[0], outputs(new, x)[0])
    reloaded = (
        attnzoo.load_model(tmp_path / "model.keras")
        if model.name != "mine"
        else keras.models.load_model(tmp_path / "model.keras", compile=False)
    )
    assert_same_outputs(new, reloaded, x)
    assert_same_outputs(model, attnzoo.strip(reloaded), x)


def test_reload_in_a_fresh_process_after_import(tmp_path):
    model = small_resnet()
    x = images(model)
    new = attnzoo.augment(model, "cbam", stages=[2, 3])
    new.get_layer("s1b1_out_cbam").alpha.assign(0.5)
    new.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x[0] if isinstance(x, list) else x, y=outputs(new, x)[0])
    code = (
        "import sys, numpy as np, attnzoo, keras; d = np.load(sys.argv[2]);"
        "m = keras.models.load_model(sys.argv[1]);"
        "y = keras.ops.convert_to_numpy(m(d['x'])); assert (y == d['y']).all(), abs(y - d['y']).max()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.keras"), str(tmp_path / "data.npz")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# Composition ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [{"stages": [1, 2]}, {"placement": "residual"}, {"placement": "pre"}])
@pytest.mark.parametrize("second", [{"stages": [2, 3]}, {"placement": "inner"}, {"placement": "residual"}])
def test_augmentations_compose(first, second):
    model = small_resnet()
    x = images(model)
    once = attnzoo.augment(model, "eca", **first)
    twice = attnzoo.augment(once, "cbam", **second)
    assert_same_outputs(model, twice, x)
    stripped = attnzoo.strip(twice)
    assert config_of(stripped) == config_of(model)
    assert_same_outputs(model, stripped, x)
    blocks = [(b.kind, b.stride) for b in attnzoo.describe(model).blocks]
    assert [(b.kind, b.stride) for b in attnzoo.describe(twice).blocks] == blocks
    assert attnzoo.describe(twice).to_dict() == attnzoo.describe(model).to_dict()


@pytest.mark.parametrize("where", [{"stages": [2]}, {"placement": "residual", "stages": [2], "blocks": "last"}])
def test_modules_at_one_site_act_in_the_order_they_were_added(where):
    model = attnzoo.augment(attnzoo.augment(small_resnet(), "eca", **where), "cbam", **where)
    cbam = next(x for x in model.layers if x.name.endswith("_cbam"))
    assert cbam._inbound_nodes[0].input_tensors[0]._keras_history.operation.name.endswith("_eca")


def test_the_same_module_beside_itself_gets_a_name_of_its_own():
    model = small_resnet()
    once = attnzoo.augment(model, "se", placement="parallel", stages=[2], blocks="last")
    twice = attnzoo.augment(once, "se", placement="residual", stages=[2], blocks="last")
    assert [x.name for x in twice.layers if "_se" in x.name] == ["s1b1_2_bn_se", "s1b1_2_bn_se_2"]
    assert_same_outputs(model, twice)


def test_a_plan_says_what_it_comes_after():
    once = attnzoo.augment(attnzoo.augment(small_resnet(), "eca", stages=[1, 2]), "simam", stages=[2])
    assert attnzoo.plan(once, "se", ratio=2).notes == (
        "there is attention already: eca after s0b1_out, s1b1_out; simam after s1b1_out; se is applied after it.",
    )
    assert attnzoo.plan(once, "se", ratio=2, stages=[3]).notes == ()
    assert attnzoo.plan(once, "se", ratio=2, placement="residual").notes == ()


# Layers called several times -----------------------------------------------------------------------------------


def test_a_layer_called_twice_gets_one_attention_called_twice():
    model = attnzoo.augment(shared_layers(), "se", after="features")
    attention = [x for x in model.layers if x.name == "features_se"]
    assert len(attention) == 1
    assert len(attention[0]._inbound_nodes) == 2


def test_a_layer_without_weights_that_serves_many_places_is_many_places():
    model = one_activation()
    by_stage = attnzoo.plan(model, "se")
    assert [(s.host, s.shape[-1]) for s in by_stage] == [("relu", 8), ("relu", 16)]
    residual = attnzoo.plan(model, "se", placement="residual")
    assert [s.shape[-1] for s in residual] == [8, 8, 16, 16]
    new = attnzoo.augment(residual.apply(), "cbam", after=["relu"])
    attention = [x for x in new.layers if isinstance(x, attnzoo.layers.Attention)]
    assert len(attention) == 4 + 8
    assert {len(x._inbound_nodes) for x in attention} == {1}
    assert_same_outputs(model, new)


def test_a_model_called_twice_is_augmented_once():
    model = shared_model()
    plan = attnzoo.plan(model, "se", placement="residual")
    assert len(plan) == 4
    assert len({s.name for s in plan}) == 4
    new = plan.apply()
    backbones = [x for x in new.layers if hasattr(x, "layers")]
    assert len(backbones) == 1


def test_inserted_attention_is_connected_to_the_new_inputs():
    model = attnzoo.augment(small_resnet(), "se")
    features = keras.Model(model.input, model.get_layer("s1b1_out_se").output)
    assert features(images(model)).shape == (2, 16, 16, 16)


# Choices of the caller -----------------------------------------------------------------------------------------


def test_parallel_adds_a_third_addend():
    """The article's example: add([x, residual, cbam(residual)])."""
    inputs = keras.Input((16, 16, 8))
    residual = layers.BatchNormalization(name="residual")(layers.Conv2D(8, 3, padding="same")(inputs))
    model = randomize(keras.Model(inputs, layers.add([inputs, residual])))
    new = attnzoo.augment(model, "cbam", placement="parallel", init="paper")
    module = next(x for x in new.layers if x.name == "residual_cbam")
    x = images(model)
    r = keras.Model(model.input, model.get_layer("residual").output)(x)
    alone = attnzoo.layers.CBAM()
    alone.build(r.shape)
    for a, b in zip(alone.weights, module.weights, strict=True):
        a.assign(b)
    expected = x + array(r) + array(alone(r))
    np.testing.assert_allclose(outputs(new, x)[0], expected, rtol=1e-5, atol=1e-5)


def test_paper_start_changes_the_output():
    model = small_resnet()
    x = images(model)
    new = attnzoo.augment(model, "se", init="paper")
    assert np.abs(outputs(model, x)[0] - outputs(new, x)[0]).max() > 1e-4
    assert not any(x.alpha is not None for x in new.layers if isinstance(x, attnzoo.layers.Attention))


def test_share_weights_trains_both():
    model = small_resnet()
    new = attnzoo.augment(model, "se", share_weights=True)
    assert new.get_layer("stem_conv") is model.get_layer("stem_conv")
    x = images(model)
    new.get_layer("logits").bias.assign([1.0, 2.0, 3.0, 4.0])
    assert_same_outputs(model, new, x)


def test_a_layer_class_of_the_users_own():
    @keras.saving.register_keras_serializable(package="tests")
    class Double(layers.Layer):
        def __init__(self, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def compute_output_shape(self, shape):
            return shape

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    model = small_resnet()
    x = images(model)
    assert_same_outputs(model, attnzoo.augment(model, Double, factor=3.0), x)
    paper = attnzoo.augment(model, Double, factor=3.0, stages=[1], init="paper")
    assert np.abs(outputs(model, x)[0] - outputs(paper, x)[0]).max() > 0
    assert config_of(attnzoo.strip(paper)) == config_of(model)


def test_a_callable_from_channels_to_layer():
    model = small_resnet()
    x = images(model)
    new = attnzoo.augment(model, lambda c: attnzoo.layers.EfficientChannelAttention(kernel_size=1 if c < 16 else 3))
    sizes = [v.kernel_size for v in new.layers if isinstance(v, attnzoo.layers.EfficientChannelAttention)]
    assert sizes == [1, 3, 3]
    assert_same_outputs(model, new, x)
    conv = attnzoo.augment(model, lambda c: layers.Conv2D(c, 3, padding="same"), stages=[2])
    assert_same_outputs(model, conv, x)


def test_partly_frozen_models_keep_their_flags_and_new_attention_trains():
    model = nested()
    backbone = model.layers[1]
    backbone.trainable = False
    new = attnzoo.augment(model, "se", stages=[1, 2])
    flags = {k: v.trainable for k, v in leaf_layers(model).items()}
    assert {k: v.trainable for k, v in leaf_layers(new).items() if k in flags} == flags
    assert len(new.trainable_variables) == len(model.trainable_variables) + 2 * 5


def test_compiled_models_stay_compiled_and_the_new_one_is_not():
    model = small_resnet()
    model.compile("adam", "mse")
    new = attnzoo.augment(model, "se")
    assert model.compiled
    assert not new.compiled


def test_names_of_outputs_are_kept_when_attention_stands_on_one(tmp_path):
    inputs = keras.Input((16, 16, 3), name="image")
    model = keras.Model(inputs, basic_block(conv_bn_relu(inputs, 8), 8, name="a"))
    new = attnzoo.augment(model, "se")
    assert new.output_names == model.output_names == ["a_out"]
    new.save(tmp_path / "m.keras")
    assert attnzoo.load_model(tmp_path / "m.keras").output_names == ["a_out"]


# Precision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "key"), zip(["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"], [*ARTICLE, "cbam"], strict=True)
)
def test_identity_in_half_precision(policy, key):
    keras.config.set_dtype_policy(policy)
    try:
        model = small_resnet()
    finally:
        keras.config.set_dtype_policy("float32")
    new = attnzoo.augment(model, key, placement="residual")
    assert all(x.dtype_policy.name == policy for x in new.layers if isinstance(x, attnzoo.layers.Attention))
    assert_same_outputs(model, new)


@pytest.mark.parametrize("key", ARTICLE)
def test_identity_compiled(key):
    model = small_resnet()
    x = images(model)
    new = attnzoo.augment(model, key, placement="residual")
    np.testing.assert_allclose(model.predict(x, verbose=0), new.predict(x, verbose=0), rtol=1e-6, atol=1e-6)


OPTIONS = {"se": {"ratio": 2}, "eca": {}, "cbam": {"ratio": 2}}


@pytest.mark.parametrize("key", ARTICLE)
@pytest.mark.parametrize("placement", ["residual", "parallel"])  # which start in two ways; the place does not matter
def test_every_parameter_learns_within_two_steps(key, placement):
    """One module a model: the signal of a whole untrained network would drown in float32."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=4, padding="same")(inputs)
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(basic_block(x, 16))))
    model = attnzoo.augment(model, key, placement=placement, **OPTIONS[key])
    x, y = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32"), np.arange(8) % 4
    weights = [w for v in model.layers if isinstance(v, attnzoo.layers.Attention) for w in v.trainable_weights]
    before = [array(w).copy() for w in weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    still = [w.path for w, b in zip(weights, before, strict=True) if (array(w) == b).all()]
    assert not still


# What cannot be handled ----------------------------------------------------------------------------------------


def with_lambda():
    inputs = keras.Input((16, 16, 3))
    factor = 2.0
    twice = layers.Lambda(lambda t, plus: t * factor + plus, arguments={"plus": 1.0}, name="twice")
    x = twice(conv_bn_relu(inputs, 4))
    return keras.Model(inputs, basic_block(x, 4))


def test_lambda_layers_can_be_shared():
    model = with_lambda()
    assert_same_outputs(model, attnzoo.augment(model, "se", share_weights=True))


def test_lambda_layers_are_made_again():
    model = with_lambda()
    new = attnzoo.augment(model, "se")
    assert new.get_layer("twice") is not model.get_layer("twice")
    assert_same_outputs(model, new)
    assert_same_outputs(model, attnzoo.strip(new))


def test_no_warnings_in_the_ordinary_case():
    model = small_resnet()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attnzoo.augment(model, "cbam", placement="residual")
