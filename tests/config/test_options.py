"""Options of modules and backbones that attnzoo has never seen: judged by their signatures, described in the schema."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import jsonschema
import keras
import pytest

import attnzoo
from attnzoo import backbones
from attnzoo.config import json_schema, load_config
from attnzoo.errors import ConfigError
from attnzoo.layers import _registry


class Mine(attnzoo.layers.Attention):
    title, paper = "Mine", "none"
    limits = {"steps": 9}

    def __init__(
        self,
        width: int,
        *,
        size: int = 7,
        hidden: float = 1e5,
        kernel_size: int | list[int] = 3,
        rates: tuple[int, ...] = (1, 2),
        pairs: list[tuple[int, int]] | None = None,
        mode: Literal["a", "b", None] = "a",
        act: Callable[[Any], Any] | None = None,
        kernel: Any = keras.initializers.Zeros(),  # noqa: B008
        steps: int = 1,
        _x: bool = False,
        copy: str = "",
        schema=4,
        model_dim=0.5,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if size == 13:
            raise ValueError("Mine: size=13 brings bad luck.")


class Unresolved(attnzoo.layers.Attention):
    """Its annotations are known to a type checker only."""

    def __init__(self, ratio: Ratio = 8, **kwargs: Any):  # type: ignore[name-defined]  # noqa: F821
        super().__init__(**kwargs)


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_REGISTRY", dict(_registry._REGISTRY))
    monkeypatch.setattr(backbones, "_REGISTRY", {})
    attnzoo.register_attention("mine")(Mine)
    attnzoo.register_attention("unresolved")(Unresolved)


def config(**options: Any) -> dict[str, Any]:
    return {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "mine", "width": 1, **options}]}


def problems(given: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(given)
    return str(error.value).splitlines()


GOOD = {
    "size": 2048,
    "hidden": 100_000,
    "kernel_size": [3, 999],
    "rates": [],
    "pairs": [[1, 2], [3, 4]],
    "mode": None,
    "act": "relu",
    "kernel": "zeros",
    "steps": 9,
    "_x": True,
    "copy": "b",
    "schema": -1,
    "model_dim": 1,
}
ANY = "a number, a string, true, false, null or a list of them"
BAD = [
    ("width", "2", "a string '2'; expected a whole number."),
    ("size", 2048.0, "the number 2048.0; expected a whole number."),
    ("size", 2_000_000, "the number 2000000; expected a number from -1000000 to 1000000."),
    ("hidden", True, "true; expected a number."),
    ("hidden", 2_000_000, "the number 2000000; expected a number from -1000000 to 1000000."),
    ("kernel_size", "3", "a string '3'; expected a whole number or a list of whole numbers."),
    ("rates", 3, "the number 3; expected a list of whole numbers."),
    ("mode", "c", "a string 'c'; expected 'a' or 'b' or null."),
    ("act", {"class_name": "relu"}, f"a mapping; expected {ANY}."),
    ("kernel", [[{"class_name": "Zeros"}]], f"a list [[{{'class_name': 'Zeros'}}]]; expected {ANY}."),
    ("steps", 10, "the number 10; expected a number from -9 to 9."),
    ("_x", 0, "the number 0; expected true or false."),
    ("copy", None, "null; expected a string."),
    ("schema", 0.5, "the number 0.5; expected a whole number."),
    ("model_dim", "x", "a string 'x'; expected a number."),
    ("size", 13, "Mine: size=13 brings bad luck."),
]


def test_options_of_all_kinds_are_taken_as_they_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_config(config(**GOOD)).insert[0].options == {"width": 1, **GOOD}


@pytest.mark.parametrize(("option", "value", "message"), BAD)
def test_options_are_judged_by_the_signature(option: str, value: Any, message: str) -> None:
    assert problems(config(**{option: value})) == [f"insert.0.{option}: {message}"]


def test_an_entry_of_a_list_is_named() -> None:
    assert problems(config(rates=[1, "a"], pairs=[[1, 2], [3, 0.5]])) == [
        "insert.0.rates.1: a string 'a'; expected a list of whole numbers.",
        "insert.0.pairs.1.1: the number 0.5; expected a list of list of whole numbers or null.",
    ]


def test_all_bad_options_come_at_once() -> None:
    bad = {option: value for option, value, _ in BAD if option != "size"}
    assert len(problems(config(**bad, size=1.5, szie=3))) == len(bad) + 2


def test_an_option_without_a_default_must_be_given() -> None:
    given = config()
    del given["insert"][0]["width"]
    assert problems(given) == ["insert.0.width: missing; expected a whole number."]


def test_types_that_cannot_be_resolved_are_those_of_the_defaults() -> None:
    given = {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "unresolved", "ratio": "8"}]}
    assert problems(given) == ["insert.0.ratio: a string '8'; expected a whole number."]


def test_names_of_fields_are_no_options() -> None:
    assert problems(config(option_3=1))[0].startswith("insert.0.option_3: not an option of mine.")


def test_options_of_a_registered_backbone_have_no_limits_of_applications() -> None:
    def net(*, width: float = 1.0, alpha: int = 1, pooling=None) -> None: ...

    attnzoo.register_backbone("net")(net)
    options = {"width": 3, "alpha": 5000, "pooling": "mean"}
    assert load_config({"backbone": {"name": "net", **options}}).backbone.options == options
    assert problems({"backbone": {"name": "net", "width": "x", "alpha": 0.5}}) == [
        "backbone.width: a string 'x'; expected a number.",
        "backbone.alpha: the number 0.5; expected a whole number.",
    ]
    assert problems({"backbone": {"name": "MobileNetV2", "alpha": 5000}}) == [
        "backbone.alpha: the number 5000; expected a number from -10 to 10."
    ]


def test_the_schema_knows_them_too() -> None:
    def net(*, width: int = 1) -> None: ...

    attnzoo.register_backbone("net")(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(config(**GOOD))
    validator.validate({"backbone": {"name": "net", "width": 3}})
    assert not validator.is_valid({"backbone": {"name": "net", "width": 0.5}})
    judged_by_their_type = [
        (o, v) for o, v, text in BAD if o not in ("act", "kernel") and "from -" not in text and "luck" not in text
    ]
    for option, value in judged_by_their_type:
        if (option, value) != ("size", 2048.0):  # to JSON, a whole number
            assert not validator.is_valid(config(**{option: value})), option
    (entry,) = [e for e in schema["properties"]["insert"]["items"]["oneOf"] if e["title"] == "mine"]
    assert entry["required"] == ["attention", "width"]
    assert entry["properties"]["mode"]["description"] == "'a' or 'b' or null"
    assert entry["properties"]["rates"]["default"] == [1, 2]
    assert "default" not in entry["properties"]["kernel"]
