"""Where attention goes and what it costs, before anything is built."""

from attnzoo.planning.placement import PLACEMENTS
from attnzoo.planning.plans import Plan, augment, plan

__all__ = [
    "PLACEMENTS",
    "Plan",
    "augment",
    "plan",
]
