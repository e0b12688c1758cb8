"""The only file that asks which backend Keras runs on; everything else is `keras.ops`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def value_for_another(variable: Any) -> Any:
    """Returns the value of a variable for a second one to begin with."""
    # JAX donates buffers, so that two variables must not hold the same one; TensorFlow copies before it writes.
    return variable.value if keras.backend.backend() == "tensorflow" else ops.copy(variable.value)
