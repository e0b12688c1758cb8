"""What `scripts/demo` shows: a network learns, receives attention, computes what it computed before, and learns on.

The digits are those of scikit-learn, 1797 images of 8x8 pixels, so that nothing is downloaded.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from attnzoo.cli._quiet import import_keras

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import_keras()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # noqa: E402

import attnzoo  # noqa: E402

SIZE = 64
STAGES = [2, 3, 4]


class Data(NamedTuple):
    """Images and labels to learn from, and others to test on."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def main() -> int:
    argparse.ArgumentParser(prog="scripts/demo", description=__doc__).parse_args()
    start = time.perf_counter()
    keras.utils.set_random_seed(0)
    data = digits(SIZE)

    with step(f"1. A pretrained network: MobileNetV2 (width 0.35), trained here on {len(data.x)} digits"):
        model = small_network(SIZE, classes=10)
        train(model, data, epochs=4, rate=2e-2)
        before = predict(model, data.x_test)
        say(f"right on {percent(before, data.y_test)} of {len(data.y_test)} digits it has not seen")

    with step("2. What attnzoo sees in it: attnzoo.describe(model)"):
        say(attnzoo.describe(model))

    with step(f'3. Where attention would go, and what it costs: attnzoo.plan(model, "cbam", stages={STAGES})'):
        say(attnzoo.plan(model, "cbam", stages=STAGES))

    with step(f'4. Insert it: attnzoo.augment(model, "cbam", stages={STAGES})'):
        augmented = attnzoo.augment(model, "cbam", stages=STAGES)
        usual = attnzoo.augment(model, "cbam", stages=STAGES, init="paper")
        compare("attnzoo", before, predict(augmented, data.x_test))
        compare('the usual way, attention from random weights (init="paper")', before, predict(usual, data.x_test))

    with step("5. Take it out again, before training: attnzoo.strip(augmented)"):
        compare("stripped", before, predict(attnzoo.strip(augmented), data.x_test))
        say("(Later the head will have learnt too; strip removes attention, it does not undo training.)")

    with step('6. Fine-tune attention and head only: attnzoo.freeze(augmented, train="attention+head")'):
        say(attnzoo.freeze(augmented, train="attention+head"))
        train(augmented, data, epochs=3, rate=2e-2)
        tuned = predict(augmented, data.x_test)
        say(f"right on {percent(tuned, data.y_test)} of the unseen digits; {alphas(augmented)}")

    with step("7. Save and reload: augmented.save(path), attnzoo.load_model(path)"):
        reloaded, kilobytes = save_and_reload(augmented)
        say(f"model.keras, {kilobytes:,} kB")
        compare("reloaded", tuned, predict(reloaded, data.x_test))

    say(f"""
Done in {time.perf_counter() - start:.0f} s. Attention went in at {len(STAGES)} places and not one output changed; \
training moved it from there.
Fine-tuning so briefly, on so few images, says nothing about accuracy.

Next:
  attnzoo list attentions                        the modules
  attnzoo describe ResNet50                      stages and blocks of a network you know
  attnzoo plan resnet50_cbam_stages34            a shipped configuration, as a plan
  notebooks/transfer_learning.ipynb              your own images, step by step""")
    return 0


# What the steps do -----------------------------------------------------------------------------------------------


def digits(size: int, most: int | None = None) -> Data:
    """Returns digits as `size` x `size` x 3 images in [-1, 1], four of five to learn from; `most` of them in all."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))[:most]
    images = bunch.images[order].astype("float32") / 8.0 - 1.0
    images = images.repeat(size // 8, axis=1).repeat(size // 8, axis=2)[..., None].repeat(3, axis=3)
    cut = len(order) * 4 // 5
    labels = bunch.target[order]
    return Data(images[:cut], labels[:cut], images[cut:], labels[cut:])


def small_network(size: int, classes: int) -> keras.Model:
    """Returns an untrained MobileNetV2 whose batch statistics settle within a hundred steps instead of thousands."""
    model = keras.applications.MobileNetV2((size, size, 3), alpha=0.35, weights=None, classes=classes)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return model


def train(model: keras.Model, data: Data, *, epochs: int, rate: float) -> None:
    """Trains with a line an epoch."""
    batch = 32
    steps = epochs * -(-len(data.x) // batch)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    optimizer.build(model.trainable_variables)  # or else TensorFlow traces the network twice
    say("training; in the first epoch TensorFlow also traces the network, which takes longest ...")
    model.fit(data.x, data.y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[Progress(epochs)])


class Progress(keras.callbacks.Callback):
    """Prints a line after each epoch."""

    def __init__(self, epochs: int):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss, accuracy = (logs or {})["loss"], (logs or {})["accuracy"]
        seconds = time.perf_counter() - self.start
        say(f"epoch {epoch + 1}/{self.epochs}: loss {loss:.3f}, accuracy {accuracy:.3f} ({seconds:.1f} s)")


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the outputs, computed eagerly: a compiled graph may round differently from run to run."""
    batches = np.array_split(images, max(1, len(images) // 120))
    return np.concatenate([keras.ops.convert_to_numpy(model(b, training=False)) for b in batches])


def save_and_reload(model: keras.Model) -> tuple[keras.Model, int]:
    """Returns the model after a trip through a temporary file, and the file's size in kB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return attnzoo.load_model(path), path.stat().st_size // 1000


def alphas(model: keras.Model) -> str:
    """Says where training has moved the scalars that blend attention in."""
    values = [float(x.alpha) for x in model.layers if isinstance(x, attnzoo.layers.Attention) and x.alpha is not None]
    return "alpha, 0 before, is now " + ", ".join(f"{v:+.3f}" for v in values)


# What is printed -------------------------------------------------------------------------------------------------


def percent(outputs: np.ndarray, labels: np.ndarray) -> str:
    return f"{100 * float((outputs.argmax(1) == labels).mean()):.1f} %"


def compare(what: str, before: np.ndarray, after: np.ndarray) -> tuple[int, float]:
    """Prints and returns how many predictions are the same, and the largest difference between the outputs."""
    same = int((before.argmax(1) == after.argmax(1)).sum())
    largest = float(np.abs(before - after).max())
    share = f"{same} of {len(before)} predictions unchanged ({100 * same / len(before):.0f} %)"
    say(f"{what}: {share}, largest difference of an output {largest:.3g}")
    return same, largest


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    print(f"\n{title}", flush=True)
    start = time.perf_counter()
    yield
    say(f"[{time.perf_counter() - start:.1f} s]")


def say(text: Any) -> None:
    """Prints, indented under the step's title; what begins with an empty line stands on its own."""
    lines = str(text).splitlines()
    print("\n".join(lines if lines[0] == "" else [f"   {line}" for line in lines]), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
