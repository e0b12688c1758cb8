"""What a layer made again from its config is given of its twin: all that the config does not hold.

    variables, random states            assigned
    what a layer writes into a file     read back by the layer itself: its own `save_own_variables` and `save_assets`
    a vocabulary                        set: Keras's text files lose empty strings at the end
    attributes                          numbers, texts, arrays and functions that differ are carried over, so that what
                                        was set after construction, or derived by `adapt`, is not lost

Keras's own layers need the last row for what they derive only; a user's need it because Keras asks no more of a config
than that it makes a layer.
"""

from __future__ import annotations

import copy
import tempfile
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from attnzoo._keras.flags import copy_flags
from attnzoo._keras.graph import is_container
from attnzoo._keras.values import is_foreign_variable, is_plain, reached
from attnzoo._keras.variables import parts_around
from attnzoo.errors import RewriteError, first_line, listing
from attnzoo.layers._attended_layer import AttendedLayer, held_attention

_BASE = frozenset(vars(keras.layers.Layer(name="base")))
"""What Keras keeps in every layer."""
_NOT_STATE = ("_self_", "attnzoo_", "_attnzoo_")
"""What TensorFlow keeps, and attnzoo itself: attention inside a layer, and flags."""
_LOOKUPS = (keras.layers.StringLookup, keras.layers.IntegerLookup)
_WRITERS = (*_LOOKUPS, keras.layers.TextVectorization)
"""Keras's own layers with assets; the vocabulary of the last is that of a lookup inside it."""


def misdescribed(layer: Any, what: str) -> RewriteError:
    """Returns the error for a layer that its config does not make again."""
    return RewriteError(
        f"layer '{layer.name}' ({type(layer).__name__}) cannot be made again from its config: {what.removesuffix('.')}."
        " Give the class a get_config() that returns its constructor's arguments, or pass share_weights=True to"
        " attnzoo.augment."
    )


def copy_state(old: Any, new: Any) -> None:
    """Gives one layer, and all layers in it, the state of its twin.

    Raises:
        RewriteError: if the two do not have the same layers or variables, or there is state that cannot be copied.
    """
    pairs = list(_pairs(old, new))
    try:
        for a, b in pairs:
            _as_a_file_would(a, b)
    except Exception as cause:  # a method of the user's own: anything may come
        raise misdescribed(old, f"its state cannot be copied: {first_line(cause)}") from cause
    _copy_variables(old, new)
    memo = {id(a): b for a, b in [*pairs, *zip(*_variables(old, new), strict=True)]}
    for a, b in pairs:
        _carry_attributes(a, b, memo | without_tracker(a))


def _pairs(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    theirs, ours = _parts(old), _parts(new)
    expected, found = ([_class_of(layer).__name__ for layer in some[1:]] for some in (theirs, ours))
    if expected != found:
        raise misdescribed(old, f"the new one holds {_said(found)} where {_said(expected)} was expected")
    return zip(theirs, ours, strict=True)


def _class_of(layer: Any) -> type[Any]:
    return layer.attnzoo_base if isinstance(layer, AttendedLayer) else type(layer)


def _parts(layer: Any) -> list[Any]:
    """Returns a layer and all inside it, but for the attention that was inserted there: it has twins of its own."""
    return parts_around(layer, held_attention(layer))


def _said(words: list[str]) -> str:
    return listing(words, 4) or "nothing"


def without_tracker(layer: Any) -> dict[int, Any]:
    """Returns the entry of a memo by which copies of a layer's lists and dicts are not watched by that layer."""
    return {id(layer._tracker): None}


# Files -----------------------------------------------------------------------------------------------------------


def _as_a_file_would(old: Any, new: Any) -> None:
    base = keras.layers.Layer
    own = type(old).save_own_variables is not base.save_own_variables
    if own or type(old).load_own_variables is not base.load_own_variables:
        store: dict[str, Any] = {}
        old.save_own_variables(store)
        if store:
            new.load_own_variables({k: _value_in_file(v) for k, v in store.items()})
    if isinstance(old, _LOOKUPS):
        _copy_vocabulary(old, new)
    if hasattr(old, "save_assets") and not _writes_like_keras(old):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)


def _value_in_file(value: Any) -> Any:
    """Returns a value as a file would hand it out: an array that nobody else holds."""
    return np.array(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)


def _writes_like_keras(layer: Any) -> bool:
    return any(isinstance(layer, c) and type(layer).save_assets is c.save_assets for c in _WRITERS)


def _copy_vocabulary(old: Any, new: Any) -> None:
    tokens = old.get_vocabulary()
    if old.vocabulary_size() > 0 and tokens != new.get_vocabulary():
        idf = old.idf_weights_const.numpy()[: len(tokens)] if old.output_mode == "tf_idf" else None
        new.set_vocabulary(tokens, idf_weights=idf)


# Variables -------------------------------------------------------------------------------------------------------


def _copy_variables(old: Any, new: Any) -> None:
    theirs, ours = _variables(old, new)
    expected, found = ([f"{tuple(v.shape)} {v.dtype}" for v in some] for some in (theirs, ours))
    if expected != found:
        raise misdescribed(old, f"the new one has weights {_said(found)} where {_said(expected)} was expected")
    for a, b in zip(theirs, ours, strict=True):
        b.assign(a.value)


def _variables(old: Any, new: Any) -> tuple[list[Any], list[Any]]:
    """Returns the variables of two layers in one order, without those of inserted attention."""
    theirs, ours = (
        [v for v in layer.variables if id(v) not in {id(w) for a in held_attention(layer) for w in a.variables}]
        for layer in (old, new)
    )
    return theirs, _in_order_of(theirs, ours)


def _in_order_of(theirs: list[Any], ours: list[Any]) -> list[Any]:
    """Returns our variables in the order of theirs where names say which is which (a layer quantised after it was built
    has another order than one made quantised); Keras numbers those that a layer gives no name, and keeps their order.
    """
    by_name = {v.name: v for v in ours}
    names = [v.name for v in theirs]
    return [by_name[n] for n in names] if len(by_name) == len(ours) and set(names) == set(by_name) else ours


def copy_trainable(old: Any, new: Any) -> None:
    """Gives one layer, all layers in it and all their variables the trainable flags of its twin."""
    if is_container(old):
        new.trainable = old.trainable
        return
    for a, b in zip(_parts(old), _parts(new), strict=True):
        if a.trainable != b.trainable:
            b.trainable = a.trainable
        copy_flags(a, b)
    # A layer that LoRA was enabled for trains, its kernel does not.
    for a, b in zip(*_variables(old, new), strict=True):
        if a.trainable != b.trainable:
            b.trainable = a.trainable


# Attributes ------------------------------------------------------------------------------------------------------


def _carry_attributes(old: Any, new: Any, memo: dict[int, Any]) -> None:
    for name, value in vars(old).items():
        mine = vars(new).get(name)
        if name in _BASE or name.startswith(_NOT_STATE) or _is_same(value, mine):
            continue
        foreign = [v for v in reached(value) if id(v) not in memo and not is_plain(v)]
        if any(isinstance(v, keras.KerasTensor) for v in foreign) or _assigned(mine, value):
            continue  # a tensor of a call in the old graph is no state
        try:
            if foreign:
                raise TypeError(f"it holds a {type(foreign[0]).__name__}")
            setattr(new, name, copy.deepcopy(value, memo))
        except Exception as cause:
            raise misdescribed(old, f"its attribute '{name}' cannot be copied: {first_line(cause)}") from cause


def _assigned(new: Any, value: Any) -> bool:
    """Gives a variable that Keras does not know the value of another, if they are alike."""
    foreign = is_foreign_variable(new) and is_foreign_variable(value)
    alike = foreign and (tuple(new.shape), new.dtype) == (tuple(value.shape), value.dtype)
    if alike:
        new.assign(value)
    return alike


def _is_same(a: Any, b: Any) -> bool:
    """True if two attributes say the same, or what they say cannot be compared."""
    try:
        return a is b or _is_equal(a, b)
    except _CannotSay:
        return type(a) is type(b)


class _CannotSay(Exception):
    pass


def _is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, keras.Variable):
        raise _CannotSay
    if isinstance(a, np.ndarray) or keras.ops.is_tensor(a):
        x, y = _array(a), _array(b)
        return y is not None and x.dtype == y.dtype and np.array_equal(x, y)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(_is_equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(_is_equal, a, b))
    if isinstance(a, types.FunctionType) and isinstance(b, types.FunctionType):
        return a.__code__ is b.__code__
    if isinstance(a, types.NoneType | bool | int | float | complex | str | bytes | np.generic | set | frozenset):
        return type(a) is type(b) and bool(a == b)
    raise _CannotSay


def _array(x: Any) -> Any:
    """Returns the numbers of an array or tensor, or None for anything else."""
    if isinstance(x, keras.Variable) or not (isinstance(x, np.ndarray) or keras.ops.is_tensor(x)):
        return None
    try:
        return keras.ops.convert_to_numpy(x)
    except Exception:  # a tensor of a graph, or a sparse one
        raise _CannotSay from None
