"""Writes tests/fixtures/keras2/VERSION: small files as Keras 2 wrote them, and what Keras 2 makes of a seeded input.

Run by hand in an environment with Keras 2, never in that of attnzoo; once for each version whose files differ:

    python -m venv old && old/bin/pip install "tensorflow-cpu==2.15.*"    # or 2.12.*; or tf_keras with TensorFlow 2.19
    CUDA_VISIBLE_DEVICES= old/bin/python scripts/make_keras2_fixtures.py

The networks are a few layers of a few channels, built as people build theirs: names of layers as in DenseNet and
MobileNetV3, operations of TensorFlow's called on tensors, the model of the transfer-learning tutorial, and Teachable
Machine's. `python scripts/make_keras2_fixtures.py --application NAME FOLDER` writes the weights of one of
keras.applications instead; the exhaustive tests call it.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

try:
    import tf_keras as keras

    VERSION = keras.__version__
except ImportError:
    from importlib.metadata import version

    from tensorflow import keras

    VERSION = version("keras")
layers = keras.layers

FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "keras2"
SIZE = 16
FILES = {
    "2.15": [
        *("names.h5", "names.weights.h5"),
        *("tutorial.h5", "teachable.h5", "operations.h5", "mixed.h5", "several.h5"),
        *("tutorial.keras", "operations.keras", "several.keras"),
    ],
    "2.12": ["names.weights.h5", "tutorial.keras", "tutorial.h5.keras"],
    "2.19": ["tutorial.keras"],
}
"""What each version writes: together under a megabyte."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--application", nargs=2, metavar=("NAME", "FOLDER"))
    given = parser.parse_args()
    assert VERSION.startswith("2."), f"needs Keras 2, found {VERSION}"
    if given.application:
        application(given.application[0], Path(given.application[1]))
        return
    release = ".".join(VERSION.split(".")[:2])
    folder = FIXTURES / release
    folder.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype("float32")
    arrays = {"image": image}
    for make in (names, tutorial, teachable, operations, mixed, several):
        model = randomized(make())
        inputs = [image] * len(model.inputs)
        made = tf.nest.flatten(model(inputs if len(inputs) > 1 else image, training=False))
        arrays[make.__name__] = np.concatenate([np.asarray(y, "float32") for y in made], axis=-1)
        for name in (n for n in FILES[release] if n.startswith(f"{make.__name__}.")):
            if make is names:
                model.save_weights(folder / name, save_format=None if "weights" in name else "h5")
            elif name.endswith(".h5.keras"):
                model.save(folder / name)  # Keras 2.12 wrote HDF5 whatever the file was called
            else:
                model.save(folder / name, save_format="h5" if name.endswith(".h5") else "keras_v3")
    np.savez_compressed(folder / "outputs.npz", **arrays)
    if release == "2.15":
        saved_model(folder / "saved_model")


# Networks ---------------------------------------------------------------------------------------------------------


def randomized(model):
    """Gives every weight a value of its own, so that swapped weights show."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "float" in tf.as_dtype(weight.dtype).name:
            fan = max(1, int(np.prod(weight.shape[:-1])))
            noise = rng.normal(0.0, fan**-0.5, weight.shape)
            positive = weight.name.endswith(("variance:0", "gamma:0", "variance", "gamma"))
            weight.assign(np.abs(noise) / 4 + 0.75 if positive else noise)
    return model


def backbone(name="backbone"):
    """What DenseNet and MobileNetV3 call their layers, and Teachable Machine's depthwise convolutions."""
    image = x = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="Conv")(x)
    x = layers.BatchNormalization(name="Conv/BatchNorm")(x)
    x = layers.Activation("relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="expanded_conv/depthwise")(x)
    y = layers.BatchNormalization(name="expanded_conv/depthwise/BatchNorm")(y)
    y = layers.ReLU(6.0, name="expanded_conv/depthwise/Relu")(y)
    g = layers.GlobalAveragePooling2D(keepdims=True, name="expanded_conv/squeeze_excite/AvgPool")(y)
    g = layers.Conv2D(8, 1, activation="relu", name="expanded_conv/squeeze_excite/Conv")(g)
    g = layers.Conv2D(4, 1, activation="sigmoid", name="expanded_conv/squeeze_excite/Conv_1")(g)
    y = layers.Multiply(name="expanded_conv/squeeze_excite/Mul")([y, g])
    x = layers.Add(name="expanded_conv/Add")([x, y])
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1/conv")(x)
    x = layers.BatchNormalization(axis=3, epsilon=1.001e-5, name="conv1/bn")(x)
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    return keras.Model(image, x, name=name)


def names():
    return backbone()


def tutorial():
    """What tensorflow.org/tutorials/images/transfer_learning makes: augmentation, operations, a nested backbone."""
    base = backbone()
    base.trainable = False
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    model = keras.Model(image, layers.Dense(1)(x))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def teachable():
    """What teachablemachine.withgoogle.com hands out: Sequential models in a Sequential one."""
    image = x = keras.Input((SIZE, SIZE, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="Conv1_pad")(x)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, kernel_initializer="he_normal", name="Conv1")(x)
    x = layers.BatchNormalization(momentum=0.999, name="bn_Conv1")(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(x)
    for i in range(2):
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, depth_multiplier=1, name=f"block_{i}_depthwise")(
            x
        )
        y = layers.BatchNormalization(name=f"block_{i}_depthwise_BN")(y)
        y = layers.Conv2D(4, 1, groups=2, kernel_regularizer=keras.regularizers.l2(1e-5), name=f"block_{i}_project")(y)
        x = layers.Add(name=f"block_{i}_add")([x, y])
    features = keras.Sequential([keras.Model(image, x, name="model1"), layers.GlobalAveragePooling2D()])
    head = keras.Sequential([layers.Dense(10, activation="relu"), layers.Dense(3, "softmax", use_bias=False)])
    return keras.Sequential([features, head])


def operations():
    """Operations of TensorFlow's that Keras 2 made layers of by itself."""
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(4, 3, strides=2, name="Conv")(x)
    x = x * layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)
    y = tf.nn.relu6(layers.Conv2D(4, 1)(x))
    x = tf.add(x, tf.nn.swish(y)) - 0.5
    x = 1.0 - tf.concat([x, tf.sigmoid(y) / 2.0], axis=-1)
    x = tf.nn.relu(tf.multiply(tf.subtract(x, 0.1), 0.3))
    x = -(tf.maximum(x, tf.square(x)) ** 2.0)
    x = tf.reduce_mean(x, axis=[1, 2])
    x = tf.reshape(tf.expand_dims(x, 1), (-1, 8))
    return keras.Model(image, tf.nn.softmax(layers.Dense(5)(x)))


def mixed():
    """Half precision."""
    policy = keras.mixed_precision.Policy("mixed_float16")
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255.0)(image)
    x = layers.Conv2D(4, 3, strides=2, dtype=policy)(x)
    x = layers.GlobalMaxPooling2D(dtype=policy)(x)
    return keras.Model(image, layers.Dense(3, dtype="float32")(x))


def several():
    """Two inputs, two outputs, a layer used twice, a recurrent layer, and an argument that is a tensor."""
    first, second = keras.Input((SIZE, SIZE, 3), name="first"), keras.Input((SIZE, SIZE, 3), name="second")
    shared = layers.Conv2D(4, 3, strides=4, name="shared")
    a, b = shared(first), shared(layers.Normalization(axis=-1, mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])(second))
    x = layers.Concatenate()([a, b])
    x = layers.TimeDistributed(layers.Dense(3))(layers.Reshape((16, 8))(x))
    y = layers.Bidirectional(layers.LSTM(2))(x)
    z = layers.MultiHeadAttention(2, 2)(x, x)
    return keras.Model([first, second], [y, layers.Flatten()(z)])


# Other forms ------------------------------------------------------------------------------------------------------


def saved_model(folder):
    """A folder, as TensorFlow saves models; of its graph nothing is kept but the beginning."""
    with tempfile.TemporaryDirectory() as name:
        keras.Sequential([keras.Input((4,)), layers.Dense(1)]).save(name, save_format="tf")
        folder.mkdir(exist_ok=True)
        shutil.copy(Path(name) / "keras_metadata.pb", folder)
        (folder / "saved_model.pb").write_bytes((Path(name) / "saved_model.pb").read_bytes()[:200])


def application(name, folder):
    """Writes NAME.h5, weights with a value each, and NAME.npz: an image and what the network makes of it."""
    size = 224 if name.startswith("NASNet") else 75 if name in ("InceptionV3", "InceptionResNetV2", "Xception") else 64
    model = randomized(getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), include_top=False))
    model.save_weights(folder / f"{name}.h5", save_format="h5")
    image = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype("float32")
    np.savez(folder / f"{name}.npz", image=image, output=np.asarray(model(image)))


if __name__ == "__main__":
    main()
