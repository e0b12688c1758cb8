"""Which layer of a file is which layer of a model.

Names that Keras gave (`conv2d_17`) number all layers a process has made, so that they differ between two copies of one
network; what does not differ is their order. Such layers are matched by rank, and only if file and model have equally
many of them. A layer that is nested in one and not in the other is found by its own name, where that is unique.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from attnzoo._keras import is_container, is_inserted, to_snake_case
from attnzoo.anatomy import parts_of, read_graph
from attnzoo.weights.formats import Names, WeightFile


@dataclass(frozen=True, eq=False)
class Leaf:
    """A layer with weights, no model."""

    path: Names
    layer: Any
    part: str

    @property
    def name(self) -> str:
        return "/".join(self.path)


def leaves_of(model: Any) -> Iterator[Leaf]:
    parts = {id(layer): part for part, layers in parts_of(read_graph(model)).items() for layer in layers}
    if "backbone" not in parts.values():  # without feature maps there is no telling, and all must be there
        parts = dict.fromkeys(parts, "backbone")
    seen: set[int] = set()

    def walk(container: Any, above: Names) -> Iterator[Leaf]:
        for layer in container.layers:
            if id(layer) in seen or not layer.weights:
                continue
            seen.add(id(layer))
            if is_container(layer):
                yield from walk(layer, (*above, layer.name))
            else:
                part = "inserted" if is_inserted(layer) else parts.get(id(layer), "backbone")
                # Attention the user built the network with is a layer like any other.
                yield Leaf((*above, layer.name), layer, "backbone" if part == "attention" else part)

    yield from walk(model, ())


def match_layers(leaves: list[Leaf], file: WeightFile) -> dict[Leaf, Names]:
    """Returns for each layer the layer of the file that it is, where there is one."""
    bases = {to_snake_case(type(leaf.layer).__name__) for leaf in leaves}
    theirs = {ranked: path for path, ranked in _ranked(file.layers, bases).items()}
    their_tails = _unique_tails(theirs)
    # Layers of a new head count among those that Keras named, but are not in the file.
    everything, backbone = leaves, [leaf for leaf in leaves if leaf.part != "head"]
    pairs: dict[Leaf, Names] = {}
    for group in (everything, backbone):
        ours = dict(zip(group, _ranked((x.path for x in group), bases).values(), strict=True))
        our_tails = _unique_tails(ours.values())
        for leaf, ranked in ours.items():
            exact = theirs.get(ranked)
            tail = their_tails.get(ranked[-1]) if ranked[-1] in our_tails else None
            found = exact or (theirs[tail] if tail else None)
            if found and leaf not in pairs and found not in pairs.values():
                pairs[leaf] = found
    return pairs


def _ranked(paths: Iterable[Names], bases: set[str]) -> dict[Names, Names]:
    """Writes names that Keras gave as the rank among their like: 'conv2d_17' of four is 'conv2d 2 of 4'."""
    paths = list(paths)
    alike: dict[tuple[Names, str], set[str]] = defaultdict(set)
    for path in paths:
        for i, name in enumerate(path):
            base, _ = _split(name)
            if base in bases:
                alike[path[:i], base].add(name)
    ranks = {
        (above, name): f"{base} {rank} of {len(names)}"
        for (above, base), names in alike.items()
        for rank, name in enumerate(sorted(names, key=_split), 1)
    }
    return {path: tuple(ranks.get((path[:i], name), name) for i, name in enumerate(path)) for path in paths}


def _split(name: str) -> tuple[str, int]:
    base, _, number = name.rpartition("_")
    return (base, int(number)) if base and re.fullmatch(r"[0-9]{1,9}", number) else (name, -1)


def _unique_tails(paths: Iterable[Names]) -> dict[str, Names]:
    paths = list(paths)
    counts = Counter(path[-1] for path in paths)
    return {path[-1]: path for path in paths if counts[path[-1]] == 1}
