"""Fair timing: all variants in one process, each in every round next to a timing of the reference.

What a machine does over minutes, heating up or sharing its cores with others, so falls on both alike. A timing during
which other processes used the processor is repeated, a few times at most; a pair that stays disturbed is left out
where enough calm ones remain.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _bench._report import progress

FOREIGN = 0.1
"""Processor seconds of other processes, per second, from which on a timing is disturbed."""
TRIES = 6


@dataclass(frozen=True)
class Measured:
    """Seconds of one variant, and what they are of those of the reference measured next to them."""

    seconds: float
    ratio: float
    least: float
    most: float


@dataclass(frozen=True)
class _Pair:
    own: float
    reference: float
    calm: bool


def interleave(
    variants: Mapping[str, Callable[[], Any]], rounds: int, *, reference: str, calls: int = 1, warm: int = 1
) -> dict[str, Measured]:
    """Times every variant once a round, and the reference before it, or after it every other round; medians.

    No variant always runs after the same other: the order is rotated, and reversed every other round.

    Args:
        variants: what to call, by name.
        rounds: how often.
        reference: the variant that the others are divided by.
        calls: calls for one timing.
        warm: calls of each before the first round.
    """
    for run in variants.values():
        for _ in range(warm):
            run()
    pairs: dict[str, list[_Pair]] = {name: [] for name in variants if name != reference}
    names = list(pairs)
    for index in range(rounds):
        shift = index // 2 % max(1, len(names))
        order = names[shift:] + names[:shift]
        for name in order if index % 2 == 0 else reversed(order):
            pairs[name].append(_pair(variants[name], variants[reference], calls, after=index % 2 == 1))
    disturbed = sum(not p.calm for each in pairs.values() for p in each)
    if disturbed:
        progress(f"  {disturbed} of {rounds * len(names)} pairs were disturbed by other processes")
    return {name: _summary(pairs[name]) if name in pairs else _of_reference(pairs) for name in variants}


def _pair(run: Callable[[], Any], reference: Callable[[], Any], calls: int, *, after: bool) -> _Pair:
    if after:
        own, own_calm = _time(run, calls)
        other, other_calm = _time(reference, calls)
    else:
        other, other_calm = _time(reference, calls)
        own, own_calm = _time(run, calls)
    return _Pair(own, other, own_calm and other_calm)


def _time(run: Callable[[], Any], calls: int) -> tuple[float, bool]:
    """Returns seconds a call, and whether the machine was calm."""
    for attempt in range(TRIES):
        gc.collect()
        elsewhere = _foreign_seconds()
        start = time.perf_counter()
        for _ in range(calls):
            result = run()
        seconds = time.perf_counter() - start
        # The kernel counts in steps of 10 ms on each core.
        calm = _foreign_seconds() - elsewhere <= FOREIGN * seconds + 0.02
        del result  # what is dropped is not timed
        if calm:
            break
        if attempt + 1 < TRIES:
            time.sleep(1)
    return seconds / calls, calm


def _foreign_seconds() -> float:
    """Returns the processor time that other processes have used; 0, never disturbed, where Linux does not say."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = (int(f) for f in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def _calm(pairs: list[_Pair]) -> list[_Pair]:
    """Leaves out disturbed pairs where half or more remain."""
    calm = [p for p in pairs if p.calm]
    return calm if 2 * len(calm) >= len(pairs) else pairs


def _summary(pairs: list[_Pair]) -> Measured:
    pairs = _calm(pairs)
    ratios = [p.own / p.reference for p in pairs]
    return Measured(statistics.median(p.own for p in pairs), statistics.median(ratios), min(ratios), max(ratios))


def _of_reference(pairs: Mapping[str, list[_Pair]]) -> Measured:
    every = [p.reference for each in pairs.values() for p in _calm(each)]
    return Measured(statistics.median(every), 1.0, 1.0, 1.0)
