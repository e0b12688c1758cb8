"""Models of a class of their own: what their instances hold beside the graph, carried over to a new instance.

A KerasHub backbone is a Functional model whose class has a constructor of its own (`ResNetBackbone(filters, ...)`),
methods, and attributes that point into the graph (`pyramid_outputs`). Its constructor knows of no attention, so that an
instance with attention is made without it: an empty instance, the new graph, then every attribute of the old instance,
translated. What cannot be translated is an error, because two models that share a thing by accident train each other.

    an attribute holds                      the new instance gets
    tensors, layers, models of the graph    their counterparts in the new graph; a tensor after which attention was
                                            inserted becomes the attended one
    other layers and models                 copies, weights and all
    variables of the model's own            copies
    metrics, optimizers, losses             new ones from their configs, without state
    lists, tuples, dicts, sets              the same of what they hold
    methods of the instance                 methods of the new one
    plain values, functions, classes        the same
    anything else                           a deep copy, or an error if it cannot be copied

Compile state is left behind, as in every model that attnzoo makes.
"""

from __future__ import annotations

import collections
import copy
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from attnzoo._keras import Functional, is_container, is_made_from_tensors, is_plain, node_of, weights_like
from attnzoo.errors import RewriteError, first_line
from attnzoo.layers._attended import plain_class

_KEPT = (
    "_auto_config",
    "_auto_config_error_args",
    "_dtype_policy",
    "_remat_mode",
    "activity_regularizer",
    "autocast",
    "supports_jit",
)
"""What Keras sets itself in every instance and a constructor may have set otherwise."""
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
"""What compiling, training and the backends leave in a model."""
_MADE_ANEW = (keras.Metric, keras.optimizers.Optimizer, keras.losses.Loss)


def instance_like(old: Any, cls: Any, inputs: Any, outputs: Any, find: Finder) -> Any:
    """Returns an instance of `cls` with a new graph and the attributes of `old`; no constructor of the user's runs.

    Raises:
        RewriteError: if an attribute cannot be carried over.
    """
    new = cls.__new__(cls)
    Functional.__init__(new, inputs, outputs, name=old.name)
    vars(new).update({k: v for k, v in vars(old).items() if k in _KEPT})
    carrier = _Carrier(old, new, find)
    for name, value in _attributes(old).items():
        if name not in vars(new):
            setattr(new, name, carrier.carried(value, name))
    _point_by_identity_and_name(old, new, find)
    return new


def _point_by_identity_and_name(old: Any, new: Any, find: Finder) -> None:
    """Sets what points to layers without holding them: ids in KerasHub and KerasCV, names in KerasCV's pyramids."""
    if "_functional_layer_ids" in vars(new):
        new._functional_layer_ids = {id(layer) for layer in new._flatten_layers()}
    names = vars(new).get("_pyramid_level_inputs")
    if names:
        attended = {level: find.tensor(old.get_layer(name).output) for level, name in names.items()}
        new._pyramid_level_inputs = {level: node_of(tensor).operation.name for level, tensor in attended.items()}


@dataclass(frozen=True)
class Finder:
    """Finds the new for the old while a graph is rebuilt.

    Args:
        tensor: from a tensor of the old graph to one of the new; None where there is none.
        operation: from a layer, model or operation to its counterpart, made if need be.
        twins: layers and models of the old graph, each with its counterpart.
        shared: the new model uses the old one's layers and variables.
    """

    tensor: Callable[[Any], Any]
    operation: Callable[[Any], Any]
    twins: Sequence[tuple[Any, Any]]
    shared: bool


class _Carrier:
    """Carries the attributes of one model to another; `carried` reads like the table that opens this file."""

    def __init__(self, old: Any, new: Any, find: Finder):
        self.old = old
        self.new = new
        self.find = find
        self.variables = {} if find.shared else self._variables()

    def _variables(self) -> dict[int, Any]:
        """Returns the model's own variables and those of its layers that it holds too, by the `id` of the old ones."""
        if not (self.old._trainable_variables or self.old._non_trainable_variables):
            return {}
        pairs = [zip(a.variables, b.variables, strict=False) for a, b in self.find.twins if not is_container(a)]
        known = {id(a): b for pair in pairs for a, b in pair}
        return known | weights_like(self.old, self.new, known)

    def carried(self, value: Any, name: str) -> Any:
        if value is self.old:
            return self.new
        if isinstance(value, keras.KerasTensor):
            return self._found(self.find.tensor(value), name, "a tensor of another graph")
        if isinstance(value, keras.Variable):
            return value if self.find.shared else self._found(self.variables.get(id(value)), name, "a foreign variable")
        if isinstance(value, keras.Operation):
            return self.find.operation(value)
        if isinstance(value, types.MethodType) and value.__self__ is self.old:
            return types.MethodType(value.__func__, self.new)
        if isinstance(value, dict) and type(value) is not collections.defaultdict:
            pairs = [(k, self.carried(v, name)) for k, v in value.items()]
            return collections.OrderedDict(pairs) if isinstance(value, collections.OrderedDict) else dict(pairs)
        if isinstance(value, list | set):
            return (list if isinstance(value, list) else set)(self.carried(v, name) for v in value)
        if isinstance(value, tuple):
            parts = [self.carried(v, name) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        if is_plain(value):
            return value
        return self._copied(value, name)

    def _copied(self, value: Any, name: str) -> Any:
        try:
            if isinstance(value, _MADE_ANEW):
                return type(value).from_config(value.get_config())
            if isinstance(value, types.FunctionType):
                raise TypeError("it remembers other objects")
            return copy.deepcopy(value, {id(self.old): self.new})
        except Exception as cause:
            raise self._refusal(name, f"a {type(value).__name__} that cannot be copied: {first_line(cause)}") from cause

    def _found(self, value: Any, name: str, what: str) -> Any:
        if value is None:
            raise self._refusal(name, what)
        return value

    def _refusal(self, name: str, what: str) -> RewriteError:
        return RewriteError(
            f"'{self.old.name}' ({plain_class(self.old).__name__}): attribute '{name}' holds {what}."
            " Set it to None and give the new model its own, or start from keras.Model(model.inputs, model.outputs)."
        )


def _attributes(model: Any) -> dict[str, Any]:
    """Returns what an instance holds beside what Keras keeps in every model."""
    # With PyTorch, layers set as attributes are kept in a dict of its own.
    own = {**vars(model).get("_modules", {}), **vars(model)}
    return {k: v for k, v in own.items() if k not in _LEFT_BEHIND and not k.startswith("_self_")}


def tensors_held(model: Any) -> list[Any]:
    """Returns the tensors that the attributes of a model of a class of its own hold."""
    if not isinstance(model, Functional) or is_made_from_tensors(plain_class(model)):
        return []
    fresh = ("_inputs_struct", "_outputs_struct", "_inputs", "_outputs")
    held = [v for k, v in _attributes(model).items() if k not in fresh]
    return [t for t in tree.flatten(held) if isinstance(t, keras.KerasTensor)]
