"""A path -> `FileReport`."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import h5py

from attnzoo.errors import AttnzooError, first_line
from attnzoo.files.inspect._archive import CONFIG, METADATA, Archive, is_absurd
from attnzoo.files.inspect._config import ModelConfig, parse, read_config
from attnzoo.files.inspect._findings import Findings, Unreadable
from attnzoo.files.inspect._names import check_lists
from attnzoo.files.inspect._report import FileReport
from attnzoo.files.inspect._weights import Weights, read_attribute, read_weights

H5 = (".h5", ".hdf5")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def inspect_file(path: str | Path) -> FileReport:
    """Reads what a `.keras`, legacy `.h5` or `.weights.h5` file holds; builds nothing and does not import Keras.

    Memory and time are bounded whatever the file says of itself.

    Args:
        path: the file.

    Returns:
        The report. Its `defects` and `risks` are the reasons for which `attnzoo.load_model` refuses a file.

    Raises:
        AttnzooError: if the file is missing, of another kind, or damaged so that its contents cannot be listed.
    """
    path = Path(path)
    size = check_is_file(path)
    findings = Findings()
    try:
        if path.suffix == ".keras" and not is_hdf5(path):
            return _archive(path, size, findings)
        return _hdf5(path, size, findings)
    except Unreadable as error:
        raise AttnzooError(f"{path}: {error}") from None
    except MemoryError:
        raise AttnzooError(
            f"{path}: is damaged: it asks for more memory than there is; copy or download it again."
        ) from None
    except Exception as error:  # zipfile, zlib, struct and h5py raise whatever they like for a damaged file
        raise AttnzooError(f"{path}: {damage(error)}") from None


def is_hdf5(path: Path) -> bool:
    """Says whether a file is HDF5, whatever its name: until 2.12 Keras wrote that into `.keras` files too."""
    with path.open("rb") as file:
        return file.read(len(_HDF5)) == _HDF5


def check_weights(path: str | Path) -> None:
    """Returns if a file can safely be given to Keras as weights.

    What the config of a model asks for does not count: only arrays are read.

    Raises:
        AttnzooError: if it is missing, of another kind, damaged or not safe; nothing lifts that.
    """
    report = inspect_file(path)
    for reason in (*report.defects, *(risk for risk in report.risks if risk not in report.asked)):
        raise AttnzooError(f"{path}: {reason}")


def damage(error: Exception) -> str:
    """Says that a file is damaged, in the words of the library that found it so."""
    return f"is damaged or incomplete: {first_line(error).removesuffix('.')}; copy or download it again."


def check_is_file(path: Path) -> int:
    """Returns the size of a model file, having looked at its name and kind only.

    Raises:
        AttnzooError: if it is missing, not an ordinary file, or its name ends otherwise.
    """
    if path.is_dir():
        raise AttnzooError(f"{path}: is a folder; expected a .keras or .h5 file.")
    if path.suffix not in (".keras", *H5):
        raise AttnzooError(f"{path}: expected a .keras or .h5 file.")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise AttnzooError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:  # a circle of links, no permission, a name with a zero in it
        raise AttnzooError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}.") from None
    if not stat.S_ISREG(found.st_mode):  # opening a pipe waits for ever, reading a device never ends
        raise AttnzooError(f"{path}: is a pipe, a socket or a device; expected an ordinary file.")
    return found.st_size


def _archive(path: Path, size: int, findings: Findings) -> FileReport:
    with Archive(path, findings) as archive:
        archive.verify()
        metadata, text = archive.text(METADATA), archive.text(CONFIG)
        about = parse(metadata, METADATA) if metadata else None
        about = about if isinstance(about, dict) else {}
        asked = Findings()
        config = ModelConfig() if text is None else read_config(_uncompiled(parse(text, CONFIG)), asked)
        weights, file = Weights(), archive.weights()
        if file is not None:
            with _opened(file) as tree:
                weights = read_weights(tree, findings)
    return _report(
        path,
        kind="keras",
        size=size,
        unpacked=max(archive.unpacked, weights.declared),
        keras_version=_text(about.get("keras_version")),
        saved=_text(about.get("date_saved")),
        config=config,
        weights=weights,
        findings=findings,
        asked=asked,
    )


def _hdf5(path: Path, size: int, findings: Findings) -> FileReport:
    if not is_hdf5(path):
        raise Unreadable("not an HDF5 file, though its name ends so.")
    with _opened(path) as tree:
        weights = read_weights(tree, findings)
        check_lists(path, weights.lists)
        text = read_attribute(tree, "model_config")
        asked = Findings()
        config = ModelConfig() if text is None else read_config(parse(text, "model config"), asked)
        version = read_attribute(tree, "keras_version")
    return _report(
        path,
        kind="h5" if config.model else "weights",
        size=size,
        unpacked=weights.declared,
        keras_version=_text(version),
        config=config,
        weights=weights,
        findings=findings,
        asked=asked,
    )


def _report(
    path: Path, *, size: int, config: ModelConfig, weights: Weights, findings: Findings, asked: Findings, **about: Any
) -> FileReport:
    if is_absurd(weights.declared, size):
        findings.risk(f"its arrays would fill {weights.declared:,} bytes; the file has {size:,}.")
    return FileReport(
        path=str(path),
        size=size,
        model=config.model,
        layers=tuple(config.layers.most_common()),
        attention=tuple(config.attention),
        parameters=weights.parameters,
        numbers=weights.numbers,
        custom=config.custom,
        defects=(*findings.defects, *asked.defects),
        risks=(*findings.risks, *asked.risks),
        asked=tuple(asked.risks),
        references=tuple(config.references),
        **about,
    )


@contextlib.contextmanager
def _opened(file: Path | IO[bytes]) -> Iterator[h5py.File]:
    with h5py.File(file, "r") as tree:
        yield tree


def _uncompiled(raw: Any) -> Any:
    """Leaves out the optimizer and losses of the whole model, which `load_model` does not load."""
    return {k: v for k, v in raw.items() if k != "compile_config"} if isinstance(raw, dict) else raw


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value[:100] if isinstance(value, str) else None
