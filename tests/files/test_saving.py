"""Model files: complete or not at all, and one clear line for those that cannot be loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from attnzoo.errors import AttnzooError
from attnzoo.files.save import save_model
from attnzoo.layers import CBAM
from attnzoo.loading import load_model
from tests.files.conftest import unknown


class Foreign(keras.layers.Layer):
    def call(self, x: object) -> object:
        return x


def net(*layers: keras.layers.Layer) -> keras.Model:
    x = y = keras.Input((4, 4, 8))
    for layer in layers or (CBAM(ratio=2, init="identity"),):
        y = layer(y)
    return keras.Model(x, y, name="net")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_comes_back_with_its_attention(suffix: str, tmp_path: Path) -> None:
    model, path = net(), tmp_path / f"m{suffix}"
    model.compile("adam", "mse")
    model.save(path)
    loaded = load_model(path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))
    assert not loaded.compiled


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def cut_to_a_tenth(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 10])


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a model")


def damage_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("m.keras", truncate),
        ("m.keras", cut_to_a_tenth),
        ("m.keras", overwrite),
        ("m.keras", damage_the_middle),
        ("m.keras", remove),
        ("m.keras", make_folder),
        ("m.h5", cut_to_a_tenth),
        ("m.h5", overwrite),
        ("m.h5", remove),
        ("m.weights.h5", None),
        ("m.txt", None),
    ],
)
def test_files_that_are_no_model(name: str, spoil: Callable[[Path], None] | None, tmp_path: Path) -> None:
    path = tmp_path / name
    if spoil:
        net().save(path)
        spoil(path)
    with pytest.raises(AttnzooError) as error:
        load_model(path)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_layers_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    net(keras.layers.Lambda(lambda x: x, name="lambda")).save(path)
    with pytest.raises(AttnzooError) as error:
        load_model(path)
    assert str(error.value) == (
        f"{path}: holds a Lambda 'lambda', code that would run on loading; "
        "if you trust its author, use attnzoo.load_model(path, trust=True)."
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_unknown_layer_names_itself(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    net(Foreign(name="Lambda")).save(path)
    with pytest.raises(AttnzooError) as error:
        load_model(path)
    assert str(error.value) == (
        f"{path}: holds a Foreign, a class of tests.files.test_saving that is not registered with Keras; hand it over,"
        " load_model(path, custom_objects={'Foreign': Foreign}), and decorate it with"
        " @keras.saving.register_keras_serializable() before a model is next saved."
        if suffix == ".keras"  # the other kind of file does not say where a class is from
        else f"{path}: " + unknown("Foreign")
    )


@pytest.mark.parametrize(
    "name",
    [
        "m.h5",
        "none/m.keras",
        "old.keras",
        "folder.keras",
    ],
)
def test_where_a_model_is_not_saved(name: str, tmp_path: Path) -> None:
    (tmp_path / "old.keras").write_text("mine")
    (tmp_path / "folder.keras").mkdir()
    path = tmp_path / name
    with pytest.raises(AttnzooError, match=f"^{re.escape(str(path))}: "):
        save_model(net(), path)
    assert (tmp_path / "old.keras").read_text() == "mine"


def test_overwriting_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_text("old")
    save_model(net(), path, overwrite=True)
    assert os.listdir(tmp_path) == ["m.keras"]
    assert load_model(path).name == "net"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "m.keras", net()
    path.write_text("old")

    def save(self: keras.Model, filepath: Path) -> None:
        Path(filepath).write_text("half")
        raise error

    monkeypatch.setattr(keras.Model, "save", save)
    with pytest.raises(type(error)):
        save_model(model, path, overwrite=True)
    assert os.listdir(tmp_path) == ["m.keras"]
    assert path.read_text() == "old"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
