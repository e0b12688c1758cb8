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

import attnzoo
from attnzoo import backbones
from attnzoo.files.inspect import _archive, _names, _weights
from attnzoo.files.inspect import _read as reading

from ..files import test_hdf5, test_model_files, test_saving
from ..files.conftest import change_config, members_of, risk, saved
from ..files.mutations import zipped
from .collector import Example
from .rest import rows


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


def encrypted(path):
    data = bytearray(saved()[".keras"])
    data[data.index(b"PK\x01\x02") + 8] |= 1  # a flag in the directory
    path.write_bytes(data)


def damaged(path):
    data = saved()[".keras"]
    at = data.index(b"keras_version")
    path.write_bytes(data[:at] + b"x" + data[at + 1 :])


ARCHIVES = [
    *(
        (load(members((name, members_of(saved()[".keras"]).get(name, b"x")))), f"m.keras: {text}")
        for name, text in rows(test_model_files.test_members_that_are_refused)
    ),
    (
        limited(load(members()), _archive, MOST_MEMBERS=2),
        "m.keras: holds 3 members; expected 2 at most.",
    ),
    (
        limited(load(members()), _archive, MOST_DIRECTORY=100),
        "m.keras: damaged: its directory is larger than 100 bytes; copy or download it again.",
    ),
    (limited(load(overlapping), _archive, FREE=0, EXPANSION=1), "m.keras: its members overlap."),
    (load(encrypted), "m.keras: its member 'metadata.json' is encrypted."),
    (
        load(damaged),
        "m.keras: is damaged or incomplete: Bad CRC-32 for file 'metadata.json'; copy or download it again.",
    ),
    (
        limited(load(members()), reading, read_weights=mock.Mock(side_effect=MemoryError)),
        "m.keras: is damaged: it asks for more memory than there is; copy or download it again.",
    ),
    *(
        (load(lambda path: test_model_files.odd_files(path.parent), name), attnzoo.errors.printable(f"{name}: {text}"))
        for name, text in (test_model_files.ODD_FILES if hasattr(os, "mkfifo") else ())
    ),
]

# Configs ---------------------------------------------------------------------------------------------------------


def config(change):
    return lambda path: path.write_bytes(change_config(saved()[".keras"], change))


def changed_layer(change):
    return config(lambda c: test_model_files.dense(c).update(change))


CONFIGS = [
    *(
        (load(changed_layer(change)), f"m.keras: {text}")
        for change, text in rows(test_model_files.test_layers_that_are_refused)
    ),
    *(
        (load(members(replaced={"config.json": data})), f"m.keras: {text}")
        for data, text in rows(test_model_files.test_configs_of_absurd_form)
    ),
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
    *((load(attacked(attack), "m.h5"), f"m.h5: {text}") for attack, text in test_hdf5.ATTACKS),
    (
        limited(load(attacked(with_list), "m.h5"), _names, _lengths=lambda *_: []),
        "m.h5: its HDF5 lists called 'layer_names' are stored as Keras never stores them.",
    ),
    (
        limited(load(attacked(with_list), "m.h5"), _names, MOST_TEXT=1),
        "m.h5: its HDF5 lists called 'layer_names' take 2 bytes; expected 1 at most.",
    ),
    (
        limited(load(attacked(with_attributes), "m.h5"), _weights, MOST_OBJECTS=5),
        "m.h5: its HDF5 object '/model_weights' has 9 attributes; expected 5 at most.",
    ),
    (
        limited(load(attacked(with_numbers), "m.h5"), _weights, MOST_TEXT=19_999),
        "m.h5: its HDF5 attribute 'x' is larger than 19,999 bytes.",
    ),
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
    (
        load(asking(lambda: keras.layers.Dense(3))),
        "m.keras: " + risk("asks for 8,000,000 weights or more; expected 1,048,606 at most."),
    ),
    (
        load(asking(Careless)),
        "m.keras: " + risk("asks for 2,000,000 weights or more; expected 1,048,576 at most."),
    ),
    (
        broken(lambda c: test_model_files.dense(c).update(config=3)),
        "m.keras: cannot be loaded: its config does not describe a model (TypeError: Expected 'config' to be a dict for"
        " Dense, instead got <class 'int'>).",
    ),
    (
        broken(lambda c: c["config"].pop("layers")),
        "m.keras: cannot be loaded: its config does not describe a model (KeyError: 'layers').",
    ),
    (
        broken(lambda c: test_model_files.dense(c)["config"].update(foo=7)),
        "m.keras: cannot be loaded: its config does not describe a model (TypeError: Unrecognized keyword arguments"
        " passed to Dense: {'foo': 7}).",
    ),
    (load(only_a_layer), "m.keras: holds a ReLU, not a model."),
    (
        load(lambda path: test_saving.net().save_weights("m.weights.h5") or os.rename("m.weights.h5", path), "m.h5"),
        "m.h5: holds weights only, not a model; give it as backbone.weights or to attnzoo.load_backbone_weights.",
    ),
    (
        weights_of(test_hdf5.external),
        "weights 'w.h5': its HDF5 object '/x' is a link to another file.",
    ),
]

EXAMPLES = [Example(provoke, text) for provoke, text in [*ARCHIVES, *CONFIGS, *HDF5, *LOADING]]
