"""Attention for pretrained Keras CNNs: `model = attnzoo.augment(model, "cbam", stages=[3, 4])`.

Importing attnzoo is cheap: names are loaded when they are first used. Its layers register with Keras as soon as both
packages are imported, in either order, so that a saved model reloads after `import attnzoo`.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from attnzoo import errors as errors
    from attnzoo import layers as layers
    from attnzoo.anatomy import attentions as attentions
    from attnzoo.anatomy import describe as describe
    from attnzoo.backbones import list_backbones as list_backbones
    from attnzoo.backbones import register_backbone as register_backbone
    from attnzoo.building import build as build
    from attnzoo.config import list_configs as list_configs
    from attnzoo.config import load_config as load_config
    from attnzoo.data import check_data as check_data
    from attnzoo.files import inspect_file as inspect_file
    from attnzoo.layers import list_attentions as list_attentions
    from attnzoo.layers import register_attention as register_attention
    from attnzoo.loading import load_model as load_model
    from attnzoo.planning import augment as augment
    from attnzoo.planning import plan as plan
    from attnzoo.rewriting import strip as strip
    from attnzoo.training import check_gradients as check_gradients
    from attnzoo.training import freeze as freeze
    from attnzoo.weights import load_backbone_weights as load_backbone_weights

__version__ = "0.1.0"

_HOME = {
    "attentions": "attnzoo.anatomy",
    "augment": "attnzoo.planning",
    "build": "attnzoo.building",
    "check_data": "attnzoo.data",
    "check_gradients": "attnzoo.training",
    "describe": "attnzoo.anatomy",
    "errors": "attnzoo.errors",
    "freeze": "attnzoo.training",
    "inspect_file": "attnzoo.files",
    "layers": "attnzoo.layers",
    "list_attentions": "attnzoo.layers",
    "list_backbones": "attnzoo.backbones",
    "list_configs": "attnzoo.config",
    "load_backbone_weights": "attnzoo.weights",
    "load_config": "attnzoo.config",
    "load_model": "attnzoo.loading",
    "plan": "attnzoo.planning",
    "register_attention": "attnzoo.layers",
    "register_backbone": "attnzoo.backbones",
    "strip": "attnzoo.rewriting",
}

__all__ = sorted(_HOME)


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
    try:
        importlib.import_module("attnzoo.layers")
    except Exception as error:  # this runs inside the user's `import keras`, which must not fail for it
        warnings.warn(
            f"attnzoo cannot register its layers with Keras ({type(error).__name__}: {error});"
            " models with attention will not load.",
            RuntimeWarning,
            stacklevel=2,
        )
