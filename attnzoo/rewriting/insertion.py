"""A layer, and where in a graph it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Insertion:
    """A layer, and where it goes.

    Attributes:
        layer: the attention, not yet built.
        after: (model, place, which of its outputs): everything that reads this output reads the attended map. The
            model is the one in whose graph the place is; `places_of` says what a place is.
        edges: (model, place, position among its input tensors): only these readers do. One of the two is given.
    """

    layer: Any
    after: tuple[Any, Any, int] | None = None
    edges: tuple[tuple[Any, Any, int], ...] = ()
