"""What the terms of `train` name, and what BatchNorm does meanwhile."""

import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import array, small_resnet


def net():
    return attnzoo.augment(small_resnet(), "se", stages=[1, 3], ratio=2)


def trained(model):
    return {w.path for w in model.trainable_weights}


def kernels(model, *prefixes):
    norms = (layers.BatchNormalization, layers.ReLU)
    found = [x for x in model.layers if x.name.startswith(prefixes) and not isinstance(x, norms)]
    return {w.path for x in found if not x.name.endswith("_se") for w in x.weights}


TERMS = {
    "none": (),
    "head": ("logits",),
    "stages=2": ("s1",),
    "stages>=2": ("s1", "s2"),
    "stages > 1": ("s1", "s2"),
    "stages<=1": ("s0", "stem"),
    "stages<2+head": ("s0", "stem", "logits"),
    "s1b?_*": ("s1",),
    "s1b0_1_conv+logits": ("s1b0_1_conv", "logits"),
    "backbone": ("stem", "s0", "s1", "s2"),
}


@pytest.mark.parametrize("term", TERMS)
def test_terms_name_parts_stages_and_layers(term):
    model = net()
    attnzoo.freeze(model, train=term)
    assert trained(model) == kernels(model, *(TERMS[term] or ("nothing",)))


def test_alpha_alone_trains():
    model = net()
    assert attnzoo.freeze(model, train="alpha").trainable == 2
    assert trained(model) == {"s0b1_out_se/alpha", "s2b1_out_se/alpha"}


def test_biases_alone_train_shifts_of_norms_among_them_and_no_statistic_moves():
    model = net()
    attnzoo.freeze(model, train="bias")
    assert {w.name for w in model.trainable_weights} == {"beta", "bias", "bias_1", "bias_2"}
    before, after = fitted(model)
    moved = {k.rpartition("/")[2] for k in before if (before[k] != after[k]).any()}
    assert "beta" in moved
    assert moved <= {"beta", "bias", "bias_1", "bias_2"}


def fitted(model):
    before = {w.path: array(w).copy() for w in model.weights}
    model.compile("sgd", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(3.0, 2.0, (8, 32, 32, 3)), rng.normal(size=(8, 4)), epochs=1, verbose=0)
    return before, {w.path: array(w) for w in model.weights}


@pytest.mark.parametrize("train", ["stages>=2+attention+head", "all", "s2*"])
def test_batch_norm_of_fine_tuned_parts_stands_still(train):
    model = net()
    assert "BatchNormalization layers of what trains stay as they are" in str(attnzoo.freeze(model, train=train))
    before, after = fitted(model)
    norms = {w.path for x in model.layers if isinstance(x, layers.BatchNormalization) for w in x.weights}
    changed = {k for k in before if (before[k] != after[k]).any()}
    assert changed
    assert not changed & norms


def test_batch_norm_trains_when_asked_and_only_where_its_layers_train():
    model = net()
    attnzoo.freeze(model, train="stages=3", batch_norm="train")
    before, after = fitted(model)
    moving = {k for k in before if "moving" in k and (before[k] != after[k]).any()}
    expected = {x for x in model.layers if x.name.startswith("s2") and isinstance(x, layers.BatchNormalization)}
    assert moving == {w.path for x in expected for w in (x.moving_mean, x.moving_variance)}


def test_batch_norm_that_has_seen_no_data_is_named():
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    (note,) = attnzoo.freeze(keras.Model(inputs, x), train="all").notes
    assert note.endswith("batch_norm='train' trains them. 1 of them have seen no data yet (mean 0, variance 1).")


def test_norms_inside_attention_and_in_a_head_train_with_them():
    inputs = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, strides=2, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization(name="norm")(x)))
    model = attnzoo.augment(model, "bam", after="conv")
    attnzoo.freeze(model)
    assert model.get_layer("norm").trainable
    assert model.get_layer("conv_bam").norm.trainable


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("decodr", "Did you mean 'decoder'?"),
        ("s2b1_2_con", "Did you mean 's2b1_2_conv'?"),
        ("attention+s9*", "'s9*' is no part and no layer with weights of 'small_resnet'."),
        ("stages>=4", "'small_resnet' has no stages>=4; it has stages 1 (stride 1), 2 (stride 2), 3 (stride 4)."),
        ("attention+decoder", "'small_resnet' has no decoder;"),
        ("attention++head", "does not say what trains"),
        ("all+none", "'none' stands alone"),
        (["head"], "does not say what trains"),
    ],
)
def test_a_term_that_names_nothing_is_an_error_and_changes_nothing(train, message):
    model = net()
    before = trained(model)
    with pytest.raises(PlanError) as error:
        attnzoo.freeze(model, train=train)
    assert message in str(error.value)
    assert trained(model) == before


def test_a_model_without_alpha_has_none_to_train():
    model = attnzoo.augment(small_resnet(), "gct", stages=[1])
    with pytest.raises(PlanError, match=r"no layer of 'small_resnet' has a weight that is alpha\.$"):
        attnzoo.freeze(model, train="alpha")


def test_nested_models_are_named_by_path_and_as_a_whole():
    body = small_resnet()
    body = keras.Model(body.inputs, body.get_layer("s2b1_out").output, name="body")
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(body(inputs))))
    for term, prefixes in {"body": ("stem", "s0", "s1", "s2"), "body/s1*": ("s1",)}.items():
        attnzoo.freeze(model, train=term)
        assert trained(model) == kernels(body, *prefixes)
