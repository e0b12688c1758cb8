"""Weights from files into models, layer by layer and by name."""

from attnzoo.weights.load import load_backbone_weights
from attnzoo.weights.matching import name_of_keras3

__all__ = [
    "load_backbone_weights",
    "name_of_keras3",
]
