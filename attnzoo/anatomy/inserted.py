"""The attention in a live model: `attentions`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from attnzoo._keras import is_inserted, weights_made_to_train
from attnzoo.anatomy.reader import read_graph
from attnzoo.layers import Attention
from attnzoo.tables import table


@dataclass(frozen=True)
class Inserted:
    """One attention in a model.

    Attributes:
        layer: path of its layer; with nested models, `outer/inner/layer`.
        site: the layer after which `augment` inserted it; None for one that its user built the model with.
        module: registered key, or the class of a layer of the user's own.
        alpha: how far it is blended in: 0 is none of it, 1 all of it; None for a module without alpha.
        parameters: all that could train, whether it does now or not.
    """

    layer: str
    site: str | None
    module: str
    alpha: float | None
    parameters: int


@dataclass(frozen=True, repr=False)
class AttentionTable:
    """The attention in a model, in the order of its graph. `print` it, iterate it."""

    model: str
    rows: tuple[Inserted, ...]

    def __iter__(self) -> Iterator[Inserted]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return f"{self.model}: no attention"
        lines = [("layer", "site", "module", "alpha", "parameters")]
        for r in self.rows:
            alpha = "-" if r.alpha is None else f"{r.alpha:+.4g}"
            lines.append((r.layer, r.site or "-", r.module, alpha, f"{r.parameters:,}"))
        count = "1 attention module" if len(self.rows) == 1 else f"{len(self.rows)} attention modules"
        return f"{self.model}: {count}\n{table(lines)}"


def attentions(model: keras.Model) -> AttentionTable:
    """Lists the attention in a model as it is now, trained or not.

    Args:
        model: a Functional or Sequential model, also with models nested in it.

    Returns:
        A table: print it, iterate it.

    Raises:
        RewriteError: if the model has no graph to read.
    """
    rows: dict[int, Inserted] = {}
    for call in read_graph(model).calls:
        if isinstance(call.op, Attention) and id(call.op) not in rows:
            rows[id(call.op)] = _row("/".join((*call.path, call.op.name)), call.op)
    return AttentionTable(model.name, tuple(rows.values()))


def _row(path: str, op: Any) -> Inserted:
    alpha = None if op.alpha is None else float(keras.ops.convert_to_numpy(op.alpha))
    module = getattr(type(op), "key", None) or type(getattr(op, "layer", op)).__name__
    parameters = sum(int(keras.ops.size(w)) for w in weights_made_to_train(op))
    return Inserted(path, op.site if is_inserted(op) else None, module, alpha, parameters)
