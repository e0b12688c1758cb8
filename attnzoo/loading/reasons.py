"""Why a file is not loaded."""

from __future__ import annotations


class NotLoaded(Exception):
    """The message says why, without the path."""
