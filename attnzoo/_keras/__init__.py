"""Everything that touches private parts of Keras, so that a new Keras release breaks this folder only."""

from attnzoo._keras.clone import cheap_initializers, copy_trainable, copy_variables, is_plain, twin, weights_like
from attnzoo._keras.graph import (
    Functional,
    deep_graphs,
    functional_of,
    is_container,
    is_inserted,
    layers_inside,
    node_of,
    places_of,
    source_of,
    without_garbage_collection,
)

__all__ = [
    "Functional",
    "cheap_initializers",
    "copy_trainable",
    "copy_variables",
    "deep_graphs",
    "functional_of",
    "is_container",
    "is_inserted",
    "is_plain",
    "layers_inside",
    "node_of",
    "places_of",
    "source_of",
    "twin",
    "weights_like",
    "without_garbage_collection",
]
