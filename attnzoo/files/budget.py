"""How many numbers the weights of a model may take while Keras builds it from an untrusted description."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any


class Budget:
    """Numbers that new weights may still take.

    Args:
        most: how many; None for any number.
    """

    def __init__(self, most: int | None):
        self.most = most
        self.asked = 0

    def take(self, shape: Any) -> None:
        """Counts one weight.

        Raises:
            MemoryError: if it is more than what is left; nothing has been allocated then.
        """
        sizes = (shape,) if isinstance(shape, int) else tuple(shape or ())
        if all(isinstance(size, int) for size in sizes):  # else the layer says what is wrong
            self.asked += max(0, math.prod(sizes))
        if self.complaint():
            raise MemoryError(self.complaint())

    def complaint(self) -> str | None:
        """Says that too much was asked for, or nothing."""
        if self.most is None or self.asked <= self.most:
            return None
        return f"asks for {self.asked:,} weights or more; expected {self.most:,} at most."


_budget: ContextVar[Budget | None] = ContextVar("attnzoo_budget", default=None)

_lock = threading.Lock()

_users = 0

_add_weight: Any = None  # what Keras, or a library that replaced it, had before


@contextlib.contextmanager
def weights_at_most(most: int | None) -> Iterator[Budget]:
    """Inside, layers that this thread builds raise MemoryError before they allocate more weights than that.

    Every weight of a layer is made by `Layer.add_weight`, whatever its class, so that one place is enough; it is
    replaced while anybody is inside.

    Args:
        most: how many numbers; None for any.
    """
    budget = Budget(most)
    _install(+1)
    token = _budget.set(budget)
    try:
        yield budget
    finally:
        _budget.reset(token)
        _install(-1)


def _install(change: int) -> None:
    import keras

    global _users, _add_weight
    with _lock:
        if _users == 0:
            _add_weight = keras.layers.Layer.add_weight
        _users += change
        keras.layers.Layer.add_weight = _counted if _users else _add_weight


def _counted(self: Any, *args: Any, **kwargs: Any) -> Any:
    budget = _budget.get()
    if budget is not None:
        budget.take(kwargs.get("shape", args[0] if args else None))
    return _add_weight(self, *args, **kwargs)
