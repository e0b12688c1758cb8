"""Files of weights that do not fit, or are none."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from unittest import mock

import h5py

import attnzoo
from attnzoo import backbones
from attnzoo.weights import formats as weight_files

from ..weights.test_weights import convs, save


def saved(*widths, layout="keras weights", names="abcdef"):
    """Writes the weights of a network into the working folder; returns the name of the file."""
    return save(convs(*widths, names=names), Path(), layout)


def load(make, model=lambda: convs(4)):
    return lambda: attnzoo.load_backbone_weights(model(), make())


def without_weights():
    path = saved(4, layout="keras archive")
    with zipfile.ZipFile(path) as read, zipfile.ZipFile("bare.keras", "w") as written:
        for name in ("config.json", "metadata.json"):
            written.writestr(name, read.read(name))
    return "bare.keras"


def without_layers():
    path = Path("empty.weights.h5")
    h5py.File(path, "w").close()
    return path


def with_a_list(text):
    def make():
        Path("w.weights.json").write_text(text)
        return "w.weights.json"

    return make


def long_list():
    with mock.patch.object(weight_files, "LARGEST_LIST", 5):
        load(with_a_list("[1, 2, 3]"))()


def application(*widths):
    """keras.applications with one network, which is given a file of another width."""

    def net(weights=None, input_shape=None, include_top=True):
        return convs(*widths)

    def run():
        file = saved(4, 4)
        with mock.patch.object(backbones, "_applications", return_value={"Net": net}):
            backbones.make_backbone("Net", weights=str(file))

    return run


OTHER = "kernel (3, 3, 3, 4) in the file, (3, 3, 3, 5) in the model"
TABLE = [
    load(lambda: "w.weights.json"),
    long_list,
    load(with_a_list(json.dumps({"weight_map": {"/layers/conv2d/vars": "../w.weights.h5"}}))),
    load(with_a_list("{}")),
    load(without_layers),
    load(without_weights),
    load(lambda: saved(4, names="x"), lambda: convs(4, 4, names="ab")),
    load(lambda: saved(4), lambda: convs(5)),
    load(lambda: saved(4, 4), lambda: convs(4, 4, 4)),
    application(4, 4, 4),
    application(5),
]
