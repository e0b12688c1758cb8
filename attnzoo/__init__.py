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
    from attnzoo.adapters import freeze
    from attnzoo.anatomy import describe
    from attnzoo.backbones import list_backbones, register_backbone
    from attnzoo.building import build
    from attnzoo.config import list_configs, load_config
    from attnzoo.inspection import inspect_file
    from attnzoo.layers import list_attentions, register_attention
    from attnzoo.planning import augment, plan
    from attnzoo.rewrite import strip
    from attnzoo.saving import load_model
    from attnzoo.weights import load_backbone_weights

__version__ = "0.1.0"

_HOME = {
    "augment": "attnzoo.planning",
    "build": "attnzoo.building",
    "describe": "attnzoo.anatomy",
    "errors": "attnzoo.errors",
    "freeze": "attnzoo.adapters",
    "inspect_file": "attnzoo.inspection",
    "layers": "attnzoo.layers",
    "list_attentions": "attnzoo.layers",
    "list_backbones": "attnzoo.backbones",
    "list_configs": "attnzoo.config",
    "load_backbone_weights": "attnzoo.weights",
    "load_config": "attnzoo.config",
    "load_model": "attnzoo.saving",
    "plan": "attnzoo.planning",
    "register_attention": "attnzoo.layers",
    "register_backbone": "attnzoo.backbones",
    "strip": "attnzoo.rewrite",
}

__all__ = [
    "augment",
    "build",
    "describe",
    "errors",
    "freeze",
    "inspect_file",
    "layers",
    "list_attentions",
    "list_backbones",
    "list_configs",
    "load_backbone_weights",
    "load_config",
    "load_model",
    "plan",
    "register_attention",
    "register_backbone",
    "strip",
]


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
    importlib.import_module("attnzoo.attended")
