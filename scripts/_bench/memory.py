"""How much memory augment needs at its peak, the new model included, next to the bytes of the model's weights."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras

import attnzoo
from _bench._report import markdown, progress, verdict

HELP = "peak memory of augment / bytes of the weights"
ROUNDS = 3
TARGET = 1.2
MODELS = ("ResNet50", "MobileNetV2", "EfficientNetB0", "ResNet152")


def measure(rounds: int) -> str:
    rows = []
    for name in MODELS:
        for what in ROUTES:
            progress(f"memory: {name}, {what}")
            found = [_in_fresh_process(name, what) for _ in range(rounds)]
            weights = found[0]["weights"]
            extra = statistics.median(f["extra"] for f in found)
            ratios = [f["extra"] / weights for f in found]
            ratio = statistics.median(ratios)
            target = verdict(ratio, TARGET if what == TARGETED else None)
            spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
            rows.append((name, what, f"{weights / 1e6:.1f}", f"{extra / 1e6:.1f}", f"{ratio:.2f}", spread, *target))
    return markdown(("model", "what", "weights, MB", "extra, MB", "ratio", "min-max", "target", "met"), rows)


def _in_fresh_process(name: str, what: str) -> dict[str, int]:
    command = [sys.executable, "-m", "_bench.memory", name, what]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}, {what}: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _augment(model: keras.Model) -> keras.Model:
    return attnzoo.augment(model, "se", stages=[3, 4])


def _augment_and_write(model: keras.Model) -> keras.Model:
    """TensorFlow lets two variables stand on one buffer until one of them is written, as training does."""
    new = _augment(model)
    for weight in new.weights:
        weight.assign(weight.value * 1)
    return new


def _copy(model: keras.Model) -> keras.Model:
    new = keras.models.clone_model(model)
    new.set_weights(model.get_weights())
    return new


TARGETED = "se, stages 3 and 4"
ROUTES: dict[str, Callable[[keras.Model], keras.Model]] = {
    TARGETED: _augment,
    "the same, then every weight written": _augment_and_write,
    "clone_model, set_weights": _copy,
}


def probe(name: str, what: str) -> dict[str, int]:
    """Measures one model in this process."""
    tiny = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)
    ROUTES[what](tiny)  # what is loaded lazily is loaded now
    del tiny
    model = getattr(keras.applications, name)(weights=None)
    _settle()
    before = _status("VmRSS")
    new = ROUTES[what](model)
    extra = _status("VmHWM") - before
    if new is model:
        raise RuntimeError(f"{name}: no new model was made.")
    return {"extra": extra, "weights": sum(w.value.numpy().nbytes for w in model.weights)}


def _settle() -> None:
    """Gives memory that is free back to the system, and lets the peak start from what is left."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):  # without it the peak counts from the start: too much rather than too little
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """Returns a field of /proc/self/status in bytes."""
    found = re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {field}; this measurement needs Linux.")
    return int(found[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(probe(*sys.argv[1:])))
