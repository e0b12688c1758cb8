"""HDF5 files made to harm: what they point at, what they grow to, what they lack."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.errors import AttnzooError
from tests.files.conftest import members_of, refusal, risk, saved
from tests.files.mutations import zipped


@keras.saving.register_keras_serializable(package="attnzoo_security_tests")
class Nested(keras.layers.Layer):
    """Holds a layer in a list in a list, which Keras warns of, and no more, if the file lacks it."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inside = [[keras.layers.Dense(8)]]

    def build(self, shape: Any) -> None:
        self.inside[0][0].build(shape)

    def call(self, x: Any) -> Any:
        return self.inside[0][0](x)


def soft(file: h5py.File) -> None:
    file["x"] = h5py.SoftLink("/model_weights")


def external(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("/etc/passwd", "/")


def circle(file: h5py.File) -> None:
    file["model_weights/x"] = file["model_weights"]


def shape_bomb(file: h5py.File) -> None:
    file.create_dataset("x", (1 << 30,), "float32", chunks=(1 << 20,), compression="gzip")


def chunk_bomb(file: h5py.File) -> None:
    file.create_dataset("x", (1,), "float32", chunks=(1 << 28,), maxshape=(None,), compression="gzip")


def outside(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "uint8", external=[("/etc/passwd", 0, 4)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("x", layout)


def texts(file: h5py.File) -> None:
    file.create_dataset("x", (3,), h5py.string_dtype())


def deep(file: h5py.File) -> None:
    file.create_group("/".join("abc" * 30))


def a_type(file: h5py.File) -> None:
    file["x"] = np.dtype("float32")


def lists(file: h5py.File) -> None:
    values = np.empty(1, object)
    values[0] = np.zeros(2)
    file.attrs.create("x", values, dtype=h5py.vlen_dtype("float64"))


def square(file: h5py.File) -> None:
    file.attrs.create("x", [["a", "b"], ["c", "d"]], dtype=h5py.string_dtype())


ATTACKS = [soft, external, outside, virtual, circle, texts, deep, a_type, lists, square]


def write_attacked(path: Path, attack: Callable[[h5py.File], None]) -> None:
    """Writes the network with its HDF5 file changed by a function."""
    members = members_of(saved()[".keras"])
    buffer = io.BytesIO(saved()[".h5"] if path.suffix == ".h5" else members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        file.require_group("model_weights")
        attack(file)
    data = buffer.getvalue()
    path.write_bytes(data if path.suffix == ".h5" else zipped({**members, "model.weights.h5": data}.items()))


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_refused_as_legacy_file_is_refused_inside_an_archive(
    attack: Callable[[h5py.File], None], tmp_path: Path
) -> None:
    for suffix in (".h5", ".keras"):
        write_attacked(tmp_path / f"m{suffix}", attack)
    assert refusal(tmp_path / "m.keras") == refusal(tmp_path / "m.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("attack", [shape_bomb, chunk_bomb])
def test_arrays_that_would_fill_the_memory(suffix: str, attack: Callable[[h5py.File], None], tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    write_attacked(path, attack)
    report = attnzoo.inspect_file(path)
    assert report.unpacked > 1 << 30
    assert refusal(path) == risk(f"its arrays would fill {report.unpacked:,} bytes; the file has {report.size:,}.")


def write_long_list(path: Path) -> int:
    """Writes a list of names that all are the same long text; returns how long that makes the list."""
    path.write_bytes(saved()[".h5"])
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = ["a"] * 2000
        config = file.attrs["model_config"]
    data = path.read_bytes()
    reference = data[(at := attribute_data(data, b"model_config\0")) : at + 16]
    at = attribute_data(data, b"layer_names\0")
    path.write_bytes(data[:at] + 2000 * reference + data[at + 2000 * 16 :])
    return 2000 * len(config)


def test_a_list_of_names_that_all_are_the_same_long_text(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    length = write_long_list(path)
    text = f"its HDF5 lists called 'layer_names' take {length:,} bytes; expected 16,777,216 at most."
    assert refusal(path) == text


def attribute_data(data: bytes, name: bytes) -> int:
    """Returns where the value of an attribute stands that was written last: after its name, type and space."""
    at = data.rindex(name)
    return at + sum((size + 7) // 8 * 8 for size in struct.unpack_from("<3H", data, at - 6))


def test_a_weights_file_is_looked_at_before_keras_reads_it(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    path.write_bytes(good[".weights.h5"])
    with h5py.File(path, "r+") as file:
        external(file)
    backbone = {"name": "MobileNetV2", "alpha": 0.35, "input_shape": [32, 32, 3], "weights": str(path)}
    with pytest.raises(AttnzooError) as error:
        attnzoo.build({"backbone": backbone})
    assert str(error.value) == f"backbone.weights: weights '{path}': its HDF5 object '/x' is a link to another file."


def test_weights_that_the_file_lacks_are_not_left_random(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((4,)), Nested()]).save(path)
    assert attnzoo.load_model(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = tmp_path / "w.h5"
    weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file["layers/nested/inside"]
    path.write_bytes(zipped({**members, "model.weights.h5": weights.read_bytes()}.items()))
    assert "Skipping nested container at 'layers/nested/inside/container'" in refusal(path)
