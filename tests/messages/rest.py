"""Backbones, building, saved files and the command line."""

from __future__ import annotations

import contextlib
import io
import sys
import types
import warnings
from pathlib import Path
from unittest import mock

import keras

import attnzoo
from attnzoo import backbones
from attnzoo.cli import main
from attnzoo.cli._main import _parser

from ..config.test_backbones import tiny
from ..config.test_build import SMALL
from ..files import test_saving
from .collector import Said, says
from .models import NoConfig, with_layer

# Backbones -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def registered(name, make):
    with mock.patch.dict(backbones._REGISTRY):
        attnzoo.register_backbone(name)(make)
        yield


def register(name, make):
    return lambda: attnzoo.register_backbone(name)(make)


def make(name, **arguments):
    return lambda: backbones.make_backbone(name, **arguments)


def returning(value):
    def run():
        with registered("net", lambda: value):
            backbones.make_backbone("net")

    return run


def preset(**arguments):
    def from_preset(preset, **arguments):
        raise ValueError("Unknown preset identifier.\nA preset must be one of ...")

    fake = types.SimpleNamespace(models=types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=from_preset)))

    def run():
        with mock.patch.dict(sys.modules, {"keras_hub": fake}):
            backbones.make_backbone("keras_hub:net_18", **arguments)

    return run


def weights_file(name):
    def run():
        Path("w.txt").touch()
        backbones.make_backbone("MobileNetV2", weights=name)

    return run


BACKBONES = [
    register("ResNet50", tiny),
    register("a:b", tiny),
    register("x", 3),
    make("Resnet50"),
    make("file:"),
    make("keras_hub:hf://user/net"),
    make("file:none.keras"),
    make("MobileNetV2", weights=None, alhpa=1),
    make("MobileNetV2", weights=None, input_shape=(10, 10, 3)),
    weights_file("none.h5"),
    weights_file("w.txt"),
    returning(3),
    preset(),
    preset(weights="w.h5"),
]

# Building --------------------------------------------------------------------------------------------------------


def build(make_model, **config):
    def run():
        with registered("net", make_model):
            attnzoo.build({"backbone": {"name": "net"}, **config})

    return run


def flat():
    x = keras.Input((4, 4, 3))
    return keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))


def build_config(config):
    def run():
        with mock.patch.dict(sys.modules, {"keras_hub": None, "keras_cv": None}):
            attnzoo.build(config)

    return run


def download(error):
    """Builds while the download of ImageNet weights fails."""

    def run():
        with mock.patch("keras.src.utils.file_utils.get_file", side_effect=error):
            attnzoo.build({"backbone": {"name": "ResNet50", "input_shape": [32, 32, 3]}})

    return run


BUILDING = [
    build_config({"backbone": {**SMALL, "input_shape": [10, 10, 3]}}),
    build_config({"backbone": {"name": "file:/none/x.keras"}}),
    build_config({"backbone": SMALL, "head": {"classes": 2, "name": "Conv1"}}),
    build_config({"backbone": {"name": "keras_hub:resnet_18_imagenet"}}),
    build_config({"backbone": {"name": "keras_cv:resnet18_imagenet"}}),
    download(Exception("URL fetch failure on https://x/w.h5: None -- [Errno -2] Name or service not known")),
    download(TimeoutError("The read operation timed out")),
    download(ValueError("Incomplete or corrupted file detected. The auto file hash does not match.")),
    build(flat, head={"classes": 2}),
    build(lambda: with_layer(keras.layers.ReLU()), insert=[{"attention": "se"}, {"attention": "eca", "stages": [9]}]),
    build(lambda: with_layer(NoConfig(1.0)), insert=[{"attention": "se"}]),
]

# Files -----------------------------------------------------------------------------------------------------------


def spoilt(name, spoil):
    def run():
        if spoil:
            test_saving.net().save(name)
            spoil(Path(name))
        attnzoo.load_model(name)

    return run


def foreign():
    test_saving.net(test_saving.Foreign()).save("m.keras")
    attnzoo.load_model("m.keras")


def save(name):
    def run():
        Path("old.keras").touch()
        Path("folder.keras").mkdir()
        attnzoo.files.save_model(test_saving.net(), name)

    return run


FILES = [
    spoilt("m.keras", test_saving.truncate),
    spoilt("m.keras", test_saving.cut_to_a_tenth),
    spoilt("m.keras", test_saving.overwrite),
    spoilt("m.keras", test_saving.remove),
    spoilt("m.keras", test_saving.make_folder),
    spoilt("m.h5", test_saving.overwrite),
    spoilt("m.h5", test_saving.remove),
    spoilt("m.weights.h5", None),
    spoilt("m.txt", None),
    foreign,
    save("m.h5"),
    save("none/m.keras"),
    save("old.keras"),
    save("folder.keras"),
]

# The command line ------------------------------------------------------------------------------------------------


def command(line):
    """Runs a line up to its error. What argparse refuses is only printed."""

    def run():
        Path("bad.yaml").write_text("backbone: {}\nheed: 1\n")
        printed = io.StringIO()
        try:
            with contextlib.redirect_stderr(printed):
                args = _parser().parse_args(line.split())
        except SystemExit:
            raise Said(printed.getvalue()) from None
        args.run(args)

    return run


def printed(line):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(line.split())
    return out.getvalue()


def keras_imported_in_vain():
    with (
        mock.patch.dict(sys.modules, {"attnzoo.layers": None}),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        attnzoo._register_layers(keras)
    return str(caught[-1].message)


COMMANDS = [
    command(""),
    command("lsit"),
    command("list atentions"),
    command("list --jsn"),
    command("build digits_small"),
    command("build digits_small -o d.h5"),
    command("build digits_small -o none/d.keras"),
    command("build none.yaml -o d.keras"),
    command("strip none.keras -o d.keras"),
    command("describe none.keras"),
    command("describe ResNet50 --input-shape 32,32"),
    command("describe m.keras --input-shape 32,32,3"),
    command("plan digits_small --set head"),
    command("plan digits_small --set a=1 --set a=2"),
    command("plan digits_small --set a=!x"),
    command("plan digits_small --set head.classes=x"),
    command("plan digits_small --set insert.1.ratio=4"),
    command("plan bad.yaml"),
    says(lambda: printed("plan digits_small --set insert=[]")),
    says(lambda: printed("list attentions").split("\n\n")[1]),
    says(keras_imported_in_vain),
]
