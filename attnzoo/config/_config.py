"""A configuration: its sections side by side.

A section is a file: its model, a field of `Config`; `problems(config)`, which reads plain values and may look at other
sections; and `schema()`. It is entered in `_SECTIONS`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr

from attnzoo.config import _backbone, _head, _insert
from attnzoo.config._backbone import BackboneConfig
from attnzoo.config._head import HeadConfig
from attnzoo.config._insert import InsertConfig
from attnzoo.config._part import AnyList, Part, shape
from attnzoo.config._source import Problem, Source

_SECTIONS = {"backbone": _backbone, "insert": _insert, "head": _head}


class Config(Part):
    """A checked configuration: which backbone, which attention where, which head."""

    expected = "a mapping with the keys backbone, insert and head"

    backbone: BackboneConfig = Field(description=BackboneConfig.expected)
    insert: Annotated[tuple[InsertConfig, ...], AnyList] = Field((), description=_insert.EXPECTED)
    head: HeadConfig | None = Field(None, description=HeadConfig.expected)

    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def source(self) -> Source:
        """Where it came from; messages of later steps point there."""
        return self._source

    @property
    def model_name(self) -> str | None:
        """The name of the file it came from, without suffix, as far as Keras allows it; None for a mapping."""
        if self._source.label is None:
            return None
        stem = Path(self._source.label).stem
        return "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in stem).lstrip("_.-") or None

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as written, made of plain values; `load_config` takes it back."""
        return self.model_dump(mode="json", exclude_unset=True)


def check(raw: Any) -> tuple[Config | None, list[Problem]]:
    """Returns the configuration, or None and all that can be found wrong before anything is built."""
    given = {name: section for name, section in _SECTIONS.items() if isinstance(raw, dict) and name in raw}
    # What stands in a section the section judges, which knows more than its field in `Config`.
    problems = [problem for problem in shape(Config, raw, ()) if not problem[0] or problem[0][0] not in given]
    for section in given.values():
        problems += section.problems(raw)
    return (None if problems else Config.model_validate_json(json.dumps(raw))), problems


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a configuration, made of plain values, for editors.

    It knows the registered attentions and their options, the placements, and the backbones and their options; what
    excludes what is left to `load_config`.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "attnzoo configuration",
        "description": str(Config.__doc__),
        "type": "object",
        "properties": {name: section.schema() for name, section in _SECTIONS.items()},
        "required": [name for name, field in Config.model_fields.items() if field.is_required()],
        "additionalProperties": False,
    }
