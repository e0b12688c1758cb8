"""Whether pictures could be divided."""

from __future__ import annotations

from collections.abc import Iterator

from attnzoo.data.findings import Finding, count
from attnzoo.data.images import Looked


def check(looked: Looked) -> Iterator[Finding]:
    if not looked.reasons:
        return
    text = (
        f"{count(len(looked.reasons), 'class', 'classes')} cannot be both learnt and validated; add pictures, or, where"
        " nearly the same pictures differ in what matters (a camera that does not move), say --near-duplicates 1."
    )
    yield Finding("error", "split", text, tuple(f"{label} ({why})" for label, why in looked.reasons.items()))
