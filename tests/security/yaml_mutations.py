"""Seeded damage of configurations."""

from __future__ import annotations

import random
import re

from tests.security.mutations import bytes_of

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
