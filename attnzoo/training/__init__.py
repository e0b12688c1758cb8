"""What trains."""

from attnzoo.training.freezing import freeze

__all__ = [
    "freeze",
]
