"""What people's models hold besides convolutions: each comes out computing the same, saved and stripped too."""

import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

import attnzoo

from ..helpers import assert_same_outputs, basic_block, config_of, conv_bn_relu, moved, outputs, reloaded

SIZE = (16, 16, 3)


def features(x, *, dtype=None):
    x = conv_bn_relu(x, 8)
    return basic_block(basic_block(x, 8, name="a"), 16, strides=2, name="b")


def head(x, units=5):
    return layers.Dense(units)(layers.Dense(8)(layers.GlobalAveragePooling2D()(x)))


def classifier():
    inputs = keras.Input(SIZE)
    return keras.Model(inputs, head(features(inputs)))


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def there_and_back(model, x, tmp_path, **where):
    """augment and strip: equal to the model, which stays as it was; save and load: equal once attention acts."""
    config, expected = config_of(model), outputs(model, x)
    new = attnzoo.augment(model, "cbam", **(where or {"placement": "residual"}))
    assert_equal(expected, outputs(new, x))
    acts = outputs(moved(new), x)
    assert any(not np.array_equal(a, b) for a, b in zip(expected, acts, strict=True))
    again = reloaded(new, tmp_path)
    assert_equal(acts, outputs(again, x))
    for plain in (attnzoo.strip(again), model):
        assert_equal(expected, outputs(plain, x))
    assert config_of(model) == config
    return again


def assert_equal(expected, found):
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@keras.saving.register_keras_serializable(package="tests")
class AddedIfGiven(layers.Layer):
    def build(self, x_shape, extra_shape=None):
        self.scale = self.add_weight(shape=(5,), initializer="ones")

    def call(self, x, extra=None):
        return x if extra is None else x + self.scale * extra

    def compute_output_shape(self, x_shape, extra_shape=None):
        return x_shape


def test_optional_inputs_stay_optional(tmp_path):
    image, extra = keras.Input(SIZE, name="image"), keras.Input((5,), optional=True, name="extra")
    model = keras.Model([image, extra], AddedIfGiven()(head(features(image)), extra))
    there_and_back(model, [noise(2, *SIZE), None], tmp_path)
    new = there_and_back(model, [noise(2, *SIZE), noise(2, 5)], tmp_path)
    assert new.get_layer("extra").optional


@keras.saving.register_keras_serializable(package="tests")
class MaskedMean(layers.Layer):
    def call(self, x, mask=None):
        weight = ops.cast(mask, x.dtype)[..., None]
        return ops.sum(x * weight, axis=(1, 2)) / ops.sum(weight, axis=(1, 2))


def test_masks_pass_through_attention(tmp_path):
    inputs = keras.Input((4, 4, 8), name="map")
    masked = layers.Masking(name="masking")(inputs)
    model = keras.Model(inputs, MaskedMean()(masked))
    x = noise(2, 4, 4, 8)
    x[:, :2] = 0.0
    plain = outputs(model, x)[0]
    np.testing.assert_allclose(plain, x[:, 2:].mean(axis=(1, 2)), atol=1e-6)
    there_and_back(model, x, tmp_path, after=["masking"])


@pytest.mark.parametrize("flag", [False, True])
def test_a_training_flag_baked_into_a_call_stays(flag, tmp_path):
    inputs = keras.Input(SIZE)
    norm = layers.BatchNormalization(name="baked")
    model = keras.Model(inputs, head(norm(features(inputs), training=flag)))
    norm.moving_mean.assign(np.ones(16))
    x = noise(4, *SIZE)
    new = there_and_back(model, x, tmp_path)  # by the batch's own statistics, or not
    assert new.get_layer("baked")._inbound_nodes[0].arguments.kwargs["training"] is flag


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised_layers_stay_quantised(mode, tmp_path):
    model = classifier()
    dense = [v for v in model.layers if isinstance(v, layers.Dense)]
    for layer in dense:
        layer.quantize(mode)
    new = there_and_back(model, noise(2, *SIZE), tmp_path)
    assert [new.get_layer(v.name).quantization_mode for v in dense] == [mode] * 2
    attention = [v for v in new.layers if isinstance(v, attnzoo.layers.CBAM)]
    assert {v.compute_dtype for v in attention} == {"float32"}


def test_an_augmented_model_can_be_quantised(tmp_path):
    model = attnzoo.augment(classifier(), "cbam", placement="residual")
    with pytest.warns(UserWarning, match="does not have a `quantize` method"):
        model.quantize("int8")
    x = noise(2, *SIZE)
    plain = classifier()
    plain.quantize("int8")
    dense = [[v.name for v in w.weights] for m in (plain, model) for w in m.layers if isinstance(w, layers.Dense)]
    assert dense[:2] == dense[2:]
    model.save(tmp_path / "q.keras")
    assert_same_outputs(model, attnzoo.load_model(tmp_path / "q.keras"), x)


def test_lora_stays_enabled_and_goes_on_learning(tmp_path):
    model = classifier()
    for layer in model.layers:
        if isinstance(layer, layers.Dense | layers.Conv2D):
            layer.enable_lora(2)
    for weight in model.weights:
        if "lora" in weight.name:
            weight.assign(0.1 * noise(*weight.shape))
    new = there_and_back(model, noise(2, *SIZE), tmp_path)
    kept = [w.path for v in new.layers if not isinstance(v, attnzoo.layers.CBAM) for w in v.trainable_weights]
    assert sorted(kept) == sorted(w.path for w in model.trainable_weights)
    assert any("lora" in path for path in kept)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_a_policy_of_some_layers_is_that_of_the_attention_behind_them(policy, tmp_path):
    inputs = keras.Input(SIZE)
    x = layers.Conv2D(8, 3, padding="same", name="half", dtype=policy)(inputs)
    x = layers.Conv2D(8, 3, padding="same", name="full")(layers.ReLU(dtype=policy)(x))
    model = keras.Model(inputs, head(x))
    new = there_and_back(model, noise(2, *SIZE), tmp_path, after=["half", "full"])
    assert new.get_layer("half_cbam").dtype_policy.name == policy
    assert new.get_layer("full_cbam").dtype_policy.name == "float32"


def test_policy_maps_are_kept(tmp_path):
    policies = keras.dtype_policies.DTypePolicyMap(default_policy="float32")
    wrapped = layers.TimeDistributed(layers.Dense(3, name="inner"), name="frames", dtype=policies)
    image, steps = keras.Input(SIZE), keras.Input((4, 6))
    model = keras.Model([image, steps], [head(features(image)), wrapped(steps)])
    new = there_and_back(model, [noise(2, *SIZE), noise(2, 4, 6)], tmp_path)
    assert new.get_layer("frames").get_config()["dtype"] == wrapped.get_config()["dtype"]


def test_random_layers_go_on_where_the_model_stood():
    inputs = keras.Input(SIZE)
    model = keras.Model(inputs, head(features(layers.RandomFlip(seed=3)(inputs))))
    x = noise(4, *SIZE)
    model(x, training=True)
    new = attnzoo.augment(model, "se")
    assert_same_outputs(model, new, x, training=True)


def shuffle(x):
    rows, cols, channels = x.shape[1:]
    x = layers.Reshape((rows, cols, 2, channels // 2))(x)
    return layers.Reshape((rows, cols, channels))(layers.Permute((1, 2, 4, 3))(x))


def test_maps_are_followed_through_reshaping(tmp_path):
    """A space-to-depth stem and channel shuffles, by layers and by operations."""
    inputs = keras.Input((32, 32, 3))
    x = ops.transpose(ops.reshape(inputs, (-1, 16, 2, 16, 2, 3)), (0, 1, 3, 2, 4, 5))
    x = shuffle(conv_bn_relu(ops.reshape(x, (-1, 16, 16, 12)), 16))
    x = shuffle(layers.Concatenate()([x[..., :8], conv_bn_relu(x[..., 8:], 8)]))
    tokens = layers.LayerNormalization()(layers.Reshape((256, 16))(x))
    x = basic_block(layers.Reshape((16, 16, 16))(tokens), 32, strides=2)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    assert [(s.stride, s.channels) for s in attnzoo.describe(model).stages] == [(2, 16), (4, 32)]
    new = there_and_back(model, noise(2, 32, 32, 3), tmp_path, placement="stage")
    assert attnzoo.freeze(new, train="head").trainable == 32 * 3 + 3


def test_other_uses_of_reshape_are_no_maps():
    inputs = keras.Input((8, 8, 16))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    heads = layers.Reshape((64, 4, 4))(layers.Reshape((64, 16))(x))
    windows = ops.reshape(x, (-1, 4, 4, 16))
    gate = layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x))
    whole = layers.Reshape((1, 1, 1024))(layers.Flatten()(x))
    graph = attnzoo.describe(keras.Model(inputs, [heads, windows, gate, whole])).graph
    assert [v.stride for v in graph.outputs] == [None] * 4


def test_a_nested_model_may_be_given_more_than_it_reads(tmp_path):
    image = keras.Input(SIZE, name="img")
    inner = keras.Model({"img": image}, features(image), name="inner")
    outer = {"img": keras.Input(SIZE, name="img"), "meta": keras.Input((2,), name="meta")}
    model = keras.Model(outer, [head(inner(outer)), layers.Dense(1)(outer["meta"])])
    there_and_back(model, {"img": noise(2, *SIZE), "meta": noise(2, 2)}, tmp_path)


def test_weights_shared_through_a_wrapper_are_not_copied_apart():
    image, steps = keras.Input(SIZE), keras.Input((3, 5))
    dense = layers.Dense(5, name="dense")
    model = keras.Model([image, steps], [dense(head(features(image))), layers.TimeDistributed(dense, name="td")(steps)])
    with pytest.raises(attnzoo.errors.RewriteError) as error:
        attnzoo.augment(model, "se")
    assert str(error.value).startswith("layers 'dense', 'td' of 'functional")
    new = attnzoo.augment(model, "se", share_weights=True)
    assert len(new.weights) > len(model.weights)
    assert_same_outputs(model, new, [noise(2, *SIZE), noise(2, 3, 5)])


@keras.saving.register_keras_serializable(package="tests")
class Plainly(layers.Layer):
    """As one writes layers for oneself: a part of its own, and no word about shapes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(1, 3, padding="same", activation="sigmoid")

    def call(self, x):
        return x * self.conv(x)


def test_a_layer_that_says_nothing_about_shapes_can_be_attention(tmp_path):
    model, x = classifier(), noise(2, *SIZE)
    new = attnzoo.augment(model, Plainly)
    assert_same_outputs(model, new, x)
    acts = outputs(moved(new), x)
    assert not np.array_equal(acts[0], outputs(model, x)[0])
    assert_equal(acts, outputs(reloaded(new, tmp_path), x))


def unet():
    x = inputs = keras.Input((32, 32, 1))
    skips = []
    for filters in (4, 8, 16):
        x = conv_bn_relu(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = conv_bn_relu(x, 32)
    for skip in reversed(skips):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skip])
        x = conv_bn_relu(x, skip.shape[-1])
    return keras.Model(inputs, layers.Conv2D(2, 1)(x), name="unet")


def test_a_unet(tmp_path):
    model = unet()
    assert [s.stride for s in attnzoo.describe(model).stages] == [1, 2, 4, 8]
    there_and_back(model, noise(2, 32, 32, 1), tmp_path, placement="stage")


def test_wrapped_and_multi_output_layers(tmp_path):
    inputs = keras.Input(SIZE)
    x = layers.SpectralNormalization(layers.Conv2D(8, 3, padding="same"))(inputs)
    low, high = ops.split(basic_block(x, 8, name="a"), 2, axis=-1)
    model = keras.Model(inputs, {"low": low, "label": head(high)})
    there_and_back(model, noise(2, *SIZE), tmp_path)


STEPS = []


@keras.saving.register_keras_serializable(package="tests")
class StepCounting(keras.Model):
    """Functional, with a training step of its own; what a step is given differs between backends."""

    def train_step(self, *given):
        STEPS.append(self.name)
        return super().train_step(*given)


def test_a_training_step_of_the_models_own_is_kept(tmp_path):
    inputs = keras.Input(SIZE)
    new = there_and_back(StepCounting(inputs, head(features(inputs)), name="mine"), noise(2, *SIZE), tmp_path)
    new.compile("sgd", "mse", jit_compile=False)
    STEPS.clear()
    new.fit(noise(4, *SIZE), noise(4, 5), verbose=0)
    assert set(STEPS) == {"mine"}


def dilated(output_stride):
    x = inputs = keras.Input((64, 64, 3))
    x = layers.MaxPooling2D(3, 2, padding="same")(conv_bn_relu(x, 8, strides=2))
    stride = 4
    for stage, filters in enumerate((8, 16, 24, 32)):
        down = 2 if stage and stride < output_stride else 1
        rate = 1 if stride * down == 2 ** (stage + 2) else 2 ** (stage + 2) // (stride * down)
        stride *= down
        for block in range(2):
            name = f"s{stage + 1}b{block}"
            y = layers.Conv2D(
                filters,
                3,
                strides=down if block == 0 else 1,
                dilation_rate=rate if down == 1 or block else 1,
                padding="same",
            )(x)
            y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(layers.ReLU()(y)))
            if x.shape[1:] != y.shape[1:]:
                x = layers.Conv2D(filters, 1, strides=down if block == 0 else 1)(x)
            x = layers.ReLU(name=f"{name}_out")(layers.Add()([x, y]))
    return keras.Model(inputs, head(x))


@pytest.mark.parametrize(("stride", "ends"), [(32, [8, 16, 24, 32]), (16, [8, 16, 32]), (8, [8, 32])])
def test_a_dilated_backbone_has_one_stage_for_each_resolution(stride, ends, tmp_path):
    model = dilated(stride)
    stages = attnzoo.describe(model).stages
    assert [s.channels for s in stages] == ends
    assert [s.stride for s in stages] == [4 * 2**i for i in range(len(ends))]
    assert sum(len(s.blocks) for s in stages) == 8
    there_and_back(model, noise(1, 64, 64, 3), tmp_path)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow has no channels_first convolution on a CPU"
)
def test_networks_with_channels_first(tmp_path):
    inputs = x = keras.Input((3, 16, 16))
    for filters in (8, 16):
        y = layers.Conv2D(filters, 3, strides=2, padding="same", data_format="channels_first")(x)
        y = layers.BatchNormalization(axis=1)(y)
        y = layers.Conv2D(filters, 3, padding="same", data_format="channels_first")(layers.ReLU()(y))
        x = layers.Add()([layers.Conv2D(filters, 1, strides=2, data_format="channels_first")(x), y])
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(data_format="channels_first")(x))
    new = there_and_back(model, noise(2, 3, 16, 16), tmp_path)
    assert {v.data_format for v in new.layers if isinstance(v, attnzoo.layers.CBAM)} == {"channels_first"}


def test_attention_may_make_a_graph_deeper_than_python_counts_calls(tmp_path):
    inputs = keras.Input((2, 2, 2))
    x = layers.Conv2D(2, 1)(inputs)
    for i in range(700):
        x = layers.ReLU(name=f"act_{i}")(x)
    model, limit = keras.Model(inputs, x), sys.getrecursionlimit()
    new = attnzoo.augment(model, "simam", after="act_*[0-4]")
    assert len(new.layers) == len(model.layers) + 350
    with pytest.raises(RecursionError):
        keras.Model(new.inputs, new.outputs)
    new.save(tmp_path / "deep.keras")
    again = attnzoo.load_model(tmp_path / "deep.keras")
    assert_same_outputs(model, again, noise(1, 2, 2, 2))
    assert_same_outputs(model, attnzoo.strip(again), noise(1, 2, 2, 2))
    built = attnzoo.build({"backbone": {"name": f"file:{tmp_path / 'deep.keras'}"}, "head": {"classes": 2}})
    assert built.output_shape == (None, 2)
    assert sys.getrecursionlimit() == limit
