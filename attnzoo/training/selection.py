"""What `train="stages>=3+attention+head"` says: terms, and the weights of a model that they name."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from attnzoo.errors import PlanError, did_you_mean, listing, quoted
from attnzoo.training.leaves import PARTS, Leaf, Unit

WORDS = (*PARTS, "alpha", "bias", "all", "none")
EXPECTED = f"{', '.join(WORDS[:-1])}, none, stages>=3 or globs of layer names, joined by '+'"
HINTS = {
    "attention": "augment it first",
    "head": "add one after global pooling",
    "decoder": "name its layers by globs, such as 'up_*'",
    "backbone": "name layers by globs",
}
_STAGES = re.compile(r"stages?\s*(>=|<=|==?|>|<)\s*(\d+)")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass
class Selection:
    """What trains.

    Attributes:
        whole: ids of leaves that train as a whole.
        single: ids of weights that train whether the rest of their layer does or not.
        missing: terms that named nothing, beside others that did.
    """

    whole: set[int] = field(default_factory=set)
    single: set[int] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)


def select(train: Any, units: list[Unit], stages: dict[int, int], model: str) -> Selection:
    """Returns what a request names.

    Args:
        train: the request.
        units: of the model.
        stages: stage numbers of the model, each with its stride.
        model: its name, for messages.

    Raises:
        PlanError: if a term is not known or names nothing. Only `head` may name nothing beside another term.
    """
    terms = [t.strip() for t in train.split("+")] if isinstance(train, str) else []
    if not all(terms) or not terms:
        raise PlanError(f"train={train!r} does not say what trains; expected {EXPECTED}.")
    if "none" in terms and len(terms) > 1:
        raise PlanError(f"train={train!r}: 'none' stands alone; leave it out, or the rest.")
    selection = Selection()
    for term in (t for t in terms if t != "none"):
        whole, single = _named(term, units, stages, model, train)
        if not whole and not single:
            if term != "head" or len(terms) == 1:
                raise PlanError(f"train={train!r}: '{model}' has no {term}; {HINTS[term]}, or choose another part.")
            selection.missing.append(term)
        selection.whole.update(whole)
        selection.single.update(single)
    return selection


def _named(
    term: str, units: list[Unit], stages: dict[int, int], model: str, train: str
) -> tuple[Iterable[int], Iterable[int]]:
    """Returns the ids of leaves, and of single weights, that one term names."""
    match = _STAGES.fullmatch(term)
    if match:
        compare, number = _COMPARE[match[1]], int(match[2])
        wanted = [index for index in stages if compare(index, number)]
        if not wanted:
            have = ", ".join(f"{i} (stride {stride})" for i, stride in stages.items())
            raise PlanError(f"train={train!r}: '{model}' has no {term}; it has stages {have or 'none'}.")
        return [id(x) for u in units if u.stage in wanted for x in u.leaves if x.part == u.part], ()
    if term in PARTS or term == "all":
        return [id(x) for u in units for x in u.leaves if term in (x.part, "all")], ()
    leaves = [x for u in units for x in u.leaves]
    if term in ("alpha", "bias"):
        weights = [w for x in leaves for w in x.weights if (_is_alpha(x, w) if term == "alpha" else _is_bias(w))]
        if not weights:
            raise PlanError(f"train={train!r}: no layer of '{model}' has a weight that is {term}.")
        return (), [id(w) for w in weights]
    found = [id(x) for x in leaves if any(fnmatch.fnmatchcase(name, term) for name in x.names)]
    if not found:
        names = list(dict.fromkeys(n for x in leaves for n in x.names))
        raise PlanError(
            f"train={train!r}: {quoted(term)} is no part and no layer with weights of '{model}'."
            f"{did_you_mean(term, (*WORDS, *names))} Expected {EXPECTED}; its layers are {listing(names, 5)}."
        )
    return found, ()


def _is_alpha(leaf: Leaf, weight: Any) -> bool:
    return weight is getattr(leaf.layer, "alpha", None)


def _is_bias(weight: Any) -> bool:
    """True for biases of layers, and for the shifts of norms, which are the biases of the layers before them."""
    return weight.name == "beta" or "bias" in weight.name.split("_")
