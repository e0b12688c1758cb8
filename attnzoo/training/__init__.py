"""What trains."""

from attnzoo.training.freezing import freeze, parts_of

__all__ = [
    "freeze",
    "parts_of",
]
