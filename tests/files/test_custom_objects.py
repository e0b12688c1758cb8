"""`load_model(custom_objects=...)` and what is said of classes that Keras does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.errors import AttnzooError
from tests.files.conftest import change_config, risk


class Doubled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2.0 * x


class Other(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x


def net(*layers: keras.layers.Layer) -> keras.Model:
    x = y = keras.Input((4, 4, 8))
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_class_that_is_handed_over_is_used(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    net(Doubled()).save(path)
    model = attnzoo.load_model(path, custom_objects={"Doubled": Doubled})
    assert type(model.layers[-1]) is Doubled
    np.testing.assert_array_equal(model(np.ones((1, 4, 4, 8))), np.full((1, 4, 4, 8), 2.0))


@pytest.mark.parametrize("key", ["theirs>Doubled", "Doubled"])
def test_a_registered_class_goes_by_its_own_name_too(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(keras.saving.get_custom_objects(), "theirs>Doubled", Doubled)
        net(Doubled(name="d")).save(tmp_path / "m.keras")
    path = tmp_path / "m.keras"

    def register(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1].update(module=None, registered_name="theirs>Doubled")

    path.write_bytes(change_config(path.read_bytes(), register))
    with pytest.raises(
        AttnzooError, match=r"holds a Doubled, a class Keras does not know; .*\{'theirs>Doubled': \.\.\.\}"
    ):
        attnzoo.load_model(path)
    assert type(attnzoo.load_model(path, custom_objects={key: Doubled}).layers[-1]) is Doubled


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_nothing_else_is_trusted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    net(Doubled(), Other()).save(path)
    with pytest.raises(AttnzooError, match="holds a Other, a class "):
        attnzoo.load_model(path, custom_objects={"Doubled": Doubled})
    net(Doubled(), keras.layers.Lambda(lambda x: x, name="f")).save(path)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path, custom_objects={"Doubled": Doubled, "Lambda": Doubled, "f": Doubled})
    assert str(error.value) == f"{path}: " + risk("holds a Lambda 'f', code that would run on loading.")


def test_the_advice_for_a_class_that_is_here_works(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    net(Doubled()).save(path)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path)
    assert "holds a Doubled, a class of tests.files.test_custom_objects that is not registered with Keras" in str(
        error.value
    )
    advice = str(error.value).partition("custom_objects=")[2].partition(")")[0]
    assert attnzoo.load_model(path, custom_objects=eval(advice, {"Doubled": Doubled}))


def test_nobody_is_told_to_hand_over_what_is_no_layer(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    net(keras.layers.ReLU()).save(path)
    system = {"class_name": "system", "module": "os", "registered_name": None}
    path.write_bytes(change_config(path.read_bytes(), lambda config: config["config"]["layers"][-1].update(system)))
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path)
    assert str(error.value) == (
        f"{path}: holds a system, a class Keras does not know; in Python, import the package that defines it first."
    )


def test_a_model_too_deep_for_python_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.keras"
    net(keras.layers.ReLU()).save(path)

    def deep(*_: object, **__: object) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(keras.saving, "load_model", deep)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path)
    assert str(error.value).startswith(
        f"{path}: the model is deeper than Python lets Keras follow, a recursion depth of "
    )
    assert "after sys.setrecursionlimit(" in str(error.value)
