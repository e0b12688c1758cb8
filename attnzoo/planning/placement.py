"""Where attention goes: blocks and stages -> spots in the graph. Pure; nothing is built.

A spot is either a value (all its readers see the attended map) or some of its edges (only those readers do):

    placement   spot
    stage       the value at the end of the stage
    post        the value at the end of the block
    residual    the edge from the residual branch into the addition (before dropout); the projection's norm where there
                is no addition
    pre         the edges from the block's input into the residual branch
    shortcut    the edge from the shortcut into the addition
    inner       the value at the middle width of the branch
    parallel    as residual, the module being an addend: shortcut + (residual + attention(residual))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from attnzoo.anatomy import Anatomy, Block, Call, Stage, Value, after_inserted, before_stochastic, between, lifted
from attnzoo.errors import PlanError, did_you_mean, listing
from attnzoo.planning.globs import select
from attnzoo.planning.requests import LeftOut, chosen_blocks, chosen_stages, positions

Edge = tuple[Call, int]


@dataclass(frozen=True, eq=False)
class Spot:
    """One place in the flat graph.

    Attributes:
        value: the map to attend to.
        edges: the readers that are to see the attended map; None for all.
        stage, block: where it lies; None for spots named by the user.
        placement: the rule that chose it.
    """

    value: Value
    edges: tuple[Edge, ...] | None
    stage: int | None
    block: int | None
    placement: str


@dataclass
class Choice:
    """Spots found and blocks left out."""

    spots: list[Spot] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


class Missing(Exception):
    """A block does not have a placement; the message says why."""


def _post(block: Block) -> tuple[Value, tuple[Edge, ...] | None]:
    return block.end, None


def _residual(block: Block) -> tuple[Value, tuple[Edge, ...] | None]:
    branch = _branch(block)
    if block.kind == "projection":
        return after_inserted(branch), None
    value = before_stochastic(branch)
    readers = value.users if value is not branch else _edges_into(block.merge, branch)
    return value, tuple(readers)


def _pre(block: Block) -> tuple[Value, tuple[Edge, ...] | None]:
    inside = {*between(block.entry, [_branch(block)]), block.entry}
    edges = [(c, i) for c, i in block.entry.users if c.outputs[0] in inside]
    value = block.entry
    while len(edges) == 1 and edges[0][0].inserted:
        value = edges[0][0].outputs[0]
        edges = list(value.users)
    return value, tuple(edges)


def _shortcut(block: Block) -> tuple[Value, tuple[Edge, ...] | None]:
    _branch(block)
    if block.shortcut is None:
        raise Missing("it has no shortcut")
    return block.shortcut, _edges_into(block.merge, block.shortcut)


def _parallel(block: Block) -> tuple[Value, tuple[Edge, ...] | None]:
    _branch(block)
    if block.shortcut is None:
        raise Missing("it has no addition to take part in")
    return _residual(block)


def _inner(block: Block) -> tuple[Value, tuple[Edge, ...] | None]:
    _branch(block)
    if block.middle is None:
        raise Missing("its branch has no spatial convolution before the last one that can be reached")
    return block.middle, None


def _branch(block: Block) -> Value:
    if block.kind == "composite" and block.merge.source:
        call = block.merge.source
        layer, package = type(call.op), type(call.op).__module__.partition(".")[0]
        what = "in which no branch was found" if call.opened else "that hides its parts"
        raise Missing(f"it is a {layer.__name__} ({package}), one layer {what}{call.closed and f': {call.closed}'}")
    if block.branch is None:
        raise Missing("it is merged by concatenation and has no residual branch")
    return block.branch


def _edges_into(merge: Value, value: Value) -> tuple[Edge, ...]:
    return tuple((c, i) for c, i in value.users if c is merge.call)


BLOCK_RULES: dict[str, Callable[[Block], tuple[Value, tuple[Edge, ...] | None]]] = {
    "post": _post,
    "residual": _residual,
    "pre": _pre,
    "shortcut": _shortcut,
    "inner": _inner,
    "parallel": _parallel,
}
PLACEMENTS = ("stage", *BLOCK_RULES)
"""Names of all placements."""


def choose(
    anatomy: Anatomy,
    *,
    stages: Iterable[int] | int | None = None,
    blocks: Iterable[int] | int | str | None = None,
    placement: str = "stage",
    after: Sequence[str] | str | None = None,
) -> Choice:
    """Turns a request into spots.

    Args:
        anatomy: of the model.
        stages: stage numbers; None for all.
        blocks: positions within each stage (negative from the end), `"first"`, `"last"` or None for all.
        placement: one of `PLACEMENTS`.
        after: layer-name globs, instead of stages, blocks and placement.

    Raises:
        PlanError: if the request names what the model does not have.
    """
    if after is not None:
        if stages is not None or blocks is not None or placement != "stage":
            raise PlanError("after=[...] names layers itself; it cannot be combined with stages, blocks or placement.")
        return _after(anatomy, after)
    if placement not in PLACEMENTS:
        raise PlanError(
            f"placement {placement!r} is not known.{did_you_mean(placement, PLACEMENTS)} Known: {listing(PLACEMENTS)}."
        )
    chosen, missing = chosen_stages(anatomy, stages)
    if placement == "stage":
        if blocks is not None:
            raise PlanError(
                "placement 'stage' goes once after each stage and takes no blocks;"
                " use placement 'post' to choose blocks."
            )
        return Choice([Spot(s.end, None, s.index, None, "stage") for s in chosen], missing)
    choice = _in_blocks(anatomy, chosen, blocks, placement)
    if stages is None and blocks is None:
        missing += [LeftOut(None, None, output, reason) for output, reason in anatomy.unread]
    choice.left_out += missing
    return choice


def _in_blocks(anatomy: Anatomy, stages: list[Stage], blocks: Any, placement: str) -> Choice:
    rule, choice, tried = BLOCK_RULES[placement], Choice(), 0
    numbers = positions(blocks)
    for stage in stages:
        read, missing = chosen_blocks(stage, numbers)
        choice.left_out += missing
        for block in read:
            tried += 1
            try:
                value, edges = rule(block)
            except Missing as missing:
                choice.left_out.append(LeftOut(stage.index, block.index, block.output, str(missing)))
            else:
                readers = None if edges is None else lifted(value, edges)
                choice.spots.append(Spot(value, readers, stage.index, block.index, placement))
    if choice.spots:
        return choice
    if tried == 0 and any(s.blocks for s in stages):
        have = "; ".join(dict.fromkeys(left.reason for left in choice.left_out))
        raise PlanError(
            f"'{anatomy.model}' has no block {listing(numbers or [])}: {have}, counted from 0.", about="blocks"
        )
    raise PlanError(_no_spots(anatomy, stages, choice, placement), about="placement")


def _no_spots(anatomy: Anatomy, stages: list[Stage], choice: Choice, placement: str) -> str:
    where = "" if len(stages) == len(anatomy.stages) else " in stage " + listing(dict.fromkeys(s.index for s in stages))
    possible = [p for p in PLACEMENTS if p == "stage" or (p != placement and _has(stages, BLOCK_RULES[p]))]
    reason = "no repeated blocks were found"
    tried = [left for left in choice.left_out if left.block is not None]
    if tried:
        first = tried[0]
        reason = f"none of {len(tried)} blocks has it; block {first.block} ('{first.output}'): {first.reason}"
    return (
        f"'{anatomy.model}' has no place for placement {placement!r}{where}: {reason}."
        f" Possible here: {listing(possible)}, or after=[layer names]."
    )


def _has(stages: list[Stage], rule: Callable[[Block], Any]) -> bool:
    for block in (b for s in stages for b in s.blocks):
        try:
            rule(block)
        except Missing:
            continue
        return True
    return False


# Named layers ----------------------------------------------------------------------------------------------------


def _after(anatomy: Anatomy, after: Sequence[str] | str) -> Choice:
    choice = Choice()
    for call in select(anatomy.graph, after, anatomy.model):
        value, reason = call.outputs[0], None
        if len(call.outputs) != 1:
            reason = f"it has {len(call.outputs)} outputs, and attention goes after one map"
        # Not by stride alone: maps that a transformer makes of its tokens have none that could be followed.
        elif value.stride is None and (len(value.shape) != 4 or anatomy.graph.split_shape(value)[1:] == (1, 1)):
            reason = f"its output {value.shape} is not a feature map"
        elif value.call is None:
            reason = "its output is an input of the model as it came"
        if reason:
            choice.left_out.append(LeftOut(None, None, call.name, reason))
        else:
            choice.spots.append(Spot(after_inserted(value), None, None, None, "after"))
    if not choice.spots:
        each = listing((f"'{left.output}': {left.reason}" for left in choice.left_out), 3)
        raise PlanError(f"after names no layer of '{anatomy.model}' that can be attended to; {each}.", about="after")
    return choice


def standing(spot: Spot) -> Iterator[Any]:
    """Yields the attention that stands at a spot already, the last applied first."""
    value = spot.value
    while value.call is not None and value.call.inserted:
        yield value.call.op
        value = value.call.inputs[0]
