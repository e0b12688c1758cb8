"""Which layer of a file is which layer of a model.

Names that Keras gave (`conv2d_17`) number all layers a process has made, so that they differ between two copies of one
network; what does not differ is their order. Such layers are matched by rank, and only if file and model have equally
many of them. A layer that is nested in one and not in the other is found by its own name, where that is unique.

Keras 3 allows no '/' in the name of a layer. Where its own networks had one, in DenseNet and MobileNetV3, they were
renamed, and so people rename theirs:

    Keras 2                                     Keras 3
    conv1/bn                                    conv1_bn
    expanded_conv/squeeze_excite/Conv_1         expanded_conv_squeeze_excite_conv_1
    expanded_conv/depthwise/BatchNorm           expanded_conv_depthwise_bn
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
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
    pairs: dict[Leaf, Names] = {}
    if file.keras2:
        # What follows the name of a nested model is one name, split at its slashes.
        whole = {path: (path[0], "/".join(path[1:])) if len(path) > 1 else path for path in file.layers}
        _pair(leaves, whole, pairs)
        used = set(pairs.values())
        renamed = {path: _renamed(name) for path, name in whole.items() if path not in used and _renamed(name) != name}
        _pair(leaves, renamed, pairs, _renamed)
    # There the end of a path may be the end of a name.
    _pair(leaves, {path: path for path in file.layers}, pairs, tails=not file.keras2)
    return pairs


def _pair(
    leaves: list[Leaf],
    file: dict[Names, Names],
    pairs: dict[Leaf, Names],
    written: Callable[[Names], Names] = lambda name: name,
    tails: bool = True,
) -> None:
    """Adds the pairs of one name, or of one last name that is unique on both sides.

    Args:
        leaves: the layers of the model.
        file: the layers of the file and the names they go by.
        pairs: receives the pairs; what is in it already is not paired again.
        written: how the layers of the model are called in these names.
        tails: whether last names count.
    """
    bases = {to_snake_case(type(leaf.layer).__name__) for leaf in leaves}
    ranked = _ranked(file.values(), bases)
    count = Counter(ranked[name] for name in file.values())
    theirs = {ranked[name]: path for path, name in file.items() if count[ranked[name]] == 1}
    their_tails = _unique_tails(ranked[name] for name in file.values()) if tails else {}
    # Layers of a new head count among those that Keras named, but are not in the file.
    everything, backbone = leaves, [leaf for leaf in leaves if leaf.part != "head"]
    for group in (everything, backbone):
        ours = {leaf: written(leaf.path) for leaf in group}
        ranked = _ranked(ours.values(), bases)
        our_tails = _unique_tails(ranked[name] for name in ours.values())
        for leaf, name in ours.items():
            tail = their_tails.get(ranked[name][-1]) if ranked[name][-1] in our_tails else None
            found = theirs.get(ranked[name]) or (theirs[tail] if tail else None)
            if found and leaf not in pairs and found not in pairs.values():
                pairs[leaf] = found


def name_of_keras3(name: str) -> str:
    """Writes the name of a layer of Keras 2 as Keras 3 does."""
    return name.replace("/", "_").lower().replace("batchnorm", "bn")


def _renamed(path: Names) -> Names:
    return tuple(map(name_of_keras3, path))


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
