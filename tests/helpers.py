"""What the tests of the core share: small models, and how two models are compared."""

import math

import keras
import numpy as np
from keras import layers

import attnzoo
from attnzoo.errors import PlanError
from attnzoo.planning.placement import PLACEMENTS


def array(x):
    return keras.ops.convert_to_numpy(x)


def images(model, batch=2, seed=0):
    """Random inputs for a model, with the structure of its inputs; open sizes become 64."""
    rng = np.random.default_rng(seed)

    def one(tensor):
        shape = [batch, *(64 if d is None else d for d in tensor.shape[1:])]
        return rng.normal(size=shape).astype("float32")

    return keras.tree.map_structure(one, model.inputs[0] if isinstance(model, keras.Sequential) else model.input)


def outputs(model, x, **kwargs):
    return [array(y) for y in keras.tree.flatten(model(x, **kwargs))]


def assert_same_outputs(a, b, x=None, **kwargs):
    x = images(a) if x is None else x
    for left, right in zip(outputs(a, x, **kwargs), outputs(b, x, **kwargs), strict=True):
        np.testing.assert_array_equal(left, right)


def config_of(model):
    """The config without the batch sizes that layers happened to be built with."""

    def clean(x):
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items() if k != "build_config"}
        return [clean(v) for v in x] if isinstance(x, list | tuple) else x

    return clean(model.get_config())


def leaf_layers(model):
    """All layers but models, by path."""
    found = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found.update({f"{layer.name}/{k}": v for k, v in leaf_layers(layer).items()})
        else:
            found[layer.name] = layer
    return found


def placements_of(model, key="se"):
    """The placements that a model has."""
    found = []
    for placement in PLACEMENTS:
        try:
            attnzoo.plan(model, key, placement=placement)
        except PlanError:
            continue
        found.append(placement)
    return found


def state_of(model):
    """All that augment must leave as it is: weights, graph, flags."""
    leaves = leaf_layers(model)
    return {
        "weights": [array(w).copy() for w in model.weights],
        "calls": {path: len(layer._inbound_nodes) for path, layer in leaves.items()},
        "trainable": {path: layer.trainable for path, layer in leaves.items()},
        "config": config_of(model),
    }


def assert_state(model, before):
    now = state_of(model)
    assert {k: now[k] for k in ("calls", "trainable", "config")} == {
        k: before[k] for k in ("calls", "trainable", "config")
    }
    for a, b in zip(before["weights"], now["weights"], strict=True):
        np.testing.assert_array_equal(a, b)


def assert_rules(model, plan, new, x, expected=None):
    """A new model computes what the old one does, and is made of the same layers plus those of the plan."""
    for a, b in zip(expected or outputs(model, x), outputs(new, x), strict=True):
        np.testing.assert_array_equal(a, b)
    old_layers, new_layers = leaf_layers(model), leaf_layers(new)
    for path, layer in old_layers.items():
        twin = new_layers[path]
        assert type(twin) is type(layer)
        assert twin is not layer
        assert twin.trainable == layer.trainable
        assert twin.dtype_policy == layer.dtype_policy
        for a, b in zip(layer.weights, twin.weights, strict=True):
            np.testing.assert_array_equal(array(a), array(b))
            assert a is not b
    # Attention after a nested model for one of its readers only stands beside that model, not in it.
    added = [path.rpartition("/")[2] for path in set(new_layers) - set(old_layers)]
    assert sorted(added) == sorted(s.name for s in plan)
    assert type(new) is type(model)
    assert new.name == model.name
    assert getattr(new, "output_names", None) == getattr(model, "output_names", None)
    assert [t.name for t in new.inputs] == [t.name for t in model.inputs]
    assert [tuple(t.shape) for t in new.outputs] == [tuple(t.shape) for t in model.outputs]
    if not isinstance(model, keras.Sequential):
        keras.tree.assert_same_structure(new.output, model.output)


def moved(model, names=None):
    """Attention that has left its identity, as by training: each weight has a value of its own, no gate is full.

    With names, only the attention of these names.
    """
    rng = np.random.default_rng(7)
    for layer in model._flatten_layers():
        attention = isinstance(layer, attnzoo.layers.Attention) and layer.site is not None
        if attention and (names is None or layer.name in names):
            for w in layer.weights:
                inputs = max(1, math.prod(w.shape[:-1]))  # large sums would saturate a gate at exactly one
                value = rng.normal(0.0, min(0.4, inputs**-0.5), w.shape)
                w.assign(0.5 if w is layer.alpha else np.abs(value) + 0.5 if w.name == "moving_variance" else value)
    return model


def reloaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return attnzoo.load_model(tmp_path / "model.keras")


def randomize(model, seed=1):
    """Gives every weight a value of its own, so that swapped weights show."""
    rng = np.random.default_rng(seed)
    adapted = {id(w) for x in model.layers if isinstance(x, layers.Normalization) for w in x.weights}
    for w in (w for w in model.weights if id(w) not in adapted):
        noise = rng.uniform(0.5, 1.5, size=w.shape)
        w.assign(array(w) * noise + (0.05 * noise if "float" in w.dtype and len(w.shape) < 2 else 0))
    return model


def conv_bn_relu(x, filters, size=3, strides=1, name=None):
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, name=name and f"{name}_conv")(x)
    x = layers.BatchNormalization(name=name and f"{name}_bn")(x)
    return layers.ReLU(name=name and f"{name}_relu")(x)


def basic_block(x, filters, strides=1, name="block"):
    y = conv_bn_relu(x, filters, strides=strides, name=f"{name}_1")
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    y = layers.BatchNormalization(name=f"{name}_2_bn")(y)
    if strides > 1 or x.shape[-1] != filters:
        x = layers.Conv2D(filters, 1, strides=strides, use_bias=False, name=f"{name}_0_conv")(x)
        x = layers.BatchNormalization(name=f"{name}_0_bn")(x)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def small_resnet(size=32, classes=4, name="small_resnet"):
    """A CIFAR-style ResNet: strides 1, 2, 4, two blocks each, closed by a pooling as large as the map."""
    inputs = keras.Input((size, size, 3), name="image")
    x = conv_bn_relu(inputs, 8, name="stem")
    for stage, filters in enumerate((8, 16, 32)):
        for block in range(2):
            x = basic_block(x, filters, 2 if stage and not block else 1, f"s{stage}b{block}")
    x = layers.AveragePooling2D(size // 4, name="pool")(x)
    outputs = layers.Dense(classes, name="logits")(layers.Flatten()(x))
    return randomize(keras.Model(inputs, outputs, name=name))


def mobilenet(size=64, **kwargs):
    kwargs = {"weights": None, "alpha": 0.35, "classes": 5, **kwargs}
    return randomize(keras.applications.MobileNetV2(input_shape=(size, size, 3), **kwargs))


def inverted_bottleneck(x, filters, strides=1, name="block"):
    y = conv_bn_relu(x, 2 * x.shape[-1], size=1, name=f"{name}_expand")
    y = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, name=f"{name}_dw")(y)
    y = layers.ReLU(6.0, name=f"{name}_dw_relu")(layers.BatchNormalization(name=f"{name}_dw_bn")(y))
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(name=f"{name}_project_bn")(y)
    return layers.Add(name=f"{name}_add")([x, y]) if y.shape == x.shape else y


def small_backbone(size=32, name="backbone"):
    """Four inverted bottlenecks at strides 2 and 4, without a head: what people nest in their own models."""
    inputs = keras.Input((size, size, 3), name="pixels")
    x = conv_bn_relu(inputs, 8, strides=2, name="stem")
    x = inverted_bottleneck(x, 8, name="b0")
    x = inverted_bottleneck(x, 12, strides=2, name="b1")
    x = inverted_bottleneck(x, 12, name="b2")
    x = inverted_bottleneck(x, 16, name="b3")
    return keras.Model(inputs, conv_bn_relu(x, 32, size=1, name="top"), name=name)
