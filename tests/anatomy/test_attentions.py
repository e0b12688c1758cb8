"""attentions: the attention in a live model."""

import keras
from keras import layers

import attnzoo

from ..helpers import small_resnet
from ..training.test_freeze import transfer_model


def test_the_table_of_a_model_with_attention():
    model = attnzoo.augment(attnzoo.augment(transfer_model(), "se", stages=[1]), "gct", stages=[2])
    model.get_layer("backbone").get_layer("b0_add_se").alpha.assign(0.25)
    attnzoo.freeze(model, train="none")
    table = attnzoo.attentions(model)
    assert (
        str(table)
        == repr(table)
        == (
            "transfer: 2 attention modules\n"
            "layer                       site           module  alpha  parameters\n"
            "backbone/b0_add_se          b0_add         se      +0.25          26\n"
            "backbone/b3_project_bn_gct  b3_project_bn  gct     -              48"
        )
    )
    assert [(r.layer, r.alpha) for r in table] == [("backbone/b0_add_se", 0.25), ("backbone/b3_project_bn_gct", None)]


def test_attention_of_the_users_own_is_listed_too():
    inputs = keras.Input((8, 8, 4))
    x = attnzoo.layers.SqueezeExcite(ratio=2, name="mine")(layers.Conv2D(4, 1, name="conv")(inputs))
    model = attnzoo.augment(keras.Model(inputs, x), lambda channels: layers.Conv2D(channels, 1), after="conv")
    assert [(r.layer, r.site, r.module) for r in attnzoo.attentions(model)] == [
        ("conv_lambda", "conv", "Conv2D"),
        ("mine", None, "se"),
    ]


def test_a_model_without_attention():
    assert repr(attnzoo.attentions(small_resnet())) == "small_resnet: no attention"
