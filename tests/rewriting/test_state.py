"""What a layer holds beside its config travels with it: vocabularies, assets, random states, what was set later."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import attnzoo

from ..helpers import array, assert_same_outputs, basic_block, conv_bn_relu, moved, outputs, randomize, reloaded

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="text is a tensor in TensorFlow only, and tf.Variable a variable"
)

SIZE = (16, 16, 3)
WORDS = [["a small red house"], ["the red sea"], ["a house by the sea, a red one"], [""]]


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def photo(inputs):
    return layers.GlobalAveragePooling2D()(basic_block(conv_bn_relu(inputs, 8), 8, name="a"))


def beside_an_image(encode, shape=(1,), dtype="string"):
    """A network that looks at a photograph and at one row of a table."""
    image, row = keras.Input(SIZE, name="image"), keras.Input(shape, dtype=dtype, name="row")
    joined = layers.Concatenate()([photo(image), encode(row)])
    return randomize(keras.Model([image, row], layers.Dense(3, name="logits")(joined), name="table"))


def embedded(lookup):
    return lambda row: layers.Flatten()(layers.Embedding(8, 4)(lookup(row)))


def adapted(layer, data):
    layer.adapt(np.array(data))
    return layer


def colours(**kwargs):
    return adapted(layers.StringLookup(name="lookup", **kwargs), ["red", "green", "blue", "red", "red", "green"])


def years(**kwargs):
    return adapted(layers.IntegerLookup(name="lookup", **kwargs), [1990, 1990, 2001, 1984, 2001, 1990])


def texts(**kwargs):
    return adapted(layers.TextVectorization(name="lookup", **kwargs), [w for [w] in WORDS])


def flat(encode):
    return lambda row: layers.Flatten()(encode(row))


def floats(layer):
    return lambda row: ops.cast(layer(row), "float32")


STRINGS = [["red"], ["blue"], ["mauve"], [""]]
YEARS = [[1990], [1984], [7], [0]]
TABLES = {
    "strings": (lambda: beside_an_image(embedded(colours())), STRINGS),
    "strings with a mask": (lambda: beside_an_image(embedded(colours(mask_token="", num_oov_indices=2))), STRINGS),
    "strings, one hot": (lambda: beside_an_image(floats(colours(output_mode="one_hot"))), STRINGS),
    "strings, one of them empty": (
        lambda: beside_an_image(
            floats(adapted(layers.StringLookup(output_mode="multi_hot"), ["red", "red", "blue", "blue", ""]))
        ),
        STRINGS,
    ),
    "strings, few of them": (
        lambda: beside_an_image(floats(colours(max_tokens=6, output_mode="count", pad_to_max_tokens=True))),
        STRINGS,
    ),
    "integers": (lambda: beside_an_image(embedded(years()), dtype="int64"), YEARS),
    "integers with a mask": (
        lambda: beside_an_image(embedded(years(mask_token=0, num_oov_indices=2)), dtype="int64"),
        YEARS,
    ),
    "integers, tf-idf": (lambda: beside_an_image(floats(years(output_mode="tf_idf")), dtype="int64"), YEARS),
    "words": (lambda: beside_an_image(embedded(texts(max_tokens=8, output_sequence_length=5))), WORDS),
    "words, tf-idf": (lambda: beside_an_image(flat(texts(output_mode="tf_idf"))), WORDS),
    "words, tf-idf, padded": (
        lambda: beside_an_image(flat(texts(max_tokens=20, output_mode="tf_idf", pad_to_max_tokens=True))),
        WORDS,
    ),
    "words, in pairs": (lambda: beside_an_image(flat(floats(texts(ngrams=2, output_mode="multi_hot")))), WORDS),
    "bins": (
        lambda: beside_an_image(
            floats(adapted(layers.Discretization(num_bins=3, output_mode="one_hot"), noise(50, 1))), dtype="float32"
        ),
        [[-2.0], [0.0], [0.1], [3.0]],
    ),
    "normalised": (
        lambda: beside_an_image(adapted(layers.Normalization(), noise(50, 2) * 3 + 1), (2,), "float32"),
        [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [-1.0, 1.0]],
    ),
    "hashed": (lambda: beside_an_image(floats(layers.Hashing(5, salt=3, output_mode="one_hot"))), STRINGS),
}
UNWRITABLE = ("strings, one of them empty", "words, tf-idf, padded")
"""Keras itself does not read back what it writes of these."""


def row_of(data):
    return tf.constant(data)


def rows(data):
    return [tf.constant(noise(4, *SIZE)), row_of(data)]


@pytest.fixture(params=TABLES)
def table(request):
    make, data = TABLES[request.param]
    return make(), rows(data), request.param


def test_an_adapted_layer_keeps_what_it_has_learnt(table, tmp_path):
    model, x, name = table
    expected = outputs(model, x)
    new = attnzoo.augment(model, "cbam", placement="residual")
    assert_same_outputs(model, new, x)
    acts = outputs(moved(new), x)
    assert not np.array_equal(expected[0], acts[0])
    if name not in UNWRITABLE:
        again = reloaded(new, tmp_path)
        np.testing.assert_array_equal(acts[0], outputs(again, x)[0])
        assert_same_outputs(model, attnzoo.strip(again), x)
    assert_same_outputs(model, attnzoo.strip(new), x)
    np.testing.assert_array_equal(expected[0], outputs(model, x)[0])


def test_a_vocabulary_may_change_after_the_layer_was_made():
    lookup = layers.StringLookup(vocabulary=["red", "blue"], name="lookup")
    model = beside_an_image(embedded(lookup))
    lookup.set_vocabulary(["green", "blue", "red"])
    new = attnzoo.augment(model, "se")
    assert new.get_layer("lookup").get_vocabulary() == ["[UNK]", "green", "blue", "red"]
    assert_same_outputs(model, new, rows(STRINGS))


def test_a_vocabulary_may_stand_in_the_config():
    model = beside_an_image(embedded(layers.StringLookup(vocabulary=["blue", "red"], name="lookup")))
    new = moved(attnzoo.augment(model, "se"))
    assert not np.array_equal(outputs(model, rows(STRINGS))[0], outputs(new, rows(STRINGS))[0])
    assert_same_outputs(model, attnzoo.strip(new), rows(STRINGS))


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("kind", ["strings", "words"])
def test_a_vocabulary_may_come_from_a_file_that_is_gone(kind, gone, tmp_path):
    path = tmp_path / "vocabulary.txt"
    path.write_text("red\nblue\nsea\n", "utf-8")
    lookup = (
        layers.StringLookup(vocabulary=str(path), name="lookup")
        if kind == "strings"
        else layers.TextVectorization(vocabulary=str(path), output_sequence_length=4, name="lookup")
    )
    model = beside_an_image(embedded(lookup))
    x = rows(STRINGS if kind == "strings" else WORDS)
    if gone:
        path.unlink()
    new = moved(attnzoo.augment(model, "se"))
    assert_same_outputs(model, attnzoo.strip(new), x)
    path.unlink(missing_ok=True)
    again = reloaded(new, tmp_path)
    assert_same_outputs(new, again, x)
    assert again.get_layer("lookup").get_vocabulary()[-3:] == ["red", "blue", "sea"]


def space():
    features = keras.utils.FeatureSpace(
        features={
            "colour": keras.utils.FeatureSpace.string_categorical(),
            "year": keras.utils.FeatureSpace.integer_categorical(),
            "size": keras.utils.FeatureSpace.float_normalized(),
            "depth": keras.utils.FeatureSpace.float_discretized(num_bins=3),
            "place": keras.utils.FeatureSpace.string_hashed(num_bins=4),
        },
        crosses=[("colour", "year")],
        crossing_dim=6,
    )
    data = table_of(["red", "blue", "red"], [1990, 2001, 1984], [1.0, 2.0, 4.0], [0.1, 0.5, 0.9], ["x", "y", "z"])
    features.adapt(tf.data.Dataset.from_tensor_slices(data))
    return features


def table_of(*columns):
    return dict(zip(("colour", "year", "size", "depth", "place"), columns, strict=True))


@pytest.mark.parametrize("nested", [False, True])
def test_a_feature_space_beside_an_image(nested, tmp_path):
    features, image = space(), keras.Input(SIZE, name="image")
    inputs, encoded = features.get_inputs(), features.get_encoded_features()
    if nested:
        encoder = keras.Model(inputs, encoded, name="encoder")
        inputs = {k: keras.Input((1,), dtype=v.dtype, name=k) for k, v in inputs.items()}
        encoded = encoder(inputs)
    logits = layers.Dense(2)(layers.Concatenate()([photo(image), encoded]))
    model = keras.Model({"image": image, **inputs}, logits)
    given = table_of([["red"], ["mauve"]], [[2001], [3]], [[1.5], [2.5]], [[0.2], [0.8]], [["x"], ["w"]])
    x = {"image": tf.constant(noise(2, *SIZE)), **{k: tf.constant(v) for k, v in given.items()}}
    new = attnzoo.augment(model, "cbam")
    assert_same_outputs(model, new, x)
    again = reloaded(moved(new), tmp_path)
    assert_same_outputs(new, again, x)
    assert_same_outputs(model, attnzoo.strip(again), x)


def test_a_vocabulary_in_models_in_models_and_in_a_fresh_process(tmp_path):
    row = keras.Input((1,), dtype="string")
    encoder = keras.Model(row, embedded(colours(mask_token=""))(row), name="encoder")
    outer = keras.Input((1,), dtype="string")
    model = beside_an_image(keras.Model(outer, encoder(outer), name="table"))
    x = rows(STRINGS)
    new = moved(attnzoo.augment(attnzoo.strip(attnzoo.augment(model, "se")), "cbam"))
    new.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", image=array(x[0]), y=outputs(new, x)[0], bare=outputs(model, x)[0])
    code = (
        "import sys, numpy as np, attnzoo, tensorflow as tf; d = np.load(sys.argv[2]);"
        "m = attnzoo.load_model(sys.argv[1]); x = [tf.constant(d['image']), tf.constant(eval(sys.argv[3]))];"
        "f = lambda m: np.array(m(x)); assert (f(m) == d['y']).all(); assert (f(attnzoo.strip(m)) == d['bare']).all()"
    )
    files = [str(tmp_path / "model.keras"), str(tmp_path / "data.npz")]
    done = subprocess.run([sys.executable, "-c", code, *files, repr(STRINGS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Chance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [layers.RandomFlip, lambda: layers.Dropout(0.5), lambda: layers.RandomRotation(0.2)])
def test_chance_goes_on_where_the_model_stood(layer):
    inputs = keras.Input(SIZE)
    model = randomize(keras.Model(inputs, layers.Dense(2)(photo(layer()(inputs)))))
    x = noise(4, *SIZE)
    model(x, training=True)
    new = attnzoo.augment(model, "se")
    bare = attnzoo.strip(new)
    expected = outputs(model, x, training=True)[0]
    for other in (new, bare):
        np.testing.assert_array_equal(expected, outputs(other, x, training=True)[0])
    assert not np.array_equal(expected, outputs(model, x, training=True)[0])


# Layers of the user's own ----------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class FromAFolder(layers.Layer):
    """Keeps a table as an asset, in a format of its own."""

    table = None

    def call(self, x):
        return x if self.table is None else x * ops.convert_to_tensor(self.table["scale"])

    def compute_output_shape(self, shape):
        return shape

    def save_assets(self, folder):
        (Path(folder) / "scale.txt").write_text(" ".join(map(str, self.table["scale"])), "utf-8")

    def load_assets(self, folder):
        self.table = {"scale": [float(v) for v in (Path(folder) / "scale.txt").read_text("utf-8").split()]}


@keras.saving.register_keras_serializable(package="tests")
class ByItsOwnStore(layers.Layer):
    """Writes and reads what it has learnt itself: neither a variable nor in the config."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, x):
        return x * self.seen[0].scale if self.seen else x

    def save_own_variables(self, store):
        store["scale"] = self.seen[0].scale

    def load_own_variables(self, store):
        self.seen = [Box(np.asarray(store["scale"]))]


class Box:
    def __init__(self, scale):
        self.scale = scale


@keras.saving.register_keras_serializable(package="tests")
class Finalized(layers.Layer):
    """As layers that adapt are written: derives at the end what it computes with."""

    def build(self, shape):
        self.total = self.add_weight(name="total", shape=(shape[-1],), initializer="ones", trainable=False)
        self.finalize_state()

    def adapt(self, data):
        self.total.assign(data.mean(axis=(0, 1, 2)) + 2.0)
        self.finalize_state()

    def finalize_state(self):
        self.scale = ops.reshape(1.0 / self.total.value, (1, 1, 1, -1))

    def call(self, x):
        return x * self.scale


@keras.saving.register_keras_serializable(package="tests")
class SetLater(layers.Layer):
    """What it computes is set after it was made."""

    factor = 1.0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.bias = None
        self.options = {"scale": [1.0]}
        self.then = keras.activations.linear

    def call(self, x):
        y = x * self.factor * self.options["scale"][0]
        return self.then(y if self.bias is None else y + self.bias)


@keras.saving.register_keras_serializable(package="tests")
class Holding(layers.Layer):
    """A layer around another one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = SetLater(name="inner")

    def call(self, x):
        return self.inner(x)


@keras.saving.register_keras_serializable(package="tests")
class ForeignVariable(layers.Layer):
    """Holds a variable that Keras knows nothing of."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = tf.Variable(1.0, trainable=False)

    def call(self, x):
        return x * self.scale


def with_layer(layer):
    inputs = keras.Input(SIZE, name="image")
    return randomize(keras.Model(inputs, layers.Dense(2)(photo(layer(inputs)))))


def from_a_folder(layer):
    layer.table = {"scale": [0.5, 2.0, 3.0]}


def by_its_own_store(layer):
    layer.seen = [Box(np.array([0.5, 2.0, 3.0], "float32"))]


def finalized(layer):
    layer.adapt(noise(4, *SIZE))


def set_later(layer):
    layer = getattr(layer, "inner", layer)
    layer.factor = 0.5
    layer.bias = np.array([1.0, 2.0, 3.0], "float32")
    layer.options["scale"][0] = 3.0
    layer.then = ops.square


def set_variable(layer):
    layer.scale.assign(3.0)


OWN = [
    (FromAFolder, from_a_folder),
    (ByItsOwnStore, by_its_own_store),
    (Finalized, finalized),
    (SetLater, set_later),
    (Holding, set_later),
    (ForeignVariable, set_variable),
]


@pytest.mark.parametrize(("cls", "change"), OWN)
def test_a_layer_of_the_users_own_keeps_its_state(cls, change):
    model = with_layer(cls(name="mine"))
    x = noise(2, *SIZE)
    before = outputs(model, x)[0]
    change(model.get_layer("mine"))
    after = outputs(model, x)[0]
    assert not np.array_equal(before, after)
    new = attnzoo.augment(model, "cbam")
    np.testing.assert_array_equal(after, outputs(new, x)[0])
    np.testing.assert_array_equal(after, outputs(attnzoo.strip(moved(new)), x)[0])


@pytest.mark.parametrize(("cls", "change"), OWN[:2])
def test_assets_and_own_stores_travel_through_files(cls, change, tmp_path):
    model = with_layer(cls(name="mine"))
    change(model.get_layer("mine"))
    new = moved(attnzoo.augment(model, "cbam"))
    assert_same_outputs(new, reloaded(new, tmp_path), noise(2, *SIZE))


def test_nothing_of_the_state_is_shared():
    model = with_layer(SetLater(name="mine"))
    set_later(model.get_layer("mine"))
    new = attnzoo.augment(model, "se")
    expected = outputs(new, noise(2, *SIZE))[0]
    old = model.get_layer("mine")
    old.options["scale"][0] = 7.0
    old.bias[:] = 0.0
    np.testing.assert_array_equal(expected, outputs(new, noise(2, *SIZE))[0])


def test_what_a_layer_holds_of_its_own_parts_is_that_of_the_new_parts():
    model = with_layer(Holding(name="mine"))
    old = model.get_layer("mine")
    old.again = Box(old.inner)
    new = attnzoo.augment(model, "se").get_layer("mine")
    assert new.again.scale is new.inner
