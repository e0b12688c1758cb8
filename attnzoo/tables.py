"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lays out rows under a heading, columns aligned; numbers to the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    numeric = [
        all(r[i].replace(",", "").lstrip("-").isdigit() or r[i] == "-" for r in rows[1:]) for i in range(len(rows[0]))
    ]
    lines = [
        "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(r, widths, numeric, strict=True)).rstrip()
        for r in rows
    ]
    return "\n".join(lines)
