"""What is checked while a model is made again, and how it is said."""

from __future__ import annotations

from typing import Any

import keras

from attnzoo._keras import is_container, is_inserted, layers_inside, misdescribed
from attnzoo.errors import RewriteError, first_line, listing
from attnzoo.rewriting.addresses import containers, operations


def failed_call(op: Any, cause: Exception, shared: bool) -> RewriteError:
    """Returns the error for a layer that cannot be called where its twin, or (`shared`) itself, was called."""
    said = first_line(cause).removesuffix(".")
    if not shared and not isinstance(op, keras.layers.Lambda):
        return misdescribed(op, f"called as before, it fails: {said}")
    return RewriteError(
        f"layer '{op.name}' ({type(op).__name__}) fails when it is called once more: {said}."
        " Its call() must not depend on earlier calls."
    )


def check_twin(op: Any, old: Any, new: Any) -> None:
    if not _is_same_kind(old, new):
        raise misdescribed(op, f"the new one makes {_kind(new)} where {_kind(old)} was expected")


def check_attention(layer: Any, x: Any, attended: Any) -> None:
    if not _is_same_kind(x, attended):
        raise RewriteError(
            f"layer '{layer.name}' ({type(layer).__name__}) makes {_kind(attended)} of {_kind(x)};"
            " attention must keep shape and dtype."
        )


def _is_same_kind(old: Any, new: Any) -> bool:
    return tuple(old.shape) == tuple(new.shape) and old.dtype == new.dtype


def _kind(tensor: Any) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"


def check_sharing(model: Any, new: Any) -> None:
    """Raises if layers that had the same weights would have weights of their own, and train apart."""
    if len(_weights(new)) <= len(_weights(model)):
        return
    owners: dict[int, list[str]] = {}
    for op in (op for room in containers(model) for op in operations(room) if not is_container(op)):
        for weight in getattr(op, "weights", ()):
            owners.setdefault(id(weight), []).append(f"'{op.name}'")
    shared = next((names for names in owners.values() if len(names) > 1), [])
    which = f"layers {listing(shared)}" if shared else "some layers"
    raise RewriteError(
        f"{which} of '{model.name}' have the same weights, one of them by way of a layer around it;"
        " copies of them would train apart. Pass share_weights=True to attnzoo.augment."
    )


def _weights(model: Any) -> set[int]:
    """Returns the ids of all weights but those of inserted attention."""
    attention = {id(w) for x in layers_inside(model) if is_inserted(x) for w in x.weights}
    return {id(w) for w in model.weights} - attention
