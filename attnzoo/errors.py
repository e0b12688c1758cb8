"""Every error attnzoo raises on purpose.

    AttnzooError
    ├── ConfigError    a YAML file, a mapping or an override is wrong
    ├── DataError      pictures or their labels cannot be used
    ├── PlanError      attention cannot go where it was asked to go
    └── RewriteError   the model cannot be rebuilt, or the rebuilt one failed its checks

Each message is one line a user can act on: what came, what was expected, what to do.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

_IN_A_CALL = re.compile(
    r"Exception encountered when calling [^\n]*\n\n\x1b\[1m(.*)\x1b\[0m\n\nArguments received", re.DOTALL
)

INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that a terminal obeys instead of showing: control, format (right-to-left marks among them),
surrogates, line breaks."""


class AttnzooError(ValueError):
    """Base of all errors raised by attnzoo; safe to print even if it quotes names from an untrusted file."""

    def __init__(self, *args: object):
        super().__init__(*(printable(a) if isinstance(a, str) else a for a in args))


class ConfigError(AttnzooError):
    """A configuration is wrong; `str(error)` holds one line for each problem."""


class DataError(AttnzooError):
    """Pictures, or what says which class they belong to, cannot be used."""


class PlanError(AttnzooError):
    """Attention cannot go where it was asked to go.

    Attributes:
        about: the argument of `plan` that asked for what there is not; None where it takes several to explain.
    """

    def __init__(self, *args: object, about: str | None = None):
        super().__init__(*args)
        self.about = about


class RewriteError(AttnzooError):
    """A model cannot be rebuilt, or the rebuilt one does not pass its checks."""


def nearest(word: object, known: Iterable[object], most: int = 3) -> list[str]:
    """Returns the known words that `word` may have been meant for, the nearest first."""
    words = [str(k) for k in known]
    near = difflib.get_close_matches(str(word), words, n=most, cutoff=0.6)
    # Two letters changed places in a short key: too far apart by ratio, and the commonest slip of all.
    return near or [w for w in words if sorted(w) == sorted(str(word))][:most]


def did_you_mean(word: object, known: Iterable[object]) -> str:
    """Returns " Did you mean 'x'?" for the known word nearest to `word`, or ""."""
    near = nearest(word, known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def listing(words: Iterable[object], most: int = 12) -> str:
    """Joins words for a message, cut after `most`."""
    found = [str(w) for w in words]
    more = f", ... ({len(found) - most} more)" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def printable(text: str) -> str:
    """Returns the text with all that a terminal would obey written out, as `\\x1b`; newlines stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if c != "\n" and unicodedata.category(c) in INVISIBLE else c
        for c in text
    )


def quoted(value: object, most: int = 60) -> str:
    """Returns the value in quotes, cut after `most` characters."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= most else text[: most - 3] + "...")


def first_line(error: Exception) -> str:
    """Returns the sentence of another library's message that says most, on one line."""
    # Keras wraps what happened in pages of configuration, and says it at the end ...
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    # ... or, from a layer's call, in bold between the layer's name and all its arguments.
    inside = _IN_A_CALL.search(text)
    while inside:
        text = inside[1].rpartition("Error encountered:\n")[2].strip()
        inside = _IN_A_CALL.search(text)
    said, *more = map(str.strip, text.splitlines() or [type(error).__name__])
    for line in more:
        goes_on = said.endswith((":", ",")) or (line[:1].islower() and not said.endswith("."))
        if not goes_on or len(said) > 300:
            break
        said = f"{said} {line}" if line else said
    return said if len(said) <= 300 else said[:297] + "..."
