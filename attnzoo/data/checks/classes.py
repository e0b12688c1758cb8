"""Classes: how many there are, of how many pictures each, and whether all splits have the same."""

from __future__ import annotations

from collections.abc import Iterator

from attnzoo.data.findings import Finding, Level, count
from attnzoo.data.images import Looked
from attnzoo.errors import nearest

FEWEST = 5  # of a class
FEWEST_TO_VALIDATE = 50
MOST_RATIO = 10


def check(looked: Looked) -> Iterator[Finding]:
    if not looked.listed:
        text = "no pictures; expected a folder for each class, or train and val with a folder for each class in them."
        yield Finding("error", "classes", text)
        return
    if len(looked.classes) < 2 and not looked.multi_label:
        text = f"{count(len(looked.classes), 'class', 'classes')}, where two or more are needed."
        yield Finding("error", "classes", text, looked.classes)
    yield from _sides(looked)
    yield from _sizes(looked)


def _sides(looked: Looked) -> Iterator[Finding]:
    """Yields classes without pictures, and those that one split has and another lacks; by name, never by number."""
    listed = {split: {label for f in looked.listed if f.split == split for label in f.labels} for split in looked.has}
    empty = [
        f"{split}/{label}" if split else label
        for split in looked.has
        for label in sorted(looked.has[split] - listed[split])
    ]
    if empty:
        text = f"{count(len(empty), 'class', 'classes')} without a picture; remove the folder, or put pictures into it."
        yield Finding("error", "classes", text, tuple(empty))
    learnt = looked.has.get("train", set(looked.classes))
    for split in ("val", "test"):
        has = looked.has.get(split)
        if has is None:
            continue
        new = [label + _meant(label, learnt - has) for label in sorted(has - learnt)]
        if new:
            text = (
                f"{split} has {count(len(new), 'class', 'classes')} that train lacks; rename, remove or add pictures."
            )
            yield Finding("error", "classes", text, tuple(new))
        lacking = sorted(learnt - has)
        if lacking:
            level: Level = "error" if split == "val" else "warning"
            text = f"{split} lacks {count(len(lacking), 'class', 'classes')} that train has; nothing is measured there."
            yield Finding(level, "classes", text, tuple(lacking))


def _meant(label: str, known: set[str]) -> str:
    near = nearest(label, sorted(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _sizes(looked: Looked) -> Iterator[Finding]:
    counts = looked.counts("train")
    few = [f"{label} ({counts[label]:,})" for label in looked.classes if 0 < counts[label] < FEWEST]
    if few:
        text = f"{count(len(few), 'class', 'classes')} with fewer than {FEWEST} pictures to learn from."
        yield Finding("warning", "few", text, tuple(few))
    validating = sum(p.split == "val" for p in looked.pictures)
    if 0 < validating < FEWEST_TO_VALIDATE:
        text = (
            f"{count(validating, 'picture')} to validate with: an accuracy measured on so few is right"
            f" within {_half_width(validating):.0f} points."
        )
        yield Finding("warning", "few", text)
    most = max(looked.classes, key=lambda label: counts[label], default="")
    least = min((label for label in looked.classes if counts[label]), key=lambda label: counts[label], default="")
    if least and counts[most] > MOST_RATIO * counts[least]:
        text = (
            f"{most!r} has {counts[most] / counts[least]:.0f} times as many pictures as {least!r}"
            f" ({counts[most]:,} and {counts[least]:,}); look at the accuracy of each class, and weigh classes."
        )
        yield Finding("warning", "imbalance", text)


def _half_width(number: int) -> float:
    """Returns half of Wilson's 95 % interval of an accuracy of 0.9, in hundredths."""
    z, p = 1.96, 0.9
    return 100 * z * (p * (1 - p) / number + z * z / (4 * number * number)) ** 0.5 / (1 + z * z / number)
