"""Attention inside layers that hold models: seen by freeze and describe, refused by strip, and plans say what to do."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.cli import main
from attnzoo.errors import PlanError, RewriteError

from ..helpers import array, assert_same_outputs, small_backbone


@keras.saving.register_keras_serializable(package="tests")
class Holder(layers.Layer):
    """A layer of somebody's own around a model, with a weight beside it."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

    def call(self, x):
        return self.inner(x) * self.scale

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("inner")), **config)


def video(inner, name="video"):
    """Frames through a backbone one by one, then through time: what people build for clips."""
    clip = keras.Input((3, 32, 32, 3), name="clip")
    x = layers.TimeDistributed(inner, name="frames")(clip)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D(), name="pool")(x)
    return keras.Model(clip, layers.Dense(2, name="logits")(layers.GRU(4, name="gru")(x)), name=name)


def nested_video(inner):
    clip = keras.Input((3, 32, 32, 3), name="outer")
    return keras.Model(clip, video(inner)(clip), name="around")


def sequential(inner):
    return keras.Sequential(
        [keras.Input((32, 32, 3)), Holder(inner, name="frames"), layers.GlobalAveragePooling2D(), layers.Dense(2)],
        name="video",
    )


def augmented():
    return attnzoo.augment(small_backbone(), "se", stages=[2])


MODELS = [video, nested_video, sequential]


@pytest.mark.parametrize("make", MODELS)
def test_strip_refuses_by_the_name_of_the_layer_and_leaves_plain_ones_alone(make):
    with pytest.raises(RewriteError, match=r"layer 'frames' \(\w+\) of '.*' holds attention \('b3_project_bn_se'\)"):
        attnzoo.strip(make(augmented()))
    plain = make(attnzoo.strip(augmented()))
    assert_same_outputs(plain, attnzoo.strip(plain))


def test_the_command_line_fails_and_writes_nothing(tmp_path, capsys):
    video(augmented()).save(tmp_path / "video.keras")
    assert main(["strip", str(tmp_path / "video.keras"), "-o", str(tmp_path / "plain.keras")]) == 2
    assert "layer 'frames' (TimeDistributed) of 'video' holds attention" in capsys.readouterr().err
    assert not (tmp_path / "plain.keras").exists()
    assert main(["describe", str(tmp_path / "video.keras")]) == 0
    assert "There is attention inside 'frames' (TimeDistributed)" in capsys.readouterr().out


def trained(model):
    """The names of weights that a step of training changes."""
    before = [array(w).copy() for w in model.weights]
    model.compile("sgd", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(4, *model.inputs[0].shape[1:])), rng.normal(size=(4, 2)), epochs=2, verbose=0)
    return {w.path for a, w in zip(before, model.weights, strict=True) if (a != array(w)).any()}


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("train", ["attention", "attention+head"])
def test_freeze_trains_the_attention_inside_and_nothing_beside_it(make, train):
    model = make(augmented())
    head = {w.path for x in model._flatten_layers() if x.name.startswith(("gru", "logits", "dense")) for w in x.weights}
    for _ in range(2):  # a second call finds the same
        report = attnzoo.freeze(model, train=train)
        assert {p.name: bool(p.trainable) for p in report} == {
            "attention": True,
            "backbone": False,
            "head": train != "attention",
        }
        assert report.parameters == sum(int(np.prod(w.shape)) for w in model.weights)
        assert report.trainable == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    changed = trained(model)
    attention = next(x for x in model._flatten_layers() if isinstance(x, attnzoo.layers.Attention))
    assert attention.alpha.path in changed
    assert changed <= {w.path for w in attention.weights} | (head if train != "attention" else set())


def test_all_opens_what_was_frozen_inside():
    model = sequential(augmented())
    attnzoo.freeze(model, train="attention")
    attnzoo.freeze(model, train="all", batch_norm="train")
    assert all(x.trainable for x in model._flatten_layers())
    assert any(w.name == "scale" for w in model.trainable_weights)


def test_a_plan_says_what_to_do_about_the_layer_in_the_way():
    model = video(small_backbone())
    for request in ({"stages": [2]}, {"placement": "residual"}):
        with pytest.raises(PlanError, match=r"'frames' \(TimeDistributed\): augment the model before wrapping it\."):
            attnzoo.plan(model, "se", **request)
    for glob in ("b1_dw", "b1_*"):
        with pytest.raises(PlanError, match=r"is inside 'frames' \(TimeDistributed\).* augment the model before"):
            attnzoo.plan(model, "se", after=glob)
    assert "augment the model before wrapping it" in str(attnzoo.describe(model))


def test_stages_elsewhere_are_planned_and_the_wrapper_is_said_not_to_be():
    image = keras.Input((32, 32, 3), name="image")
    clip = keras.Input((3, 32, 32, 3), name="clip")
    one = layers.GlobalAveragePooling2D()(small_backbone()(image))
    model = keras.Model([image, clip], layers.Concatenate()([one, video(small_backbone())(clip)]), name="both")
    plan = attnzoo.plan(model, "simam")
    assert [s.path for s in plan] == ["backbone/b0_add", "backbone/b3_project_bn"]
    note = "attnzoo does not reach into 'frames' (TimeDistributed); to attend there, augment the model before wrapping"
    assert plan.notes == (f"{note} it.",)


def test_models_without_wrapped_models_have_no_such_notes():
    inputs = keras.Input((3, 16, 16, 4))
    x = layers.ConvLSTM2D(4, 3)(inputs)
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    model = keras.Model(inputs, layers.MultiHeadAttention(1, 4, name="mha")(x, x), name="plain")
    assert attnzoo.plan(model, "simam", after="conv").notes == ()
