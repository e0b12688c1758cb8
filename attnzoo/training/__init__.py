"""What trains."""

from attnzoo.training.freezing import FreezeReport, freeze
from attnzoo.training.gradients import GradientReport, check_gradients

__all__ = [
    "FreezeReport",
    "GradientReport",
    "check_gradients",
    "freeze",
]
