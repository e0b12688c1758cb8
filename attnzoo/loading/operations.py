"""TensorFlow's operations on tensors, of which Keras 2 made layers (`TFOpLambda`), as functions of Keras 3.

A fixed table: a file names an entry and gives its arguments, called as TensorFlow calls them, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

OPERATIONS: dict[str, Callable[..., Any]] = {
    # arithmetic
    "add": lambda x, y: ops.add(x, y),
    "subtract": lambda x, y: ops.subtract(x, y),
    "multiply": lambda x, y: ops.multiply(x, y),
    "truediv": lambda x, y: ops.true_divide(x, y),
    "divide": lambda x, y: ops.true_divide(x, y),
    "pow": lambda x, y: ops.power(x, y),
    "maximum": lambda x, y: ops.maximum(x, y),
    "minimum": lambda x, y: ops.minimum(x, y),
    "negative": lambda x: ops.negative(x),
    "abs": lambda x: ops.abs(x),
    "square": lambda x: ops.square(x),
    "sqrt": lambda x: ops.sqrt(x),
    "rsqrt": lambda x: ops.rsqrt(x),
    "exp": lambda x: ops.exp(x),
    "log": lambda x: ops.log(x),
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(t, clip_value_min, clip_value_max),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    # activations
    "relu": lambda features: ops.relu(features),
    "relu6": lambda features: ops.relu6(features),
    "leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, alpha),
    "elu": lambda features: ops.elu(features),
    "gelu": lambda features, approximate=False: ops.gelu(features, approximate),
    "silu": lambda features, beta=1.0: ops.silu(features) if beta == 1 else features * ops.sigmoid(beta * features),
    "sigmoid": lambda x: ops.sigmoid(x),
    "tanh": lambda x: ops.tanh(x),
    "softplus": lambda features: ops.softplus(features),
    "softmax": lambda logits, axis=None: ops.softmax(logits, axis=-1 if axis is None else axis),
    # over axes
    "reduce_mean": lambda input_tensor, axis=None, keepdims=False: ops.mean(input_tensor, axis, keepdims),
    "reduce_sum": lambda input_tensor, axis=None, keepdims=False: ops.sum(input_tensor, axis, keepdims),
    "reduce_max": lambda input_tensor, axis=None, keepdims=False: ops.max(input_tensor, axis, keepdims),
    # shapes
    "concat": lambda values, axis: ops.concatenate(values, axis),
    "stack": lambda values, axis=0: ops.stack(values, axis),
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "squeeze": lambda input, axis=None: ops.squeeze(input, axis),
    "transpose": lambda a, perm=None: ops.transpose(a, perm),
    "identity": lambda input: input,
}
"""By the last part of TensorFlow's name: `math.add`, `__operators__.add` and `add` are one."""
