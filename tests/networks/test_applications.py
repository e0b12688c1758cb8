"""keras.applications x modules x every placement they have: same function, names, flags, weights; saved, reloaded."""

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.errors import PlanError

from ..helpers import array, assert_rules, assert_state, moved, outputs, placements_of, randomize, state_of

KEYS = ("se", "eca", "cbam")
ALL = sorted(n for n in dir(keras.applications) if n[0].isupper())
TEN = {
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
}
SIZE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


def pretrained(name):
    """The network as after some training: weights and statistics of its own, every third layer frozen."""
    size = SIZE.get(name, 64)
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))
    randomize(model)
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    norms = {n: n.momentum for n in model.layers if isinstance(n, keras.layers.BatchNormalization)}
    for norm in norms:
        norm.momentum = 0.0
    model(x, training=True)  # activations of ordinary size
    for norm, momentum in norms.items():
        norm.momentum = momentum
    for layer in model.layers[::3]:
        layer.trainable = False
    return model, x


def check(name, cases, tmp_path):
    """The cases, several in one model: it computes what the network did, is saved, reloaded, stripped."""
    model, x = pretrained(name)
    before, expected = state_of(model), outputs(model, x)
    assert np.isfinite(expected[0]).all()
    assert np.ptp(expected[0]) > 0
    for sites, new in composed(model, cases(placements_of(model))):
        assert_rules(model, sites, new, x, expected)
        assert_equal(expected, outputs(attnzoo.strip(new), x))
        moved(new).save(tmp_path / "m.keras")
        acts = outputs(new, x)
        assert np.isfinite(acts[0]).all()
        assert not np.array_equal(acts[0], expected[0])
        again = attnzoo.load_model(tmp_path / "m.keras")
        assert [x.name for x in again.layers] == [x.name for x in new.layers]
        assert_equal(new.weights, again.weights)
        assert_equal(acts, outputs(again, x))
    assert_state(model, before)


def composed(model, cases):
    """Yields models that hold the cases between them, each with its sites and each placement once.

    Two placements may share places: where these have the module already, the case goes into the next model.
    """
    while cases:
        new, sites, taken = model, [], {}
        for key, placement in cases:
            if placement not in taken and (plan := planned(new, key, placement)):
                new = plan.apply()
                sites += plan
                taken[placement] = key
        assert taken
        yield sites, new
        cases = [(key, placement) for key, placement in cases if taken.get(placement) != key]


def planned(model, key, placement):
    try:
        return attnzoo.plan(model, key, placement=placement)
    except PlanError as error:
        if f"has this {key} already" in str(error):
            return None
        raise


def assert_equal(right, other):
    for a, b in zip(right, other, strict=True):
        np.testing.assert_array_equal(array(a), array(b))


@pytest.mark.parametrize("name", sorted(TEN))
def test_ten_networks(name, tmp_path):
    """`cbam` by stage, and another module by one of the other placements, if there is any."""
    turn = sorted(TEN).index(name)

    def cases(placements):
        others = [p for p in placements if p != "stage"] or ["stage"]
        return [("cbam", "stage"), (KEYS[turn % 2], others[turn % len(others)])]

    check(name, cases, tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ALL)
def test_every_network_with_every_placement(name, tmp_path):
    check(name, lambda places: [(KEYS[(i + t) % 3], p) for t in range(3) for i, p in enumerate(places)], tmp_path)
    keras.utils.clear_session()
