"""The JSON Schema for editors."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

import attnzoo
from attnzoo.config import json_schema, load_config

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema_of_plain_values() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA


@pytest.mark.parametrize("name", attnzoo.list_configs())
def test_it_accepts_every_shipped_configuration(name: str) -> None:
    VALIDATOR.validate(load_config(name).to_dict())


def parts() -> list[dict[str, Any]]:
    sections = SCHEMA["properties"]
    return [*sections["backbone"]["oneOf"], *sections["insert"]["items"]["oneOf"], sections["head"]["anyOf"][0]]


def test_every_key_of_every_part_is_described_and_no_other_is_allowed() -> None:
    for part in parts():
        assert part["additionalProperties"] is False
        assert part["type"] == "object"
        for name, field in part["properties"].items():
            assert field["description"], name
            assert "title" not in field, name


def test_it_knows_ranges_lengths_choices_and_defaults() -> None:
    se = next(e["properties"] for e in SCHEMA["properties"]["insert"]["items"]["oneOf"] if e["title"] == "se")
    numbers = {"minimum": 0, "maximum": 1000, "type": "integer"}
    assert se["stages"]["anyOf"] == [
        {"items": numbers, "minItems": 1, "maxItems": 100, "type": "array"},
        {"type": "null"},
    ]
    assert se["placement"]["enum"] == list(attnzoo.planning.PLACEMENTS)
    assert se["init"]["enum"] == ["identity", "paper"]
    assert (se["ratio"]["type"], se["ratio"]["default"]) == ("integer", 8)
    head = SCHEMA["properties"]["head"]["anyOf"][0]["properties"]
    assert (head["classes"]["minimum"], head["classes"]["maximum"]) == (1, 1_000_000)
    assert (head["dropout"]["minimum"], head["dropout"]["exclusiveMaximum"]) == (0, 1)


def test_it_knows_every_attention_and_every_backbone() -> None:
    entries = SCHEMA["properties"]["insert"]["items"]["oneOf"]
    assert [e["properties"]["attention"]["const"] for e in entries] == attnzoo.layers.list_attentions()
    names = [n for b in SCHEMA["properties"]["backbone"]["oneOf"] for n in b["properties"]["name"].get("enum", [])]
    assert sorted(names) == attnzoo.list_backbones()


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"backbone": {"name": "Resnet50"}},
        {"backbone": {"name": "ResNet50", "alpha": 1.0}},
        {"backbone": {"name": "ResNet50"}, "heed": {}},
        {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "sse"}]},
        {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "ratio": "16"}]},
        {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "kernel_size": 7}]},
        {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "placement": "residul"}]},
        {"backbone": {"name": "ResNet50"}, "head": {"classes": 0}},
        {"backbone": {"name": "ResNet50"}, "head": {}},
        {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "stages": []}]},
        {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "after": "x"}]},
        {"backbone": {"name": "ResNet50", "pooling": "mean"}},
        {"backbone": {"name": "MobileNetV2", "alpha": "1"}},
        {"backbone": {"name": "file:a.keras", "alpha": 1}},
    ],
)
def test_it_refuses_what_loading_refuses(config: Any) -> None:
    assert not VALIDATOR.is_valid(config)
    with pytest.raises(attnzoo.errors.ConfigError):
        load_config(config)
