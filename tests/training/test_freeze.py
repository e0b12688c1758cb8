"""freeze: what trains, BatchNorm leaf by leaf, and the table."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import array, conv_bn_relu, leaf_layers, reloaded, small_backbone


def transfer_model():
    backbone = small_backbone()
    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(backbone(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="transfer")


@pytest.fixture
def model():
    return attnzoo.augment(transfer_model(), "se", stages=[1, 2])


@pytest.mark.parametrize(
    ("train", "trained"),
    [
        ("attention+head", {"backbone/b0_add_se", "backbone/b3_project_bn_se", "logits"}),
        ("attention", {"backbone/b0_add_se", "backbone/b3_project_bn_se"}),
        ("head", {"logits"}),
    ],
)
def test_only_the_chosen_parts_train(model, train, trained):
    attnzoo.freeze(model, train=train)
    assert {k for k, v in leaf_layers(model).items() if v.trainable_weights} == trained
    before = {k: [array(w).copy() for w in v.weights] for k, v in leaf_layers(model).items()}
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    x, y = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8) % 3
    model.fit(x, y, epochs=2, verbose=0)
    for path, layer in leaf_layers(model).items():
        changed = any((a != array(w)).any() for a, w in zip(before[path], layer.weights, strict=True))
        assert changed == (path in trained), path


def test_batch_norm_statistics_stand_still(model):
    attnzoo.freeze(model)
    norms = [x for x in leaf_layers(model).values() if isinstance(x, layers.BatchNormalization)]
    before = [array(w).copy() for x in norms for w in x.weights]
    model.compile("adam", "mse", jit_compile=False)
    model.fit(np.random.default_rng(0).normal(3.0, 2.0, size=(8, 32, 32, 3)), np.zeros((8, 3)), epochs=2, verbose=0)
    for a, w in zip(before, (w for x in norms for w in x.weights), strict=True):
        np.testing.assert_array_equal(a, array(w))


def test_all_opens_what_was_frozen(model):
    model.layers[1].trainable = False
    attnzoo.freeze(model, train="attention")
    attnzoo.freeze(model, train="all", batch_norm="train")
    assert all(x.trainable for x in leaf_layers(model).values())
    assert model.trainable_weights


def test_a_frozen_model_around_the_attention_does_not_hide_it():
    base = transfer_model()
    base.trainable = False
    model = attnzoo.augment(base, "se", stages=[2])
    attnzoo.freeze(model, train="attention")
    assert len(model.trainable_weights) == 5


def test_the_table_is_returned_shows_itself_and_prints_nothing(model, capsys):
    table = attnzoo.freeze(model)
    expected = (
        "transfer: 208 of 4,472 parameters train (4.65 %)\n"
        "part       layers  parameters  trainable\n"
        "attention       2         109        109\n"
        "backbone       28       4,264          0\n"
        "head            1          99         99"
    )
    assert capsys.readouterr().out == ""
    assert str(table) == repr(table) == expected
    assert [p.name for p in table] == ["attention", "backbone", "head"]


def test_the_head_is_what_follows_the_last_map():
    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3), alpha=0.75, classes=3)
    attnzoo.freeze(model, train="head")
    assert [x.name for x in model.layers if x.trainable_weights] == ["conv_2", "logits"]


def test_a_backbone_without_head_trains_its_attention_and_the_table_says_so():
    inputs = keras.Input((16, 16, 3))
    body = keras.Model(inputs, conv_bn_relu(conv_bn_relu(inputs, 4), 4), name="body")
    model = attnzoo.augment(body, "eca", init="paper")
    table = attnzoo.freeze(model)
    assert table.trainable == 1  # four channels: a kernel of one
    assert str(table).endswith(
        "note: 'body' has no head, nothing after its last feature map; the rest of train='attention+head' trains."
    )
    with pytest.raises(PlanError, match=r"^train='head': 'body' has no head; add one after global pooling"):
        attnzoo.freeze(model, train="head")


def test_a_compiled_model_must_be_compiled_again(model):
    note = "the model is compiled already; compile it again, or it goes on training what it trained before."
    assert attnzoo.freeze(model).notes == ()
    model.compile("sgd", "mse")
    assert attnzoo.freeze(model).notes == (note,)


# Frozen models, augmented ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("share", [False, True], ids=["copied", "shared"])
def test_a_frozen_base_stays_frozen_and_its_attention_trains(nested, share, tmp_path):
    base = small_backbone()
    base.trainable = False
    if nested:
        inputs = keras.Input((32, 32, 3))
        base = keras.Model(inputs, base(inputs), name="outer")
    plan = attnzoo.plan(base, "se", stages=[2], share_weights=share)
    assert "is frozen, and stays so" in plan.notes[-1]
    model = plan.apply()
    attention = {f"{'backbone/' if nested else ''}b3_project_bn_se"}
    for new in (model, reloaded(model, tmp_path)):
        assert {k for k, v in leaf_layers(new).items() if v.trainable_weights} == attention
        assert len(new.trainable_weights) == 5
    assert not base.trainable_weights


def test_a_model_that_is_not_frozen_has_no_such_note(model):
    assert attnzoo.plan(transfer_model(), "se", stages=[2], ratio=2).notes == ()


# Frozen inside a layer -------------------------------------------------------------------------------------------


def lora_model():
    inputs = keras.Input((16, 16, 3))
    x = layers.Dense(16, name="adapted")(conv_bn_relu(inputs, 8, name="stem"))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)), name="lora")
    model.get_layer("adapted").enable_lora(2)
    return attnzoo.augment(model, "se", after="adapted", ratio=2)


def trained_inside(model, name="adapted"):
    return [w.name for w in model.get_layer(name).trainable_weights]


LORA = ["bias", "lora_kernel_a", "lora_kernel_b"]


@pytest.mark.parametrize(
    "history", [["attention", "all"], ["none", "attention", "head", "all"], ["all"], ["alpha", "all"]]
)
def test_what_was_frozen_inside_a_layer_stays_so_whatever_came_between(history):
    model = lora_model()
    assert trained_inside(model) == LORA
    for train in history:
        table = attnzoo.freeze(model, train=train)
    assert trained_inside(model) == LORA
    assert "frozen inside their layers before, and left so: 'adapted' (kernel)." in table.notes


def test_what_was_frozen_inside_a_layer_survives_augment_and_files(tmp_path):
    model = lora_model()
    attnzoo.freeze(model, train="attention")
    new = attnzoo.augment(model, "eca", after="stem_relu")
    again = reloaded(model, tmp_path)
    for each in (new, again):
        attnzoo.freeze(each, train="all")
        assert trained_inside(each) == LORA


@pytest.mark.parametrize("copied", [False, True])
def test_a_weight_that_its_user_froze_stays_frozen_before_and_after_the_first_freeze(copied):
    model = transfer_model()
    model.get_layer("logits").bias.trainable = False
    attnzoo.freeze(model, train="none")
    model = attnzoo.augment(model, "se", stages=[2]) if copied else model
    attnzoo.freeze(model, train="head")
    assert trained_inside(model, "logits") == ["kernel"]
    model.get_layer("logits").bias.trainable = True
    model.get_layer("logits").kernel.trainable = False
    attnzoo.freeze(model, train="bias")
    attnzoo.freeze(model, train="all")
    assert trained_inside(model, "logits") == ["bias"]


def test_a_layer_frozen_as_a_whole_opens_again():
    model = transfer_model()
    attnzoo.freeze(model, train="all")
    model.get_layer("logits").trainable = False
    attnzoo.freeze(model, train="none")
    attnzoo.freeze(model, train="head")
    assert trained_inside(model, "logits") == ["kernel", "bias"]


def test_layers_inside_layers_are_reached_at_any_depth():
    class Cell(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(4, 3, padding="same")
            self.norm = layers.BatchNormalization()
            self.drop = layers.Dropout(0.1)

        def build(self, shape):
            self.conv.build(shape)
            self.norm.build((*shape[:-1], 4))
            super().build(shape)

        def call(self, x, training=None):
            return self.drop(self.norm(self.conv(x), training=training), training=training)

    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(Cell(name="cell")(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x))
    cell = model.get_layer("cell")
    attnzoo.freeze(model, train="all")
    assert (cell.trainable, cell.conv.trainable, cell.norm.trainable, cell.drop.trainable) == (True, True, False, True)
    assert [w.name for w in cell.trainable_weights] == ["kernel", "bias"]
    attnzoo.freeze(model, train="head")
    assert not cell.trainable
    attnzoo.freeze(model, train="all", batch_norm="train")
    assert [w.name for w in cell.trainable_weights] == ["kernel", "bias", "gamma", "beta"]
