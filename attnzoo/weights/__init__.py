"""Weights from files into models, layer by layer and by name."""

from attnzoo.weights.load import load_backbone_weights

__all__ = [
    "load_backbone_weights",
]
