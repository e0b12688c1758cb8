"""The zoo as one table, made from the registry: what `attnzoo list attentions` and the documentation show."""

from __future__ import annotations

import math
from typing import Any

from attnzoo.layers._base import Attention
from attnzoo.layers._registry import attention_class, identity_recipe, list_attentions

CHANNELS, HEIGHT, WIDTH = 256, 14, 14
"""The map that parameters and MACs are given for."""


def zoo_table() -> list[dict[str, Any]]:
    """Returns one row for each registered attention, sorted by key.

    A row has `key`, `class`, `title`, `paper`, `year`, `kind` ("gate" or "context"), `parameters` and `macs` on a map
    of 14 x 14 x 256 with default options and without the identity's alpha, `identity`, the way `init="identity"` is
    reached, and `checked_against`. Parameters and MACs are None for a module that cannot go on such a map, MACs also
    for one that does not count them.
    """
    return [_row(key, attention_class(key)) for key in list_attentions()]


def _row(key: str, cls: type[Attention]) -> dict[str, Any]:
    parameters, macs = _costs(cls)
    return {
        "key": key,
        "class": cls.__name__,
        "title": cls.title,
        "paper": cls.paper,
        "year": cls.year,
        "kind": cls().kind,
        "parameters": parameters,
        "macs": macs,
        "identity": identity_recipe(cls),
        "checked_against": cls.checked_against,
    }


def _costs(cls: type[Attention]) -> tuple[int | None, int | None]:
    layer = cls(data_format="channels_last")
    if cls.check_site(CHANNELS, HEIGHT, WIDTH, layer.get_config()):
        return None, None
    layer.build((None, HEIGHT, WIDTH, CHANNELS))
    parameters = sum(math.prod(w.shape) for w in layer.trainable_weights)
    try:
        return parameters, layer.macs(CHANNELS, HEIGHT, WIDTH)
    except NotImplementedError:
        return parameters, None
