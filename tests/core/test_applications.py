"""keras.applications x modules x every placement they have: same function, names, flags, weights; saved, reloaded."""

import keras
import numpy as np
import pytest

import attnzoo

from .helpers import assert_rules, assert_state, moved, outputs, placements_of, randomize, state_of

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
    model, x = pretrained(name)
    before, expected = state_of(model), outputs(model, x)
    assert np.isfinite(expected[0]).all()
    assert np.ptp(expected[0]) > 0
    for key, placement in cases(placements_of(model)):
        plan = attnzoo.plan(model, key, placement=placement)
        new = plan.apply()
        assert_rules(model, plan, new, x, expected)
        moved(new).save(tmp_path / "m.keras")
        acts = outputs(new, x)
        assert not np.array_equal(acts[0], expected[0])
        pairs = [(acts, attnzoo.load_model(tmp_path / "m.keras"))]
        pairs += [(expected, attnzoo.strip(new))] if placement == "stage" else []
        for right, other in pairs:
            for a, b in zip(right, outputs(other, x), strict=True):
                np.testing.assert_array_equal(a, b)
    assert_state(model, before)


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
    check(name, lambda placements: [(k, p) for k in KEYS for p in placements], tmp_path)
    keras.utils.clear_session()
