"""Facts as a row of plain values and back, between processes and in a file."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from typing import Any

from attnzoo.data.looking import SMALL, Facts

_FIELDS = tuple(f.name for f in dataclasses.fields(Facts))
_TYPES = {f.name: type(f.default) for f in dataclasses.fields(Facts)}


def to_row(facts: Facts) -> list[Any]:
    """Returns facts as plain values."""
    values = (getattr(facts, name) for name in _FIELDS)
    return [base64.b64encode(v).decode("ascii") if isinstance(v, bytes) else v for v in values]


def from_row(row: Any) -> Facts | None:
    """Returns the facts of a row; None if it is no such row, whoever wrote it."""
    if not isinstance(row, list) or len(row) != len(_FIELDS):
        return None
    values = dict(zip(_FIELDS, row, strict=True))
    try:
        values["small"] = base64.b64decode(values["small"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
    if any(type(values[name]) is not kind for name, kind in _TYPES.items()):
        return None
    facts = Facts(**values)
    texts = (facts.problem, facts.format, facts.mode, facts.said)
    sha256 = len(facts.sha256) == 64 and set(facts.sha256) <= set("0123456789abcdef")
    whole = (
        len(facts.small) == SMALL and sha256 and facts.width > 0 and facts.height > 0 and 1 <= facts.orientation <= 8
    )
    return facts if max(map(len, texts)) <= 1000 and (facts.problem or whole) else None
