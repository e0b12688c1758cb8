"""The YAML reader: what it takes, what it refuses, and how fast it refuses."""

from __future__ import annotations

import math
import time

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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "f:1:4: anchors and aliases are not supported; write the value out."),
        ("a: *x", "f:1:4: anchors and aliases are not supported; write the value out."),
        (
            "a: !!python/name:os.system",
            "f:1:4: tags are not supported; remove 'tag:yaml.org,2002:python/name:os.system'.",
        ),
        ("a: !!str 1", "f:1:4: tags are not supported; remove 'tag:yaml.org,2002:str'."),
        ("a: ! b", "f:1:4: tags are not supported; remove '!'."),
        ("<<: {a: 1}", "f:1:1: merge keys (<<) are not supported; write the values out."),
        ("a: 1\nb: 2\na: 3", "f:3:1: the key 'a' stands here twice; first in line 1."),
        ("1: 2", "f:1:1: a key must be a string; '1' came."),
        ("true: 2", "f:1:1: a key must be a string; 'true' came."),
        ("[a]: 2", "f:1:1: a key must be a string; a list or a mapping came."),
        ('"a\\x07": 1', "f:1:1: control characters are not allowed in 'a\\x07'."),
        ('a: "\\u202e"', "f:1:4: control characters are not allowed in '\\u202e'."),
        ("a: b\x01", "f:1:5: the character #x0001 is not allowed."),
        ("a: 1\n---\nb: 2", "f:2:1: expected a single document in the stream, but found another document."),
        ("a: [1", "f:1:6: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'."),
        ("[[[[[[[[[1]]]]]]]]]", "f:1:9: nested deeper than 8 levels."),
        ("a: " + "9" * 5000, "f:1:4: a number of 5000 characters; expected 18 at most."),
        ("a: " + "x" * 2000, "f:1:4: a string of 2000 characters; expected 1000 at most."),
        ("a: [" + "1," * 1500 + "]", "f:1:4: 1500 entries; expected 1000 at most."),
        (
            "1: 2\na: 3\na: 4",
            "f:1:1: a key must be a string; '1' came.\nf:3:1: the key 'a' stands here twice; first in line 2.",
        ),
    ],
)
def test_refusals_say_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_text(text, "f")
    assert str(error.value) == message


def test_positions_are_those_of_keys_and_list_entries() -> None:
    document = read_text("insert:\n  - attention: se\n    stages: [3, 4]\n", "f")
    assert document.positions == {
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
        read_text(text, "f")
    assert time.perf_counter() - start < 10
