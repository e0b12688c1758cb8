"""Making a layer again: the same class, config, variables and flags, none of them shared.

A layer of Keras's own, without layers or chance inside, is made again attribute by attribute: the base constructor
runs, plain attributes are carried over, and each weight is born with the value of its twin. It saves what makes
`from_config` slow: deserialising initializers, drawing random weights, and overwriting them. Everything else (layers
of other packages, composite layers, dropout) takes the long way: `from_config`, a call, then its state (see `state`).
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import keras
from keras import tree
from keras.src.saving.serialization_lib import SafeModeScope  # it has no public name

from attnzoo._keras.graph import is_keras_layer
from attnzoo._keras.state import misdescribed
from attnzoo._keras.values import held_by, is_plain
from attnzoo.errors import RewriteError, first_line
from attnzoo.layers._backend import value_for_another


def twin(op: Any, trust: bool = False) -> tuple[Any, bool]:
    """Returns a new layer or operation like `op`, and whether it has its values already.

    Args:
        op: a layer or operation.
        trust: whether functions in Lambda layers may be called by a second model too, whatever they hold.

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
    lambdas = [x for x in op._flatten_layers() if isinstance(x, keras.layers.Lambda)]
    try:
        with SafeModeScope(not (trust or (lambdas and all(_held(x) is None for x in lambdas)))):
            new = _long_way(op)
    except Exception as cause:
        raise misdescribed(op, first_line(cause)) from cause
    if lambdas:
        # What Keras makes of a function's code has lost what is global in its module.
        for a, b in zip(op._flatten_layers(), new._flatten_layers(), strict=False):
            if isinstance(a, keras.layers.Lambda) and isinstance(b, keras.layers.Lambda):
                b.function = a.function
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


def _held(op: Any) -> Any:
    """Returns what a Lambda layer's function holds that two models must not share, or None."""
    functions = (op.function, vars(op).get("mask"), *op.arguments.values())
    return next((h for h in map(held_by, functions) if h is not None), None)


def _lambda(op: Any, trust: bool) -> Any:
    held = None if trust else _held(op)
    if held is not None:
        name = getattr(held, "name", None)
        what = f"'{name}' ({type(held).__name__})" if name else f"a {type(held).__name__}"
        raise RewriteError(
            f"layer '{op.name}' (Lambda) calls a function that holds {what}, which two models would then share;"
            " rebuild the model without it, or pass trust=True to attnzoo.augment or strip if they may."
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
