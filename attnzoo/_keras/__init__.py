"""Everything that touches private parts of Keras, so that a new Keras release breaks this folder only."""

from attnzoo._keras.attended import Held, attach, attach_beside, keep_open, proven_inside, sharing
from attnzoo._keras.clone import copy_trainable, copy_variables, is_plain, twin, weights_like
from attnzoo._keras.graph import (
    Functional,
    attention_inside,
    functional_of,
    inputs_of,
    is_container,
    is_inserted,
    is_keras_layer,
    is_made_from_tensors,
    is_wired,
    layers_inside,
    name_outputs_by_host,
    node_of,
    operation_of,
    outputs_of,
    places_of,
    source_of,
)
from attnzoo._keras.inside import Closed, may_be_opened
from attnzoo._keras.recursion import deep_graphs
from attnzoo._keras.variables import LayerState, flags_of, pieces_around, set_flags, to_snake_case

__all__ = [
    "Closed",
    "Functional",
    "Held",
    "LayerState",
    "attach",
    "attach_beside",
    "attention_inside",
    "copy_trainable",
    "copy_variables",
    "deep_graphs",
    "flags_of",
    "functional_of",
    "inputs_of",
    "is_container",
    "is_inserted",
    "is_keras_layer",
    "is_made_from_tensors",
    "is_plain",
    "is_wired",
    "keep_open",
    "layers_inside",
    "may_be_opened",
    "name_outputs_by_host",
    "node_of",
    "operation_of",
    "outputs_of",
    "pieces_around",
    "places_of",
    "proven_inside",
    "set_flags",
    "sharing",
    "source_of",
    "to_snake_case",
    "twin",
    "weights_like",
]
