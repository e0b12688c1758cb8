"""Weights from files into models with attention: by name, all or nothing."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import attnzoo
from attnzoo.errors import AttnzooError
from tests.helpers import array, assert_same_outputs, conv_bn_relu, images, randomize, small_backbone
from tests.helpers import small_resnet as resnet

LAYOUTS = ["legacy weights", "legacy model", "keras weights", "shards", "keras archive"]
TF2_NAMES = {"depthwise_conv2d": {"kernel": "depthwise_kernel"}}
"""What weights were called when keras.applications saved theirs."""


def save(model: keras.Model, folder: Path, layout: str) -> Path:
    name = {"legacy model": "m.h5", "keras archive": "m.keras"}.get(layout)
    if name:
        model.save(folder / name)
        return folder / name
    if layout == "legacy weights":
        return save_as_applications_do(model, folder / "w_tf_dim_ordering_tf_kernels.h5")
    shard = {"max_shard_size": 5e-5} if layout == "shards" else {}
    path = folder / ("w.weights.json" if shard else "w.weights.h5")
    model.save_weights(path, **shard)
    return path


def save_as_applications_do(model: keras.Model, path: Path, names: dict[str, str] | None = None) -> Path:
    """Writes what `Model.save_weights` of TensorFlow 2 wrote: the layout of the ImageNet files."""
    with h5py.File(path, "w") as file:
        rows = [((names or {}).get(layer.name, layer.name), layer) for layer in model.layers]
        file.attrs["layer_names"] = [name.encode() for name, _ in rows]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        for name, layer in rows:
            group = file.create_group(name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            written = []
            for weight in weights:
                *scope, last = weight.path.split("/")
                scope = scope if isinstance(layer, keras.Model) else [name, *scope[1:]]
                last = TF2_NAMES.get(layer.name, {}).get(last, last)
                last = "depthwise_kernel" if isinstance(layer, layers.DepthwiseConv2D) and last == "kernel" else last
                written.append("/".join([*scope, f"{last}:0"]))
                group.create_dataset(written[-1], data=array(weight))
            group.attrs["weight_names"] = [w.encode() for w in written]
    return path


def other_values(model: keras.Model) -> keras.Model:
    return randomize(keras.models.clone_model(model), seed=7)


def values(model: keras.Model) -> list[np.ndarray]:
    return [array(v) for v in model.variables]


def assert_refused(model: keras.Model, path: Path, message: str, **kwargs: object) -> None:
    """Raises these words, and leaves the model as it was."""
    before = values(model)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_backbone_weights(model, path, **kwargs)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert message in text
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


# Files of networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_the_plain_network_gives_the_augmented_one_its_outputs(layout: str, tmp_path: Path) -> None:
    plain = resnet()
    path = save(plain, tmp_path, layout)
    model = attnzoo.augment(other_values(plain), "cbam", stages=[1, 2])
    report = attnzoo.load_backbone_weights(model, path)
    assert set(report.matched) == {x.name for x in plain.layers if x.weights}
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), {})
    assert_same_outputs(plain, model)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_augmented_network_comes_back_with_its_attention(layout: str, tmp_path: Path) -> None:
    old = randomize(attnzoo.augment(resnet(), "cbam", stages=[2, 3]))
    model = attnzoo.augment(resnet(), "cbam", stages=[2, 3])
    report = attnzoo.load_backbone_weights(model, save(old, tmp_path, layout))
    assert set(report.matched) == {x.name for x in old.layers if x.weights}
    assert_same_outputs(old, model)


APPLICATIONS = {
    "MobileNetV2": {"alpha": 0.35},
    "EfficientNetB0": {},
    "MobileNetV3Small": {},
    "DenseNet121": {},
    "ResNet50": {},
    "ResNet50V2": {},
    "InceptionV3": {},
    "Xception": {},
    "NASNetMobile": {},
    "ConvNeXtTiny": {},
    "VGG16": {},
}
QUICK = ("MobileNetV2",)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.exhaustive) for n in APPLICATIONS]
)
def test_imagenet_files_load_into_networks_with_attention(name: str, tmp_path: Path) -> None:
    def make(**more: object) -> keras.Model:
        size = (224, 224, 3) if name == "NASNetMobile" else (96, 96, 3)
        options = {"weights": None, "input_shape": size, **APPLICATIONS[name], **more}
        return getattr(keras.applications, name)(**options)

    plain = randomize(make(include_top=False, pooling="avg"))
    path = save_as_applications_do(plain, tmp_path / "weights_tf_dim_ordering_tf_kernels_notop.h5")
    # The second network of a process: Keras gives its layers other numbers.
    base = randomize(make(include_top=False, pooling="avg"), seed=3)
    model = attnzoo.augment(base, "se", stages=[3])
    report = attnzoo.load_backbone_weights(model, path)
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), {})
    assert_same_outputs(plain, model)


def test_a_file_with_a_classifier_fits_a_network_with_another(tmp_path: Path) -> None:
    old = resnet(classes=7)
    path = save_as_applications_do(old, tmp_path / "w.h5")
    model = attnzoo.augment(other_values(resnet(classes=3)), "eca", stages=[3])
    head = array(model.get_layer("logits").kernel)
    report = attnzoo.load_backbone_weights(model, path)
    assert report.mismatched == {"logits": "kernel (32, 7) in the file, (32, 3) in the model"}
    assert (report.missing, report.unexpected) == ((), ())
    np.testing.assert_array_equal(array(model.get_layer("logits").kernel), head)
    features = [keras.Model(m.inputs, m.get_layer("pool").output) for m in (old, model)]
    assert_same_outputs(*features)


def test_a_file_without_a_classifier_leaves_a_new_head_alone(tmp_path: Path) -> None:
    base = small_backbone()
    path = save(base, tmp_path, "keras weights")
    pooled = layers.GlobalAveragePooling2D()(base.output)
    model = attnzoo.augment(keras.Model(base.input, layers.Dense(3, name="new")(pooled)), "se")
    assert attnzoo.load_backbone_weights(model, path).missing == ("new",)


def nested(base: keras.Model) -> keras.Model:
    x = keras.Input(base.input_shape[1:])
    y = layers.Dense(3, name="new")(layers.GlobalAveragePooling2D()(base(x)))
    return keras.Model(x, y, name="outer")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nested_networks_match_by_the_names_of_both(layout: str, tmp_path: Path) -> None:
    old = randomize(nested(small_backbone()))
    model = attnzoo.augment(other_values(nested(small_backbone())), "se")
    report = attnzoo.load_backbone_weights(model, save(old, tmp_path, layout))
    assert report.matched["backbone/stem_conv"] == "backbone/stem_conv"
    assert_same_outputs(old, model)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_the_backbone_fits_a_model_that_holds_it_nested_and_the_other_way(
    layout: str, tmp_path: Path
) -> None:
    base = randomize(small_backbone())
    model = attnzoo.augment(nested(small_backbone()), "se")
    report = attnzoo.load_backbone_weights(model, save(base, tmp_path, layout))
    assert report.missing == ("new",)
    again = small_backbone()
    report = attnzoo.load_backbone_weights(again, save(model, tmp_path, layout))
    assert report.missing == ()
    assert_same_outputs(base, again)


# Names ------------------------------------------------------------------------------------------------------------


def unnamed(depth: int = 4) -> keras.Model:
    """Convolutions of one shape, named by Keras: swapped, they would fit as well."""
    inputs = x = keras.Input((8, 8, 4))
    for _ in range(depth):
        x = layers.Conv2D(4, 3, padding="same")(x)
    return randomize(keras.Model(inputs, x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_that_keras_gave_match_by_their_order(layout: str, tmp_path: Path) -> None:
    for _ in range(9):
        layers.Conv2D(4, 3)  # so that the numbers pass from one digit to two, where words sort otherwise
    old = unnamed()
    model = attnzoo.augment(other_values(unnamed()), "se", after=["conv2d_*"])
    report = attnzoo.load_backbone_weights(model, save(old, tmp_path, layout))
    assert [*report.matched] != [*report.matched.values()]
    assert_same_outputs(old, model)


def test_names_of_keras_1_which_counted_from_one_match_too(tmp_path: Path) -> None:
    old = unnamed()
    numbers = {x.name: f"conv2d_{i}" for i, x in enumerate(old.layers)}
    model = other_values(old)
    attnzoo.load_backbone_weights(model, save_as_applications_do(old, tmp_path / "w.h5", numbers))
    assert_same_outputs(old, model)


def test_names_that_keras_gave_are_not_matched_where_their_number_differs(tmp_path: Path) -> None:
    path = save(unnamed(5), tmp_path, "keras weights")
    assert_refused(unnamed(4), path, "none of its layers (")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_new_head_that_keras_named_does_not_count_among_the_layers_of_the_file(layout: str, tmp_path: Path) -> None:
    """Squeeze and excitation of `Dense` layers that Keras named, and one more of them as the head."""

    def net(head: bool) -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, name="stem")(inputs)
        for _ in range(2):
            gate = layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
            x = layers.Conv2D(4, 1)(layers.Multiply()([x, gate]))
        x = layers.GlobalAveragePooling2D()(x) if head else x
        return randomize(keras.Model(inputs, layers.Dense(4)(x) if head else x))

    old, new = net(head=False), net(head=True)
    report = attnzoo.load_backbone_weights(new, save(old, tmp_path, layout))
    assert report.missing == (new.layers[-1].name,)
    body = keras.Model(new.input, new.layers[-3].output)
    assert_same_outputs(old, body)


@pytest.mark.parametrize("layout", ["keras weights", "keras archive"])
def test_files_without_names_match_by_the_order_of_the_plain_network(layout: str, tmp_path: Path) -> None:
    plain = resnet()
    path = save(plain, tmp_path, layout)
    remove_names(path)
    model = attnzoo.augment(other_values(plain), "bam", placement="residual")
    report = attnzoo.load_backbone_weights(model, path)
    assert report.missing == report.unexpected == ()
    assert_same_outputs(plain, model)


def remove_names(path: Path) -> None:
    """Makes of a file what Keras wrote before it wrote names."""

    def strip(file: h5py.File) -> None:
        file.visititems(lambda _, item: item.attrs.pop("name", None) and None)

    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            strip(file)
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    inner = path.with_suffix(".h5")
    inner.write_bytes(members["model.weights.h5"])
    with h5py.File(inner, "a") as file:
        strip(file)
    members["model.weights.h5"] = inner.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


# What layers hold -------------------------------------------------------------------------------------------------


def every_kind_of_layer(low: str) -> keras.Model:
    """Derived state, a composite layer, one used twice, random state, a frozen one and one of low precision."""
    inputs = keras.Input((8, 8, 3), name="image")
    normalize = layers.Normalization(name="normalize")
    normalize.adapt(np.random.default_rng(0).normal(3.0, 2.0, (8, 8, 8, 3)))
    x = conv_bn_relu(normalize(inputs), 6, name="first")
    shared = layers.Conv2D(6, 3, padding="same", name="shared")
    x = layers.Dropout(0.5, name="drop")(shared(shared(x)))
    x = layers.SeparableConv2D(6, 3, dtype=low, name="low")(x)
    x = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2), name="both"), name="time")(x)
    model = randomize(keras.Model(inputs, layers.Dense(2, name="head")(layers.Flatten()(x))))
    model.get_layer("first_bn").trainable = False
    return model


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layers_of_every_kind_come_back(layout: str, tmp_path: Path) -> None:
    old = every_kind_of_layer("float16" if layout.startswith("legacy") else "bfloat16")
    path = save(old, tmp_path, layout)
    model = keras.models.clone_model(old)
    report = attnzoo.load_backbone_weights(model, path)
    assert (report.missing, report.unexpected, report.mismatched) == ((), (), {})
    assert_same_outputs(old, model)


def test_two_layers_in_one_whose_weights_have_other_names_are_not_guessed(tmp_path: Path) -> None:
    def both(name: str) -> keras.Model:
        inputs = keras.Input((5, 3))
        inside = layers.LSTM(2, name=name), layers.LSTM(2, name=f"{name}_back", go_backwards=True)
        x = layers.Bidirectional(inside[0], backward_layer=inside[1], name="both")(inputs)
        return randomize(keras.Model(inputs, x))

    path = save(both("a"), tmp_path, "legacy weights")
    assert_refused(both("b"), path, "layer 'both' has 'forward_a/")


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_a_legacy_file_does_not_depend_on_what_was_frozen(frozen: bool, layout: str, tmp_path: Path) -> None:
    old = randomize(attnzoo.augment(nested(small_backbone()), "bam"))
    old.trainable = not frozen
    path = save(old, tmp_path, layout)
    model = attnzoo.augment(nested(small_backbone()), "bam")
    attnzoo.load_backbone_weights(model, path)
    assert_same_outputs(old, model)


# What does not fit ------------------------------------------------------------------------------------------------


def convs(*widths: int, names: str = "abcdef") -> keras.Model:
    inputs = x = keras.Input((8, 8, 3))
    for name, width in zip(names, widths, strict=False):
        x = layers.Conv2D(width, 3, padding="same", name=f"conv_{name}")(x)
    return randomize(keras.Model(inputs, x, name="net"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_shapes_are_refused_or_left_out(layout: str, tmp_path: Path) -> None:
    path, model = save(convs(4, 6, 4), tmp_path, layout), convs(4, 5, 4)
    why = "kernel (3, 3, 4, 6) in the file, (3, 3, 4, 5) in the model"
    assert_refused(
        model,
        path,
        f"does not fit 'net': layer 'conv_b' has {why}, and 1 more. 1 of 3 layers fit; partial=True loads only those.",
    )
    report = attnzoo.load_backbone_weights(model, path, partial=True)
    assert (set(report.matched), set(report.mismatched)) == ({"conv_a"}, {"conv_b", "conv_c"})


def test_a_missing_layer_is_refused_with_the_nearest_name_or_left_out(tmp_path: Path) -> None:
    path, model = (
        save(convs(4, 4, names=["a", "block_2"]), tmp_path, "keras weights"),
        convs(4, 4, names=["a", "block2"]),
    )
    assert_refused(
        model,
        path,
        "there are no weights for layer 'conv_block2'. Did you mean 'conv_block_2'? 1 of 2 layers fit; partial=True",
    )
    before = array(model.get_layer("conv_block2").kernel)
    report = attnzoo.load_backbone_weights(model, path, partial=True)
    assert (report.missing, report.unexpected) == (("conv_block2",), ("conv_block_2",))
    np.testing.assert_array_equal(model.get_layer("conv_block2").kernel, before)


@pytest.mark.parametrize("partial", [False, True])
def test_a_file_of_another_network_is_refused(partial: bool, tmp_path: Path) -> None:
    path = save(convs(4, 4), tmp_path, "legacy weights")
    assert_refused(
        resnet(), path, "none of its layers (conv_a, conv_b) is in 'small_resnet' (stem_conv, stem_bn,", partial=partial
    )


def test_the_report_is_a_table(tmp_path: Path) -> None:
    path, model = save(convs(4, 6, 4, names="abx"), tmp_path, "keras weights"), convs(4, 5, 4)
    report = attnzoo.load_backbone_weights(model, path, partial=True)
    assert str(report).splitlines() == [
        f"{path} -> net",
        "layers      number  which",
        "matched          1  conv_a",
        "missing          1  conv_c",
        "unexpected       1  conv_x",
        "mismatched       1  conv_b: kernel (3, 3, 4, 6) in the file, (3, 3, 4, 5) in the model",
    ]


# Bad files --------------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def no_hdf5(path: Path) -> None:
    path.write_bytes(b"weights")


def empty(path: Path) -> None:
    h5py.File(path, "w").close()


def link_outside(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["layers/conv2d_9"] = h5py.ExternalLink("other.h5", "/layers/conv2d")


def link_inside(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["layers/conv2d_9"] = h5py.SoftLink("/layers/conv2d")


def array_outside(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset("layers/x/vars/0", (4,), "f4", external=[("secret.bin", 0, 16)])


def array_of_others(path: Path) -> None:
    with h5py.File(path, "a") as file:
        view = h5py.VirtualLayout((4,), "f4")
        view[:] = h5py.VirtualSource("other.h5", "x", (4,))
        file.create_virtual_dataset("layers/x/vars/0", view)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "is damaged or incomplete: "),
        (no_hdf5, "not an HDF5 file"),
        (empty, "holds no layers; expected the weights of a Keras model."),
        (link_outside, "its HDF5 object '/layers/conv2d_9' is a link to another file."),
        (link_inside, "its HDF5 object '/layers/conv2d_9' is a soft link."),
        (array_outside, "its HDF5 array '/layers/x/vars/0' lies in another file."),
        (array_of_others, "its HDF5 array '/layers/x/vars/0' lies in another file."),
        (Path.unlink, "no such file."),
    ],
)
def test_bad_files_are_refused(spoil, message: str, tmp_path: Path) -> None:
    model = convs(4, 4)
    path = save(model, tmp_path, "keras weights")
    spoil(path)
    assert_refused(model, path, message)


def test_an_archive_without_weights_is_refused(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.keras", tmp_path / "m.keras"
    convs(4).save(whole)
    with zipfile.ZipFile(whole) as read, zipfile.ZipFile(path, "w") as written:
        for name in ("config.json", "metadata.json"):
            written.writestr(name, read.read(name))
    assert_refused(convs(4), path, "holds no model.weights.h5")


def test_shards_lie_beside_their_list(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.json"
    path.write_text(json.dumps({"weight_map": {"/layers/conv2d/vars": "../w_00000.weights.h5"}}))
    assert_refused(convs(4), path, "lists '../w_00000.weights.h5'; expected files of the same folder.")


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(b"")
    assert_refused(convs(4), tmp_path / "w.npz", "expected a .keras or .h5 file.")


def test_a_loaded_model_gives_the_same_compiled(tmp_path: Path) -> None:
    plain = resnet()
    path = save(plain, tmp_path, "keras weights")
    model = attnzoo.augment(other_values(plain), "se")
    model.compile(jit_compile=False)
    x = images(model)
    before = model.predict_on_batch(x)
    attnzoo.load_backbone_weights(model, path)
    np.testing.assert_allclose(model.predict_on_batch(x), array(plain(x)), rtol=1e-5, atol=1e-6)
    assert not np.allclose(before, array(plain(x)), rtol=1e-3)
