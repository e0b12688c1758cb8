"""Configurations made to harm: refused with their place, soon, before anything is built."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import keras
import pytest

import attnzoo
from attnzoo.cli import main
from attnzoo.errors import AttnzooError, ConfigError, PlanError, printable

SMALL = {"name": "MobileNetV2", "alpha": 0.35, "input_shape": [32, 32, 3], "weights": None}


def refusal(config: Any, **kwargs: Any) -> str:
    with pytest.raises(ConfigError) as error:
        attnzoo.build(config, **kwargs)
    return str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        b"a: \xff",
        "a: 1".encode("utf-16"),
        b"a: \x00",
        b"a: \x1b[31m",
        "a: \u202e".encode(),
        b"[" * 60_000,
        b"a: " * 20_000,
        b"x" * 70_000,
    ],
)
def test_texts_that_are_refused_are_refused_soon(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    start = time.perf_counter()
    assert refusal(path).startswith(f"{path}:")
    assert time.perf_counter() - start < 5


def test_many_mistakes_take_no_time() -> None:
    entry = {"attention": "se", "after": [1] * 1000, "blocks": ["x"] * 1000, **{f"ratoi{i}": i for i in range(900)}}
    start = time.perf_counter()
    assert refusal({"backbone": SMALL, "insert": [entry] * 5}).endswith("\n... and 14400 more problems.")
    assert time.perf_counter() - start < 20


def odd_files(folder: Path) -> None:
    """Makes what is no ordinary file."""
    os.mkfifo(folder / "pipe.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "a.yaml").symlink_to("a.yaml")


@pytest.mark.parametrize(
    ("backbone", "head", "place"),
    [
        ({"name": "VGG16", "input_shape": [8192, 8192, 3], "include_top": True}, None, "backbone"),
        ({**SMALL, "classes": 1_000_000, "include_top": True}, None, "backbone"),
        (SMALL, {"classes": 1_000_000}, "head"),
    ],
)
def test_models_that_would_fill_the_memory_are_not_made(backbone: Any, head: Any, place: str) -> None:
    text = refusal({"backbone": {"weights": None, **backbone}, "head": head})
    assert text.startswith(f"{place}: asks for ")
    assert text.endswith(" weights or more; expected 1,000,000,000 at most.")


def test_insertions_that_would_fill_the_memory_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    most = attnzoo.build({"backbone": SMALL}).count_params() + 10
    monkeypatch.setattr("attnzoo.building.MOST_WEIGHTS", most)
    text = refusal({"backbone": SMALL, "insert": [{"attention": "se", "stages": [4]}]})
    assert text.startswith("insert.0: asks for ")
    assert text.endswith(f" weights or more; expected {most:,} at most.")


def test_options_that_ask_for_too_many_weights_need_no_limit_of_their_own() -> None:
    text = refusal({"backbone": SMALL, "insert": [{"attention": "cbam", "kernel_size": 99_999, "stages": [4]}]})
    assert text.startswith("insert.0: asks for ")


@pytest.mark.parametrize(
    ("attention", "option", "most"), [("bam", "num_convs", 1024), ("bam", "dilation", 255), ("fca", "size", 1024)]
)
def test_options_that_cost_time_but_no_weights_are_limited(attention: str, option: str, most: int) -> None:
    text = refusal({"backbone": SMALL, "insert": [{"attention": attention, option: 999_999}]})
    assert text == f"insert.0.{option}: the number 999999; expected a number from {-most} to {most}."


def test_the_files_of_a_configuration_are_model_files_and_never_trusted(tmp_path: Path) -> None:
    code = keras.layers.Lambda(lambda x: x, name="lambda")
    keras.Sequential([keras.Input((8, 8, 3)), code]).save(tmp_path / "m.keras")
    path = tmp_path / "c.yaml"
    path.write_text("backbone: {name: 'file:m.keras'}\n")
    assert "holds a Lambda 'lambda', code that would run on loading" in refusal(path)
    path.write_text("backbone: {name: 'file:/etc/passwd'}\n")
    assert refusal(path).endswith("/etc/passwd: expected a .keras or .h5 file.")


@pytest.mark.parametrize("glob", ["*" * 1000, "*a" * 500, "[" * 1000, "*[!a]" * 200, "?*" * 500, "[z-a]*" * 160])
def test_globs_take_no_time(glob: str) -> None:
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, keras.layers.ReLU(name="a" * 900)(x))
    start = time.perf_counter()
    with contextlib.suppress(PlanError):
        attnzoo.plan(model, "se", after=[glob])
    assert time.perf_counter() - start < 5


def test_endless_globs_are_refused() -> None:
    x = keras.Input((8, 8, 3))
    with pytest.raises(PlanError, match=r"has 100,000 characters"):
        attnzoo.plan(keras.Model(x, keras.layers.ReLU()(x)), "se", after=["*" * 100_000])


def test_the_names_of_strangers_reach_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(tmp_path / "\x1b[31m\u202e.yaml")
    assert main(["plan", name]) == 2
    assert capsys.readouterr().err == f"attnzoo: {tmp_path}/\\x1b[31m\\u202e.yaml: no such file.\n"
    assert str(AttnzooError("a\x9bb\nc\ud800\u2028é")) == "a\\x9bb\nc\\ud800\\u2028é"
    assert printable("plain") == "plain"
