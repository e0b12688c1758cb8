"""Keras's own graph of a model: its nodes, each a call of an operation, and where its tensors come from."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.models.functional import Functional as Functional  # it has no public name
from keras.src.models.functional import functional_like_constructor

from attnzoo.errors import RewriteError
from attnzoo.layers import Attention


def is_inserted(op: Any) -> bool:
    """True for a layer that `augment` inserted, as opposed to one its user built the model with."""
    return isinstance(op, Attention) and op.site is not None


def is_container(op: Any) -> bool:
    """True for a model whose graph can be opened."""
    return isinstance(op, Functional | keras.Sequential)


def node_of(tensor: Any) -> Any:
    """Returns the call that a symbolic tensor comes from."""
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]


def source_of(tensor: Any) -> tuple[Any, int]:
    """Returns the call a symbolic tensor comes from, inserted attention left out, and which of its outputs it is."""
    while is_inserted(node_of(tensor).operation):
        tensor = node_of(tensor).input_tensors[0]
    return node_of(tensor), tensor._keras_history[2]


def last_output_of(op: Any) -> Any:
    """Returns what the last call of a layer in a graph makes, or None for one that was not called."""
    return op._inbound_nodes[-1].outputs[0] if op._inbound_nodes else None


def is_keras_layer(op: Any) -> bool:
    """True for an object of one of Keras's own layer classes."""
    return type(op).__module__.startswith("keras.src.layers.")


def is_made_from_tensors(cls: type[Any]) -> bool:
    """True if a class of Functional models takes inputs and outputs, as keras.Model does."""
    return bool(functional_like_constructor(cls))


def is_wired(model: Any) -> bool:
    """True for a Sequential model that has a graph already."""
    return model._functional is not None


def inputs_of(model: Any) -> Any:
    """Returns the input tensors of a Functional model, nested as its caller must nest them."""
    return model._inputs_struct


def outputs_of(model: Any) -> Any:
    """Returns the output tensors of a Functional model, nested as its caller gets them."""
    return model._outputs_struct


def operation_of(tensor: Any) -> Any:
    """Returns the operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def layers_inside(op: Any) -> list[Any]:
    """Returns all layers inside a layer."""
    return list(op._flatten_layers(include_self=False)) if isinstance(op, keras.layers.Layer) else []


def attention_inside(op: Any) -> list[Any]:
    """Returns the attention that `augment` inserted into models which a layer holds, where no graph shows it."""
    return [] if is_container(op) or is_inserted(op) else [x for x in layers_inside(op) if is_inserted(x)]


Traces = list[tuple[list[Any], list[Any]]]
"""Lists of nodes, each with what it holds or is to hold."""


def traces_of(op: Any) -> Traces:
    """Returns what symbolic calls have left in a layer or model and in all operations in it, to be put back later."""
    layers = [op, *layers_inside(op)]
    inside = [x for layer in layers if isinstance(layer, Functional) for x in layer.operations]
    every = {id(x): x for x in [*layers, *inside]}.values()
    return [(nodes, list(nodes)) for x in every for nodes in (x._inbound_nodes, x._outbound_nodes)]


def put_traces(traces: Traces) -> None:
    """Makes each list of nodes hold again what it is to hold."""
    for nodes, content in traces:
        nodes[:] = content


def functional_of(model: Any) -> Any:
    """Returns the graph model of a Functional or Sequential model.

    Raises:
        RewriteError: for models that have no graph.
    """
    if isinstance(model, Functional):
        if type(model).call is not Functional.call:
            raise RewriteError(
                f"nested model '{model.name}' ({type(model).__name__}) overrides call(), so its graph is not what it"
                " computes; put what call() adds into layers of the graph."
            )
        return model
    if isinstance(model, keras.Sequential):
        if not is_wired(model):
            raise RewriteError(
                f"Sequential model '{model.name}' has no input shape yet;"
                " start it with keras.Input(shape) or call it on data."
            )
        return model._functional
    if any(cls.__module__.partition(".")[0] == "tf_keras" for cls in type(model).__mro__):
        raise RewriteError(
            f"expected a keras.Model, got a Keras 2 (tf_keras) model, {type(model).__name__}; make the network with"
            " Keras 3, which TF_USE_LEGACY_KERAS=1 hides, or save it by model.save('m.h5') and load that file by"
            " attnzoo.load_model('m.h5')."
        )
    raise RewriteError(
        f"expected a keras.Model, got {type(model).__name__}; make or load it first, such as"
        " keras.applications.ResNet50() or attnzoo.load_model(path)."
    )


def ordered_nodes(functional: Any) -> list[Any]:
    """Returns the call nodes of one graph, each after those it reads from; input nodes are left out.

    Calls of one layer keep their order: files refer to a tensor by its layer and the number of the call.
    """
    depths = sorted(functional._nodes_by_depth, reverse=True)
    waiting = [n for d in depths for n in functional._nodes_by_depth[d] if not n.is_input]
    inside = {id(n) for n in waiting}
    needs: dict[int, set[int]] = {}
    for node in waiting:
        calls = [n for n in node.operation._inbound_nodes if id(n) in inside]
        earlier = calls[: calls.index(node)]
        needs[id(node)] = {id(n) for n in [*node.parent_nodes, *earlier] if id(n) in inside}
    ordered: list[Any] = []
    done: set[int] = set()
    while waiting:
        ready_before = len(ordered)
        later = []
        for node in waiting:
            if needs[id(node)] <= done:
                done.add(id(node))
                ordered.append(node)
            else:
                later.append(node)
        if len(ordered) == ready_before:
            return [*ordered, *later]
        waiting = later
    return ordered


def places_of(functional: Any) -> dict[Any, Any]:
    """Returns the call nodes of one graph in order, each mapped to the key under which attention there is recorded.

    A layer with weights, or a nested model, is one place, however often it is called: a siamese network gets one
    module, called as often. What has no weights is a place for each thing that it is called on: one `ReLU` or `Add`
    that serves a whole network says nothing about where. Attention that was inserted is looked through.
    """
    places: dict[Any, Any] = {}
    known: dict[tuple[Any, ...], Any] = {}
    for node in ordered_nodes(functional):
        op = node.operation
        if is_container(op) or (isinstance(op, keras.layers.Layer) and op.weights):
            places[node] = op
            continue
        read = [source_of(t) for t in node.input_tensors]
        key = (id(op), *((id(places.get(source, source)), index) for source, index in read))
        places[node] = known.setdefault(key, node)
    return places


def name_outputs_by_host(model: Any) -> None:
    """After loading a model: names outputs after the layers that attention was inserted after, as `augment` did."""
    if isinstance(model, Functional):
        model.output_names = [source_of(tensor)[0].operation.name for tensor in model.outputs]
