"""The same picture in two places: an accuracy measured on what was learnt, or two labels for one thing."""

from __future__ import annotations

from collections.abc import Iterator

from attnzoo.data.findings import Finding, count
from attnzoo.data.images import Looked, Picture
from attnzoo.data.likeness import groups


def check(looked: Looked) -> Iterator[Finding]:
    same = [[looked.pictures[n] for n in g] for g in groups(p.facts.sha256 for p in looked.pictures)]
    across = [_equal(g) for g in same if len({p.split for p in g}) > 1]
    if across:
        text = f"{count(len(across), 'picture')} in more than one split; what is measured on it was learnt. Keep one."
        yield Finding("error", "copies", text, tuple(across))
    labels = [_equal(g) for g in same if len({p.labels for p in g}) > 1]
    if labels:
        text = f"{count(len(labels), 'picture')} under more than one class; keep the one that is right."
        yield Finding("error", "copies", text, tuple(labels))
    plain = [_equal(g) for g in same if len({(p.split, p.labels) for p in g}) == 1]
    if plain:
        text = f"{count(len(plain), 'picture')} more than once in a class; each copy counts."
        yield Finding("note", "copies", text, tuple(plain))
    yield from _near(looked)
    yield from _groups(looked)


def _near(looked: Looked) -> Iterator[Finding]:
    pairs = [(looked.pictures[a], looked.pictures[b]) for a, b in looked.near]
    across = [f"{a.name} ~ {b.name}" for a, b in pairs if a.split != b.split]
    if across:
        text = (
            f"{count(len(across), 'pair')} of pictures nearly the same in different splits: frames of one video, or"
            " copies that were changed before the split was made; look at them."
        )
        yield Finding("warning", "near copies", text, tuple(across))
    labels = [f"{a.name} ~ {b.name}" for a, b in pairs if a.labels != b.labels]
    if labels:
        text = f"{count(len(labels), 'pair')} of pictures nearly the same under different classes; look at them."
        yield Finding("warning", "near copies", text, tuple(labels))


def _groups(looked: Looked) -> Iterator[Finding]:
    splits: dict[str, set[str]] = {}
    for p in looked.pictures:
        splits.setdefault(p.group, set()).add(p.split)
    across = sorted(group for group, found in splits.items() if group and len(found) > 1)
    if across:
        text = f"{count(len(across), 'group')} in more than one split; what is measured there was learnt."
        yield Finding("error", "group", text, tuple(across))


def _equal(group: list[Picture]) -> str:
    names = [p.name for p in group]
    return " = ".join(names[:3]) + (f" = ... ({len(names) - 3} more)" if len(names) > 3 else "")
