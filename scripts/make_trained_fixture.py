"""Writes the trained network that the tests work on, so that "every prediction stays" is tested for everyone.

    python scripts/make_trained_fixture.py

    tests/networks/fixtures/digits.h5   a MobileNet-like network, trained on the digits of scikit-learn; its backbone is
                                        nested, the file is legacy HDF5, as in most tutorials; 260 kB

Half a minute. Written once; a new file changes the figures that tests/networks/test_trained.py pins.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

TARGET = Path(__file__).resolve().parents[1] / "tests" / "networks" / "fixtures" / "digits.h5"
SIZE = 32


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns all digits in a fixed order, as 32 x 32 x 3 images in [-1, 1], and their labels."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = bunch.images[order].astype("float32") / 8.0 - 1.0
    return np.kron(images[..., None], np.ones((1, 4, 4, 3), "float32")), bunch.target[order]


def network() -> keras.Model:
    """Returns eight inverted bottlenecks at strides 2 to 16, nested under a head."""
    x = first = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = _conv(x, 12, 3, 2, "stem")
    for i, (filters, strides) in enumerate([(8, 1), (8, 1), (12, 2), (12, 1), (16, 2), (16, 1), (24, 2), (24, 1)]):
        y = _conv(x, 3 * x.shape[-1], 1, 1, f"block{i}_expand")
        y = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=f"block{i}_depthwise")(y)
        y = layers.ReLU(6.0, name=f"block{i}_depthwise_relu")(_norm(y, f"block{i}_depthwise_bn"))
        y = _norm(layers.Conv2D(filters, 1, use_bias=False, name=f"block{i}_project")(y), f"block{i}_project_bn")
        x = layers.Add(name=f"block{i}_add")([x, y]) if x.shape == y.shape else y
    backbone = keras.Model(first, _conv(x, 48, 1, 1, "top"), name="tiny_mobilenet")
    inputs = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="pool")(backbone(inputs))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x), name="digits")


def _conv(x: keras.KerasTensor, filters: int, size: int, strides: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(_norm(x, f"{name}_bn"))


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.9, name=name)(x)


def main() -> None:
    keras.utils.set_random_seed(0)
    model = network()
    x, y = digits()
    rate = keras.optimizers.schedules.CosineDecay(0.05, 30 * 45)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x[:1437], y[:1437], batch_size=32, epochs=30, verbose=0)
    right = (model.predict(x[1437:], verbose=0).argmax(-1) == y[1437:]).mean()
    TARGET.parent.mkdir(exist_ok=True)
    model.save(TARGET, include_optimizer=False)
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes, {model.count_params():,} weights, right on {right:.1%}")


if __name__ == "__main__":
    main()
