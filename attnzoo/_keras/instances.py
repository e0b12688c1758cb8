"""What Keras, KerasHub and KerasCV keep in the instances of models, beside what their classes' authors put there."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras

from attnzoo._keras.graph import Functional, node_of

_SET_BY_CONSTRUCTOR = (
    "_auto_config",
    "_auto_config_error_args",
    "_dtype_policy",
    "_remat_mode",
    "activity_regularizer",
    "autocast",
    "supports_jit",
)
_LEFT_BEHIND = (
    "_compile_config",
    "_compiled_trainable_state",
    "_distributed_dataset",
    "_eval_epoch_iterator",
    "_jax_state",
    "_jax_state_synced",
    "_obj_reference_counts_dict",
    "_torch_params",
    "history",
    "optimizer",
    "stop_evaluating",
    "stop_predicting",
    "stop_training",
)


def set_by_constructor(model: Any) -> dict[str, Any]:
    """Returns what Keras sets itself in every instance and a constructor may have set otherwise."""
    return {k: v for k, v in vars(model).items() if k in _SET_BY_CONSTRUCTOR}


def attributes_of(model: Any) -> dict[str, Any]:
    """Returns what an instance holds, without what compiling, training and the backends leave in it."""
    # With PyTorch, layers set as attributes are kept in a dict of its own.
    own = {**vars(model).get("_modules", {}), **vars(model)}
    return {k: v for k, v in own.items() if k not in _LEFT_BEHIND and not k.startswith("_self_")}


@functools.cache
def attributes_of_every_model() -> frozenset[str]:
    """Returns the names of what Keras itself keeps in a Functional model, its graph among it."""
    tensor = keras.Input((1,), name="bare")
    return frozenset(vars(Functional(tensor, tensor, name="bare")))


def point_by_identity_and_name(old: Any, new: Any, tensors: Mapping[int, Any]) -> None:
    """Sets what points to layers without holding them: ids in KerasHub and KerasCV, names in KerasCV's pyramids.

    Args:
        old: a model.
        new: its twin.
        tensors: by `id` of a tensor of the old graph, one of the new.
    """
    if "_functional_layer_ids" in vars(new):
        new._functional_layer_ids = {id(layer) for layer in new._flatten_layers()}
    names = vars(new).get("_pyramid_level_inputs")
    if names:
        attended = {level: tensors[id(old.get_layer(name).output)] for level, name in names.items()}
        new._pyramid_level_inputs = {level: node_of(tensor).operation.name for level, tensor in attended.items()}
