"""Attention inside a layer that calls others: what it holds, and where an insertion goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attnzoo._keras import attach, attach_beside, attention_inside, is_inserted, sharing
from attnzoo.errors import RewriteError
from attnzoo.layers._attended_layer import AttendedLayer, held_attention
from attnzoo.rewriting.insertion import Insertion

Where = dict[str, Any]
"""`{"behind": [steps, output]}`, or `{"edges": [[steps, input], ...]}` for some readers: JSON, as in files."""


def held_by(layer: Any) -> list[tuple[Any, Where]]:
    """Returns the attention that a layer holds, with its places, in order."""
    if not isinstance(layer, AttendedLayer):
        return []
    return list(zip(layer.attnzoo_attention, layer.attnzoo_where, strict=True))


def check_reached(layer: Any, model: Any) -> None:
    """Raises if a layer holds attention where no graph shows it, and nothing here reaches."""
    hidden = [module for module in attention_inside(layer) if module not in held_attention(layer)]
    if hidden:
        raise RewriteError(
            f"layer '{layer.name}' ({type(layer).__name__}) of '{model.name}' holds attention ('{hidden[0].name}')"
            " inside, where attnzoo does not reach; strip the model before wrapping it."
        )


def with_attention(
    layer: Any, twin: Any, pairs: Sequence[tuple[Any, Where]], insertions: Sequence[Insertion], share: bool
) -> Any:
    """Returns the twin of a layer with attention inside.

    Args:
        layer: the layer.
        twin: the same layer made again, not yet called; the layer itself if the two models share it.
        pairs: the attention that the layer holds already, made again for the twin, with its places.
        insertions: what is added, each after what was there before.
        share: whether the twin has the layers and variables of the layer.
    """
    modules, where = _with_inserted(layer, pairs, insertions)
    if not share:
        attach(twin, modules, where)
        return twin
    _check_shareable(layer, where)
    other = sharing(layer)
    attach_beside(other, modules, where)
    return other


def _with_inserted(
    layer: Any, pairs: Sequence[tuple[Any, Where]], insertions: Sequence[Insertion]
) -> tuple[list[Any], list[Where]]:
    found = list(pairs)
    held = [module for module, _ in held_by(layer)]
    for insertion in insertions:
        places = [place for _, place, _ in ([insertion.after] if insertion.after else insertion.edges)]
        known = next((place for place in places if is_inserted(place)), None)
        if known is None:
            found.append((insertion.layer, where_of(insertion)))
        else:  # beside attention there: at its place, after it, or before it where it is the reader
            where = found[held.index(known)][1]
            found.insert(len(found) if insertion.after else held.index(known), (insertion.layer, where))
    return [module for module, _ in found], [where for _, where in found]


def where_of(insertion: Insertion) -> Where:
    """Writes down where an insertion goes."""
    if insertion.after:
        _, steps, index = insertion.after
        return {"behind": [list(steps), index]}
    return {"edges": [[list(steps), position] for _, steps, position in insertion.edges]}


def insertion_at(module: Any, layer: Any, where: Where) -> Insertion:
    """Returns the insertion that `where_of` wrote down."""
    if "behind" in where:
        steps, index = where["behind"]
        return Insertion(module, after=(layer, tuple(steps), index))
    return Insertion(module, edges=tuple((layer, tuple(steps), position) for steps, position in where["edges"]))


def _check_shareable(layer: Any, where: Sequence[Where]) -> None:
    """Raises if attention would go into layers that the old model calls too."""
    addresses = (steps for w in where for steps, _ in ([w["behind"]] if "behind" in w else w["edges"]))
    if any(len(steps) > 1 for steps in addresses):
        raise RewriteError(
            f"share_weights=True: attention would go into layers inside '{layer.name}' that the old model calls too;"
            " leave it out, or choose places that are not inside a layer of a layer."
        )
