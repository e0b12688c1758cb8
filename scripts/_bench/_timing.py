"""Fair timing: all variants in one process, one after the other in each round, in an order that changes.

A timing during which other processes used the processor is repeated, a few times at most; how many stayed disturbed
is reported.
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
    """Seconds of one variant, and what they are of the reference's in the same round."""

    seconds: float
    ratio: float
    least: float
    most: float


def interleave(
    variants: Mapping[str, Callable[[], Any]], rounds: int, *, reference: str, calls: int = 1, warm: int = 1
) -> dict[str, Measured]:
    """Times every variant once a round; medians over rounds, ratios taken within each round.

    A machine that slows down or speeds up over minutes does so for all of them, and no variant always runs behind
    the same other: the order is rotated by one each round, and reversed every other round.

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
    times: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    disturbed = 0
    for index in range(rounds):
        shift = index // 2 % len(names)
        order = names[shift:] + names[:shift]
        for name in order if index % 2 == 0 else reversed(order):
            seconds, calm = _time(variants[name], calls)
            times[name].append(seconds)
            disturbed += not calm
    if disturbed:
        progress(f"  {disturbed} of {rounds * len(names)} timings were disturbed by other processes")
    return {name: _summary(times[name], times[reference]) for name in names}


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


def _summary(times: list[float], reference: list[float]) -> Measured:
    ratios = [a / b for a, b in zip(times, reference, strict=True)]
    return Measured(statistics.median(times), statistics.median(ratios), min(ratios), max(ratios))
