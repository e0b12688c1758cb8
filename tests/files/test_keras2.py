"""Models that Keras 2 wrote: those whose layers Keras 3 has compute what Keras 2 computed; the others are refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.errors import AttnzooError
from tests.files.mutations import zipped
from tests.helpers import array, moved

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "keras2"
READ = [
    *(
        "2.12/tutorial.keras",
        "2.12/tutorial.h5.keras",
        "2.15/tutorial.h5",
        "2.15/tutorial.keras",
        "2.19/tutorial.keras",
    ),
    *("2.15/teachable.h5", "2.15/operations.h5", "2.15/operations.keras", "2.15/several.h5", "2.15/mixed.h5"),
]
WAY_OUT = "; build the network and load its weights by attnzoo.load_backbone_weights(model, path)."
Change = Callable[[dict[str, Any]], Any]


def load(path: Path, **kwargs: Any) -> keras.Model:
    with pytest.warns(UserWarning, match=r": was written by Keras 2\.\d+\.\d+; translated to Keras 3\.$"):
        return attnzoo.load_model(path, **kwargs)


def made(model: keras.Model, image: np.ndarray) -> np.ndarray:
    several = len(model.inputs) > 1
    found = keras.tree.flatten(model([image] * len(model.inputs) if several else image, training=False))
    return np.concatenate([array(y).astype("float32") for y in found], axis=-1)


@pytest.mark.parametrize("name", READ)
def test_it_computes_what_keras_2_computed(name: str) -> None:
    path = FILES / name
    arrays = np.load(path.with_name("outputs.npz"))
    expected = arrays[path.name.partition(".")[0]]
    limit = 1e-2 if "mixed" in name else 1e-5
    found = made(load(path), arrays["image"])
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit * np.abs(expected).max())
    assert np.ptp(expected) > 100 * limit * np.abs(expected).max() or "tutorial" in name


def test_it_is_a_model_like_any_other(tmp_path: Path) -> None:
    model = load(FILES / "2.15" / "tutorial.h5")
    assert [layer.name for layer in model.get_layer("backbone").layers if "expanded_conv_depth" in layer.name] == [
        "expanded_conv_depthwise",
        "expanded_conv_depthwise_bn",
        "expanded_conv_depthwise_relu",
    ]
    assert not model.compiled
    assert not model.get_layer("backbone").trainable
    assert model.get_layer("dense").trainable
    image = np.load(FILES / "2.15" / "outputs.npz")["image"]
    new = moved(attnzoo.augment(model, "se", after=["conv1_bn"], ratio=2))
    assert not np.allclose(made(new, image), made(model, image))
    new.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(made(attnzoo.load_model(tmp_path / "m.keras"), image), made(new, image))


def changed(path: Path, change: Change, name: str = "2.15/tutorial.h5") -> Path:
    """Copies a file with its config changed by a function."""
    data = (FILES / name).read_bytes()
    path = path / Path(name).name
    path.write_bytes(data)
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
    else:
        with zipfile.ZipFile(path) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        config = json.loads(members["config.json"])
        change(config)
        path.write_bytes(zipped({**members, "config.json": json.dumps(config).encode()}.items()))
    return path


def layer(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(x for x in config["config"]["layers"] if x["config"]["name"] == name)


def code(config: dict[str, Any]) -> None:
    layer(config, "dropout").update(class_name="Lambda", config={"name": "f", "function": ["AAAA", None, None]})


def custom(config: dict[str, Any]) -> None:
    layer(config, "dropout").update(class_name="Mine", registered_name="Custom>Mine", module="theirs")


def unknown_operation(config: dict[str, Any]) -> None:
    layer(config, "tf.math.truediv")["config"]["function"] = "io.read_file"


def other_argument(config: dict[str, Any]) -> None:
    layer(config, "tf.math.truediv")["inbound_nodes"][0][3]["filename"] = "/etc/passwd"


def groups(config: dict[str, Any]) -> None:
    layer(layer(config, "backbone"), "expanded_conv/depthwise")["config"]["groups"] = 2


def function(config: dict[str, Any]) -> None:
    layer(config, "dense")["config"]["activation"] = {
        "module": "keras.saving",
        "class_name": "function",
        "config": "load_model",
        "registered_name": "function",
    }


def no_layer(config: dict[str, Any]) -> None:
    layer(config, "dropout")["class_name"] = "deserialize"


def subclassed(config: dict[str, Any]) -> None:
    config.update(class_name="MyNet", config={"width": 3})


def circle(config: dict[str, Any]) -> None:
    layer(config, "dropout")["inbound_nodes"] = [[["dense", 0, 0, {}]]]


def one_name(config: dict[str, Any]) -> None:
    for old, new in (("dropout", "a/b"), ("dense", "a_b")):
        entry = layer(config, old)
        entry["config"]["name"] = entry["name"] = new


def ragged(config: dict[str, Any]) -> None:
    config["config"]["layers"][0]["config"]["ragged"] = True


def wider(config: dict[str, Any]) -> None:
    layer(config, "dense")["config"]["units"] = 2


REFUSED = {
    custom: "its layer 'dropout' is a Mine, which Keras 3 does not have",
    unknown_operation: "it calls tf.io.read_file, for which there is no translation",
    other_argument: "got an unexpected keyword argument 'filename'",
    groups: "its layer 'expanded_conv/depthwise' has groups=2, which the DepthwiseConv2D of Keras 3 does not have",
    function: "load_model",
    no_layer: "its layer 'dropout' is a deserialize, which Keras 3 does not have",
    subclassed: "it is a MyNet, a class of its author's",
    circle: "its graph is not complete",
    one_name: "two of its layers have one name in Keras 3, which allows no '/'",
    ragged: "its input 'input_3' is ragged",
    wider: "the weights of 1 layers (dense) do not fit",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
@pytest.mark.parametrize("trust", [False, True])
def test_what_keras_3_lacks_is_refused_with_the_way_out(change: Change, trust: bool, tmp_path: Path) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(path, trust=trust)
    text = str(error.value)
    assert text.startswith(f"{path}: was written by Keras 2.15.0 and cannot be read by Keras 3: ")
    assert REFUSED[change] in text
    assert text.endswith(WAY_OUT)
    assert "\n" not in text


def test_code_is_refused_with_the_way_out_and_the_way_out_works(tmp_path: Path) -> None:
    path = changed(tmp_path, code)
    for trust, reason in ((False, "; holds a Lambda 'f', code that would run on loading"), (True, " is a Lambda, ")):
        with pytest.raises(AttnzooError) as error:
            attnzoo.load_model(path, trust=trust)
        assert reason in str(error.value)
        assert str(error.value).endswith(WAY_OUT)
    plain = load(FILES / "2.15" / "tutorial.h5")
    for weight in plain.weights:
        weight.assign(0 * weight)
    attnzoo.load_backbone_weights(plain, path)
    arrays = np.load(FILES / "2.15" / "outputs.npz")
    np.testing.assert_allclose(made(plain, arrays["image"]), arrays["tutorial"], rtol=1e-5)


class Mine(keras.layers.Layer):
    def __init__(self, rate: float = 0.0, **kwargs: Any):
        super().__init__(**{k: v for k, v in kwargs.items() if k in ("name", "trainable", "dtype")})

    def call(self, x: Any) -> Any:
        return 2.0 * x


def test_a_layer_that_is_handed_over_is_used(tmp_path: Path) -> None:
    path = changed(tmp_path, custom)
    arrays = np.load(FILES / "2.15" / "outputs.npz")
    model = load(path, custom_objects={"Mine": Mine})
    bias = array(model.get_layer("dense").bias)
    np.testing.assert_allclose(made(model, arrays["image"]) - bias, 2 * (arrays["tutorial"] - bias), rtol=1e-4)


def test_it_may_ask_for_no_more_weights_than_the_file_holds(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda c: layer(c, "dense")["config"].update(units=400_000_000))
    with pytest.raises(AttnzooError, match=r": asks for [\d,]+ weights or more; expected [\d,]+ at most; if you trust"):
        attnzoo.load_model(path)


def test_its_compile_state_is_not_taken_over() -> None:
    with pytest.raises(AttnzooError, match=r"written by Keras 2.15.0, whose optimizers .* compile=False"):
        attnzoo.load_model(FILES / "2.15" / "tutorial.h5", compile=True)


def test_layers_that_keep_their_weights_otherwise_are_named() -> None:
    with pytest.raises(AttnzooError, match=r"the weights of 1 layers \(multi_head_attention\) do not fit; build"):
        attnzoo.load_model(FILES / "2.15" / "several.keras")


def test_a_folder_of_tensorflow_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(AttnzooError) as error:
        attnzoo.load_model(FILES / "2.15" / "saved_model")
    assert "is a SavedModel folder, written by Keras 2, " in str(error.value)
    shutil.copytree(FILES / "2.15" / "saved_model", tmp_path / "m", ignore=lambda *_: ["keras_metadata.pb"])
    with pytest.raises(AttnzooError, match="is a SavedModel folder, written by TensorFlow, "):
        attnzoo.load_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["2.15/tutorial.h5", "2.12/tutorial.h5.keras", "2.15/tutorial.keras"])
def test_the_report_names_the_version(name: str) -> None:
    report = attnzoo.inspect_file(FILES / name)
    assert str(report.keras_version).startswith(f"{name[:4]}.")
    assert (report.risks, report.defects) == ((), ())
