"""Attention for pretrained Keras CNNs: `model = attnzoo.augment(model, "cbam", stages=[3, 4])`.

Importing attnzoo is cheap: names are loaded when they are first used. Its layers register with Keras as soon as both
packages are imported, in either order, so that a saved model reloads after `import attnzoo`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from attnzoo import errors, layers
    from attnzoo.layers import list_attentions, register_attention

__version__ = "0.1.0"

_HOME = {
    "errors": "attnzoo.errors",
    "layers": "attnzoo.layers",
    "list_attentions": "attnzoo.layers",
    "register_attention": "attnzoo.layers",
}

__all__ = sorted([*_HOME])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'attnzoo' has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    value = module if _HOME[name] == f"attnzoo.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@wrapt.when_imported("keras")
def _register_layers(_: Any) -> None:
    importlib.import_module("attnzoo.layers")
