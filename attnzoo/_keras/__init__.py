"""Everything that touches private parts of Keras, so that a new Keras release breaks this folder only."""

from attnzoo._keras.clone import twin, weights_like
from attnzoo._keras.flags import (
    frozen_inside,
    open_all,
    open_models,
    own_weights,
    set_trainable,
    weights_made_to_train,
)
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
    last_output_of,
    layers_inside,
    name_outputs_by_host,
    node_of,
    operation_of,
    outputs_of,
    places_of,
    source_of,
)
from attnzoo._keras.instances import (
    attributes_of,
    attributes_of_every_model,
    point_by_identity_and_name,
    set_by_constructor,
)
from attnzoo._keras.recursion import deep_graphs
from attnzoo._keras.state import copy_state, copy_trainable, misdescribed, without_tracker
from attnzoo._keras.subclassed import left_behind, opened
from attnzoo._keras.values import MADE_ANEW, is_foreign_variable, is_plain, reached
from attnzoo._keras.variables import LayerState, pieces_around, to_snake_case

__all__ = [
    "MADE_ANEW",
    "Functional",
    "LayerState",
    "attention_inside",
    "attributes_of",
    "attributes_of_every_model",
    "copy_state",
    "copy_trainable",
    "deep_graphs",
    "frozen_inside",
    "functional_of",
    "inputs_of",
    "is_container",
    "is_foreign_variable",
    "is_inserted",
    "is_keras_layer",
    "is_made_from_tensors",
    "is_plain",
    "is_wired",
    "last_output_of",
    "layers_inside",
    "left_behind",
    "misdescribed",
    "name_outputs_by_host",
    "node_of",
    "open_all",
    "open_models",
    "opened",
    "operation_of",
    "outputs_of",
    "own_weights",
    "pieces_around",
    "places_of",
    "point_by_identity_and_name",
    "reached",
    "set_by_constructor",
    "set_trainable",
    "source_of",
    "to_snake_case",
    "twin",
    "weights_like",
    "weights_made_to_train",
    "without_tracker",
]
