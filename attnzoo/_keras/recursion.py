"""Room for Keras to follow deep graphs, which it does by recursion."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from attnzoo.errors import RewriteError

DEEP = 10_000
"""Recursion depth; Keras recurses once per operation on the longest path through a graph."""

_lock = threading.Lock()
_users = 0
_before = 0


@contextlib.contextmanager
def deep_graphs() -> Iterator[None]:
    """Raises Python's recursion limit, 1000 as a rule, while Keras follows a graph that attention has made deeper.

    The limit belongs to the process, so that users are counted: the last one to leave, in whatever thread, restores it.

    Raises:
        RewriteError: if even that is not enough.
    """
    deep = _enter()
    try:
        yield
    except RecursionError:
        raise RewriteError(
            f"the model is deeper than Python lets Keras follow, a recursion depth of {deep:,};"
            f" if none of its layers calls itself, try again after sys.setrecursionlimit({10 * deep})."
        ) from None
    finally:
        _leave()


def _enter() -> int:
    global _users, _before
    with _lock:
        if _users == 0:
            _before = sys.getrecursionlimit()
        _users += 1
        deep = max(sys.getrecursionlimit(), DEEP)
        sys.setrecursionlimit(deep)
        return deep


def _leave() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            sys.setrecursionlimit(_before)
