"""Models to files and back, with errors of one line."""

from __future__ import annotations

import os
import re
import secrets
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from attnzoo.errors import AttnzooError

if TYPE_CHECKING:
    import keras

_H5 = (".h5", ".hdf5")


def load_model(path: str | Path) -> keras.Model:
    """Loads a whole model from a `.keras` or legacy `.h5` file, not compiled.

    attnzoo's layers are known; files that carry code (`Lambda` layers) are refused.

    Args:
        path: the file.

    Raises:
        AttnzooError: if the file is missing, of another kind, damaged, carries code, or holds layers whose package
            has not been imported.
    """
    path = Path(path)
    _check_input(path)
    import keras

    from attnzoo.rewrite import name_outputs_by_host

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, zipfile, json and h5py raise whatever they like for a bad file
        raise AttnzooError(f"{path}: {_reason(error)}") from None
    name_outputs_by_host(model)
    return model


def save_model(model: keras.Model, path: str | Path, *, overwrite: bool = False) -> None:
    """Saves a model as a `.keras` file; the file appears complete or not at all.

    Args:
        model: the model.
        path: the file, which ends in `.keras`.
        overwrite: whether an existing file may be replaced.

    Raises:
        AttnzooError: see `check_output`.
        OSError: if the file cannot be written; nothing is left behind then.
    """
    path = check_output(path, overwrite=overwrite)
    # In the same folder, because only there replacing is atomic; not `tempfile`, whose files are private to the owner.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.keras")
    try:
        model.save(temporary)
        _sync(temporary)
        check_output(path, overwrite=overwrite)  # somebody else may have been faster
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: str | Path, *, overwrite: bool = False) -> Path:
    """Returns the path if a model can be saved there; asked before the long work begins.

    Raises:
        AttnzooError: if it does not end in `.keras`, its folder does not exist, or it exists and may not be replaced.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise AttnzooError(f"{path}: a model is saved to a file that ends in .keras.")
    if not path.parent.is_dir():
        raise AttnzooError(f"{path}: the folder {path.parent} does not exist.")
    if path.is_dir():
        raise AttnzooError(f"{path}: is a folder.")
    if os.path.lexists(path) and not overwrite:
        raise AttnzooError(f"{path}: exists already; give another name or allow overwriting (--force, overwrite=True).")
    return path


def _check_input(path: Path) -> None:
    if path.name.endswith((".weights.h5", ".weights.hdf5")) and not path.is_dir():
        raise AttnzooError(
            f"{path}: holds weights only, not a model; give it as backbone.weights or to attnzoo.load_backbone_weights."
        )
    check_file(path, "a .keras or .h5 file")


def check_file(path: Path, expected: str) -> None:
    """Checks that there is a `.keras` or HDF5 file at `path` that begins like one.

    Args:
        path: the file.
        expected: what the reader takes, for the message.

    Raises:
        AttnzooError: if there is none.
    """
    if path.is_dir():
        raise AttnzooError(f"{path}: is a folder; expected {expected}.")
    if path.suffix not in (".keras", *_H5):
        raise AttnzooError(f"{path}: expected {expected}.")
    if not path.exists():
        raise AttnzooError(f"{path}: no such file.")
    with path.open("rb") as file:
        start = file.read(8)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        what = "an incomplete .keras file" if start[:2] == b"PK" else "not a .keras file"
        raise AttnzooError(f"{path}: {what}.")
    if path.suffix in _H5 and start != b"\x89HDF\r\n\x1a\n":
        raise AttnzooError(f"{path}: not an HDF5 file.")


def first_line(error: Exception) -> str:
    """Returns the line of another library's message that says most."""
    # Keras wraps what happened in pages of configuration, and says it at the end.
    text = str(error).rpartition("Exception encountered: ")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return line if len(line) <= 300 else line[:297] + "..."


def _reason(error: Exception) -> str:
    text = str(error)
    unknown = re.search(r"(?:Could not locate class|Unknown layer:) '([^']+)'", text)
    if unknown:
        return f"holds a {unknown[1]}, a class Keras does not know; import the package that defines it first."
    if "Requested the deserialization of a `Lambda` layer" in text:
        return "holds a Lambda layer, code that would run on loading; rebuild the model without it."
    if isinstance(error, zipfile.BadZipFile) or "truncated file" in text:
        return f"is damaged or incomplete: {first_line(error)}"
    return f"cannot be loaded: {first_line(error)}"


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
