"""Which layers the globs of `after` name, and what to say when one of them names none. Pure; nothing is built."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any

from attnzoo.anatomy import Call, Graph, holders_of, named
from attnzoo.errors import PlanError, listing, nearest, quoted

WILD = "*?["
LONGEST = 1000
"""Of a glob, in characters: more than any path of layers has, and a regular expression of reasonable size."""


def select(graph: Graph, after: Any, model: str) -> list[Call]:
    """Returns the calls whose layer's name, or path `outer/inner/layer`, matches one of the globs, in graph order.

    A glob that is the very name of a layer means that layer. Every glob has to match: one that does not is a slip of
    the pen, and attention would be missing without a word.

    Args:
        graph: of the model.
        after: a glob or several.
        model: its name, for messages.

    Raises:
        PlanError: if there is no glob, or one of them matches nothing.
    """
    globs = _globs(after)
    calls = [c for c in [*graph.calls, *graph.containers] if not c.inserted]
    chosen: set[int] = set()
    for glob in globs:
        # Names may hold brackets: "block[0].conv" is that layer before it is a glob.
        hits = {id(c) for c in calls if glob in _names(c)} or {id(c) for c in calls if _matches(c, glob)}
        if not hits:
            raise PlanError(_no_layer(glob, calls, holders_of(graph, glob), model), about="after")
        chosen |= hits
    return sorted((c for c in calls if id(c) in chosen), key=lambda c: max(v.order for v in c.outputs))


def _globs(after: Any) -> list[str]:
    globs = [after] if isinstance(after, str) or not isinstance(after, Iterable) else list(after)
    if not all(isinstance(g, str) for g in globs):
        raise PlanError(f"after={after!r} is not a layer name, a glob such as 'conv4_*', or a list of them.")
    for glob in globs:
        if len(glob) > LONGEST:
            raise PlanError(f"after={quoted(glob)} has {len(glob):,} characters; expected {LONGEST:,} at most.")
    if not globs:
        raise PlanError("after is empty; name at least one layer, or leave it out for stages and placement.")
    return globs


def _names(call: Call) -> tuple[str, str]:
    return call.name, "/".join((*call.path, call.name))


def _matches(call: Call, glob: str) -> bool:
    if call.around and "." not in glob:
        return False  # what is inside a layer is reached by `layer.part`, not by `*`
    return any(fnmatch.fnmatchcase(name, glob) for name in _names(call))


def _no_layer(glob: str, calls: list[Call], around: list[Any], model: str) -> str:
    """Says that nothing matches: for a name the nearest names, for a glob what its beginning would match."""
    if around:
        return (
            f"layer {glob!r} is inside {named(around)}, where attnzoo does not reach;"
            f" augment the model before wrapping it, or name another layer of '{model}'."
        )
    calls = [c for c in calls if not c.around or "." in glob]
    names = list(dict.fromkeys(n for c in calls for n in _names(c)))
    if not any(c in glob for c in WILD):
        near = nearest(glob, names)
        hint = f"Nearest: {listing(map(repr, near))}." if near else f"Its layers are {listing(names, 5)}."
        return f"'{model}' has no layer {glob!r}. {hint}"
    beginning = glob[: min(glob.index(c) for c in WILD if c in glob)]
    while beginning and not any(n.startswith(beginning) for n in names):
        beginning = beginning[:-1]
    found = [n for n in names if n.startswith(beginning)]
    whose = f"Those that begin with {beginning!r} are" if beginning else "Its layers are"
    return f"after={glob!r} matches no layer of '{model}'. {whose} {listing(found, 5)}."
