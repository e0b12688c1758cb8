"""Models that are loaded with their compile state, and those that Keras 2 wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

import attnzoo

from ..files import test_compiled, test_keras2
from ..files.conftest import change_config
from .collector import says
from .files import function

# Compile state ---------------------------------------------------------------------------------------------------


def compiled(make, **kwargs):
    """Writes a model by a function of its path and loads it with its compile state."""

    def run():
        make(Path("m.keras"))
        attnzoo.load_model("m.keras", compile=True, **kwargs)

    return run


def with_a_loss(loss):
    """Writes a compiled model whose loss is then another."""

    def make(path):
        test_compiled.net().save(path)
        path.write_bytes(change_config(path.read_bytes(), lambda c: c["compile_config"].update(loss=loss)))

    return make


COMPILED = [
    compiled(lambda path: test_compiled.net(compiled=False).save(path)),
    compiled(with_a_loss({"class_name": "__lambda__", "config": {"value": "AAAA"}})),
    compiled(with_a_loss(test_compiled.SYSTEM)),
    compiled(with_a_loss("their_loss")),
    compiled(lambda path: test_compiled.compiling().save(path), custom_objects={"Compiling": test_compiled.Compiling}),
]

# Keras 2 ---------------------------------------------------------------------------------------------------------


def keras2(change, name="2.15/tutorial.h5", **kwargs):
    """Loads a file of Keras 2 whose config was changed."""
    return lambda: attnzoo.load_model(test_keras2.changed(Path(), change, name), **kwargs)


def activation_of_keras2(config):
    test_keras2.layer(config, "dense")["config"]["activation"] = {**function("os", "system")}


def read():
    with pytest.warns(UserWarning, match="Keras 2") as warned:
        keras2(lambda config: None)()
    return str(warned[0].message)


def folder():
    Path("m").mkdir()
    for name in ("saved_model.pb", "keras_metadata.pb"):
        (Path("m") / name).write_bytes((test_keras2.FILES / "2.15" / "saved_model" / name).read_bytes())
    attnzoo.load_model("m")


KERAS2 = [
    says(read),
    folder,
    keras2(test_keras2.code),
    keras2(test_keras2.code, trust=True),
    keras2(test_keras2.custom),
    keras2(test_keras2.unknown_operation),
    keras2(test_keras2.groups),
    keras2(activation_of_keras2),
    keras2(test_keras2.subclassed),
    keras2(test_keras2.circle),
    keras2(test_keras2.one_name),
    keras2(test_keras2.ragged),
    keras2(test_keras2.wider),
    keras2(lambda config: None, compile=True),
]
