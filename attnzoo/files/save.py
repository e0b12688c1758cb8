"""Models to files: a file appears complete or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from attnzoo.errors import AttnzooError

if TYPE_CHECKING:
    import keras


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


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
