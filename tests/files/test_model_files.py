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
from attnzoo.errors import AttnzooError, printable
from attnzoo.files.budget import weights_at_most
from tests.files.conftest import TRUST, UNKNOWN, refusal, risk
from tests.files.mutations import zipped

Save = Callable[[Callable[[dict[str, Any]], None]], Path]
SIDE_EFFECTS: list[str] = []


def dense(config: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")


# Code, and what lies outside the file ---------------------------------------------------------------------------


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"class_name": "TFSMLayer", "config": {"name": "t", "filepath": "/tmp/x"}},
            risk("holds a TFSMLayer 't', a layer that runs a program from another file.", more=1),
        ),
        (
            {"class_name": "TorchModuleWrapper", "config": {"name": "t", "module": "AAAA"}},
            risk("holds a TorchModuleWrapper 't', code that would run on loading."),
        ),
        *(
            (
                {"class_name": name, "config": {"name": "f"}},
                risk(f"holds a {name} 'f', code that would run on loading."),
            )
            for name in ("Lambda", "JaxLayer", "FlaxLayer")
        ),
        (
            {"class_name": "Dense", "config": {"name": "d", "preset": "https://example.org/model"}},
            risk("its config points at 'https://example.org/model', outside the file."),
        ),
        (
            {"class_name": "StringLookup", "config": {"name": "s", "vocabulary": "/etc/passwd"}},
            risk("its config points at '/etc/passwd', outside the file."),
        ),
        (
            {"class_name": "Dense", "config": {"name": "d", "preset": "hf://someone/model"}},
            risk("its config points at 'hf://someone/model', outside the file."),
        ),
        (
            {"class_name": "system", "module": "os", "registered_name": None},
            "holds a system" + UNKNOWN,
        ),
        (
            {"class_name": "get_file", "module": "keras.utils", "registered_name": None},
            "holds a get_file" + UNKNOWN,
        ),
        (
            {"class_name": "Dense\x1b[31m", "registered_name": None},
            risk("its config has control characters in the class_name 'Dense\\x1b[31m'."),
        ),
        (
            {"class_name": "TypeSpec", "config": {"name": "t"}},
            risk("holds a TypeSpec 't', an object of TensorFlow's that no layer needs."),
        ),
        ({"class_name": 3}, "its config names '3' as a class; expected a text."),
    ],
)
def test_layers_that_are_refused(change: dict[str, Any], message: str, with_config: Save) -> None:
    assert refusal(with_config(lambda config: dense(config).update(change))) == message


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (
            {"class_name": "__lambda__", "config": {"value": "AAAA"}},
            risk("holds a __lambda__, code that would run on loading."),
        ),
        (function("keras.utils", "get_file"), "holds a get_file" + UNKNOWN),
        (function("keras.saving", "load_model"), "holds a load_model" + UNKNOWN),
        (function("os", "system"), "holds a system" + UNKNOWN),
    ],
)
def test_functions_that_are_refused(activation: Any, message: str, with_config: Save) -> None:
    assert refusal(with_config(lambda c: dense(c)["config"].update(activation=activation))) == message


def test_a_layer_called_on_constants_would_compute_while_it_is_loaded(with_config: Save) -> None:
    constant = {"class_name": "__tensor__", "config": {"dtype": "float32", "value": [1.0]}}

    def change(config: dict[str, Any]) -> None:
        backbone = config["config"]["layers"][1]["config"]
        backbone["layers"][1]["inbound_nodes"] = [{"args": [constant], "kwargs": {}}]

    assert refusal(with_config(change)) == risk(
        "its layer 'stem_conv' is called on constants and would compute while loading."
    )


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
    assert refusal(path) == "holds a serialize" + UNKNOWN


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


def test_a_number_no_model_needs(with_config: Save) -> None:
    path = with_config(lambda config: dense(config)["config"].update(units=10**400))
    assert refusal(path) == risk("its config sets 'units' to a number of 1,329 bits, which no model needs.")


def test_a_zip_bomb(members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(zipped({**members, "assets/x": bytes(200 << 20)}.items(), zipfile.ZIP_DEFLATED))
    size, unpacked = path.stat().st_size, (200 << 20) + sum(map(len, members.values()))
    assert refusal(path) == risk(f"would grow from {size:,} to {unpacked:,} bytes: a decompression bomb.")


def test_a_config_too_long_to_read(members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(zipped({**members, "config.json": b" " * (17 << 20)}.items()))
    assert refusal(path) == risk("its config.json has 17,825,792 bytes; expected 16,777,216 at most.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "its config.json is nested deeper than any model."),
        (b'{"config": {"a": ' + b"[" * 300 + b"]" * 300 + b"}}", "its config is nested deeper than 200 levels."),
        (b'{"config": [' + b"0," * 2_000_000 + b"0]}", "its config has more than 2,000,000 values."),
        (
            b'{"config": {"layers": [' + b'{"class_name": "A"},' * 20_001 + b"{}]}}",
            "its config has more than 20,000 layers or 100,000 calls of them.",
        ),
        (b"[]", "its config does not describe a model."),
        (
            b"{",
            "its config.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
        ),
        (b"3", "its config does not describe a model."),
    ],
)
def test_configs_of_absurd_form(text: bytes, message: str, members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(zipped({**members, "config.json": text}.items()))
    assert refusal(path) == message


# The archive ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x", "its member '../x' leads out of the archive."),
        ("/tmp/x", "its member '/tmp/x' leads out of the archive."),
        ("a\\..\\..\\x", "its member 'a\\\\..\\\\..\\\\x' leads out of the archive."),
        ("C:\\x", "its member 'C:\\\\x' leads out of the archive."),
        ("config.json", "its member 'config.json' appears twice in the archive."),
        ("assets/\x1b[2J", "its member 'assets/\\x1b[2J' has control characters in its name."),
    ],
)
def test_members_that_are_refused(name: str, message: str, members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(zipped([*members.items(), (name, members.get(name, b"x"))]))
    assert refusal(path) == message
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path, trust=True)
    assert str(error.value) == f"{path}: {message}"


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


ODD_FILES = [
    ("pipe.keras", "is a pipe, a socket or a device; expected an ordinary file."),
    ("zero.h5", "is a pipe, a socket or a device; expected an ordinary file."),
    ("a.keras", "cannot be read: Too many levels of symbolic links."),
    ("a\0b.keras", "cannot be read: embedded null byte."),
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and links")
@pytest.mark.parametrize(("name", "message"), ODD_FILES)
def test_what_is_no_ordinary_file_is_not_opened(name: str, message: str, tmp_path: Path) -> None:
    odd_files(tmp_path)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(tmp_path / name)
    assert str(error.value) == printable(f"{tmp_path / name}: {message}")
