"""Spots -> sites: each with its module, name, shape and cost; nothing is built."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from attnzoo.anatomy import Anatomy, Call, Graph
from attnzoo.errors import PlanError
from attnzoo.planning.factory import Factory, costs
from attnzoo.planning.notes import Refused, refusal, repeated
from attnzoo.planning.placement import Choice, Spot
from attnzoo.rewriting import Insertion


@dataclass(frozen=True)
class Site:
    """One place where one module goes.

    Attributes:
        name: of the layer to be inserted, `<host>_<key>`.
        host: the layer whose output is attended to; with its nested models, `outer/inner/layer`, in `path`.
        path: the host's full path.
        stage, block: where it lies; None for sites chosen by `after`.
        placement: the rule that chose it.
        attention: registered key, or the class name of a module of the user's own.
        shape: (height, width, channels) of the map; None where the model leaves the size open.
        parameters: trainable parameters added, the identity scalar included.
        macs: multiply-accumulates added for one image; None where the map size or the module's cost is not known.
        dtype: dtype policy of the inserted layer.
        init: how it starts: as asked for, but `"paper"` where the module is an identity by itself.
    """

    name: str
    host: str
    path: str
    stage: int | None
    block: int | None
    placement: str
    attention: str
    shape: tuple[int | None, int | None, int]
    parameters: int
    macs: int | None
    dtype: str
    init: str
    spot: Spot = field(repr=False, compare=False)
    make: Callable[[], Any] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns the site as plain values."""
        keys = ("name", "host", "path", "stage", "block", "placement", "attention", "parameters", "macs", "dtype")
        return {**{k: getattr(self, k) for k in keys}, "shape": list(self.shape)}


def sites_of(anatomy: Anatomy, choice: Choice, factory: Factory) -> list[Site]:
    """Returns the sites of the chosen spots, in the order of the graph.

    Raises:
        PlanError: if the module cannot go to one of them, or stands there already.
    """
    graph = anatomy.graph
    taken = {c.name for c in [*graph.calls, *graph.containers]}
    taken.update(v.name for v in graph.inputs)
    spots = list(_distinct(sorted(choice.spots, key=lambda s: s.value.order)))
    twice = repeated(factory, spots, anatomy.model)
    if twice:
        raise PlanError(twice)
    problems = [problem for spot in spots if (problem := _problem(spot, graph, factory))]
    if problems:
        raise PlanError(refusal(factory, problems, len(spots)))
    cost_of = functools.cache(functools.partial(costs, factory, graph.data_format))
    init_of = functools.cache(functools.partial(factory.init_for, graph.data_format))
    return [
        _site(spot, graph, factory, _free_name(f"{spot.value.stem}_{factory.key}", taken), cost_of, init_of)
        for spot in spots
    ]


def _problem(spot: Spot, graph: Graph, factory: Factory) -> Refused | None:
    """Says why the module cannot go to a spot; None if it can."""
    channels, height, width = graph.split_shape(spot.value)
    if channels is None:
        reason: str | None = "its number of channels is not known"
    else:
        reason = factory.cls.check_site(channels, height, width, factory.config) if factory.cls else None
    return (spot.value.host, (height, width, channels), reason) if reason else None


def _site(
    spot: Spot,
    graph: Graph,
    factory: Factory,
    name: str,
    cost_of: Callable[..., tuple[int, int | None]],
    init_of: Callable[..., str],
) -> Site:
    channels, height, width = graph.split_shape(spot.value)
    policy, host = _host_policy(spot, graph), spot.value.host
    parallel = spot.placement == "parallel"
    last = graph.data_format == "channels_last"
    shape = (None, height, width, channels) if last else (None, channels, height, width)
    dtype = getattr(policy, "name", str(policy))
    init = init_of(shape, dtype, parallel)
    parameters, macs = cost_of(channels, height, width, parallel, init)
    return Site(
        name=name,
        host=host,
        path="/".join((*(spot.value.call.path if spot.value.call else ()), host)),
        stage=spot.stage,
        block=spot.block,
        placement=spot.placement,
        attention=factory.key,
        shape=(height, width, channels),
        parameters=parameters,
        macs=macs,
        dtype=dtype,
        init=init,
        spot=spot,
        make=functools.partial(
            factory.layer,
            channels,
            name=name,
            dtype=policy,
            site=host,
            parallel=parallel,
            data_format=graph.data_format,
            init=init,
        ),
    )


def insertion_of(site: Site) -> Insertion:
    """Returns a new module, and where it goes."""
    spot = site.spot
    if spot.edges is not None:
        return Insertion(site.make(), edges=tuple((c.container, c.place, i) for c, i in spot.edges))
    call: Any = spot.value.source  # never None: placement chooses what a layer makes, no input
    index = 0 if spot.value.way_out else spot.value.index
    return Insertion(site.make(), after=(call.container, call.place, index))


def _distinct(spots: list[Spot]) -> Iterator[Spot]:
    """Leaves out spots of a layer with weights or a nested model that the flat graph shows more than once."""
    seen = set()
    for spot in spots:
        key = _where(spot)
        if key not in seen:
            seen.add(key)
            yield spot


def _where(spot: Spot) -> tuple[Any, ...]:
    if spot.edges is not None:
        return tuple((id(c.container), _place(c), i) for c, i in spot.edges)
    call = spot.value.source
    index = 0 if spot.value.way_out else spot.value.index
    return (id(call.container), _place(call), index) if call else (id(spot.value),)


def _place(call: Call) -> Any:
    """Returns what tells the places of one container apart: inside a layer these are addresses."""
    return call.place if isinstance(call.place, tuple) else id(call.place)


def _host_policy(spot: Spot, graph: Graph) -> Any:
    """Returns the dtype policy of the layer whose output is attended to (of the nearest layer above an operation)."""
    call = spot.value.call
    while call is not None:
        policy = getattr(call.op, "dtype_policy", None)
        if policy is not None and policy.compute_dtype == spot.value.tensor.dtype:
            return policy
        call = call.inputs[0].call if call.inputs else None
    return spot.value.tensor.dtype


def _free_name(name: str, taken: set[str]) -> str:
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    taken.add(free)
    return free
