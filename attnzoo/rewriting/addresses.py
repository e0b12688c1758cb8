"""Where attention stands, in words that outlive the process.

A model of a class of its own is saved as the arguments of its constructor; what was inserted into it is saved beside
them, each module with its address. An address counts places (`places_of`) in the order in which they are met going back
from the outputs, inserted attention left out. Nothing else stays: Keras numbers unnamed operations anew in every run,
and the depth of a node, by which Keras sorts, changes when something is inserted beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from attnzoo._keras import functional_of, is_container, is_inserted, node_of, places_of, source_of
from attnzoo.errors import RewriteError
from attnzoo.rewriting.insertion import Insertion


def operations(container: Any) -> list[Any]:
    """Returns the operations of one graph, each once and without inserted attention, in the order of addresses."""
    return list(dict.fromkeys(n.operation for n in _nodes(container) if not is_inserted(n.operation)))


def _places(container: Any) -> list[Any]:
    """Returns what addresses count: the same, but for operations without weights that are called more than once."""
    places = places_of(functional_of(container))
    return list(dict.fromkeys(places[n] for n in _nodes(container) if not is_inserted(n.operation)))


def containers(model: Any) -> list[Any]:
    """Returns a model and all models nested in it, each once, in the order of addresses."""
    found: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        container = waiting.pop(0)
        if id(container) not in found:
            found[id(container)] = container
            waiting += [op for op in operations(container) if is_container(op)]
    return list(found.values())


def write(model: Any, held: dict[int, list[Any]]) -> list[dict[str, Any]]:
    """Returns what was inserted into a model, JSON-pure: each layer's config and its address.

    Args:
        model: the model.
        held: by `id` of a container, tensors of its graph that its attributes hold: they are readers too.

    Raises:
        RewriteError: if a place cannot be said so.
    """
    entries = []
    for index, container in enumerate(containers(model)):
        numbers = {id(place): i for i, place in enumerate(_places(container))}
        readers = _readers(container, numbers, held.get(id(container), []))
        for attention in dict.fromkeys(n.operation for n in _nodes(container) if is_inserted(n.operation)):
            source, all_edges, edges = next(
                (source, [e for e, _ in read], [e for e, way in read if id(attention) in way])
                for source, read in readers.items()
                if any(id(attention) in way for _, way in read)
            )
            # A layer that is called twice has each of its edges twice.
            where: dict[str, Any] = {"edges": [e for i, e in enumerate(edges) if e not in edges[:i]]}
            if len(edges) == len(all_edges) and source[0] in numbers:
                where = {"behind": [numbers[source[0]], source[1]]}
            elif None in edges:
                raise RewriteError(
                    f"'{attention.name}' in '{model.name}' cannot be saved: an attribute of the model holds its output,"
                    " while layers read past it; delete the attribute first, or put the attention after a layer."
                )
            layer = keras.saving.serialize_keras_object(attention)
            layer.pop("build_config", None)  # it is built where it is put
            entries.append({"model": index, "layer": layer, **where})
    return entries


def read(model: Any, entries: Iterable[dict[str, Any]]) -> list[Insertion]:
    """Returns the insertions that `write` wrote, for a model with the same graph without them.

    Raises:
        RewriteError: if an entry names what is not there.
    """
    rooms = [(c, _places(c)) for c in containers(model)]
    insertions: list[Insertion] = []
    for entry in entries:
        layer = keras.saving.deserialize_keras_object(entry["layer"])
        if not is_inserted(layer):
            raise RewriteError(
                f"'{model.name}': a {type(layer).__name__} is listed as attention; expected a layer that"
                " attnzoo.augment inserted."
            )
        try:
            container, there = rooms[entry["model"]]
            edges = tuple((container, there[i], position) for i, position in entry.get("edges", ()))
            after = (container, there[entry["behind"][0]], entry["behind"][1]) if "behind" in entry else None
        except (IndexError, KeyError, TypeError, ValueError):
            raise RewriteError(
                f"'{model.name}': '{layer.name}' refers to an operation this model does not have;"
                " its config was changed after it was saved."
            ) from None
        insertions.append(Insertion(layer, after, edges))
    return insertions


def _nodes(container: Any) -> list[Any]:
    """Returns the calls in one graph, attention included, each after those it reads from; inputs are left out."""
    ordered: list[Any] = []
    done: set[int] = set()
    waiting = [(node_of(t), False) for t in reversed(functional_of(container).outputs)]
    while waiting:
        node, complete = waiting.pop()
        if id(node) in done or node.is_input:
            continue
        if complete:
            done.add(id(node))
            ordered.append(node)
        else:
            waiting.append((node, True))
            waiting += [(node_of(t), False) for t in reversed(node.input_tensors)]
    return ordered


def _readers(
    container: Any, numbers: dict[int, int], held: list[Any]
) -> dict[tuple[int, int], list[tuple[list[int] | None, set[int]]]]:
    """Returns for each output of a place who reads it: the edge, or None for what is no call; and by what way."""
    found: dict[tuple[int, int], list[tuple[list[int] | None, set[int]]]] = {}
    places = places_of(functional_of(container))
    edges = [
        ([numbers[id(places[node])], position], tensor)
        for node in _nodes(container)
        if not is_inserted(node.operation)
        for position, tensor in enumerate(node.input_tensors)
    ]
    for edge, tensor in [*edges, *((None, t) for t in [*functional_of(container).outputs, *held])]:
        way: set[int] = set()
        while is_inserted(node_of(tensor).operation):
            way.add(id(node_of(tensor).operation))
            tensor = node_of(tensor).input_tensors[0]
        source, index = source_of(tensor)
        found.setdefault((id(places.get(source, source)), index), []).append((edge, way))
    return found
