"""The YAML reader: what it takes, what it refuses, and how fast it refuses."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from attnzoo.config._yaml import read_text, read_value
from attnzoo.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-7", -7),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("null", None),
        ('"16"', "16"),
        ("2020-01-01", "2020-01-01"),
        ("-.inf", -math.inf),
        ("[3, -1]", [3, -1]),
        ("{classes: 10}", {"classes": 10}),
    ],
)
def test_values_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    got = read_value(text)
    assert got == value
    assert type(got) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    assert math.isnan(read_value(".NaN"))


def test_positions_are_those_of_keys_and_list_entries() -> None:
    _, source = read_text("insert:\n  - attention: se\n    stages: [3, 4]\n", "f", Path())
    assert source.positions == {
        (): (1, 1),
        ("insert",): (1, 1),
        ("insert", 0): (2, 5),
        ("insert", 0, "attention"): (2, 5),
        ("insert", 0, "stages"): (3, 5),
        ("insert", 0, "stages", 0): (3, 14),
        ("insert", 0, "stages", 1): (3, 17),
    }


@pytest.mark.parametrize("piece", ["[", "{", "- ", "? ", "a: [", "!", "&a ", '"', "a: 1\n", "[],", "x" * 50 + ": 1\n"])
def test_hostile_text_is_done_with_soon(piece: str) -> None:
    text = piece * (64 * 1024 // len(piece))
    start = time.perf_counter()
    with pytest.raises(ConfigError):
        read_text(text, "f", Path())
    assert time.perf_counter() - start < 10
