"""The wing `data` needs no Keras, and neither do its tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Takes the place of the fixture that seeds Keras."""
