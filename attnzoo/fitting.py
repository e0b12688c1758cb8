"""What a plan says about sites and the module: where it does not fit and what would, and what it chose by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attnzoo.errors import listing

if TYPE_CHECKING:
    from attnzoo.maker import Maker

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
    behind: dict[str, list[str]] = {}
    for host, shape, reason in refused:
        known = "" if shape[-1] is None else f" ({' x '.join('?' if d is None else str(d) for d in shape)})"
        behind.setdefault(reason, []).append(f"'{host}'{known}")
    each = "; ".join(f"behind {listing(hosts, MOST)}: {reason}" for reason, hosts in behind.items())
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
