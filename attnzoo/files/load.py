"""Models to files and back, with errors of one line."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from attnzoo.errors import AttnzooError, first_line
from attnzoo.files.inspect._read import damage, inspect_file
from attnzoo.files.inspect._report import FileReport

if TYPE_CHECKING:
    import keras

    from attnzoo.files.budget import Budget

_ODD = (AttributeError, IndexError, KeyError, TypeError, RecursionError)
"""What Keras raises when a config lacks what it takes for granted; the text alone says nothing."""

_TRUST = "if you trust its author, use attnzoo.load_model(path, trust=True)."
_ONLY_WEIGHTS = "holds weights only, not a model; give it as backbone.weights or to attnzoo.load_backbone_weights."


def load_model(path: str | Path, *, trust: bool = False) -> keras.Model:
    """Loads a whole model from a `.keras` or legacy `.h5` file, not compiled.

    attnzoo's layers are known. The file is inspected before Keras builds anything (see `attnzoo.inspect_file`):
    one that carries code, reaches outside itself or asks for absurd memory is refused.

    Args:
        path: the file.
        trust: True says that you trust the file's author as you trust a program you run: code in the file (`Lambda`
            layers, `TFSMLayer`) may then run in this process with your rights, now and whenever the model is called,
            and the sizes it asks for are not limited. Damaged files are refused all the same.

    Raises:
        AttnzooError: if the file is missing, of another kind, damaged, not safe to load without trust, or holds
            layers whose package has not been imported.
    """
    if str(path).endswith((".weights.h5", ".weights.hdf5")):
        raise AttnzooError(f"{path}: {_ONLY_WEIGHTS}")
    report = inspect_file(path)
    _refuse(report, trust=trust)
    import keras

    from attnzoo._keras import deep_graphs, name_outputs_by_host
    from attnzoo.files.budget import weights_at_most
    from attnzoo.files.known_classes import unknown_classes

    unknown = [] if trust else unknown_classes(report.references)
    if unknown:
        raise AttnzooError(f"{path}: {_unknown(unknown[0])}")
    # A model has as many weights as its file; LoRA and layers that keep values in their config add some.
    most = None if trust else 2 * report.numbers + (1 << 20)
    with weights_at_most(most) as budget, deep_graphs(), warnings.catch_warnings():
        # Keras only warns when it leaves random weights where the file has none.
        warnings.filterwarnings("error", message="Skipping nested container")
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
            name_outputs_by_host(model)
        except Exception as error:  # Keras, zipfile, json and h5py raise whatever they like for a bad file
            reason = _too_much(budget) or _reason(error)
            raise AttnzooError(f"{path}: {reason}") from None
    if budget.complaint():  # a class of somebody else's may have caught the error
        raise AttnzooError(f"{path}: {_too_much(budget)}")
    if not isinstance(model, keras.Model):
        raise AttnzooError(f"{path}: holds a {type(model).__name__}, not a model.")
    return model


def check_weights(path: str | Path) -> None:
    """Returns if a file can safely be given to Keras as weights.

    Raises:
        AttnzooError: if it is missing, of another kind, damaged or not safe; nothing lifts that.
    """
    report = inspect_file(path)
    for reason in (*report.defects, *report.risks):
        raise AttnzooError(f"{path}: {reason}")


def _refuse(report: FileReport, *, trust: bool) -> None:
    if report.defects:
        raise AttnzooError(f"{report.path}: {report.defects[0]}")
    if report.kind == "weights":
        raise AttnzooError(f"{report.path}: {_ONLY_WEIGHTS}")
    if report.risks and not trust:
        first, more = report.risks[0].removesuffix("."), len(report.risks) - 1
        also = f" (and {more} more, see `attnzoo inspect`)" if more else ""
        raise AttnzooError(f"{report.path}: {first}{also}; {_TRUST}")


def _too_much(budget: Budget) -> str | None:
    complaint = budget.complaint()
    return complaint and f"{complaint.removesuffix('.')}; {_TRUST}"


def _reason(error: Exception) -> str:
    text = str(error)
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:) '([^']+)'", text)
    if unknown:
        return _unknown(unknown[1])
    if isinstance(error, zipfile.BadZipFile) or "truncated file" in text:
        return damage(error)
    if isinstance(error, _ODD):
        return f"cannot be loaded: its config does not describe a model ({type(error).__name__}: {first_line(error)})."
    return f"cannot be loaded: {first_line(error)}"


def _unknown(name: str) -> str:
    return f"holds a {name}, a class Keras does not know; in Python, import the package that defines it first."
