"""HDF5 files made to harm: what they point at, what they grow to, what they lack."""

from __future__ import annotations

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
from tests.security.conftest import TRUST, refusal
from tests.security.mutations import zipped


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


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (soft, "its HDF5 object '/x' is a soft link" + TRUST),
        (external, "its HDF5 object '/x' is a link to another file" + TRUST),
        (outside, "its HDF5 array '/x' lies in another file" + TRUST),
        (virtual, "its HDF5 array '/x' lies in another file" + TRUST),
        (circle, "stands in two places or contains itself."),
        (shape_bomb, " bytes; the file has "),
        (chunk_bomb, " bytes; the file has "),
        (texts, "its HDF5 array '/x' holds no numbers."),
        (deep, "its HDF5 tree has more than 100,000 objects or 64 levels."),
        (a_type, "its HDF5 object '/x' is neither a group nor an array."),
    ],
)
def test_hdf5_that_is_refused(
    suffix: str,
    attack: Callable[[h5py.File], None],
    message: str,
    good: dict[str, bytes],
    members: dict[str, bytes],
    tmp_path: Path,
) -> None:
    path, weights = tmp_path / f"m{suffix}", tmp_path / "w.h5"
    weights.write_bytes(good[".h5"] if suffix == ".h5" else members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        file.require_group("model_weights")
        attack(file)
    path.write_bytes(
        weights.read_bytes()
        if suffix == ".h5"
        else zipped({**members, "model.weights.h5": weights.read_bytes()}.items())
    )
    assert message in refusal(path)


def test_a_list_of_names_that_all_are_the_same_long_text(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(good[".h5"])
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = ["a"] * 2000
        config = file.attrs["model_config"]
    data = path.read_bytes()
    reference = data[(at := attribute_data(data, b"model_config\0")) : at + 16]
    at = attribute_data(data, b"layer_names\0")
    path.write_bytes(data[:at] + 2000 * reference + data[at + 2000 * 16 :])
    assert refusal(path) == f"its HDF5 lists called 'layer_names' take {2000 * len(config):,} bytes."


def attribute_data(data: bytes, name: bytes) -> int:
    """Returns where the value of an attribute stands that was written last: behind its name, type and space."""
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
    assert str(error.value) == f"backbone.weights: weights {path}: its HDF5 object '/x' is a link to another file."


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
