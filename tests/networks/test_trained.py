"""A trained network as users have them: nested backbone, legacy file, real images. What it has learnt must stay."""

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.planning.placement import PLACEMENTS
from scripts.make_trained_fixture import TARGET, digits

from ..helpers import array, moved, reloaded


@pytest.fixture(scope="module")
def trained():
    """A MobileNet-like network that tells digits apart; leave it as it is, all tests share it."""
    return keras.models.load_model(TARGET, compile=False)


@pytest.fixture(scope="module")
def unseen():
    """Digits that it has not learnt from, and their labels; a hundred show what three hundred would."""
    x, y = digits()
    return x[1437:1537], y[1437:1537]


@pytest.fixture(scope="module")
def expected(trained, unseen):
    return array(trained(unseen[0]))


def test_it_has_learnt(expected, unseen):
    assert (expected.argmax(-1) == unseen[1]).mean() > 0.98


def modules():
    """CBAM and SE in every placement; the rest of the zoo at the default one, all of it when exhaustive."""
    for key in attnzoo.list_attentions():
        for placement in PLACEMENTS:
            often = key in ("se", "cbam") or placement == "stage"
            yield pytest.param(key, placement, marks=[] if often else [pytest.mark.exhaustive])


@pytest.mark.parametrize(("key", "placement"), list(modules()))
def test_every_prediction_stays(trained, unseen, expected, key, placement):
    options = {"groups": 4} if key in ("sge", "ema") else {}
    new = attnzoo.augment(trained, key, placement=placement, **options)
    np.testing.assert_array_equal(array(new(unseen[0])), expected)


def test_the_usual_way_loses_most_predictions(trained, unseen, expected):
    new = attnzoo.augment(trained, "cbam", placement="residual", init="paper")
    kept = (array(new(unseen[0])).argmax(-1) == expected.argmax(-1)).mean()
    assert kept < 0.6


def test_the_way_there_and_back(trained, unseen, expected, tmp_path):
    plan = attnzoo.plan(trained, "cbam", placement="residual")
    assert len(plan) == 8
    assert all(s.path.startswith("tiny_mobilenet/") for s in plan)
    new = moved(plan.apply())
    again = reloaded(new, tmp_path)
    np.testing.assert_array_equal(array(again(unseen[0])), array(new(unseen[0])))
    np.testing.assert_array_equal(array(attnzoo.strip(again)(unseen[0])), expected)


def test_the_legacy_file_gives_its_weights_to_a_network_with_attention(trained, unseen, expected):
    fresh = keras.models.clone_model(trained)
    assert not np.array_equal(array(fresh(unseen[0])), expected)
    new = attnzoo.augment(fresh, "cbam", placement="residual")
    report = attnzoo.load_backbone_weights(new, TARGET)
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), {})
    np.testing.assert_array_equal(array(new(unseen[0])), expected)
