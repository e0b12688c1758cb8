"""What Keras may do while it builds a model that a stranger described: known classes only, and bounded weights."""

from __future__ import annotations

import contextlib
import math
import re
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import keras

from attnzoo.files.inspect import Reference

# Where Keras looks a class up by its module. The first two lines are Keras's own; the other packages are those that it
# imports by itself, and from these it takes nothing but subclasses of its own classes.
_KNOWN_MODULES = re.compile(
    r"builtins|keras|keras\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies|quantizers"
    r"|ops|random|losses|metrics|optimizers)(\..+)?|keras\.src\..+"
    r"|(keras_hub|keras_cv|keras_nlp)(\..+)?"
)
_SPECIAL = (
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__slice__",
    "__tuple__",
    "TensorShape",
)
_BARE = (keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints, keras.dtype_policies)
_BARE_MODELS = ("Functional", "Model", "Sequential")


def unknown_classes(references: Iterable[Reference]) -> list[str]:
    """Returns the names that neither Keras nor a package imported by now defines."""
    return [r.name for r in references if not _is_known(r)]


def _is_known(reference: Reference) -> bool:
    if reference.name in _SPECIAL:
        return True
    names = (reference.registered or reference.name, reference.name)
    if any(keras.saving.get_registered_object(name) is not None for name in names):
        return True
    if reference.module is not None:
        return _KNOWN_MODULES.fullmatch(reference.module) is not None
    # Legacy files name Keras's own classes bare. Keras would also call functions of these names.
    found = [getattr(module, reference.name, None) for module in _BARE]
    return reference.name in _BARE_MODELS or any(isinstance(f, type) for f in found)


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
_add_weight: Any = keras.layers.Layer.add_weight


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
    global _users
    with _lock:
        _users += change
        keras.layers.Layer.add_weight = _counted if _users else _add_weight


def _counted(self: Any, *args: Any, **kwargs: Any) -> Any:
    budget = _budget.get()
    if budget is not None:
        budget.take(kwargs.get("shape", args[0] if args else None))
    return _add_weight(self, *args, **kwargs)
