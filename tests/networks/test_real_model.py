"""A real pretrained model as users have them: nested backbone, legacy file. Skipped where the file is absent."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

import attnzoo
from attnzoo.planning.placement import PLACEMENTS

from ..conftest import DOGS
from ..helpers import array, moved, reloaded


@pytest.fixture(scope="module")
def photographs():
    """Patches of the two photographs that scikit-learn ships, as the model takes them: RGB in [-1, 1]."""
    patches = [
        image[top : top + 160, left : left + 160]
        for image in load_sample_images().images
        for top in (0, 120, 260)
        for left in (0, 150, 320, 470)
    ]
    return np.stack(patches).astype("float32") / 127.5 - 1.0


@pytest.fixture(scope="module")
def expected(dogs_model, photographs):
    return array(dogs_model(photographs))


def modules():
    """The article's modules in every placement; the rest of the zoo at the default one, all of it when exhaustive."""
    for key in attnzoo.list_attentions():
        for placement in PLACEMENTS:
            often = key in ("se", "eca", "cbam", "channel", "spatial") or placement == "stage"
            yield pytest.param(key, placement, marks=[] if often else [pytest.mark.exhaustive])


@pytest.mark.parametrize(("key", "placement"), modules())
def test_every_prediction_stays(dogs_model, photographs, expected, key, placement):
    new = attnzoo.augment(dogs_model, key, placement=placement)
    np.testing.assert_array_equal(array(new(photographs)), expected)


def test_the_usual_way_loses_most_predictions(dogs_model, photographs, expected):
    new = attnzoo.augment(dogs_model, "cbam", stages=[3, 4], init="paper")
    kept = (array(new(photographs)).argmax(-1) == expected.argmax(-1)).mean()
    assert kept < 0.6


def test_the_way_there_and_back(dogs_model, photographs, expected, tmp_path):
    plan = attnzoo.plan(dogs_model, "cbam", placement="residual")
    assert len(plan) == 17
    assert all(s.path.startswith("mobilenetv2_1.00_160/") for s in plan)
    new = moved(plan.apply())
    again = reloaded(new, tmp_path)
    np.testing.assert_array_equal(array(again(photographs)), array(new(photographs)))
    np.testing.assert_array_equal(array(attnzoo.strip(again)(photographs)), expected)


def test_the_legacy_file_gives_its_weights_to_a_network_with_attention(dogs_model, photographs, expected):
    fresh = keras.models.clone_model(dogs_model)
    assert not np.array_equal(array(fresh(photographs)), expected)
    new = attnzoo.augment(fresh, "cbam", placement="residual")
    report = attnzoo.load_backbone_weights(new, DOGS)
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), {})
    np.testing.assert_array_equal(array(new(photographs)), expected)


def test_freezing_it(dogs_model):
    model = attnzoo.augment(dogs_model, "cbam", stages=[3, 4])
    table = attnzoo.freeze(model)
    assert table.trainable == 28_570 + 24_339
    assert isinstance(model.layers[1].get_layer("block_12_add_cbam"), keras.layers.Layer)
