"""Weights from files into models, layer by layer and by name: `load_backbone_weights`.

Keras itself loads by position: by order of the layers (`.h5`), or by their number within a class (`.weights.h5`). Both
change when attention is inserted, and layers of one shape then swap their weights without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnzoo._keras import layers_inside
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.rewriting import strip
from attnzoo.tables import table
from attnzoo.weights.fitting import Fit, fit
from attnzoo.weights.formats import Names, WeightFile, one_line_errors, open_weights
from attnzoo.weights.matching import Leaf, leaves_of, match_layers


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        rows = [("layers", "number", "which")]
        found = ("matched", self.matched), ("missing", self.missing), ("unexpected", self.unexpected)
        rows += [(name, str(len(layers)), listing(layers, 6)) for name, layers in found]
        rows += [("mismatched", str(len(self.mismatched)), listing(map(": ".join, self.mismatched.items()), 6))]
        return f"{self.file} -> {self.model}\n{table(rows)}"


def load_backbone_weights(model: Any, path: str | Path, *, partial: bool = False) -> WeightsReport:
    """Loads the weights in a file into the layers of the same names, all or nothing.

    Attention that `augment` inserted is not expected in the file; where it is there, it is loaded too. Layers of the
    head (all after global pooling) are loaded if they fit, and reported if they do not: a new head has other classes.

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
    leaves = list(leaves_of(model))
    with open_weights(path, lambda: strip(model)) as file:
        pairs = match_layers(leaves, file)
        used = pairs.values()
        fits = {leaf: fit(leaf.layer, file.arrays_of(path, used), file.legacy) for leaf, path in pairs.items()}
        report = _report(path, model, leaves, file, pairs, fits)
        _check(report, leaves, file, partial)
        with one_line_errors(path):  # a damaged file shows itself here: before anything is assigned
            ready = [found.read() for found in fits.values() if isinstance(found, Fit)]
    for assign in ready:
        assign()
    return report


# What came of it --------------------------------------------------------------------------------------------------


def _report(
    path: Path,
    model: Any,
    leaves: list[Leaf],
    file: WeightFile,
    pairs: dict[Leaf, Names],
    fits: dict[Leaf, Fit | str],
) -> WeightsReport:
    without = {layer.name for layer in layers_inside(model) if not layer.weights}
    return WeightsReport(
        file=str(path),
        model=model.name,
        matched={leaf.name: "/".join(pairs[leaf]) for leaf, found in fits.items() if isinstance(found, Fit)},
        missing=tuple(leaf.name for leaf in leaves if leaf not in pairs and leaf.part != "inserted"),
        unexpected=tuple("/".join(p) for p in file.without(pairs.values()) if p[-1] not in without),
        mismatched={leaf.name: found for leaf, found in fits.items() if isinstance(found, str)},
    )


def _check(report: WeightsReport, leaves: list[Leaf], file: WeightFile, partial: bool) -> None:
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
