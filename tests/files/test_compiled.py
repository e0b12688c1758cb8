"""`load_model(compile=True)`: training goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.errors import AttnzooError
from tests.files.conftest import change_config
from tests.helpers import array, moved, small_backbone


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 16, 16, 3)).astype("float32"), rng.integers(0, 3, 8)


def net(compiled: bool = True) -> keras.Model:
    base = small_backbone(16)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    base = keras.Model(base.input, keras.layers.Dense(3, name="logits")(x))
    model = moved(attnzoo.augment(base, "se", after=["b1_project_bn", "b2_add"], ratio=2))
    model.get_layer("stem_conv").trainable = False
    if compiled:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=False)
    return model


def train(model: keras.Model) -> None:
    model.fit(*data(), batch_size=4, shuffle=False, verbose=0)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_training_goes_on_bit_for_bit(suffix: str, tmp_path: Path) -> None:
    model = net()
    train(model)
    model.save(tmp_path / f"m{suffix}")
    again = attnzoo.load_model(tmp_path / f"m{suffix}", compile=True)
    assert again.compiled
    assert [w.shape for w in again.trainable_weights] == [w.shape for w in model.trainable_weights]
    assert int(again.optimizer.iterations) == 2
    for each in (model, again):
        train(each)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(array(a), array(b))
    assert not attnzoo.load_model(tmp_path / f"m{suffix}").compiled


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_losses_are_known_by_the_names_of_outputs_that_augment_kept(suffix: str, tmp_path: Path) -> None:
    x = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 1, name="map")(x), keras.layers.Conv2D(4, 1, name="other")(x)
    base = keras.Model(x, list(maps))
    model = attnzoo.augment(base, "se", after=["map"], ratio=2)
    model.compile("sgd", {"map": "mse", "other": "mae"}, jit_compile=False)
    images, targets = (
        np.ones((2, 8, 8, 3), "float32"),
        {name: np.ones((2, 8, 8, 4), "float32") for name in ("map", "other")},
    )
    model.fit(images, targets, verbose=0)
    model.save(tmp_path / f"m{suffix}")
    again = attnzoo.load_model(tmp_path / f"m{suffix}", compile=True)
    again.fit(images, targets, verbose=0)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_optimizer_that_has_done_nothing_starts_anew(suffix: str, tmp_path: Path) -> None:
    model = net()
    model.save(tmp_path / f"m{suffix}")
    train(attnzoo.load_model(tmp_path / f"m{suffix}", compile=True))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_that_was_not_compiled_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    net(compiled=False).save(path)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path, compile=True)
    assert str(error.value) == f"{path}: holds no compile state; load it with compile=False, and compile it."


def my_loss(y: Any, p: Any) -> Any:
    return keras.ops.mean(keras.ops.square(p))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_loss_of_ones_own_must_be_handed_over(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    model = net(compiled=False)
    model.compile("sgd", my_loss, jit_compile=False)
    model.save(path)
    with pytest.raises(AttnzooError):
        attnzoo.load_model(path, compile=True)
    train(attnzoo.load_model(path, compile=True, custom_objects={"my_loss": my_loss}))


SYSTEM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}


@pytest.mark.parametrize(
    "loss",
    [
        {"module": "builtins", "class_name": "__lambda__", "config": {"value": "AAAA"}},
        SYSTEM,
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
    ],
)
def test_a_compile_state_that_is_not_safe_is_refused(loss: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    net().save(path)
    path.write_bytes(change_config(path.read_bytes(), lambda config: config["compile_config"].update(loss=loss)))
    attnzoo.load_model(path)
    with pytest.raises(AttnzooError, match=r"its compile state holds a .*; load it with compile=False, and compile it"):
        attnzoo.load_model(path, compile=True)


class Compiling(keras.Model):
    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)


def compiling() -> keras.Model:
    x = keras.Input((4,))
    model = Compiling(x, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    return model


def test_a_class_that_compiles_in_its_own_way_is_refused(tmp_path: Path) -> None:
    compiling().save(tmp_path / "m.keras")
    with pytest.raises(AttnzooError, match="its class Compiling has a compile"):
        attnzoo.load_model(tmp_path / "m.keras", compile=True, custom_objects={"Compiling": Compiling})
