"""What a plan says about sites and the module: where it does not fit and what would, and what it chose by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attnzoo.errors import listing
from attnzoo.planning.placement import standing

if TYPE_CHECKING:
    from attnzoo.planning.factory import Maker
    from attnzoo.planning.placement import Spot

Shape = tuple[int | None, int | None, int | None]
Refused = tuple[str, Shape, str]
"""A host, the (height, width, channels) of its map, and why the module cannot go there."""

MOST = 6
"""How many hosts with the same reason a message names."""


def refusal(maker: Maker, refused: Sequence[Refused], sites: int) -> str:
    """Names the hosts that fail, those with one reason together, and the option without which none would.

    Args:
        maker: of the module.
        refused: the hosts that fail.
        sites: how many were chosen in all.
    """
    after: dict[str, list[str]] = {}
    for host, shape, reason in refused:
        known = "" if shape[-1] is None else f" ({' x '.join('?' if d is None else str(d) for d in shape)})"
        after.setdefault(reason, []).append(f"'{host}'{known}")
    each = "; ".join(f"after {listing(hosts, MOST)}: {reason}" for reason, hosts in after.items())
    return f"attention '{maker.key}' cannot go on {len(refused)} of {sites} sites: {each}.{_remedy(maker, refused)}"


def _remedy(maker: Maker, refused: Sequence[Refused]) -> str:
    if maker.cls is None:
        return ""
    for option, value in maker.options.items():
        rest = maker.cls(**{k: v for k, v in maker.options.items() if k != option}).get_config()
        if all(c is not None and maker.cls.check_site(c, h, w, rest) is None for _, (h, w, c), _ in refused):
            return f" Without {option}={value!r} it fits every site."
    return ""


def chosen(maker: Maker, channels: Iterable[int]) -> str | None:
    """Says which values the module chooses by itself at these numbers of channels; None if it chooses none."""
    if maker.cls is None:
        return None
    layer = maker.cls(**maker.options)
    at: dict[str, list[int]] = {}
    for count in sorted(set(channels)):
        value = layer.automatic(count)
        if value is not None:
            at.setdefault(value, []).append(count)
    each = "; ".join(f"{value} at {listing(counts)} channels" for value, counts in at.items())
    return f"{maker.key} chooses for each site: {each}." if at else None


# Attention that is there already ---------------------------------------------------------------------------------


def repeated(maker: Maker, spots: Iterable[Spot], model: str) -> str | None:
    """Says that the very same module stands at some of the spots already; None if it stands at none.

    Different modules may follow each other. The same one twice is what a notebook cell makes that is run twice, and
    two of them compute something that nobody meant; leaving these sites out would ignore the options given with it.
    """
    there = []
    for spot in spots:
        own = re.compile(re.escape(f"{spot.value.stem}_{maker.key}") + r"(_\d+)?")
        alike = (op for op in standing(spot) if op.parallel == (spot.placement == "parallel"))
        there += [f"'{op.name}'" for op in alike if own.fullmatch(op.name)]
    if not there:
        return None
    return (
        f"'{model}' has this {maker.key} already: {listing(there, MOST)}. Choose other sites, take it out first with"
        " attnzoo.strip(model), or augment the model as it was before."
    )


def beneath(maker: Maker, spots: Iterable[Spot]) -> str | None:
    """Says which attention the new module is applied after; None if it comes first everywhere."""
    hosts: dict[str, list[str]] = {}
    for spot in spots:
        for op in standing(spot):
            key = op.name.removeprefix(f"{op.site}_").removeprefix(f"{op.site.replace('.', '_')}_")
            hosts.setdefault(key, []).append(op.site)
    each = "; ".join(f"{key} after {listing(dict.fromkeys(there), MOST)}" for key, there in hosts.items())
    return f"there is attention already: {each}; {maker.key} is applied after it." if hosts else None
