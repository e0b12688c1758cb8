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
from .collector import Example


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
    (load(lambda: "w.weights.json"), "w.weights.json: no such file."),
    (long_list, "w.weights.json: has 9 bytes; expected a list of weight files of 5 at most."),
    (
        load(with_a_list(json.dumps({"weight_map": {"/layers/conv2d/vars": "../w.weights.h5"}}))),
        "w.weights.json: lists '../w.weights.h5'; expected files of the same folder.",
    ),
    (
        load(with_a_list("{}")),
        "w.weights.json: is damaged or incomplete: 'weight_map'",
    ),
    (load(without_layers), "empty.weights.h5: holds no layers; expected the weights of a Keras model."),
    (load(without_weights), "bare.keras: holds no model.weights.h5."),
    (
        load(lambda: saved(4, names="x"), lambda: convs(4, 4, names="ab")),
        "w.weights.h5: none of its layers (conv_x) is in 'net' (conv_a, conv_b); expected a file of the same network.",
    ),
    (
        load(lambda: saved(4), lambda: convs(5)),
        f"w.weights.h5: does not fit 'net': layer 'conv_a' has {OTHER}. 0 of 1 layers fit.",
    ),
    (
        load(lambda: saved(4, 4), lambda: convs(4, 4, 4)),
        "w.weights.h5: does not fit 'net': there are no weights for layer 'conv_c'. 2 of 3 layers fit; partial=True"
        " loads only those.",
    ),
    (application(4, 4, 4), "weights 'w.weights.h5': fit Net only in part: 'conv_c' is missing."),
    (
        application(5),
        f"Net cannot be made with the weights 'w.weights.h5': does not fit 'net': layer 'conv_a' has {OTHER}. 0 of 1"
        " layers fit.",
    ),
]
EXAMPLES = [Example(run, text) for run, text in TABLE]
