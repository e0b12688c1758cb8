"""Model files that are refused. Their tables stand beside the tests in tests/files; the rest is here."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import zipfile
from pathlib import Path
from unittest import mock

import keras
import pytest

import attnzoo
from attnzoo import backbones
from attnzoo.files.inspect import _archive, _names, _weights
from attnzoo.files.inspect import _read as reading

from ..files import test_custom_objects, test_hdf5, test_model_files, test_saving
from ..files.conftest import change_config, members_of, saved
from ..files.mutations import zipped


def load(make, name="m.keras"):
    """Writes a file by a function of its path and loads it."""

    def run():
        make(Path(name))
        attnzoo.load_model(name)

    return run


def limited(run, module, **limits):
    """Lowers limits while an example runs."""

    def lower():
        with mock.patch.multiple(module, **limits):
            run()

    return lower


# Archives --------------------------------------------------------------------------------------------------------


def members(*more, **changed):
    """Writes the network with members added or replaced."""
    return lambda path: path.write_bytes(
        zipped([*{**members_of(saved()[".keras"]), **changed.pop("replaced", {})}.items(), *more])
    )


def overlapping(path):
    """Two names for the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in [*members_of(saved()[".keras"]).items(), ("assets/a", bytes(1 << 20))]:
            archive.writestr(name, data)
        again = copy.copy(archive.getinfo("assets/a"))
        again.filename = "assets/b"
        archive.filelist.append(again)
    path.write_bytes(buffer.getvalue())


def bomb(path):
    members = {**members_of(saved()[".keras"]), "assets/x": bytes(200 << 20)}
    path.write_bytes(zipped(members.items(), zipfile.ZIP_DEFLATED))


def encrypted(path):
    data = bytearray(saved()[".keras"])
    data[data.index(b"PK\x01\x02") + 8] |= 1  # a flag in the directory
    path.write_bytes(data)


def damaged(path):
    data = saved()[".keras"]
    at = data.index(b"keras_version")
    path.write_bytes(data[:at] + b"x" + data[at + 1 :])


def member(name):
    return load(members((name, members_of(saved()[".keras"]).get(name, b"x"))))


def config_text(text):
    return load(members(replaced={"config.json": text}))


def odd(name):
    def run():
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs pipes and links")
        test_model_files.odd_files(Path())
        attnzoo.load_model(name)

    return run


ARCHIVES = [
    member("../x"),
    member("/tmp/x"),
    member("a\\..\\..\\x"),
    member("C:\\x"),
    member("config.json"),
    member("assets/\x1b[2J"),
    limited(load(members()), _archive, MOST_MEMBERS=2),
    limited(load(members()), _archive, MOST_DIRECTORY=100),
    limited(load(overlapping), _archive, FREE=0, EXPANSION=1),
    load(bomb),
    config_text(b" " * (17 << 20)),
    load(encrypted),
    load(damaged),
    limited(load(members()), reading, read_weights=mock.Mock(side_effect=MemoryError)),
    odd("pipe.keras"),
    odd("zero.h5"),
    odd("a.keras"),
    odd("a\0b.keras"),
]

# Configs ---------------------------------------------------------------------------------------------------------


def config(change):
    return lambda path: path.write_bytes(change_config(saved()[".keras"], change))


def layer(change):
    return load(config(lambda c: test_model_files.dense(c).update(change)))


def activation(of_dense):
    return load(config(lambda c: test_model_files.dense(c)["config"].update(activation=of_dense)))


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def called_on_constants(path):
    constant = {"class_name": "__tensor__", "config": {"dtype": "float32", "value": [1.0]}}

    def change(config):
        backbone = config["config"]["layers"][1]["config"]
        backbone["layers"][1]["inbound_nodes"] = [{"args": [constant], "kwargs": {}}]

    path.write_bytes(change_config(saved()[".keras"], change))


CONFIGS = [
    layer({"class_name": "TFSMLayer", "config": {"name": "t", "filepath": "/tmp/x"}}),
    layer({"class_name": "TorchModuleWrapper", "config": {"name": "t", "module": "AAAA"}}),
    layer({"class_name": "Lambda", "config": {"name": "f"}}),
    layer({"class_name": "JaxLayer", "config": {"name": "f"}}),
    layer({"class_name": "FlaxLayer", "config": {"name": "f"}}),
    layer({"class_name": "Dense", "config": {"name": "d", "preset": "https://example.org/model"}}),
    layer({"class_name": "StringLookup", "config": {"name": "s", "vocabulary": "/etc/passwd"}}),
    layer({"class_name": "Dense", "config": {"name": "d", "preset": "hf://someone/model"}}),
    layer({"class_name": "system", "module": "os", "registered_name": None}),
    layer({"class_name": "get_file", "module": "keras.utils", "registered_name": None}),
    layer({"class_name": "Dense\x1b[31m", "registered_name": None}),
    layer({"class_name": "TypeSpec", "config": {"name": "t"}}),
    layer({"class_name": 3}),
    activation({"class_name": "__lambda__", "config": {"value": "AAAA"}}),
    activation(function("keras.utils", "get_file")),
    activation(function("keras.saving", "load_model")),
    activation(function("os", "system")),
    load(called_on_constants),
    load(config(lambda c: test_model_files.dense(c)["config"].update(units=10**400))),
    config_text(b"[" * 100_000),
    config_text(b'{"config": {"a": ' + b"[" * 300 + b"]" * 300 + b"}}"),
    config_text(b'{"config": [' + b"0," * 2_000_000 + b"0]}"),
    config_text(b'{"config": {"layers": [' + b'{"class_name": "A"},' * 20_001 + b"{}]}}"),
    config_text(b"[]"),
    config_text(b"{"),
    config_text(b"3"),
]

# HDF5 ------------------------------------------------------------------------------------------------------------


def attacked(attack):
    return lambda path: test_hdf5.write_attacked(path, attack)


def with_list(file):
    file["model_weights"].attrs["layer_names"] = ["a", "b"]


def with_attributes(file):
    file["model_weights"].attrs.update(dict.fromkeys("abcdef", 1.0))


def with_numbers(file):
    file["model_weights"].attrs["x"] = list(range(2500))


def long_list(path):
    test_hdf5.write_long_list(path)


HDF5 = [
    load(attacked(test_hdf5.soft), "m.h5"),
    load(attacked(test_hdf5.external), "m.h5"),
    load(attacked(test_hdf5.outside), "m.h5"),
    load(attacked(test_hdf5.virtual), "m.h5"),
    load(attacked(test_hdf5.circle), "m.h5"),
    load(attacked(test_hdf5.texts), "m.h5"),
    load(attacked(test_hdf5.deep), "m.h5"),
    load(attacked(test_hdf5.a_type), "m.h5"),
    load(attacked(test_hdf5.lists), "m.h5"),
    load(attacked(test_hdf5.square), "m.h5"),
    load(attacked(test_hdf5.shape_bomb), "m.h5"),
    limited(load(attacked(with_list), "m.h5"), _names, _lengths=lambda *_: []),
    limited(load(attacked(with_list), "m.h5"), _names, MOST_TEXT=1),
    limited(load(attacked(with_attributes), "m.h5"), _weights, MOST_OBJECTS=5),
    limited(load(attacked(with_numbers), "m.h5"), _weights, MOST_TEXT=19_999),
]

# Loading ---------------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="attnzoo_messages")
class Careless(keras.layers.Layer):
    """Goes on without its weights if there is no memory for them."""

    def __init__(self, units=0, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        with contextlib.suppress(MemoryError):
            if self.units:
                self.scale = self.add_weight(shape=(self.units,))

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def asking(layer):
    """Writes a model whose layer then asks for two million units."""

    def make(path):
        keras.Sequential([keras.Input((4,)), layer()]).save(path)
        path.write_bytes(
            change_config(path.read_bytes(), lambda c: c["config"]["layers"][1]["config"].update(units=2_000_000))
        )

    return make


def broken(change):
    return load(config(change))


def only_a_layer(path):
    layer = keras.saving.serialize_keras_object(keras.layers.ReLU(name="relu"))
    path.write_bytes(change_config(saved()[".keras"], lambda c: [c.clear(), c.update(layer)]))


def weights_of(attack):
    def run():
        test_hdf5.write_attacked(Path("w.h5"), attack)
        backbones.make_backbone("MobileNetV2", weights="w.h5")

    return run


LOADING = [
    load(asking(lambda: keras.layers.Dense(3))),
    load(asking(Careless)),
    broken(lambda c: test_model_files.dense(c).update(config=3)),
    broken(lambda c: c["config"].pop("layers")),
    broken(lambda c: test_model_files.dense(c)["config"].update(foo=7)),
    load(only_a_layer),
    load(lambda path: test_saving.net().save_weights("m.weights.h5") or os.rename("m.weights.h5", path), "m.h5"),
    weights_of(test_hdf5.external),
    load(lambda path: test_custom_objects.net(test_custom_objects.Doubled()).save(path)),
    load(lambda path: test_custom_objects.net(test_custom_objects.Doubled()).save(path), "m.h5"),
    limited(load(members()), keras.saving, load_model=mock.Mock(side_effect=RecursionError)),
]
