"""Every error attnzoo raises on purpose.

    AttnzooError
    ├── ConfigError    a YAML file, a mapping or an override is wrong
    ├── PlanError      attention cannot go where it was asked to go
    ├── RewriteError   the model cannot be rebuilt, or the rebuilt one failed its checks
    └── AdapterError   an adapter file does not fit the model

Each message is one line a user can act on: what came, what was expected, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AttnzooError(ValueError):
    """Base of all errors raised by attnzoo."""


class ConfigError(AttnzooError):
    """A configuration is wrong; `str(error)` holds one line for each problem."""


class PlanError(AttnzooError):
    """Attention cannot go where it was asked to go."""


class RewriteError(AttnzooError):
    """A model cannot be rebuilt, or the rebuilt one does not pass its checks."""


class AdapterError(AttnzooError):
    """An adapter file does not fit the model it is loaded into."""


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
