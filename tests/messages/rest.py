"""Configurations, backbones, files and the command line.

Their tables stand beside the tests of their modules, as the parameters of a test; they are run from here as well, to
see which `raise` each of them comes through.
"""

from __future__ import annotations

import contextlib
import sys
import types
from pathlib import Path
from unittest import mock

import keras

import attnzoo
from attnzoo import backbones
from attnzoo.cli._main import _parser
from attnzoo.config._yaml import read_text
from attnzoo.errors import listing

from ..cli import test_cli
from ..config import test_backbones, test_build, test_load_config, test_yaml
from ..files import test_saving
from .collector import Example
from .models import NO_CONFIG, NoConfig, with_layer


def rows(test):
    """Returns the parameters of a test with one table."""
    (mark,) = (m for m in test.pytestmark if m.name == "parametrize")
    return mark.args[1]


# Configurations --------------------------------------------------------------------------------------------------


def load(config, overrides=None):
    return lambda: attnzoo.load_config(config, overrides=overrides)


def load_file(data):
    def run():
        Path("c.yaml").write_bytes(data)
        attnzoo.load_config("c.yaml")

    return run


def load_folder():
    Path("c.yaml").mkdir()
    attnzoo.load_config("c.yaml")


CONFIGURATIONS = [
    *((load(given), text) for given, text in rows(test_load_config.test_other_things_are_refused)),
    *((load_file(data), text) for data, text in rows(test_load_config.test_files_that_are_no_configuration)),
    *((load("digits_small", given), text) for given, text in rows(test_load_config.test_override_problems)),
    *((lambda t=t: read_text(t, "f"), text) for t, text in rows(test_yaml.test_refusals_say_where_and_why)),
    (
        load({"backbone": {"name": "ResNet50", "include_top": True, "pooling": "avg"}}),
        "backbone.pooling: has no effect with include_top; remove it.",
    ),
    (load_folder, "c.yaml: cannot be read: Is a directory."),
    (
        load("se_resnet5"),
        "no shipped configuration is called 'se_resnet5'. Did you mean 'se_resnet50'? Known:"
        f" {', '.join(attnzoo.list_configs())}. A file of your own is given by its path, which ends in .yaml.",
    ),
]

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


def without_keras_hub():
    with mock.patch.dict(sys.modules, {"keras_hub": None}):
        backbones.make_backbone("keras_hub:net_18")


def weights_file(name):
    def run():
        Path("w.txt").touch()
        backbones.make_backbone("MobileNetV2", weights=name)

    return run


BACKBONES = [
    *((register(name, what), text) for name, what, text in rows(test_backbones.test_what_cannot_be_registered)),
    (
        make("Resnet50"),
        "backbone 'Resnet50' is not known. Did you mean 'ResNet50'? Known:"
        f" {listing(attnzoo.list_backbones(), 6)}, or file:PATH, keras_hub:PRESET, keras_cv:PRESET;"
        " `attnzoo list backbones` shows all.",
    ),
    (make("file:"), "backbone 'file:' names no file; expected file:PATH."),
    (
        make("keras_hub:hf://user/net"),
        "backbone 'keras_hub:hf://user/net' is not keras_hub:PRESET with a preset of letters, digits and '_'.",
    ),
    (make("file:none.keras"), "none.keras: no such file."),
    (
        make("MobileNetV2", weights=None, alhpa=1),
        "backbone 'MobileNetV2' has no option 'alhpa'. Did you mean 'alpha'?",
    ),
    (
        make("MobileNetV2", weights=None, input_shape=(10, 10, 3)),
        "MobileNetV2 cannot be made: Input size must be at least 32x32; Received: input_shape=(10, 10, 3)",
    ),
    (weights_file("none.h5"), "weights 'none.h5': no such file."),
    (
        weights_file("w.txt"),
        "weights 'w.txt': expected 'imagenet', null or a .keras, .h5 or .weights.h5 file.",
    ),
    (returning(3), "backbone 'net' returned a int; expected a keras.Model."),
    (preset(), "keras_hub preset 'net_18' cannot be made: Unknown preset identifier."),
    (preset(weights="w.h5"), "weights 'w.h5': a keras_hub preset takes 'imagenet' (its own) or null."),
    (without_keras_hub, "keras_hub is not installed; run `pip install 'attnzoo[keras-hub]'`."),
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


BUILDING = [
    *(
        (lambda config=config: attnzoo.build(config), text)
        for config, text in rows(test_build.test_what_cannot_be_built)
        if "keras_" not in text
    ),
    (
        build(flat, head={"classes": 2}),
        "head: needs a single feature map as input; the backbone has (None, 3).",
    ),
    (
        build(
            lambda: with_layer(keras.layers.ReLU()), insert=[{"attention": "se"}, {"attention": "eca", "stages": [9]}]
        ),
        "insert.1: 'net' has no stage 9; it has 1 (stride 1).",
    ),
    (
        build(lambda: with_layer(NoConfig(1.0)), insert=[{"attention": "se"}]),
        f"insert.0: {NO_CONFIG}",
    ),
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
    *(
        (spoilt(name, spoil), f"{name}: {text}")
        for name, spoil, text in rows(test_saving.test_files_that_are_no_model)
        if text
    ),
    (
        foreign,
        "m.keras: holds a Foreign, a class Keras does not know; in Python, import the package that defines it first.",
    ),
    *((save(name), text.format(path=Path(name))) for name, text in rows(test_saving.test_where_a_model_is_not_saved)),
]

# The command line ------------------------------------------------------------------------------------------------


def command(line):
    """What `main` prints is compared in tests/cli; here the error itself is wanted."""

    def run():
        args = _parser().parse_args(line.split())
        args.run(args)

    return run


COMMANDS = [
    (command(line), text)
    for line, text in rows(test_cli.test_a_mistake_is_one_clear_line)
    if "--help`" not in text and "bad.yaml" not in text
]

EXAMPLES = [Example(provoke, text) for provoke, text in [*CONFIGURATIONS, *BACKBONES, *BUILDING, *FILES, *COMMANDS]]
