"""A large pretrained model, where its file is beside the repository; test_trained.py tests the same for everyone."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

import attnzoo

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


def test_every_prediction_stays_there_and_back(dogs_model, photographs, tmp_path):
    expected = array(dogs_model(photographs))
    plan = attnzoo.plan(dogs_model, "cbam", placement="residual")
    assert len(plan) == 17
    new = plan.apply()
    np.testing.assert_array_equal(array(new(photographs)), expected)
    again = reloaded(moved(new), tmp_path)
    np.testing.assert_array_equal(array(again(photographs)), array(new(photographs)))
    np.testing.assert_array_equal(array(attnzoo.strip(again)(photographs)), expected)


def test_the_usual_way_loses_most_predictions(dogs_model, photographs):
    expected = array(dogs_model(photographs)).argmax(-1)
    new = attnzoo.augment(dogs_model, "cbam", stages=[3, 4], init="paper")
    assert (array(new(photographs)).argmax(-1) == expected).mean() < 0.6


def test_freezing_it(dogs_model):
    model = attnzoo.augment(dogs_model, "cbam", stages=[3, 4])
    table = attnzoo.freeze(model)
    assert table.trainable == 28_570 + 24_339
