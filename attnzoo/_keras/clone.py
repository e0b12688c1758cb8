"""Making a layer again: the same class, config, variables and flags, none of them shared.

A layer of Keras's own, without layers or chance inside, is made again attribute by attribute: the base constructor
runs, plain attributes are carried over, and each weight is born with the value of its twin. It saves what makes
`from_config` slow: deserialising initializers, drawing random weights, and overwriting them. Everything else (layers
of other packages, composite layers, dropout) takes the long way: `from_config`, a call, then the variables.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Collection
from typing import Any

import keras
from keras import tree
from keras.src.saving.serialization_lib import SafeModeScope  # it has no public name

from attnzoo._keras.graph import is_container, is_keras_layer
from attnzoo._keras.variables import parts_around
from attnzoo.errors import RewriteError, first_line
from attnzoo.layers._attended_layer import held_attention
from attnzoo.layers._backend import value_for_another

PLAIN = (
    types.NoneType,
    bool,
    int,
    float,
    str,
    types.BuiltinFunctionType,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.layers.InputSpec,
    keras.DTypePolicy,
)


def twin(op: Any, trust: bool = False) -> tuple[Any, bool]:
    """Returns a new layer or operation like `op`, and whether it has its values already.

    Args:
        op: a layer or operation.
        trust: whether functions in Lambda layers may be called by a second model too.

    Raises:
        RewriteError: if the layer's config does not describe it.
    """
    if not isinstance(op, keras.layers.Layer):
        # Not copy.copy: Keras defines that as saving to a file and loading from it.
        new = object.__new__(type(op))
        vars(new).update(vars(op), _inbound_nodes=[], _outbound_nodes=[])
        return new, True
    if isinstance(op, keras.layers.Lambda):
        return _lambda(op, trust), True
    new = _short_way(op)
    if new is not None:
        return new, True
    try:
        with SafeModeScope(not trust):
            new = _long_way(op)
    except Exception as cause:
        raise RewriteError(
            f"layer '{op.name}' ({type(op).__name__}) cannot be made again from its config:"
            f" {first_line(cause).removesuffix('.')}. Give the class a get_config() that returns its constructor's"
            " arguments, or pass share_weights=True to attnzoo.augment."
        ) from cause
    # Some constructors take the name for a prefix: KerasHub's DepthwiseConvBlock calls itself `<name>_0`.
    new.name = op.name
    return new, False


def _long_way(op: Any) -> Any:
    """From the config, or where that is wrong (KerasHub's MiT) from the constructor's arguments that Keras kept."""
    try:
        return type(op).from_config(op.get_config())
    except Exception:
        kept = getattr(op, "_auto_config", None)
        if kept is None or any(isinstance(v, keras.layers.Layer) for v in tree.flatten(kept.config)):
            raise  # layers among the arguments would be shared
        new = type(op)(**{"dtype": op.dtype_policy, **op._auto_config.config, "name": op.name})
        new._auto_config = op._auto_config
        return new


def _lambda(op: Any, trust: bool) -> Any:
    if not trust:
        raise RewriteError(
            f"layer '{op.name}' (Lambda) is Python code that no config describes; rebuild the model without it,"
            " or pass trust=True to attnzoo.augment or strip: the new model will then call the same function."
        )
    return type(op)(
        op.function,
        output_shape=op._output_shape,
        mask=vars(op).get("mask"),
        arguments=dict(op.arguments),
        name=op.name,
        dtype=op.dtype_policy,
    )


def _short_way(op: Any) -> Any:
    inside = op._layers or op._metrics or op._seed_generators
    if not is_keras_layer(op) or inside or not op.built:
        return None
    attributes = {k: v for k, v in vars(op).items() if not k.startswith("_self_")}
    cls: Any = type(op)
    new = cls.__new__(cls)
    state = vars(new)
    # TensorFlow looks through every attribute for variables; the base constructor sets none.
    state["_self_setattr_tracking"] = False
    keras.layers.Layer.__init__(new, name=op.name, dtype=op.dtype_policy, autocast=op.autocast)
    del state["_self_setattr_tracking"]
    places: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, keras.Variable):
            places[name] = value
        elif isinstance(value, list) and name in state:
            continue  # what the base constructor made is watched: variables that come later enter it
        elif is_plain(value):
            state[name] = list(value) if isinstance(value, list) else value
        elif name not in state:
            return None
    state.update({k: attributes[k] for k in ("_auto_config", "_build_shapes_dict") if k in attributes})
    weights = weights_like(op, new)
    if any(id(v) not in weights for v in places.values()):
        return None
    for name, value in places.items():
        setattr(new, name, weights[id(value)])
    new._post_build()
    new._lock_state()
    return new


def is_plain(value: Any) -> bool:
    """True for what two layers may share: values that never change, lists of them, functions that hold nothing else."""
    if isinstance(value, tuple | list):
        return all(is_plain(v) for v in value)
    if isinstance(value, types.FunctionType):
        return all(_is_plain_cell(cell) for cell in value.__closure__ or ())
    return isinstance(value, PLAIN)


def _is_plain_cell(cell: Any) -> bool:
    try:
        value = cell.cell_contents
    except ValueError:  # an empty cell
        return True
    return value.__closure__ is None if isinstance(value, types.FunctionType) else is_plain(value)


def weights_like(op: Any, new: Any, known: Collection[int] = ()) -> dict[int, Any]:
    """Gives a layer the weights that its twin holds itself; returns them by the `id` of the old ones.

    Args:
        op: the old layer or model.
        new: its twin.
        known: ids of variables that belong to others and are left out.
    """
    made = {}
    with new._open_name_scope():
        for variables, trainable in ((op._trainable_variables, True), (op._non_trainable_variables, False)):
            for v in (v for v in variables if id(v) not in known):
                made[id(v)] = new.add_weight(
                    name=v.name,
                    shape=tuple(v.shape),
                    dtype=v.dtype,
                    initializer=functools.partial(_value, v),
                    trainable=trainable,
                    autocast=v._autocast,
                    aggregation=v.aggregation,
                    regularizer=v.regularizer,
                    constraint=v.constraint,
                )
    return made


def _value(variable: Any, shape: Any, dtype: Any = None) -> Any:
    """An initializer: the value of another variable."""
    return value_for_another(variable)


def copy_variables(old: Any, new: Any) -> None:
    """Gives one layer the variables of its twin, random states included.

    Raises:
        RewriteError: if the two do not have the same variables.
    """
    theirs, ours = _pairs(old, new)
    if [(tuple(v.shape), v.dtype) for v in theirs] != [(tuple(v.shape), v.dtype) for v in ours]:
        raise RewriteError(
            f"layer '{old.name}' ({type(old).__name__}) has {len(theirs)} variables, made again from its config it has"
            f" {len(ours)}, or others: its get_config() does not describe it."
        )
    for a, b in zip(theirs, ours, strict=True):
        b.assign(a.value)
    for a, b in zip(_parts(old), _parts(new), strict=True):
        # Layers with state beside their variables (Normalization) derive it when they load or are finalized.
        if type(a).load_own_variables is not keras.layers.Layer.load_own_variables:
            store: dict[str, Any] = {}
            a.save_own_variables(store)
            if store:
                b.load_own_variables(store)
        elif hasattr(b, "finalize_state"):
            b.finalize_state()


def _in_order_of(theirs: list[Any], ours: list[Any]) -> list[Any]:
    """Returns our variables in the order of theirs where names say which is which (a layer quantised after it was built
    has another order than one made quantised); Keras numbers those that a layer gives no name, and keeps their order.
    """
    by_name = {v.name: v for v in ours}
    names = [v.name for v in theirs]
    return [by_name[n] for n in names] if len(by_name) == len(ours) and set(names) == set(by_name) else ours


def _parts(layer: Any) -> list[Any]:
    """Returns a layer and all inside it, but for the attention that was inserted there: it has twins of its own."""
    return parts_around(layer, held_attention(layer))


def _pairs(old: Any, new: Any) -> tuple[list[Any], list[Any]]:
    """Returns the variables of two layers in one order, without those of inserted attention."""
    theirs, ours = (
        [v for v in layer.variables if id(v) not in {id(w) for a in held_attention(layer) for w in a.variables}]
        for layer in (old, new)
    )
    return theirs, _in_order_of(theirs, ours)


def copy_trainable(old: Any, new: Any) -> None:
    """Gives one layer, all layers in it and all their variables the trainable flags of its twin."""
    if is_container(old):
        new.trainable = old.trainable
        return
    for a, b in zip(_parts(old), _parts(new), strict=True):
        if a.trainable != b.trainable:
            b.trainable = a.trainable
    # A layer that LoRA was enabled for trains, its kernel does not.
    for a, b in zip(*_pairs(old, new), strict=True):
        if a.trainable != b.trainable:
            b.trainable = a.trainable
