"""Which stages and blocks the numbers of a request mean, in each stream of a model. Pure; nothing is built."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from attnzoo.anatomy import Anatomy, Block, Stage
from attnzoo.errors import PlanError, did_you_mean, listing


@dataclass(frozen=True)
class LeftOut:
    """A chosen block that does not have the placement, or a stream without the stage, and why."""

    stage: int | None
    block: int | None
    output: str
    reason: str

    @property
    def place(self) -> str:
        """Where it lies, in brackets; empty for what lies in no stage."""
        if self.stage is None:
            return ""
        return f" (stage {self.stage})" if self.block is None else f" (stage {self.stage}, block {self.block})"


def chosen_stages(anatomy: Anatomy, stages: Iterable[int] | int | None) -> tuple[list[Stage], list[LeftOut]]:
    """Returns the stages with the given numbers in all streams, and which streams do not have them.

    Raises:
        PlanError: if no stream has one of them.
    """
    known: dict[int, list[Stage]] = {}
    for stage in sorted(anatomy.stages, key=lambda s: s.index):
        known.setdefault(stage.index, []).append(stage)
    if not known:
        raise PlanError(f"no stages were found in '{anatomy.model}'; {anatomy.advice}.")
    wanted = None if stages is None else sorted(set(numbers("stages", stages)))
    missing = [s for s in wanted or () if s not in known]
    if missing:
        raise PlanError(
            f"'{anatomy.model}' has no stage {listing(missing)}; it has {_have(anatomy.stages)}.", about="stages"
        )
    left_out = []
    for stream, name in enumerate(anatomy.graph.streams):
        own = [s for s in anatomy.stages if stream in s.end.streams]
        lacking = [i for i in wanted or () if i not in {s.index for s in own}]
        if not own or lacking:
            reason = f"it has no stage {listing(lacking)}; it has {_have(own)}" if own else "no stages were found in it"
            left_out.append(LeftOut(None, None, f"stream '{name}'", reason))
    return [s for i in (known if wanted is None else wanted) for s in known[i]], left_out


def _have(stages: Iterable[Stage]) -> str:
    strides: dict[int, list[int]] = {}
    for stage in sorted(stages, key=lambda s: s.index):
        strides.setdefault(stage.index, []).append(stage.stride)
    return ", ".join(f"{i} (stride {' or '.join(map(str, sorted(set(s))))})" for i, s in strides.items())


def numbers(what: str, given: Any) -> list[int]:
    """Returns the whole numbers of a request, given as one or several, Python's or NumPy's.

    Raises:
        PlanError: if there is none, or one is not whole.
    """
    one = _whole(given)
    if one is not None:
        return [one]
    shown = " ".join(repr(given).split())  # arrays take several lines
    if isinstance(given, str) or not isinstance(given, Iterable) or getattr(given, "shape", None) == ():
        raise PlanError(f"{what}={shown} is not a whole number or a list of them, such as [0, 1].")
    entries = list(given)
    if not entries:
        raise PlanError(f"{what} is empty; name at least one, or leave it out for all.")
    found = []
    for entry in entries:
        number = _whole(entry)
        if number is None:
            raise PlanError(f"{what}={shown}: {entry!r} is not a whole number; expected such as [0, 1].")
        found.append(number)
    return found


def _whole(given: Any) -> int | None:
    if isinstance(given, bool):
        return None
    try:  # arrays of several numbers have an __index__ too
        return operator.index(given)
    except TypeError:
        return None


def positions(blocks: Any) -> list[int] | None:
    """Returns the positions within each stage that `blocks` means; None for all.

    Raises:
        PlanError: if it means none.
    """
    if isinstance(blocks, str) and blocks not in ("first", "last"):
        raise PlanError(
            f"blocks={blocks!r} is not known; expected whole numbers, 'first' or 'last'."
            f"{did_you_mean(blocks, ('first', 'last'))}"
        )
    if isinstance(blocks, str):
        return [0] if blocks == "first" else [-1]
    return None if blocks is None else numbers("blocks", blocks)


def chosen_blocks(stage: Stage, wanted: list[int] | None) -> tuple[list[Block], list[LeftOut]]:
    """Returns the blocks at the given positions of a stage, and the positions that it does not have."""
    count = len(stage.blocks)
    if not count:
        return [], [LeftOut(stage.index, None, stage.output, "no block repeats there")]
    if wanted is None:
        return list(stage.blocks), []
    beyond = [
        LeftOut(stage.index, b, stage.output, f"stage {stage.index} has {count} blocks")
        for b in wanted
        if not -count <= b < count
    ]
    return [stage.blocks[i] for i in sorted({b % count for b in wanted if -count <= b < count})], beyond
