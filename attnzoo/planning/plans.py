"""Plans: what will be inserted where, and what it costs, before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from attnzoo._keras import left_behind, open_models
from attnzoo.anatomy import Anatomy, describe, holders, named
from attnzoo.planning.factory import AttentionLike, Factory
from attnzoo.planning.notes import as_it_is, beneath, chosen, idle
from attnzoo.planning.placement import choose
from attnzoo.planning.requests import LeftOut
from attnzoo.planning.sites import Site, insertion_of, sites_of
from attnzoo.rewriting import rebuild
from attnzoo.tables import table


@dataclass(frozen=True, repr=False)
class Plan:
    """What `augment` would do. `print` it, iterate it, `.apply()` it.

    Attributes:
        model: name of the model.
        sites: one for each module to be inserted, in the order of the graph.
        left_out: chosen blocks that do not have the placement, and streams of the model that do not have the stage,
            each with its reason.
        notes: what else the reader should know, such as attention that the backbone carries already.
    """

    model: str
    sites: tuple[Site, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    source: Any = field(repr=False, compare=False)
    share_weights: bool = field(repr=False, compare=False, default=False)
    trust: bool = field(repr=False, compare=False, default=False)

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def parameters(self) -> int:
        """Trainable parameters added in all."""
        return sum(s.parameters for s in self.sites)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates added in all for one image; None if that of a site is not known."""
        each = [s.macs for s in self.sites]
        return None if None in each else sum(m for m in each if m is not None)

    def apply(self) -> keras.Model:
        """Builds the planned model; the model the plan was made for is left as it is.

        Raises:
            RewriteError: if the model cannot be rebuilt, or the new one fails a check.
        """
        insertions = [insertion_of(site) for site in self.sites]
        new = rebuild(self.source, insertions, share=self.share_weights, trust=self.trust)
        # A frozen model hides all below it from training: its layers keep their flags, the attention in it trains.
        open_models(new)
        return new

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as plain values."""
        return {
            "model": self.model,
            "sites": [s.to_dict() for s in self.sites],
            "left_out": [vars(left) for left in self.left_out],
            "notes": list(self.notes),
            "parameters": self.parameters,
            "macs": self.macs,
        }

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [("site", "stage", "block", "placement", "shape", "parameters", "MACs")]
        for s in self.sites:
            shape = " x ".join("?" if d is None else str(d) for d in s.shape)
            cells = (
                s.stage,
                s.block,
                s.placement,
                shape,
                f"{s.parameters:,}",
                "-" if s.macs is None else f"{s.macs:,}",
            )
            rows.append((s.name, *("-" if c is None else str(c) for c in cells)))
        macs = "" if self.macs is None else f" and {self.macs:,} MACs an image"
        total = f"{self.model}: {len(self.sites)} sites, {self.parameters:,} parameters{macs} added"
        left = [f"left out: {x.output}{x.place}: {x.reason}" for x in self.left_out]
        return "\n".join([total, table(rows), *left, *(f"note: {n}" for n in self.notes)])


def plan(
    model: keras.Model,
    attention: AttentionLike,
    *,
    stages: Iterable[int] | int | None = None,
    blocks: Iterable[int] | int | str | None = None,
    placement: str = "stage",
    after: Sequence[str] | str | None = None,
    init: str = "identity",
    share_weights: bool = False,
    trust: bool = False,
    **options: Any,
) -> Plan:
    """Says what `augment` with the same arguments would insert, and what it would cost. Nothing is built.

    Args:
        model: a Functional or Sequential model, also with models nested in it, or a subclassed one whose call() can be
            taken as a graph; the plan says what that leaves behind.
        attention: a registered key such as `"cbam"`, a `keras.layers.Layer` subclass, or a callable that takes the
            number of channels and returns a layer.
        stages: stage numbers (stage s runs at output stride 2^(s+1)); None for all.
        blocks: positions within each stage, negative from the end, `"first"`, `"last"`, or None for all.
        placement: `"stage"`, `"post"`, `"residual"`, `"pre"`, `"shortcut"`, `"inner"` or `"parallel"`.
        after: layer-name globs, instead of stages, blocks and placement.
        init: `"identity"` starts as a module that returns its input; `"paper"` as its paper says.
        share_weights: the new model uses the old one's layers, not copies: training one trains the other.
        trust: whether the new model may call functions of Lambda layers that hold a layer or a variable, which are
            refused otherwise, because the two models would share it.
        **options: options of the module, such as `ratio=16`.

    Returns:
        A `Plan`: print it, iterate it, `.apply()` it.

    Raises:
        PlanError: if attention cannot go where it is asked to go, or an option does not exist.
        RewriteError: if the model has no graph to read, and none can be taken of its call().
    """
    anatomy = describe(model)
    factory = Factory.of(attention, init, options)
    choice = choose(anatomy, stages=stages, blocks=blocks, placement=placement, after=after)
    sites = sites_of(anatomy, choice, factory)
    notes = tuple(_notes(anatomy, sites, factory))
    return Plan(
        model.name, tuple(sites), tuple(choice.left_out), notes, anatomy.graph.model, bool(share_weights), bool(trust)
    )


def augment(
    model: keras.Model,
    attention: AttentionLike,
    *,
    stages: Iterable[int] | int | None = None,
    blocks: Iterable[int] | int | str | None = None,
    placement: str = "stage",
    after: Sequence[str] | str | None = None,
    init: str = "identity",
    share_weights: bool = False,
    trust: bool = False,
    **options: Any,
) -> keras.Model:
    """Returns a copy of a model with attention inserted; with `init="identity"` it computes what the model computes.

    Takes the arguments of `plan`, which says beforehand what this will do. What was frozen stays frozen, layer by
    layer, and the attention trains, in a model that is frozen as a whole too.

    Returns:
        A new model, not compiled. The model passed in is left as it is.

    Raises:
        PlanError: if attention cannot go where it is asked to go, or an option does not exist.
        RewriteError: if the model cannot be rebuilt.

    Example:
        >>> model = attnzoo.augment(keras.applications.ResNet50(), "cbam", stages=[3, 4])
    """
    return plan(
        model,
        attention,
        stages=stages,
        blocks=blocks,
        placement=placement,
        after=after,
        init=init,
        share_weights=share_weights,
        trust=trust,
        **options,
    ).apply()


def _notes(anatomy: Anatomy, sites: list[Site], factory: Factory) -> Iterator[str]:
    behind = left_behind(anatomy.graph.model)
    if behind:
        yield behind
    if anatomy.gated:
        gated = sum(b.gated for b in anatomy.blocks)
        count = len(anatomy.blocks)
        yield f"{gated} of {count} blocks carry squeeze-and-excitation of their own; this attention comes on top."
    models = [anatomy.graph.model, *(c.op for c in anatomy.graph.containers)]
    frozen = next((m.name for m in models if not m.trainable), None)
    if frozen:
        yield f"'{frozen}' is frozen, and stays so: only the attention trains, until attnzoo.freeze chooses what does."
    if hidden := holders(anatomy.graph):
        yield f"attnzoo does not reach into {named(hidden)}; to attend there, augment the model before wrapping it."
    for note in (
        beneath(factory, (s.spot for s in sites)),
        chosen(factory, (s.shape[-1] for s in sites)),
        as_it_is(factory, sites),
    ):
        if note:
            yield note
    yield from idle(factory, ((s.host, s.shape) for s in sites))
