"""Files of Keras weights: which layers one holds, by name, and the arrays of each.

    name.h5             legacy: weights alone (what keras.applications download) or a whole model
    name.weights.h5     Keras 3 weights
    name.weights.json   the same in several files (`max_shard_size=`)
    name.keras          Keras 3 archive

Nothing is built from a file and nothing in it is run: it is inspected first, and then only HDF5 groups, attributes and
arrays are looked at; an array is read by who asks for it.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py

from attnzoo._keras import is_container, to_snake_case
from attnzoo.errors import AttnzooError, first_line
from attnzoo.files import check_weights, is_hdf5

Names = tuple[str, ...]
"""A layer: its name, preceded by those of the models it is nested in."""

RANDOM_STATE = "seed_generator/"

_LAYERS = ("layers", "_layer_checkpoint_dependencies")  # the second in files of TensorFlow 2.12 and 2.13
_MEMBER = "model.weights.h5"
LARGEST_LIST = 1 << 26


@dataclass(frozen=True)
class WeightFile:
    """What a file holds.

    Attributes:
        legacy: whether arrays are known by the names of weights (`kernel`) or by Keras 3's numbers (`vars/0`).
        layers: for each layer, and for each model nested in the file's model, its arrays by key.
        keras2: whether a Keras before 3 wrote it, whose names of layers may hold a '/'.
    """

    legacy: bool
    layers: dict[Names, dict[str, h5py.Dataset]]
    keras2: bool = False

    def arrays_of(self, path: Names, used: Collection[Names]) -> dict[str, h5py.Dataset]:
        """Returns the arrays of a layer without those of other layers whose names go on where its own ends.

        Args:
            path: the layer.
            used: all layers whose arrays are wanted.
        """
        longer = [other for other in used if len(other) > len(path) and other[: len(path)] == path]
        taken = {dataset.name for other in longer for dataset in self.layers[other].values()}
        return {key: dataset for key, dataset in self.layers[path].items() if dataset.name not in taken}

    def without(self, used: Iterable[Names]) -> list[Names]:
        """Returns the layers of which no array belongs to one of `used`."""
        taken = {d.name for path in used for d in self.layers[path].values()}
        deepest = {d.name: path for path, arrays in self.layers.items() for d in arrays.values()}
        return list(dict.fromkeys(path for name, path in deepest.items() if name not in taken))


@contextlib.contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turns what h5py, zipfile and json raise for a bad file into one error."""
    try:
        yield
    except AttnzooError:
        raise
    except Exception as error:
        raise AttnzooError(f"{path}: is damaged or incomplete: {first_line(error)}") from None


@contextlib.contextmanager
def open_weights(path: Path, model: Callable[[], Any]) -> Iterator[WeightFile]:
    """Opens a file of weights for as long as its arrays are needed.

    Args:
        path: the file.
        model: where the file itself holds no names, as those of Keras before 3.9, the names of a model whose layers
            have the same order; a function, because making it is expensive.

    Raises:
        AttnzooError: if the file is missing, of another kind, damaged, or links to other files.
    """
    with contextlib.ExitStack() as stack:
        with one_line_errors(path):
            content = _read(path, model, stack)
        yield content


def _read(path: Path, model: Callable[[], Any], stack: contextlib.ExitStack) -> WeightFile:
    if path.name.endswith(".weights.json"):
        files = [stack.enter_context(h5py.File(shard, "r")) for shard in _shards(path)]
        return _keras_layout(path, files, lambda: _tree_of(model()))
    check_weights(path)
    if path.suffix == ".keras" and not is_hdf5(path):
        archive = stack.enter_context(zipfile.ZipFile(path))
        file = stack.enter_context(h5py.File(io.BytesIO(archive.read(_MEMBER)), "r"))
        written = json.loads(archive.read("metadata.json")).get("keras_version")
        content = _keras_layout(path, [file], lambda: _tree_of_config(json.loads(archive.read("config.json"))))
        return replace(content, keras2=str(written).startswith("2."))
    file = stack.enter_context(h5py.File(path, "r"))
    group = file.get("model_weights", file)
    if "layer_names" in group.attrs or "layer_names0" in group.attrs:
        return _legacy_layout(group)
    return _keras_layout(path, [file], lambda: _tree_of(model()))


def _items(file: h5py.File) -> list[Any]:
    found: list[Any] = []
    file.visititems(lambda _, item: found.append(item))
    return found


def _shards(path: Path) -> list[Path]:
    if not path.is_file():
        raise AttnzooError(f"{path}: no such file.")
    size = path.stat().st_size
    if size > LARGEST_LIST:
        raise AttnzooError(f"{path}: has {size:,} bytes; expected a list of weight files of {LARGEST_LIST:,} at most.")
    named = json.loads(path.read_text("utf-8"))["weight_map"].values()
    names = dict.fromkeys(n for value in named for n in (value if isinstance(value, list) else [value]))
    for name in names:
        if Path(name).name != name:
            raise AttnzooError(f"{path}: lists '{name}'; expected files of the same folder.")
        check_weights(path.with_name(name))
    return [path.with_name(name) for name in names]


# Keras 3: layers/conv2d_1/vars/0, with the layer's name beside it -------------------------------------------------

Tree = list[tuple[str, str, Any]]
"""(class, name, tree of the layers inside) of the layers of a model, in the order of `model.layers`."""


def _tree_of(model: Any) -> Tree:
    """Returns the layers of a model with the models nested in it."""
    return [(type(x).__name__, x.name, _tree_of(x) if is_container(x) else []) for x in model.layers]


def _tree_of_config(config: dict[str, Any]) -> Tree:
    inner = config["config"].get("layers", [])
    return [(c["class_name"], c["config"]["name"], _tree_of_config(c)) for c in inner if isinstance(c, dict)]


def _keras_layout(path: Path, files: list[h5py.File], spare: Callable[[], Tree]) -> WeightFile:
    arrays: dict[str, h5py.Dataset] = {}
    names: dict[str, str] = {}
    keys: set[str] = set()  # of all layers; those without weights have no arrays, but may be counted
    for file in files:
        for item in _items(file):
            key = item.name.strip("/").replace(_LAYERS[1], _LAYERS[0])
            keys.update(layer for layer, _ in _prefixes(key))
            if isinstance(item, h5py.Dataset) and key.startswith("layers/") and RANDOM_STATE not in key:
                arrays[key] = item
                names.update(_written_names(file, item.name.strip("/")))
    if not arrays:
        raise AttnzooError(f"{path}: holds no layers; expected the weights of a Keras model.")
    places = {key: _prefixes(key) for key in arrays}
    needed = {layer for prefixes in places.values() for layer, _ in prefixes}
    if needed - names.keys():
        names = {**dict(_positional_names(keys, spare())), **names}
    layers: dict[Names, dict[str, h5py.Dataset]] = {}
    for key, dataset in arrays.items():
        path_so_far: Names = ()
        for layer, rest in places[key]:
            path_so_far = (*path_so_far, names.get(layer, layer.rpartition("/")[2]))
            layers.setdefault(path_so_far, {})[rest] = dataset
    return WeightFile(False, layers)


def _prefixes(key: str) -> list[tuple[str, str]]:
    """Splits the key of an array after each layer it lies in: (key of the layer, rest)."""
    parts, end, found = key.split("/"), 0, []
    while parts[end : end + 1] == ["layers"] and len(parts) > end + 2:
        end += 2
        found.append(("/".join(parts[:end]), "/".join(parts[end:])))
    return found


def _written_names(file: h5py.File, key: str) -> dict[str, str]:
    found = {}
    for layer, _ in _prefixes(key):
        name = file[f"{layer}/vars"].attrs.get("name") if f"{layer}/vars" in file else None
        if isinstance(name, str):
            found[layer] = name
    return found


def _positional_names(keys: Iterable[str], tree: Tree, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields (key in the file, name) by rank among the layers of a class, where file and model have equally many of it.

    Rank and not number: Keras 2.12 counted layers with weights twice.
    """
    theirs: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys, key=lambda key: (len(key), key)):
        parent, _, own = key.rpartition("layers/")
        if parent == prefix:
            theirs[re.sub(r"_\d+$", "", own)].append(key)
    ours: dict[str, list[tuple[str, Tree]]] = defaultdict(list)
    for cls, name, inner in tree:
        ours[to_snake_case(cls)].append((name, inner))
    for base, found in ours.items():
        if len(found) == len(theirs[base]):
            for key, (name, inner) in zip(theirs[base], found, strict=True):
                yield key, name
                yield from _positional_names(keys, inner, f"{key}/")


# Legacy: conv1/conv1/kernel:0, order in attributes -----------------------------------------------------------------


def _legacy_layout(group: h5py.Group) -> WeightFile:
    layers: dict[Names, dict[str, h5py.Dataset]] = {}
    for layer in _attribute(group, "layer_names"):
        for weight in _attribute(group[layer], "weight_names"):
            dataset = group[layer][weight]
            # The arrays of a nested model lie under the name of the outer one, each named after its own layer.
            parts = weight.partition(":")[0].removeprefix(f"{layer}/").split("/")
            for end in range(len(parts)):
                layers.setdefault((layer, *parts[:end]), {})["/".join(parts[end:])] = dataset
    # Before Keras 2 no version was written.
    return WeightFile(True, layers, keras2=_text(group.attrs.get("keras_version", "1")) < "3")


def _attribute(group: h5py.Group, name: str) -> list[str]:
    """Reads a list of names; long ones are split over name0, name1, ..."""
    chunks = [name] if name in group.attrs else []
    while f"{name}{len(chunks)}" in group.attrs and name not in group.attrs:
        chunks.append(f"{name}{len(chunks)}")
    return [_text(v) for chunk in chunks for v in group.attrs[chunk]]


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
