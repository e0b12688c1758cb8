"""Model files made to harm, one attack a test: each is refused in one line, before Keras builds anything."""

from __future__ import annotations

import os
import stat
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras.src.saving import serialization_lib

import attnzoo
from attnzoo.errors import AttnzooError
from attnzoo.files.budget import weights_at_most
from tests.files.conftest import TRUST, refusal, risk, unknown
from tests.files.mutations import zipped

Save = Callable[[Callable[[dict[str, Any]], None]], Path]
SIDE_EFFECTS: list[str] = []


def dense(config: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")


# Code, and what lies outside the file ---------------------------------------------------------------------------


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


@pytest.mark.parametrize("name", ["__numpy__", "__tensor__"])
@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (
            {"class_name": "Lambda", "config": {"name": "f", "function": {}}},
            "holds a Lambda 'f', code that would run on loading.",
        ),
        (
            {"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/hostname"}},
            "its config points at '/etc/hostname', outside the file.",
        ),
    ],
)
def test_nothing_hides_in_what_looks_like_an_array(name: str, hidden: Any, message: str, with_config: Save) -> None:
    """Keras makes objects of all that stands in a dict without `config`, whatever class it names."""
    path = with_config(lambda config: dense(config)["config"].update(extra={"class_name": name, "x": hidden}))
    assert refusal(path) == risk(message)


def test_a_function_of_keras_is_no_layer_of_a_legacy_file(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(good[".h5"])
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"class_name": "Flatten"', '"class_name": "serialize"')
    assert refusal(path) == unknown("serialize")


def test_trust_runs_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: 2 * x, output_shape=(2,))]).save(path)
    model = attnzoo.load_model(path, trust=True)
    assert keras.ops.convert_to_numpy(model(np.ones((1, 2)))).tolist() == [[2.0, 2.0]]


def test_unsafe_loading_allowed_for_keras_is_not_allowed_for_attnzoo(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    code = keras.layers.Lambda(lambda x: SIDE_EFFECTS.append("ran") or x, name="lambda")
    keras.Sequential([keras.Input((2,)), code]).save(path)
    SIDE_EFFECTS.clear()
    with serialization_lib.SafeModeScope(False):  # what keras.config.enable_unsafe_deserialization() sets for good
        assert refusal(path) == risk("holds a Lambda 'lambda', code that would run on loading.")
    assert SIDE_EFFECTS == []


# Memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_config_cannot_ask_for_more_weights_than_the_file_holds(
    name: str, good: dict[str, bytes], with_config: Save, tmp_path: Path
) -> None:
    path = tmp_path / name
    if name == "m.keras":
        with_config(lambda config: dense(config)["config"].update(units=400_000_000))
    else:
        path.write_bytes(good[".h5"])
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = file.attrs["model_config"].replace('"units": 3', '"units": 400000000')
    most = 2 * attnzoo.inspect_file(path).numbers + (1 << 20)
    start = time.perf_counter()
    text = refusal(path)
    assert time.perf_counter() - start < 5
    assert text.endswith(f"weights or more; expected {most:,} at most" + TRUST)


def test_the_limit_is_gone_afterwards_and_holds_for_one_thread() -> None:
    before = keras.layers.Layer.add_weight
    with weights_at_most(5):
        keras.layers.Dense(1).build((None, 2))
        with pytest.raises(MemoryError, match=r"^asks for 6 weights or more; expected 5 at most\.$"):
            keras.layers.Dense(1).build((None, 3))
        other = threading.Thread(target=keras.layers.Dense(9).build, args=[(None, 9)])
        other.start()
        other.join()
    assert keras.layers.Layer.add_weight is before


def test_a_shape_counts_whether_it_is_given_by_name_or_by_position() -> None:
    class Both(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.first = self.add_weight((10, 10))
            self.second = self.add_weight(shape=(10, 10))

    with weights_at_most(200):
        Both().build(None)
    with weights_at_most(199), pytest.raises(MemoryError, match=r"^asks for 200 weights or more; expected 199 at most"):
        Both().build(None)
    with weights_at_most(99), pytest.raises(MemoryError, match=r"^asks for 100 weights or more; expected 99 at most"):
        Both().build(None)


@pytest.mark.parametrize("name", ["__numpy__", "__tensor__"])
def test_the_numbers_of_an_array_are_no_sizes(name: str, with_config: Save) -> None:
    array = {"class_name": name, "config": {"value": [[2**40, -(2**50)]], "dtype": "int64"}}
    path = with_config(lambda config: dense(config)["config"].update(extra=array))
    assert attnzoo.inspect_file(path).risks == ()
    path = with_config(lambda config: dense(config)["config"].update(extra=[2**40]))
    assert attnzoo.inspect_file(path).risks == (f"its config sets 'extra' to {2**40}, which no model needs.",)


# What is harmless -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["StringLookup", "IntegerLookup", "TextVectorization"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_vocabulary_in_the_file_is_no_path(layer: str, suffix: str, tmp_path: Path) -> None:
    words: list[Any] = [3, 5] if layer == "IntegerLookup" else ["cat", "https://dog"]
    dtype = "int64" if layer == "IntegerLookup" else "string"
    inputs = keras.Input((1,), dtype=dtype)
    model = keras.Model(inputs, getattr(keras.layers, layer)(vocabulary=words)(inputs))
    model.save(tmp_path / f"m{suffix}")
    assert attnzoo.inspect_file(tmp_path / f"m{suffix}").risks == ()
    x = np.array([[words[1]], [words[0]]])
    loaded = attnzoo.load_model(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(loaded(keras.ops.convert_to_tensor(x)), model(keras.ops.convert_to_tensor(x)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_weights_come_out_of_a_file_that_holds_code_and_nothing_runs(suffix: str, tmp_path: Path) -> None:
    def net(*code: keras.layers.Layer) -> keras.Model:
        return keras.Sequential([keras.Input((2,)), *code, keras.layers.Dense(3, name="dense")])

    old, new = net(keras.layers.Lambda(lambda x: SIDE_EFFECTS.append("ran") or x, name="f")), net()
    old.save(tmp_path / f"m{suffix}")
    SIDE_EFFECTS.clear()
    attnzoo.load_backbone_weights(new, tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(new.layers[-1].kernel, old.layers[-1].kernel)
    assert SIDE_EFFECTS == []
    assert refusal(tmp_path / f"m{suffix}") == risk("holds a Lambda 'f', code that would run on loading.")


# The archive ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/tmp/x",
        "a\\..\\..\\x",
        "C:\\x",
        "config.json",
        "assets/\x1b[2J",
    ],
)
def test_trust_lets_no_such_member_in(name: str, members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(zipped([*members.items(), (name, members.get(name, b"x"))]))
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path, trust=True)
    assert str(error.value) == f"{path}: {refusal(path)}"


def test_members_that_are_links_or_compressed_otherwise(members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(zipped(members.items()))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("assets/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert refusal(path) == "its member 'assets/link' is a link or a device."
    path.write_bytes(zipped(members.items(), zipfile.ZIP_LZMA))
    assert refusal(path) == "its member 'metadata.json' is compressed by method 14."


def test_members_that_are_missing(members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    for name in members:
        path.write_bytes(zipped((n, data) for n, data in members.items() if n != name))
        assert refusal(path) == f"holds no {name}."


def test_a_changed_byte_in_any_member_is_seen_by_its_checksum(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(good[".keras"])
    with zipfile.ZipFile(path) as archive:
        places = {info.filename: info.header_offset + info.file_size // 2 + 60 for info in archive.infolist()}
    for name, place in places.items():
        data = bytearray(good[".keras"])
        data[place] ^= 1
        path.write_bytes(data)
        assert refusal(path) == (f"is damaged or incomplete: Bad CRC-32 for file '{name}'; copy or download it again.")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_cut_anywhere_is_refused(suffix: str, good: dict[str, bytes], tmp_path: Path) -> None:
    path, data = tmp_path / f"m{suffix}", good[suffix]
    for length in [*range(0, 100, 7), *range(100, len(data) - 1, len(data) // 60), len(data) - 1]:
        path.write_bytes(data[:length])
        refusal(path)


# Files that are none --------------------------------------------------------------------------------------------


def odd_files(folder: Path) -> None:
    """Makes what is no ordinary file."""
    os.mkfifo(folder / "pipe.keras")
    (folder / "zero.h5").symlink_to("/dev/zero")
    (folder / "a.keras").symlink_to("b.keras")
    (folder / "b.keras").symlink_to("a.keras")
