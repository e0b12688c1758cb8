"""Models of a class of their own: what their instances hold beside the graph, carried over to a new instance.

A KerasHub backbone is a Functional model whose class has a constructor of its own (`ResNetBackbone(filters, ...)`),
methods, and attributes that point into the graph (`pyramid_outputs`). Its constructor knows of no attention, so that an
instance with attention is made without it: an empty instance, the new graph, then every attribute of the old instance,
translated. What cannot be translated is an error, because two models that share a thing by accident train each other.

    an attribute holds, at any depth        the new instance gets
    tensors, layers, models of the graph    their counterparts in the new graph; a tensor after which attention was
                                            inserted becomes the attended one
    other layers and models                 copies, weights and all
    variables of the model's own            copies
    metrics, optimizers, losses             new ones from their configs, without state
    methods of the instance                 methods of the new one
    plain values, functions, classes        the same
    containers, dataclasses, all else       deep copies, or an error if it cannot be copied

Compile state is left behind, as in every model that attnzoo makes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from attnzoo._keras import (
    MADE_ANEW,
    Functional,
    attributes_of,
    attributes_of_every_model,
    is_container,
    is_foreign_variable,
    is_made_from_tensors,
    is_plain,
    layers_inside,
    point_by_identity_and_name,
    reached,
    set_by_constructor,
    weights_like,
    without_tracker,
)
from attnzoo.errors import RewriteError, first_line
from attnzoo.layers._attended import plain_class


def instance_like(old: Any, cls: Any, inputs: Any, outputs: Any, find: Finder) -> Any:
    """Returns an instance of `cls` with a new graph and the attributes of `old`; no constructor of the user's runs.

    Raises:
        RewriteError: if an attribute cannot be carried over.
    """
    new = cls.__new__(cls)
    Functional.__init__(new, inputs, outputs, name=old.name)
    vars(new).update(set_by_constructor(old))
    carrier = _Carrier(old, new, find)
    for name, value in attributes_of(old).items():
        if name not in vars(new):
            setattr(new, name, carrier.carried(value, name))
    point_by_identity_and_name(old, new, find.tensors)
    return new


@dataclass(frozen=True)
class Finder:
    """Finds the new for the old while a graph is rebuilt.

    Args:
        tensors: by `id` of a tensor of the old graph, one of the new.
        operation: from a layer, model or operation to its counterpart, made if need be.
        twins: layers and models of the old graph, each with its counterpart.
        shared: the new model uses the old one's layers and variables.
    """

    tensors: Mapping[int, Any]
    operation: Callable[[Any], Any]
    twins: Sequence[tuple[Any, Any]]
    shared: bool


class _Carrier:
    """Carries the attributes of one model to another; `carried` reads like the table that opens this file."""

    def __init__(self, old: Any, new: Any, find: Finder):
        self.old = old
        self.find = find
        variables = {} if find.shared else self._variables(new)
        self.memo = {id(old): new, **find.tensors, **variables, **without_tracker(old)}
        """By `id`, what `copy.deepcopy` takes instead of copying."""

    def _variables(self, new: Any) -> dict[int, Any]:
        """Returns the model's own variables and those of its layers that it holds too, by the `id` of the old ones."""
        known = self._variables_of_layers()
        return known | weights_like(self.old, new, known)

    def _variables_of_layers(self) -> dict[int, Any]:
        pairs = (p for p in self.find.twins if not is_container(p[0]))
        return {id(a): b for old, new in pairs for a, b in zip(old.variables, new.variables, strict=False)}

    def _layers(self) -> dict[int, Any]:
        """Returns the counterparts of the layers of the graph and of those inside them, by `id`."""
        pairs = [p for p in self.find.twins if not is_container(p[0])]
        inside = (zip(layers_inside(a), layers_inside(b), strict=False) for a, b in pairs)
        return {id(a): b for some in (pairs, *inside) for a, b in some}

    def carried(self, value: Any, name: str) -> Any:
        for part in reached(value):
            if id(part) not in self.memo:
                self.memo[id(part)] = self._counterpart(part, name)
        try:
            return copy.deepcopy(value, self.memo)
        except Exception as cause:
            raise self._refusal(name, f"a {type(value).__name__} that cannot be copied: {first_line(cause)}") from cause

    def _counterpart(self, part: Any, name: str) -> Any:
        if isinstance(part, keras.KerasTensor):
            raise self._refusal(name, "a tensor of another graph")
        if isinstance(part, keras.Variable):
            known = {id(part): part} if self.find.shared else self._variables_of_layers()
            if id(part) not in known:
                raise self._refusal(name, "a foreign variable")
            return known[id(part)]
        if isinstance(part, keras.Operation):
            known = self._layers()
            return known[id(part)] if id(part) in known else self.find.operation(part)
        if isinstance(part, MADE_ANEW):
            return type(part).from_config(part.get_config())
        if isinstance(part, keras.random.SeedGenerator):
            new = type(part).from_config(part.get_config())
            new.state.assign(part.state.value)
            return new
        if is_foreign_variable(part):
            return part if self.find.shared else copy.deepcopy(part)
        if is_plain(part):
            return part
        raise self._refusal(name, f"a {type(part).__name__} that cannot be copied: it remembers other objects")

    def _refusal(self, name: str, what: str) -> RewriteError:
        return RewriteError(
            f"'{self.old.name}' ({plain_class(self.old).__name__}): attribute '{name}' holds {what}."
            " Set it to None and give the new model its own, or start from keras.Model(model.inputs, model.outputs)."
        )


def tensors_held(model: Any) -> list[Any]:
    """Returns the tensors that the attributes of a model of a class of its own hold."""
    if not isinstance(model, Functional) or is_made_from_tensors(plain_class(model)):
        return []
    held = [v for k, v in attributes_of(model).items() if k not in attributes_of_every_model()]
    return [t for t in reached(held) if isinstance(t, keras.KerasTensor)]
