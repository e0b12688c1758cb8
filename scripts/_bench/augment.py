"""How long augment takes, next to what a copy of the model costs in Keras: clone_model, then set_weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

import attnzoo
from _bench._report import markdown, progress, verdict
from _bench._timing import interleave

HELP = "time of augment / time of clone_model and set_weights"
ROUNDS = 7
TARGET = 0.6
MODELS = ("ResNet50", "MobileNetV2", "EfficientNetB0", "ResNet152")
COPY = "clone_model, set_weights"
TARGETED = "se, stages 3 and 4"


def measure(rounds: int) -> str:
    rows = []
    for name in MODELS:
        progress(f"augment: {name}")
        model = getattr(keras.applications, name)(weights=None)
        for what, m in interleave(_variants(model), rounds, reference=COPY).items():
            target = verdict(m.ratio, TARGET if what == TARGETED else None)
            rows.append((name, what, f"{m.seconds:.2f}", f"{m.ratio:.2f}", f"{m.least:.2f}-{m.most:.2f}", *target))
        del model
        keras.utils.clear_session()
    return markdown(("model", "what", "seconds", "ratio", "min-max", "target", "met"), rows)


def _variants(model: keras.Model) -> dict[str, Callable[[], Any]]:
    variants: dict[str, Callable[[], Any]] = {
        COPY: functools.partial(_copy, model),
        TARGETED: functools.partial(attnzoo.augment, model, "se", stages=[3, 4]),
    }
    for key in ("se", "eca", "cbam"):
        every = functools.partial(attnzoo.augment, model, key, placement="residual")
        variants[f"{key}, residual, every block"] = every
    return variants


def _copy(model: keras.Model) -> keras.Model:
    new = keras.models.clone_model(model)
    new.set_weights(model.get_weights())
    return new
