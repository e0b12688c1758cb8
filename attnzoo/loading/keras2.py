"""Files of Keras 2: which they are, and models out of those whose layers Keras 3 has."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py

from attnzoo.errors import AttnzooError, first_line, listing
from attnzoo.files import FileReport, is_hdf5
from attnzoo.loading.reasons import NotLoaded

_WAY_OUT = "build the network and load its weights by attnzoo.load_backbone_weights(model, path)."


def wrote(report: FileReport) -> bool:
    """Says whether Keras 2 wrote a model."""
    return str(report.keras_version).startswith("2.")


def untrusted(report: FileReport, risk: str) -> str:
    """Says why a file is not loaded that holds what is not safe to load."""
    return f"was written by Keras {report.keras_version}; {risk}; {_WAY_OUT}"


def refuse_folder(path: str | Path) -> None:
    """Returns if a path is no folder that TensorFlow saved a model to.

    Raises:
        AttnzooError: with what else can be done.
    """
    folder = Path(path)
    if folder.is_dir() and (folder / "saved_model.pb").is_file():
        writer = "Keras 2" if (folder / "keras_metadata.pb").is_file() else "TensorFlow"
        raise AttnzooError(
            f"{path}: is a SavedModel folder, written by {writer}, from which Keras 3 makes no model; where it was"
            " written, say model.save_weights('w.h5'), then build the network and load its weights by"
            " attnzoo.load_backbone_weights(model, 'w.h5')."
        )


def load(report: FileReport, objects: dict[str, Any], *, compile: bool) -> Any:
    """Makes the model in a file that has been inspected.

    Raises:
        NotLoaded: if Keras 3 cannot make it, with what else can be done.
    """
    version = report.keras_version
    if compile:
        raise NotLoaded(
            f"was written by Keras {version}, whose optimizers have other states; load it with compile=False, and"
            " compile it."
        )
    try:
        model = _model(report.path, objects)
    except RecursionError:
        raise
    except Exception as error:  # what Keras raises for a layer that has changed
        reason = str(error) if isinstance(error, NotLoaded) else first_line(error)
        raise NotLoaded(
            f"was written by Keras {version} and cannot be read by Keras 3: {reason.removesuffix('.')}; {_WAY_OUT}"
        ) from None
    warnings.warn(f"{report.path}: was written by Keras {version}; translated to Keras 3.", UserWarning, stacklevel=5)
    return model


def _model(path: str, objects: dict[str, Any]) -> Any:
    from attnzoo.loading.functional import make_model
    from attnzoo.weights import load_backbone_weights

    model = make_model(_config(path), objects)
    if model.weights:
        report = load_backbone_weights(model, path, partial=True)
        lacking = [*report.missing, *report.mismatched]
        if lacking:
            raise NotLoaded(f"the weights of {len(lacking)} layers ({listing(lacking, 3)}) do not fit")
    return model


def _config(path: str) -> Any:
    if is_hdf5(Path(path)):
        with h5py.File(path, "r") as file:
            return json.loads(file.attrs["model_config"])
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))
