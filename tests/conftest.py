"""What all tests share: quiet TensorFlow, a fixed seed, one real model."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded, which is when it reads it

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOGS = ROOT.parent / "shared" / "models" / "mobilenetv2_dogs.h5"


@pytest.fixture(autouse=True)
def _seed():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def dogs_model():
    """MobileNetV2 fine-tuned on photographs of dogs, its backbone nested; leave it as it is, all tests share it."""
    import keras

    if not DOGS.exists():
        pytest.skip(f"{DOGS.name} is not here")
    return keras.models.load_model(DOGS, compile=False)
