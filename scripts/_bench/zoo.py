"""What each module of the zoo costs on its own, next to the least that anything can: x * 2, one read and one write."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import attnzoo
from _bench._report import markdown, progress
from _bench._timing import interleave
from _bench.memory import _settle, _status
from attnzoo.layers._registry import attention_class

HELP = "time and extra memory of each module / those of x * 2"
ROUNDS = 9
BATCH = 8
SIZES = ((56, 256), (28, 512), (14, 1024), (7, 2048))
"""Height and width, and channels: the four stages of ResNet50."""

DOUBLE = "x * 2"
NOTE = """\
Batches of 8 maps as at the ends of ResNet50's stages; `init="identity"`, float32, `tf.function`, no XLA. *time* is what
a module takes / what `x * 2` takes, the median of all rounds; *memory* is what a call needs at its peak beyond its
input / the bytes of the input, so that 1.0 is its output and no more. A gate has to read x twice, once to look and once
to multiply, and to write it once: 1.5 times what `x * 2` moves; one that looks at positions and channels reads it three
times."""


def measure(rounds: int) -> str:
    columns = [_size(size, channels, rounds) for size, channels in SIZES]
    heading = ["module", "kind"]
    for size, channels in SIZES:
        heading += [f"{size}x{size}x{channels}: time", "memory"]
    rows = []
    for name in columns[0]:
        kind = "" if name == DOUBLE else attention_class(name)().kind
        rows.append((name, kind, *(cell for column in columns for cell in column[name])))
    return f"{NOTE}\n\n" + markdown(heading, rows)


def _size(size: int, channels: int, rounds: int) -> dict[str, tuple[str, str]]:
    progress(f"zoo: {size}x{size}x{channels}")
    found = interleave(variants(_maps(size, channels)), rounds, reference=DOUBLE, warm=3)
    memory = _memory(size, channels)
    cells = {name: (f"{m.ratio:.2f}", f"{memory[name]:.1f}") for name, m in found.items()}
    cells[DOUBLE] = (f"{1000 * found[DOUBLE].seconds:.1f} ms", cells[DOUBLE][1])
    return cells


def _maps(size: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(BATCH, size, size, channels)).astype("float32")


def variants(x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Returns x * 2 and each module, compiled, as functions without arguments."""
    import tensorflow as tf

    batch = tf.constant(x)

    def compiled(call: Callable[[Any], Any]) -> Callable[[], Any]:
        return functools.partial(tf.function(call, jit_compile=False), batch)

    found = {DOUBLE: compiled(lambda t: t * 2.0)}
    for key in attnzoo.list_attentions():
        layer: Any = attention_class(key)(init="identity", data_format="channels_last")
        layer.build(x.shape)
        found[key] = compiled(functools.partial(layer, training=False))
    return found


def _memory(size: int, channels: int) -> dict[str, float]:
    """Measures what calls need in a process of its own, whose C library maps and returns every large block.

    It would otherwise keep what earlier calls have freed, and later ones would seem to need nothing; as does TensorFlow
    with oneDNN, which it uses by itself on some processors.
    """
    returning = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
    environment = {**os.environ, **returning}
    command = [sys.executable, "-m", "_bench.zoo", str(size), str(channels)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def probe(size: int, channels: int) -> dict[str, float]:
    """Measures in this process: extra bytes / bytes of the input, by module."""
    x = _maps(size, channels)
    found = {}
    for name, run in variants(x).items():
        for _ in range(2):  # the first calls trace
            run()
        found[name] = _extra(run) / x.nbytes
    return found


def _extra(run: Callable[[], Any]) -> int:
    """Returns how far the process grows during a call, its result included."""
    _settle()
    before = _status("VmRSS")
    result = run()
    extra = _status("VmHWM") - before
    del result
    return max(extra, 0)


if __name__ == "__main__":
    print(json.dumps(probe(int(sys.argv[1]), int(sys.argv[2]))))
