"""Models of tf_keras, which is Keras 2, handed to attnzoo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import attnzoo
from attnzoo.errors import AttnzooError

Functional = type("Functional", (), {"__module__": "tf_keras.src.engine.functional", "name": "old"})
Own = type("Own", (Functional,), {"__module__": "__main__"})
CALLS = {
    "augment": lambda model: attnzoo.augment(model, "se"),
    "plan": lambda model: attnzoo.plan(model, "se"),
    "describe": attnzoo.describe,
    "freeze": attnzoo.freeze,
    "strip": attnzoo.strip,
    "load_backbone_weights": lambda model: attnzoo.load_backbone_weights(model, "w.h5"),
}


@pytest.mark.parametrize("cls", [Functional, Own])
@pytest.mark.parametrize("name", CALLS)
def test_they_are_called_what_they_are(name: str, cls: Callable[[], Any]) -> None:
    with pytest.raises(AttnzooError) as error:
        CALLS[name](cls())
    assert str(error.value).startswith(f"expected a keras.Model, got a Keras 2 (tf_keras) model, {cls.__name__}; make")
    assert "attnzoo.load_model('m.h5')" in str(error.value)
