"""Seeded configurations: damaged text, and well-formed ones that may not fit their network."""

from __future__ import annotations

import random
import re
from typing import Any

import yaml

from tests.files.mutations import bytes_of

SNIPPETS = (
    "&a ", "*a", "!!python/object/apply:os.system [id]", "<<: *a\n", "!x ", "[" * 500, "{" * 500, "- " * 300,
    "9" * 5000, "1e999", ".nan", "-.inf", "0x" + "f" * 300, "null", "true", '"\\u202e"', '"\\x1b[31m"', "\x00",
    "\x1b", "\u2028", "\ud7ff", "\ufeff", "---\n", "...\n", "? ", "|\n", ">-\n", "'", '"', "\t", "#", ": ", "a: 1\n",
    "x" * 2000, "backbone: {name: ResNet50}\n", "stages: [1, 2, 99999999999]\n", "after: ['" + "*a" * 90 + "']\n",
    "input_shape: [1000000000, 1000000000, 3]\n", "ratio: -1\n", "ratio: 99999999999999\n", "alpha: 1e300\n",
    "classes: 999999999999\n", "weights: /dev/zero\n", "name: file:/dev/zero\n", "name: file:../x.keras\n",
)  # fmt: skip


def yaml_of(data: bytes, rng: random.Random) -> bytes:
    """Damages a configuration: bytes, lines and tokens."""
    if rng.random() < 0.2:
        return bytes_of(data, rng)
    if rng.random() < 0.05:
        return data.decode().encode(rng.choice(("utf-16", "utf-32", "latin-1", "utf-8-sig")), "replace")
    tokens = re.findall(rb"\s+|[\w.]+|.", data, re.DOTALL)
    for _ in range(rng.choice((1, 1, 2, 4, 10))):
        at = rng.randrange(len(tokens))
        kind = rng.randrange(4)
        if kind == 0:
            tokens[at] = rng.choice(SNIPPETS).encode()
        elif kind == 1:
            tokens.insert(at, rng.choice(SNIPPETS).encode())
        elif kind == 2:
            del tokens[at]
            tokens = tokens or [b"x"]
        else:
            tokens.insert(at, rng.choice(tokens))
    return b"".join(tokens)


NETWORK = {"name": "MobileNetV2", "alpha": 0.35, "weights": None, "input_shape": [32, 32, 3], "include_top": False}
GLOBS = (
    "*", "?" * 300, "*a" * 150, "[" * 90, "[!a-z]*", "[]", "[!]", "block_[", "block_[0-", "\\", "..", "/dev/zero", "",
    "block_?_add", "block_1*_project_BN", "*_expand*", "input*", "Conv1", "block_15_add", "*[z-a]*",
)  # fmt: skip
VALUES: dict[str, tuple[Any, ...]] = {
    "attention": ("se", "eca", "cbam", "bam", "nl", "gc", "gct", "coord", "fca", "ge", "sge", "strip", "no_such"),
    "stages": ([1], [4], [2, 3], [3, 3], [], [0], [-1], [9], [99999999999], None, 3, "all"),
    "blocks": ("first", "last", [0], [-1], [0, 9], [-9], [], 0, -1, 10**9, None, "every"),
    "placement": ("stage", "post", "residual", "pre", "shortcut", "inner", "parallel", "nowhere"),
    "after": (*([glob] for glob in GLOBS), list(GLOBS), [], "*_add", None),
    "ratio": (1, 2, 7, 0, -1, 10**9, 10**17, 0.5, None),
    "kernel_size": (1, 3, 7, 99, 10**9 + 1, 4, 0, -3, None),
    "init": ("paper", "identity", "", None),
}
WHERE, OPTIONS = ("stages", "blocks", "placement", "after"), ("ratio", "kernel_size", "init")
ANY = (None, True, -1, 10**17, 1e300, "*", "\x1b[2J", [], [[3]], {}, {"a": 1})


def values_of(rng: random.Random) -> bytes:
    """Returns a well-formed configuration of a small network with entries that may fit it or not."""
    entries = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        keys = {"attention", *rng.sample(WHERE, rng.choice((1, 1, 2)))}
        keys |= {rng.choice(OPTIONS)} if rng.random() < 0.3 else set()
        entries.append({key: rng.choice(ANY if rng.random() < 0.05 else VALUES[key]) for key in sorted(keys)})
    return yaml.safe_dump({"backbone": NETWORK, "insert": entries}).encode()
