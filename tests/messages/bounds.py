"""What a configuration or a request in code may not ask for."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import keras

import attnzoo

from ..files import test_configurations
from .collector import Example
from .models import with_layer
from .plans import resnet
from .rest import load, registered, rows


def odd(name):
    def run():
        test_configurations.odd_files(Path())
        attnzoo.load_config(name)

    return run


def at_most(most, **parts):
    """Builds with a lower limit of weights."""

    def run():
        with (
            registered("net", lambda: with_layer(keras.layers.ReLU())),
            mock.patch("attnzoo.building.MOST_WEIGHTS", most),
        ):
            attnzoo.build({"backbone": {"name": "net"}, **parts})

    return run


BOUNDS = [
    *(
        (odd(name), attnzoo.errors.printable(f"{name}: {text}"))
        for name, text in (test_configurations.ODD_FILES if hasattr(os, "mkfifo") else ())
    ),
    *((load(config), text) for config, text in rows(test_configurations.test_numbers_that_are_refused)),
    (at_most(100), "backbone: asks for 108 weights or more; expected 100 at most."),
    (
        at_most(450, insert=[{"attention": "nl"}]),
        "insert.0: asks for 452 weights or more; expected 450 at most.",
    ),
    (at_most(1000, head={"classes": 300}), "head: asks for 1,200 weights or more; expected 1,000 at most."),
    (
        lambda: attnzoo.plan(resnet(), "se", after=["conv*", "*" * 2000]),
        f"after='{'*' * 57}...' has 2,000 characters; expected 1,000 at most.",
    ),
]

EXAMPLES = [Example(provoke, text) for provoke, text in BOUNDS]
