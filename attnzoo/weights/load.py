"""Weights from files into models, layer by layer and by name: `load_backbone_weights`.

Keras itself loads by position: by order of the layers (`.h5`), or by their number within a class (`.weights.h5`). Both
change when attention is inserted, and layers of one shape then swap their weights without an error.

Names that Keras gave (`conv2d_17`) number all layers a process has made, so that they differ between two copies of one
network; what does not differ is their order. Such layers are matched by rank, and only if file and model have equally
many of them. A layer that is nested in one and not in the other is found by its own name, where that is unique.

Imports a private name of Keras: its way to name a layer after its class.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras.src.utils.naming import to_snake_case

from attnzoo._keras import is_container, is_inserted
from attnzoo.anatomy import read_graph
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.rewriting import strip
from attnzoo.tables import table
from attnzoo.training import parts_of
from attnzoo.weights.fitting import Fit, fit
from attnzoo.weights.formats import Names, WeightFile, one_line_errors, open_weights


@dataclass(frozen=True)
class WeightsReport:
    """What a file gave a model. `print` it.

    Layers of nested models are written `model/layer`.

    Attributes:
        file: the file.
        model: the name of the model.
        matched: layers that have their weights from the file, each with the layer's name there.
        missing: layers that are not in the file and keep what they had; inserted attention is not counted.
        unexpected: layers of the file that the model does not have.
        mismatched: layers that are in both, keep what they had, and why.
    """

    file: str
    model: str
    matched: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: Mapping[str, str]

    def __str__(self) -> str:
        rows = [("layers", "number", "which")]
        found = ("matched", self.matched), ("missing", self.missing), ("unexpected", self.unexpected)
        rows += [(name, str(len(layers)), listing(layers, 6)) for name, layers in found]
        rows += [("mismatched", str(len(self.mismatched)), listing(map(": ".join, self.mismatched.items()), 6))]
        return f"{self.file} -> {self.model}\n{table(rows)}"


def load_backbone_weights(model: Any, path: str | Path, *, partial: bool = False) -> WeightsReport:
    """Loads the weights in a file into the layers of the same names, all or nothing.

    Attention that `augment` inserted is not expected in the file; where it is there, it is loaded too. Layers of the
    head (all behind global pooling) are loaded if they fit, and reported if they do not: a new head has other classes.

    Args:
        model: a model made by `augment`, or any Functional or Sequential model; models may be nested in it.
        path: a `.keras` archive; `.weights.h5`, also in several files (`.weights.json`); or a legacy `.h5` of weights,
            as keras.applications download, or of a whole model.
        partial: load what fits and report the rest, instead of raising.

    Returns:
        What was matched, missing, unexpected and mismatched.

    Raises:
        AttnzooError: if the file is missing, damaged, links to other files or is of another kind; if none of its
            layers is in the model; and, without `partial`, if a layer of the backbone is missing or has other shapes.
            The model is as before then.
        RewriteError: if the model has no graph.
    """
    path = Path(path)
    leaves = list(_leaves(model))
    with open_weights(path, lambda: strip(model)) as file:
        pairs = _match(leaves, file)
        fits = {leaf: fit(leaf.layer, file.layers[theirs], file.legacy) for leaf, theirs in pairs.items()}
        report = _report(path, model, leaves, file, pairs, fits)
        _check(report, leaves, file, partial)
        with one_line_errors(path):  # a damaged file shows itself here: before anything is assigned
            ready = [found.read() for found in fits.values() if isinstance(found, Fit)]
    for assign in ready:
        assign()
    return report


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A layer with weights, no model."""

    path: Names
    layer: Any
    part: str

    @property
    def name(self) -> str:
        return "/".join(self.path)


def _leaves(model: Any) -> Iterator[_Leaf]:
    parts = {id(layer): part for part, layers in parts_of(read_graph(model)).items() for layer in layers}
    if "backbone" not in parts.values():  # without feature maps there is no telling, and all must be there
        parts = dict.fromkeys(parts, "backbone")
    seen: set[int] = set()

    def walk(container: Any, above: Names) -> Iterator[_Leaf]:
        for layer in container.layers:
            if id(layer) in seen or not layer.weights:
                continue
            seen.add(id(layer))
            if is_container(layer):
                yield from walk(layer, (*above, layer.name))
            else:
                part = "inserted" if is_inserted(layer) else parts.get(id(layer), "backbone")
                # Attention the user built the network with is a layer like any other.
                yield _Leaf((*above, layer.name), layer, "backbone" if part == "attention" else part)

    yield from walk(model, ())


# Which layer is which ---------------------------------------------------------------------------------------------


def _match(leaves: list[_Leaf], file: WeightFile) -> dict[_Leaf, Names]:
    """Returns for each layer the layer of the file that it is, where there is one."""
    bases = {to_snake_case(type(leaf.layer).__name__) for leaf in leaves}
    theirs = {ranked: path for path, ranked in _ranked(file.layers, bases).items()}
    their_tails = _unique_tails(theirs)
    # Layers of a new head count among those that Keras named, but are not in the file.
    everything, backbone = leaves, [leaf for leaf in leaves if leaf.part != "head"]
    pairs: dict[_Leaf, Names] = {}
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


# What came of it --------------------------------------------------------------------------------------------------


def _report(
    path: Path,
    model: Any,
    leaves: list[_Leaf],
    file: WeightFile,
    pairs: dict[_Leaf, Names],
    fits: dict[_Leaf, Fit | str],
) -> WeightsReport:
    without = {layer.name for layer in model._flatten_layers() if not layer.weights}
    return WeightsReport(
        file=str(path),
        model=model.name,
        matched={leaf.name: "/".join(pairs[leaf]) for leaf, found in fits.items() if isinstance(found, Fit)},
        missing=tuple(leaf.name for leaf in leaves if leaf not in pairs and leaf.part != "inserted"),
        unexpected=tuple("/".join(p) for p in file.without(pairs.values()) if p[-1] not in without),
        mismatched={leaf.name: found for leaf, found in fits.items() if isinstance(found, str)},
    )


def _check(report: WeightsReport, leaves: list[_Leaf], file: WeightFile, partial: bool) -> None:
    """Raises unless the file is worth loading."""
    there = ["/".join(path) for path in file.layers]
    if not report.matched and not report.mismatched:
        raise AttnzooError(
            f"{report.file}: none of its layers ({listing(there, 3)}) is in '{report.model}'"
            f" ({listing((leaf.name for leaf in leaves), 3)}); expected a file of the same network."
        )
    must = {leaf.name for leaf in leaves if leaf.part != "head"}
    wrong = [f"'{name}' has {why}" for name, why in report.mismatched.items() if name in must]
    lacking = [name for name in report.missing if name in must]
    if (wrong or lacking) and not (partial and report.matched):
        what = f"layer {wrong[0]}" if wrong else f"there are no weights for layer '{lacking[0]}'"
        more = f", and {len(wrong) + len(lacking) - 1} more" if len(wrong) + len(lacking) > 1 else ""
        near = "" if wrong else did_you_mean(lacking[0], report.unexpected)
        advice = "; partial=True loads only those" if report.matched else ""
        raise AttnzooError(
            f"{report.file}: does not fit '{report.model}': {what}{more}.{near} {len(report.matched)} of {len(leaves)}"
            f" layers fit{advice}."
        )
