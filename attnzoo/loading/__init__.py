"""Whole models out of files: inspected first, then built by Keras 3, or translated from what Keras 2 wrote."""

from attnzoo.loading.load import load_model

__all__ = [
    "load_model",
]
