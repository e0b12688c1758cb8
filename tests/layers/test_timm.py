"""Each layer computes what an independent implementation makes of the same weights, to 1e-5: timm's layer where there
is one, the authors' own code where they released any. Both were written down beforehand by scripts/timm-fixtures, so
that no torch is needed here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

import attnzoo
from attnzoo.layers._registry import attention_class

STORED = {name: dict(np.load(Path(__file__).parent / "fixtures" / f"{name}.npz")) for name in ("timm", "authors")}
ABOUT = {name: json.loads(str(arrays["about"])) for name, arrays in STORED.items()}
CASES = [(source, case) for source, about in ABOUT.items() for case in about["cases"]]


def arrays_of(source, name):
    """Returns input, output and weights."""
    stored, cases = STORED[source], ABOUT[source]["cases"]
    number = list(cases).index(name)
    count = sum(key.startswith(f"{number}/") for key in stored)
    return [stored[cases[name]["x"]], *(stored[f"{number}/{i}"] for i in range(count))]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("source", "name"), CASES)
def test_layer_equals_the_other_implementation(source, name, data_format):
    case = ABOUT[source]["cases"][name]
    x, expected, *weights = arrays_of(source, name)
    if data_format == "channels_first":
        x, expected = (np.ascontiguousarray(a.transpose(0, 3, 1, 2)) for a in (x, expected))
    layer = attention_class(case["key"])(init="paper", data_format=data_format, **case["options"])
    layer.build(x.shape)
    assert [w.shape for w in layer.get_weights()] == [w.shape for w in weights]
    layer.set_weights(weights)
    y = ops.convert_to_numpy(layer(x))
    assert np.abs(expected - x).max() > 0.1
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def classes_of(source, key):
    """Returns the classes that the cases of a module are from, each once."""
    cases = ABOUT[source]["cases"].items()
    return list(dict.fromkeys(name.partition(",")[0] for name, case in cases if case["key"] == key))


@pytest.mark.parametrize("key", attnzoo.list_attentions())
def test_what_a_module_was_checked_against_is_what_the_fixtures_hold(key):
    parts = []
    if timm := classes_of("timm", key):
        parts.append(f"timm {ABOUT['timm']['timm']} {', '.join(timm)}")
    for name in classes_of("authors", key):
        repository, commit = ABOUT["authors"]["sources"][name]
        parts.append(f"authors' code ({repository} {commit})")
    assert attention_class(key).checked_against == "; ".join([*parts, "NumPy from the paper"])
