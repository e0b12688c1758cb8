"""Functional models of a class of their own keep it: methods, attributes, files."""

import json
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import RewriteError
from attnzoo.layers._attended import Attended
from attnzoo.planning.placement import PLACEMENTS

from ..helpers import (
    array,
    assert_same_outputs,
    basic_block,
    conv_bn_relu,
    images,
    moved,
    outputs,
    randomize,
    reloaded,
    small_backbone,
    small_resnet,
)


@keras.saving.register_keras_serializable(package="tests")
class Net(keras.Model):
    """What a careful user writes: a constructor of its own, a training step, a metric, a way into the graph."""

    taken = 0

    def __init__(self, width=8, teacher=None, **kwargs):
        inputs = keras.Input((32, 32, 3), name="image")
        low = basic_block(conv_bn_relu(inputs, width, name="stem"), width, name="low")
        high = basic_block(low, 2 * width, strides=2, name="high")
        logits = layers.Dense(3, name="logits")
        super().__init__(inputs, logits(layers.GlobalAveragePooling2D(name="pool")(high)), **kwargs)
        self.width = width
        self.teacher = teacher
        self.maps = {"low": low, "more": [high]}
        self.logits = logits
        self.outside = layers.Dense(2, name="outside")
        self.outside.build((None, 3))
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        self.bias = logits.bias
        self.steps = keras.metrics.Sum(name="steps")
        self.labels = ("cat", "dog", "cow")
        self.notes = {"size": np.array([32, 32])}
        self.say = self.describe_me

    def describe_me(self):
        return f"{type(self).__name__} of width {self.width}"

    def train_step(self, *given):  # the data; on JAX its state before them
        Net.taken += 1
        if keras.backend.backend() != "jax":  # there a step changes nothing but what it returns
            self.steps.update_state(1.0)
        return super().train_step(*given)

    def get_config(self):
        teacher = None if self.teacher is None else keras.saving.serialize_keras_object(self.teacher)
        return {"width": self.width, "name": self.name, "teacher": teacher}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "teacher": keras.saving.deserialize_keras_object(config["teacher"])})


def net(**kwargs):
    return randomize(Net(name="net", **kwargs))


def pixels(model, batch=2):
    return keras.tree.flatten(images(model, batch))[0]


def test_the_class_is_kept_and_so_are_its_outputs():
    model = net()
    new = attnzoo.augment(model, "se", placement="residual")
    assert isinstance(new, Net)
    assert isinstance(new, Attended)
    assert type(new).__name__ == "AttendedNet"
    assert type(attnzoo.augment(new, "eca")) is type(new)
    assert_same_outputs(model, new)
    assert new.describe_me() == "AttendedNet of width 8"


def test_attributes_point_into_the_new_graph_and_behind_attention():
    model = net()
    new = attnzoo.augment(model, "se", stages=[1])
    assert new.maps["low"] is new.get_layer("low_out_se").output
    assert new.maps["more"][0] is new.get_layer("high_out").output
    maps = keras.Model(new.input, new.maps)(images(model))
    old = keras.Model(model.input, model.maps)(images(model))
    np.testing.assert_array_equal(array(maps["low"]), array(old["low"]))
    assert new.logits is new.get_layer("logits")
    assert new.say() == "AttendedNet of width 8"
    assert attnzoo.augment(model, "se", placement="residual").maps["low"]._keras_history.operation.name == "low_out"


def test_nothing_that_an_attribute_holds_is_shared():
    model = net(teacher=small_backbone())
    model.scale.assign(3.0)
    new = attnzoo.augment(model, "se")
    assert array(new.scale) == 3.0
    assert new.scale in new.trainable_variables
    np.testing.assert_array_equal(array(new.outside.kernel), array(model.outside.kernel))
    assert new.outside is not model.outside
    assert new.steps in new.metrics
    assert new.bias is new.logits.bias
    assert_same_outputs(model.teacher, new.teacher)
    ours = {id(v) for v in [*model.variables, *model.teacher.variables, *model.steps.variables]}
    assert not ours & {id(v) for v in [*new.variables, *new.teacher.variables, *new.steps.variables]}
    assert new.notes["size"] is not model.notes["size"]
    assert new.labels == ("cat", "dog", "cow")


def test_shared_weights_share_what_attributes_hold():
    model = net(teacher=small_backbone())
    new = attnzoo.augment(model, "se", share_weights=True)
    assert new.teacher is model.teacher
    assert new.logits is model.logits
    assert new.scale is model.scale
    assert_same_outputs(model, new)


def test_the_training_step_of_the_class_runs():
    new = attnzoo.augment(net(), "se", stages=[2])
    new.compile("sgd", "mse", run_eagerly=True)
    before = Net.taken
    history = new.fit(pixels(new, 4), np.zeros((4, 3)), batch_size=2, verbose=0).history
    assert Net.taken == before + 2
    assert history["steps"] == [2.0] or keras.backend.backend() == "jax"
    assert array(new.get_layer("high_out_se").alpha) != 0


def test_a_compiled_and_trained_model_is_carried_without_its_compile_state():
    model = net()
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    model.fit(pixels(model), np.zeros((2, 3)), verbose=0)
    model.evaluate(pixels(model), np.zeros((2, 3)), verbose=0)
    model.predict(pixels(model), verbose=0)
    new = attnzoo.augment(model, "se")
    assert not new.compiled
    assert getattr(new, "optimizer", None) is None
    assert_same_outputs(model, new)


def test_strip_gives_back_the_class_itself():
    model = net()
    plain = attnzoo.strip(attnzoo.augment(attnzoo.augment(model, "se"), "eca", placement="pre"))
    assert type(plain) is Net
    assert plain.get_config() == model.get_config()
    assert plain.maps["low"] is plain.get_layer("low_out").output
    assert_same_outputs(model, plain)


def test_models_inside_a_model_keep_their_class(tmp_path):
    inner = net()
    inputs = keras.Input((32, 32, 3), name="image")
    model = keras.Model(inputs, layers.Dense(2)(inner(inputs)))
    new = attnzoo.augment(model, "se", stages=[2])
    assert type(new) is type(model)
    assert isinstance(new.get_layer("net"), Net)
    again = reloaded(moved(new), tmp_path)
    assert type(again.get_layer("net")) is type(new.get_layer("net"))
    assert_same_outputs(new, again)
    assert type(attnzoo.strip(new).get_layer("net")) is Net


# Files ---------------------------------------------------------------------------------------------------------


QUICK = ("stage", "pre", "shortcut", "parallel")
REST = [pytest.param(p, marks=pytest.mark.exhaustive) for p in PLACEMENTS if p not in QUICK]


@pytest.mark.parametrize("placement", [*QUICK, *REST])
def test_every_placement_saves_and_reloads(placement, tmp_path):
    new = moved(attnzoo.augment(net(), "cbam", placement=placement))
    again = reloaded(new, tmp_path)
    assert type(again) is type(new)
    assert_same_outputs(new, again)
    assert json.dumps(again.get_config(), allow_nan=False) == json.dumps(new.get_config(), allow_nan=False)
    assert [x.name for x in again.layers] == [x.name for x in new.layers]
    for name in ("low", "more"):
        old_map, new_map = keras.tree.flatten(new.maps[name])[0], keras.tree.flatten(again.maps[name])[0]
        assert old_map._keras_history.operation.name == new_map._keras_history.operation.name


def test_inspection_counts_what_was_inserted(tmp_path):
    attnzoo.augment(net(), "cbam", stages=[1]).save(tmp_path / "model.keras")
    report = attnzoo.inspect_file(tmp_path / "model.keras")
    assert [(x.name, x.site) for x in report.attention] == [("low_out_cbam", "low_out")]


def test_augmentations_compose_across_files(tmp_path):
    model = net()
    new = attnzoo.augment(attnzoo.augment(model, "se", stages=[1]), "eca", placement="pre")
    again = attnzoo.augment(moved(reloaded(new, tmp_path)), "cbam", placement="shortcut", stages=[2])
    again = attnzoo.augment(again, "gct", stages=[1, 2])
    assert_same_outputs(again, reloaded(again, tmp_path))
    assert_same_outputs(model, attnzoo.strip(reloaded(again, tmp_path)))


@pytest.mark.exhaustive
def test_a_file_reloads_in_a_fresh_process_that_knows_the_class(tmp_path):
    new = moved(attnzoo.augment(net(), "cbam"))
    x = pixels(new)
    new.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=outputs(new, x)[0])
    code = (
        "import sys, numpy as np, attnzoo, keras; from tests.rewriting.test_backbone_classes import Net;"
        "d = np.load(sys.argv[2]); m = attnzoo.load_model(sys.argv[1]); assert isinstance(m, Net);"
        "y = keras.ops.convert_to_numpy(m(d['x'])); assert (y == d['y']).all(), abs(y - d['y']).max()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras"), str(tmp_path / "data.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_trains_survives_the_file(tmp_path):
    new = attnzoo.augment(net(), "se", stages=[2])
    attnzoo.freeze(new, train="attention+head")
    new.get_layer("high_out_se").trainable = False
    new.get_layer("low_1_conv").trainable = True
    again = reloaded(new, tmp_path)
    assert {x.name: x.trainable for x in again.layers} == {x.name: x.trainable for x in new.layers}
    new.trainable = False
    assert not reloaded(new, tmp_path).trainable_variables


def test_training_goes_on_where_the_file_left_it(tmp_path):
    new = attnzoo.augment(net(), "se")
    x, y = pixels(new, 4), np.ones((4, 3))
    new.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    new.train_on_batch(x, y)
    new.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for model in (new, again):
        model.train_on_batch(x, y)
    assert_same_outputs(new, again)


@keras.saving.register_keras_serializable(package="tests")
class Classifier(keras.Model):
    """A class that takes a whole model and nests it."""

    def __init__(self, backbone, flat=False, **kwargs):
        inputs = backbone.input if flat else keras.Input(backbone.input_shape[1:], name="image")
        x = backbone.output if flat else backbone(inputs)
        super().__init__(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x)), **kwargs)
        self.backbone = backbone
        self.flat = flat

    def get_config(self):
        return {"backbone": keras.saving.serialize_keras_object(self.backbone), "flat": self.flat, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "backbone": keras.saving.deserialize_keras_object(config["backbone"])})


@pytest.mark.parametrize(
    ("flat", "earlier"),
    [
        (False, True),
        (True, False),
        pytest.param(False, False, marks=pytest.mark.exhaustive),
        pytest.param(True, True, marks=pytest.mark.exhaustive),
    ],
)
def test_attention_in_a_model_given_to_the_constructor_is_saved_once(flat, earlier, tmp_path):
    backbone = randomize(small_backbone())
    model = randomize(Classifier(attnzoo.augment(backbone, "eca") if earlier else backbone, flat, name="classifier"))
    new = moved(attnzoo.augment(model, "se", placement="residual"))
    again = reloaded(new, tmp_path)
    assert_same_outputs(new, again)
    assert again.count_params() == new.count_params()
    assert (new.backbone is new.get_layer("backbone")) if not flat else True
    plain = attnzoo.strip(again)
    assert type(plain) is Classifier
    assert not [x for x in plain._flatten_layers() if isinstance(x, attnzoo.layers.Attention)]
    assert_same_outputs(attnzoo.strip(model), plain)
    assert_same_outputs(plain, reloaded(plain, tmp_path))


def test_a_class_given_a_model_with_attention_needs_no_help(tmp_path):
    model = Classifier(moved(attnzoo.augment(randomize(small_backbone()), "eca")), name="classifier")
    assert type(reloaded(model, tmp_path)) is Classifier
    assert_same_outputs(model, reloaded(model, tmp_path))


# Subclasses that Keras can make from tensors or layers ---------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Counting(keras.Model):
    """The standard constructor and a training step of its own."""

    calls = 0

    def train_step(self, *given):
        type(self).calls += 1
        return super().train_step(*given)


def test_a_subclass_with_the_standard_constructor_trains_by_its_own_step(tmp_path):
    plain = small_resnet()
    model = Counting(plain.inputs, plain.outputs, name="counting")
    new = attnzoo.augment(model, "se", stages=[3])
    assert type(new) is Counting
    new.compile("sgd", "mse", run_eagerly=True)
    before = Counting.calls
    new.train_on_batch(pixels(new), np.zeros((2, 4)))
    assert Counting.calls == before + 1
    assert type(reloaded(new, tmp_path)) is Counting


@keras.saving.register_keras_serializable(package="tests")
class Stack(keras.Sequential):
    pass


class FixedStack(keras.Sequential):
    def __init__(self):
        super().__init__([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, padding="same")], name="fixed")


def test_subclasses_of_sequential_keep_their_class():
    model = Stack([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, padding="same", name="conv")])
    assert type(attnzoo.augment(model, "se", after="conv")) is Stack


# What cannot be handled ----------------------------------------------------------------------------------------


def with_extra(value):
    model = net()
    vars(model)["extra"] = value(model)
    return model


@pytest.mark.parametrize(
    "value",
    [
        lambda m: threading.Lock(),
        lambda m: {"x": [keras.Input((3,))]},
        lambda m: layers.Dense(1, name="far").add_weight(name="far"),
        lambda m: lambda: m.width,
    ],
)
def test_an_attribute_that_cannot_be_carried_is_an_error_that_names_it(value):
    model = with_extra(value)
    with pytest.raises(RewriteError, match=r"^'net' \(Net\): attribute 'extra' holds "):
        attnzoo.augment(model, "se")
    model.extra = None
    attnzoo.augment(model, "se")


class Fixed(keras.Model):
    """Has no config."""

    def __init__(self, width):
        inputs = keras.Input((16, 16, 3))
        super().__init__(inputs, basic_block(conv_bn_relu(inputs, width), width), name="fixed")


def test_a_class_without_a_config_is_kept():
    model = Fixed(4)
    new = attnzoo.augment(model, "se")
    assert isinstance(new, Fixed)
    assert_same_outputs(model, new)


def config_of_net():
    return json.loads(json.dumps(attnzoo.augment(net(), "se", stages=[2]).get_config()))


@pytest.mark.parametrize("module", ["os", "subprocess", "tests.helpers"])
def test_a_file_cannot_name_a_class_that_keras_would_not_load(module):
    config = config_of_net()
    config["base"].update(module=module, class_name="small_resnet", registered_name="small_resnet", config={})
    with pytest.raises(TypeError, match="Could not locate class 'small_resnet'"):
        Attended.from_config(config)


@keras.saving.register_keras_serializable(package="tests")
class Own(keras.Model):
    """Inserts attention in its constructor; refused on loading, see tests/messages."""

    inserts = True

    def __init__(self, name="own"):
        plain = small_resnet()
        plain = attnzoo.augment(plain, "se", stages=[1]) if self.inserts else plain
        super().__init__(plain.inputs, plain.outputs, name=name)

    def get_config(self):
        return {"name": self.name}


def test_a_file_loads_once_the_constructor_inserts_no_attention_any_more(tmp_path, monkeypatch):
    new = moved(attnzoo.augment(Own(), "eca", stages=[2]))
    new.save(tmp_path / "model.keras")
    monkeypatch.setattr(Own, "inserts", False)
    assert_same_outputs(new, attnzoo.load_model(tmp_path / "model.keras"))
