"""KerasCV: its backbones name the layers of their pyramids, and the names follow the attention."""

import keras
import pytest

import attnzoo

from .helpers import array, assert_same_outputs, images, randomize

keras_cv = pytest.importorskip("keras_cv")


@pytest.mark.parametrize("placement", ["stage", "residual"])
def test_a_backbone_keeps_its_class_its_pyramid_and_its_file(placement, tmp_path):
    model = randomize(
        keras_cv.models.ResNetBackbone(
            stackwise_filters=[8, 12, 16],
            stackwise_blocks=[1, 1, 1],
            stackwise_strides=[1, 2, 2],
            include_rescaling=False,
            input_shape=(64, 64, 3),
        )
    )
    new = attnzoo.augment(model, "eca", placement=placement)
    assert isinstance(new, keras_cv.models.ResNetBackbone)
    assert_same_outputs(model, new)
    levels = {k: f"{v}_eca" if placement == "stage" else v for k, v in model.pyramid_level_inputs.items()}
    assert new.pyramid_level_inputs == levels
    for layer in new.layers:
        if isinstance(layer, attnzoo.layers.Attention):
            layer.alpha.assign(0.5)
    new.save(tmp_path / "model.keras")
    again = attnzoo.load_model(tmp_path / "model.keras")
    assert type(again) is type(new)
    assert again.pyramid_level_inputs == new.pyramid_level_inputs
    assert_same_outputs(new, again)
    plain = attnzoo.strip(again)
    assert type(plain) is keras_cv.models.ResNetBackbone
    assert plain.pyramid_level_inputs == model.pyramid_level_inputs
    assert_same_outputs(model, plain)


def test_a_feature_extractor_reads_the_attended_maps():
    model = randomize(
        keras_cv.models.ResNetBackbone(
            stackwise_filters=[8, 12],
            stackwise_blocks=[1, 1],
            stackwise_strides=[1, 2],
            include_rescaling=False,
            input_shape=(64, 64, 3),
        )
    )
    new = attnzoo.augment(model, "eca", stages=[2])
    name = new.pyramid_level_inputs["P3"]
    new.get_layer(name).alpha.assign(0.5)
    x = images(model)
    maps = [array(keras.Model(m.input, m.get_layer(m.pyramid_level_inputs["P3"]).output)(x)) for m in (model, new)]
    assert name.endswith("_eca")
    assert (maps[0] != maps[1]).any()
