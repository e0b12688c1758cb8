"""What a plan says about sites and the module: where it does not fit and what would, and what it chose by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attnzoo.errors import listing
from attnzoo.planning.placement import standing

if TYPE_CHECKING:
    from attnzoo.planning.factory import Factory
    from attnzoo.planning.placement import Spot
    from attnzoo.planning.sites import Site

Shape = tuple[int | None, int | None, int | None]
Refused = tuple[str, Shape, str]
"""A host, the (height, width, channels) of its map, and why the module cannot go there."""

MOST = 6
"""How many hosts with the same reason a message names."""


def refusal(factory: Factory, refused: Sequence[Refused], sites: int) -> str:
    """Names the hosts that fail, those with one reason together, and the option without which none would.

    Args:
        factory: of the module.
        refused: the hosts that fail.
        sites: how many were chosen in all.
    """
    after: dict[str, list[str]] = {}
    for host, shape, reason in refused:
        known = "" if shape[-1] is None else f" ({' x '.join('?' if d is None else str(d) for d in shape)})"
        after.setdefault(reason, []).append(f"'{host}'{known}")
    each = "; ".join(f"after {listing(hosts, MOST)}: {reason}" for reason, hosts in after.items())
    return f"attention '{factory.key}' cannot go on {len(refused)} of {sites} sites: {each}.{_remedy(factory, refused)}"


def _remedy(factory: Factory, refused: Sequence[Refused]) -> str:
    if factory.cls is None:
        return ""
    for option, value in factory.options.items():
        rest = factory.cls(**{k: v for k, v in factory.options.items() if k != option}).get_config()
        if all(c is not None and factory.cls.check_site(c, h, w, rest) is None for _, (h, w, c), _ in refused):
            return f" Without {option}={value!r} it fits every site."
    return ""


def chosen(factory: Factory, channels: Iterable[int]) -> str | None:
    """Says which values the module chooses by itself at these numbers of channels; None if it chooses none."""
    if factory.cls is None:
        return None
    layer = factory.cls(**factory.options)
    at: dict[str, list[int]] = {}
    for count in sorted(set(channels)):
        value = layer.automatic(count)
        if value is not None:
            at.setdefault(value, []).append(count)
    each = "; ".join(f"{value} at {listing(counts)} channels" for value, counts in at.items())
    return f"{factory.key} chooses for each site: {each}." if at else None


def as_it_is(factory: Factory, sites: Iterable[Site]) -> str | None:
    """Says where the module goes in without alpha because it returns its input by itself; None if nowhere."""
    hosts = [f"'{s.host}'" for s in sites if s.init != factory.init]
    if not hosts:
        return None
    there = listing(hosts, MOST)
    return f"{factory.key} returns its input as it starts; it is inserted as it is, without alpha, after {there}."


def idle(factory: Factory, maps: Iterable[tuple[str, Shape]]) -> Iterator[str]:
    """Says which weights can learn nothing on which maps, and where a hidden layer of one unit may be dead.

    Args:
        factory: of the module.
        maps: hosts, each with the (height, width, channels) of its map.
    """
    if factory.cls is None:
        return
    layer = factory.cls(**factory.options)
    silent: dict[tuple[str, str], list[str]] = {}
    narrow: dict[int, None] = {}
    for host, (height, width, channels) in maps:
        if channels is None:
            continue
        by_reason: dict[str, list[str]] = {}
        for name, reason in layer.learns_nothing(channels, height, width).items():
            by_reason.setdefault(reason, []).append(name)
        for reason, names in by_reason.items():
            silent.setdefault((", ".join(names), reason), []).append(f"'{host}'")
        if layer.hidden_for(channels) == 1 and channels > 1:
            narrow[channels] = None
    for (weights, reason), hosts in silent.items():
        yield f"{factory.key} after {listing(hosts, MOST)}: {weights} can learn nothing, because {reason}."
    if narrow:
        yield (
            f"{factory.key} has a hidden layer of one unit at {listing(narrow)} channels, which is dead from the start"
            f" for up to half of all seeds; ratio={max(1, min(narrow) // 4)} gives it more."
        )


# Attention that is there already ---------------------------------------------------------------------------------


def repeated(factory: Factory, spots: Iterable[Spot], model: str) -> str | None:
    """Says that the very same module stands at some of the spots already; None if it stands at none.

    Different modules may follow each other. The same one twice is what a notebook cell makes that is run twice, and
    two of them compute something that nobody meant; leaving these sites out would ignore the options given with it.
    """
    there = []
    for spot in spots:
        own = re.compile(re.escape(f"{spot.value.stem}_{factory.key}") + r"(_\d+)?")
        alike = (op for op in standing(spot) if op.parallel == (spot.placement == "parallel"))
        there += [f"'{op.name}'" for op in alike if own.fullmatch(op.name)]
    if not there:
        return None
    return (
        f"'{model}' has this {factory.key} already: {listing(there, MOST)}. Choose other sites, take it out first with"
        " attnzoo.strip(model), or augment the model as it was before."
    )


def beneath(factory: Factory, spots: Iterable[Spot]) -> str | None:
    """Says which attention the new module is applied after; None if it comes first everywhere."""
    hosts: dict[str, list[str]] = {}
    for spot in spots:
        for op in standing(spot):
            key = op.name.removeprefix(f"{op.site}_").removeprefix(f"{op.site.replace('.', '_')}_")
            hosts.setdefault(key, []).append(op.site)
    each = "; ".join(f"{key} after {listing(dict.fromkeys(there), MOST)}" for key, there in hosts.items())
    return f"there is attention already: {each}; {factory.key} is applied after it." if hosts else None
