"""How long a forward pass takes with attention in every block, next to the same model without.

Beside attnzoo's modules stand the functions one finds in blog posts, at the same places; the plain model a second time,
which shows how far a ratio moves by chance; and what no gate by channel can do without.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import attnzoo
from _bench._published import PUBLISHED
from _bench._report import markdown, progress, verdict
from _bench._timing import interleave
from attnzoo.layers._functional import global_mean

HELP = "time of a forward pass with attention / without"
ROUNDS = 15
BATCH = 8
SIZE = 224
TARGETS = {
    "ResNet50": {"se": 1.03, "eca": 1.03, "cbam": 1.10},
    "MobileNetV2": {"se": 1.03, "eca": 1.03, "cbam": 1.20},
}
CALLS = {"ResNet50": 1, "MobileNetV2": 3}
TIMES_ROUNDS = {"ResNet50": 1, "MobileNetV2": 3}
"""A short forward pass varies more and costs less: more rounds."""
PLAIN = "without"
FLOOR = "mean and product alone"


def measure(rounds: int) -> str:
    rows = []
    for name, targets in TARGETS.items():
        progress(f"inference: {name}")
        found = interleave(variants(name), TIMES_ROUNDS[name] * rounds, reference=PLAIN, calls=CALLS[name], warm=3)
        for what, m in found.items():
            target = verdict(m.ratio, targets.get(what))
            cells = (f"{1000 * m.seconds:.0f}", f"{m.ratio:.3f}", f"{m.least:.3f}-{m.most:.3f}")
            rows.append((name, what, *cells, *target))
    note = (
        f"Batches of {BATCH} images of {SIZE}x{SIZE}; milliseconds a batch; `tf.function`, no XLA;"
        f" MobileNetV2 in {TIMES_ROUNDS['MobileNetV2']} times as many rounds."
    )
    return f"{note}\n\n" + markdown(("model", "attention", "ms", "ratio", "min-max", "target", "met"), rows)


def variants(name: str) -> dict[str, Callable[[], Any]]:
    """Returns a compiled forward pass for the model without attention, and with each kind of it in every block."""
    images = np.random.default_rng(0).normal(size=(BATCH, SIZE, SIZE, 3)).astype("float32")
    plain = getattr(keras.applications, name)(weights=None)
    _calibrate(plain, images)
    models = {PLAIN: plain, "without, again": keras.models.clone_model(plain)}
    models["without, again"].set_weights(plain.get_weights())
    everywhere = functools.partial(attnzoo.augment, plain, placement="residual")
    models[FLOOR] = everywhere(_Floor, init="paper")  # or it would be blended, at the cost of two more passes
    models |= {key: everywhere(key) for key in PUBLISHED}
    models |= {f"{key}, as in blog posts": everywhere(cls, init="paper") for key, cls in PUBLISHED.items()}
    return {what: _compiled(model, images) for what, model in models.items()}


class _Floor(keras.layers.Layer):
    """What every gate by channel has to do: read the map for its mean, and multiply the map by something."""

    def call(self, x: Any) -> Any:
        mean = global_mean(x, (1, 2), "float32")
        return x * keras.ops.reshape(mean, (-1, 1, 1, x.shape[-1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _calibrate(model: keras.Model, images: np.ndarray) -> None:
    """Gives an untrained model activations of ordinary size; numbers near zero are slow on some processors."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _compiled(model: keras.Model, images: np.ndarray) -> Callable[[], Any]:
    import tensorflow as tf

    batch = tf.constant(images)
    # A concrete function, or TensorFlow takes these for one function that it compiles again and again.
    forward = tf.function(lambda x: model(x, training=False), jit_compile=False).get_concrete_function(batch)
    return lambda: forward(batch).numpy()
