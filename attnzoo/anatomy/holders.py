"""Layers that hold models or convolutions where the graph does not show them: wrappers, layers of the user's own."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any

import keras

from attnzoo._keras import attention_inside, is_container, layers_inside
from attnzoo.anatomy.graph import Graph
from attnzoo.errors import listing


def holders(graph: Graph) -> list[Any]:
    """Returns the layers that hold a model, or wrap a convolution, that no placement reaches, in graph order."""
    return [op for op in _operations(graph) if any(_is_sought(layer, op) for layer in layers_inside(op))]


def holders_of(graph: Graph, glob: str) -> list[Any]:
    """Returns those of them that hold a layer whose name matches."""
    return [op for op in holders(graph) if any(fnmatch.fnmatchcase(x.name, glob) for x in layers_inside(op))]


def attended_holders(graph: Graph) -> list[Any]:
    """Returns the layers that hold attention which `augment` inserted into a model before it was wrapped."""
    return [op for op in _operations(graph) if attention_inside(op)]


def named(layers: Iterable[Any]) -> str:
    """Names layers with their classes."""
    return listing(f"'{layer.name}' ({type(layer).__name__})" for layer in layers)


def _operations(graph: Graph) -> list[Any]:
    return list(dict.fromkeys(c.op for c in graph.calls if not c.inserted))


def _is_sought(layer: Any, op: Any) -> bool:
    wraps = isinstance(op, keras.layers.Wrapper | keras.layers.Bidirectional)
    return is_container(layer) or (wraps and any(len(w.shape) == 4 for w in layer.weights))
