"""The only place that rebuilds a graph: insertions -> new model.

Every layer is made anew from its config, called where its twin was called, and given its twin's variables, one layer
object at a time. Positions and names are never used to match weights: inserting a layer changes the order of
`model.layers`, and two layers of one shape would swap without an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import tree

from attnzoo._keras import (
    copy_state,
    copy_trainable,
    deep_graphs,
    functional_of,
    inputs_of,
    is_container,
    is_inserted,
    is_made_from_tensors,
    is_wired,
    keep_open,
    last_output_of,
    misdescribed,
    opened,
    operation_of,
    outputs_of,
    places_of,
    twin,
)
from attnzoo.errors import AttnzooError, RewriteError, first_line
from attnzoo.layers._attended import Attended, attended_class, plain_class
from attnzoo.layers._attended_layer import plain_layer
from attnzoo.rewriting.addresses import containers, operations
from attnzoo.rewriting.carry import Finder, instance_like
from attnzoo.rewriting.checks import check_attention, check_sharing, check_twin, failed_call
from attnzoo.rewriting.insertion import Insertion
from attnzoo.rewriting.layers import check_reached, held_by, with_attention


def rebuild(
    model: Any,
    insertions: Sequence[Insertion] = (),
    *,
    drop: bool = False,
    share: bool = False,
    trust: bool = False,
) -> Any:
    """Returns a new model: the old one with layers inserted, or (`drop`) without those inserted before.

    Args:
        model: a Functional or Sequential model; left as it is, except that `share` adds calls to its layers.
        insertions: applied in order where several meet.
        drop: leave out attention that was inserted.
        share: use the old layers themselves, so that both models have the same variables.
        trust: whether the new model may call functions of Lambda layers that hold a layer or a variable.

    Raises:
        RewriteError: if a layer cannot be made anew, or the new model fails a check.
    """
    with opened(model, keep=share) as source:
        return _rebuilt(source, _Rebuilder(insertions, drop, share, trust), insertions)


def _rebuilt(model: Any, work: _Rebuilder, insertions: Sequence[Insertion]) -> Any:
    functional_of(model)
    with deep_graphs():
        new = work.container(model)
    missed = [i.layer.name for i in insertions if not i.layer.built]
    if missed:
        raise RewriteError(
            f"'{missed[0]}' cannot be inserted: '{model.name}' has changed since the plan was made; plan again."
        )
    if not work.share:
        check_sharing(model, new)
    for old, copied in work.empty:
        copy_state(old, copied)
    for old, copied in work.twins:
        copy_trainable(old, copied)
    for insertion in insertions:
        insertion.layer.trainable = True
    for layer in work.opened:
        keep_open(layer)
    return new


def strip(model: Any, *, trust: bool = False) -> Any:
    """Returns the same model without the attention that `augment` inserted; a plain model comes back as a copy.

    Args:
        model: a model made by `augment`, also after saving and loading, with models nested in it or not.
        trust: whether the new model may call functions of Lambda layers that hold a layer or a variable.

    Raises:
        RewriteError: if the model cannot be rebuilt, or a layer of it holds attention where no graph shows it.
    """
    with opened(model) as source:
        for op in (op for room in containers(source) for op in operations(room)):
            check_reached(op, model)
        return rebuild(source, drop=True, trust=trust)


class _Rebuilder:
    def __init__(self, insertions: Sequence[Insertion], drop: bool, share: bool, trust: bool):
        self.drop = drop
        self.share = share
        self.trust = trust
        self.made: dict[int, Any] = {}
        self.twins: list[tuple[Any, Any]] = []
        self.empty: list[tuple[Any, Any]] = []
        self.after: dict[tuple[int, int, int], list[Insertion]] = {}
        self.before: dict[tuple[int, int, int], list[Insertion]] = {}
        self.inside: dict[int, list[Insertion]] = {}
        self.opened: list[Any] = []
        for i in insertions:
            room = (i.after or i.edges[0])[0]
            if not is_container(room):
                self.inside.setdefault(id(room), []).append(i)
            elif i.after is not None:
                container, place, index = i.after
                self.after.setdefault((id(container), id(place), index), []).append(i)
            for container, place, position in i.edges if is_container(room) else ():
                self.before.setdefault((id(container), id(place), position), []).append(i)

    def container(self, model: Any) -> Any:
        if id(model) not in self.made:
            new = self._sequential(model) if isinstance(model, keras.Sequential) else self._functional(model)
            self.made[id(model)] = new
            # Containers come before what they hold when flags are copied: setting one sets all below it.
            self.twins.insert(0, (model, new))
        return self.made[id(model)]

    def _op(self, op: Any) -> Any:
        if is_container(op):
            return self.container(op)
        if id(op) not in self.made:
            is_layer = isinstance(op, keras.layers.Layer)
            new, complete = (op, True) if self.share and is_layer else twin(plain_layer(op), self.trust)
            new = self._with_attention(op, new)
            self.made[id(op)] = new
            if is_layer:
                self.twins.append((op, new))
            if not complete:
                self.empty.append((op, new))
        return self.made[id(op)]

    def _called(self, node: Any, read: list[Any]) -> list[Any]:
        op = self._op(node.operation)
        try:
            return _call_like(node, op, read)
        except (AttnzooError, MemoryError, RecursionError):
            raise
        except Exception as cause:  # a layer's call: anything may come
            raise failed_call(op, cause, self.share) from cause

    def _with_attention(self, op: Any, new: Any) -> Any:
        """Puts attention inside the twin of a layer: what the layer holds, and what is inserted there."""
        inserted = self.inside.get(id(op), [])
        pairs = [] if self.drop else [(self._op(module), where) for module, where in held_by(op)]
        if inserted or (pairs and not self.share):
            new = with_attention(op, new, pairs, inserted, self.share)
        if inserted:
            self.opened.append(new)
        return new

    def _input(self, tensor: Any) -> Any:
        new = _input_like(tensor)
        self.twins.append((operation_of(tensor), operation_of(new)))
        return new

    def _functional(self, model: Any) -> Any:
        tensors: dict[int, Any] = {}
        for old in model.inputs:
            tensors[id(old)] = self._input(old)
        attended: dict[tuple[str, int], Any] = {}
        for node, place in places_of(model).items():
            if self.drop and is_inserted(node.operation):
                tensors[id(node.outputs[0])] = tensors[id(node.input_tensors[0])]
                continue
            if any(id(t) not in tensors for t in node.input_tensors):
                continue
            read = [
                self._attend(self.before.get((id(model), id(place), i), ()), tensors[id(t)], attended)
                for i, t in enumerate(node.input_tensors)
            ]
            outputs = self._called(node, read)
            for index, (old, new) in enumerate(zip(node.outputs, outputs, strict=True)):
                check_twin(node.operation, old, new)
                there = self.after.get((id(model), id(place), index), ())
                tensors[id(old)] = self._attend(there, new, attended)
        return self._like(model, tensors)

    def _like(self, model: Any, tensors: dict[int, Any]) -> Any:
        inputs = tree.map_structure(lambda old: tensors[id(old)], inputs_of(model))
        outputs = tree.map_structure(lambda old: tensors[id(old)], outputs_of(model))
        cls = plain_class(model)
        if is_made_from_tensors(cls):
            new = cls(inputs=inputs, outputs=outputs, name=model.name)
        else:
            if not self.drop and (isinstance(model, Attended) or self._inserts_into(model)):
                cls = attended_class(cls)
            find = Finder(tensors, self._held, self.twins, self.share)
            new = instance_like(model, cls, inputs, outputs, find)
        # Keras names outputs after the layers they come from; attention on an output must not rename it.
        new.output_names = list(model.output_names)
        return new

    def _inserts_into(self, model: Any) -> bool:
        rooms = containers(model)
        inside = {id(room) for room in rooms}
        if any(container in inside for container, _, _ in (*self.after, *self.before)):
            return True
        return any(id(op) in self.inside for room in rooms for op in operations(room))

    def _held(self, op: Any) -> Any:
        """Returns the counterpart of what an attribute holds, which may stand in no graph."""
        if self.share and id(op) not in self.made:
            return op
        new = self._op(op)
        if isinstance(op, keras.layers.Layer) and op.built and not new.built:
            try:
                new.build_from_config(op.get_build_config() or {})
            except Exception as cause:
                raise misdescribed(op, f"built as before, it fails: {first_line(cause)}") from cause
        return new

    def _attend(self, insertions: Iterable[Insertion], x: Any, attended: dict[tuple[str, int], Any]) -> Any:
        for insertion in insertions:
            key = (insertion.layer.name, id(x))
            if key not in attended:
                attended[key] = insertion.layer(x)
                check_attention(insertion.layer, x, attended[key])
            x = attended[key]
        return x

    def _sequential(self, model: Any) -> Any:
        functional = functional_of(model)
        layers = [self._input(functional.inputs[0])]
        places = {id(node.operation): id(place) for node, place in places_of(functional).items()}
        for old in model.layers:
            if self.drop and is_inserted(old):
                continue
            before = self.before.get((id(model), places[id(old)], 0), [])
            after = self.after.get((id(model), places[id(old)], 0), [])
            layers += [i.layer for i in before]
            layers.append(self._op(old))
            layers += [i.layer for i in after]
        cls = self._sequential_class(model)
        try:
            new = cls(layers, name=model.name)
        except (AttnzooError, MemoryError, RecursionError):
            raise
        except Exception as cause:
            self._check_twins(functional)
            failed = next((x for x in layers[1:] if last_output_of(x) is None), layers[-1])
            raise failed_call(failed, cause, self.share) from cause
        if not is_wired(new):
            raise RewriteError(
                f"Sequential model '{model.name}' cannot be built again: one of its layers does not say what it makes"
                " of its input; give it a compute_output_shape() or a call() that works on symbolic tensors."
            )
        self._check_twins(functional)
        return new

    def _check_twins(self, functional: Any) -> None:
        for node in places_of(functional):
            new = self.made.get(id(node.operation))
            if new is not None and last_output_of(new) is not None:
                check_twin(node.operation, node.outputs[0], last_output_of(new))

    def _sequential_class(self, model: Any) -> Any:
        if type(model).__init__ is not keras.Sequential.__init__:
            raise RewriteError(
                f"Sequential model '{model.name}' ({type(model).__name__}) has a constructor of its own and cannot be"
                " made from layers; start from keras.Sequential(model.layers) or a Functional model."
            )
        return type(model)


# One layer -------------------------------------------------------------------------------------------------------


def _input_like(tensor: Any) -> Any:
    layer = operation_of(tensor)
    copied = keras.layers.InputLayer.from_config(layer.get_config())
    copied.trainable = layer.trainable
    copied.output.name = tensor.name
    return copied.output


def _call_like(node: Any, op: Any, read: list[Any]) -> list[Any]:
    """Calls `op` as `node` called its twin, with other tensors in the places of the old ones."""
    remaining = iter(read)
    args, kwargs = tree.map_structure(
        lambda a: next(remaining) if isinstance(a, keras.KerasTensor) else a,
        (node.arguments.args, node.arguments.kwargs),
    )
    return list(tree.flatten(op(*args, **kwargs)))
