"""Models out of files, with errors of one line."""

from __future__ import annotations

import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnzoo.errors import AttnzooError, RewriteError, first_line
from attnzoo.files import FileReport, Reference, damage, inspect_file, weights_at_most
from attnzoo.loading import keras2
from attnzoo.loading.compiled import compile_state
from attnzoo.loading.reasons import NotLoaded

if TYPE_CHECKING:
    import keras

    from attnzoo.files.budget import Budget

_ODD = (AttributeError, IndexError, KeyError, TypeError)
"""What Keras raises when a config lacks what it takes for granted; the text alone says nothing."""

_TRUST = "if you trust its author, use attnzoo.load_model(path, trust=True)."
_ONLY_WEIGHTS = "holds weights only, not a model; give it as backbone.weights or to attnzoo.load_backbone_weights."


def load_model(
    path: str | Path,
    *,
    trust: bool = False,
    compile: bool = False,
    custom_objects: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Loads a whole model from a `.keras` or legacy `.h5` file.

    attnzoo's layers are known. The file is inspected before Keras builds anything (see `attnzoo.inspect_file`):
    one that carries code, reaches outside itself or asks for absurd memory is refused.

    Files of Keras 2 are translated, where Keras 3 has all of their layers; a `UserWarning` says so.

    Args:
        path: the file.
        trust: True says that you trust the file's author as you trust a program you run: code in the file (`Lambda`
            layers, `TFSMLayer`) may then run in this process with your rights, now and whenever the model is called,
            and the sizes it asks for are not limited. Damaged files are refused all the same.
        compile: True restores what the model was compiled with and the state of its optimizer, so that training goes
            on where it stopped.
        custom_objects: classes and functions by the names that the file has for them. These are trusted, and nothing
            else in the file is.

    Raises:
        AttnzooError: if the file is missing, of another kind, damaged, not safe to load without trust, holds
            layers whose package has not been imported, or, with `compile`, no compile state; and if Keras 2 wrote it
            and it cannot be translated.
    """
    if str(path).endswith((".weights.h5", ".weights.hdf5")):
        raise AttnzooError(f"{path}: {_ONLY_WEIGHTS}")
    from attnzoo.files.known_classes import unknown_classes  # imports Keras

    keras2.refuse_folder(path)
    report = inspect_file(path)
    # Keras looks for the name that a class was registered by, its user knows the name of the class.
    given = dict(custom_objects or {})
    objects = given | {r.registered: given[r.name] for r in report.references if r.registered and r.name in given}
    if keras2.wrote(report):
        _refuse(report, trust=trust, untrusted=keras2.untrusted)
        return _bounded(report, trust, lambda: keras2.load(report, objects, compile=compile))
    _refuse(report, trust=trust, untrusted=_untrusted)
    unknown = [] if trust else unknown_classes(report.references, objects)
    if unknown:
        raise AttnzooError(f"{path}: {_unknown(unknown[0])}")
    return _bounded(report, trust, lambda: _load(report, objects, trust, compile))


def _load(report: FileReport, objects: dict[str, Any], trust: bool, compile: bool) -> Any:
    import keras

    from attnzoo._keras import name_outputs_by_host

    state = compile_state(report.path, objects, trust=trust) if compile else None
    model = keras.saving.load_model(report.path, compile=False, safe_mode=not trust, custom_objects=objects)
    if not isinstance(model, keras.Model):
        raise NotLoaded(f"holds a {type(model).__name__}, not a model.")
    name_outputs_by_host(model)
    if state is not None:
        state.restore(model)
    return model


def _bounded(report: FileReport, trust: bool, load: Callable[[], Any]) -> Any:
    """Returns a loaded model; whatever goes wrong becomes one error."""
    from attnzoo._keras import deep_graphs

    # A model has as many weights as its file; LoRA and layers that keep values in their config add some.
    most = None if trust else 2 * report.numbers + (1 << 20)
    try:
        with weights_at_most(most) as budget, deep_graphs(), warnings.catch_warnings():
            # Keras only warns when it leaves random weights where the file has none.
            warnings.filterwarnings("error", message="Skipping nested container")
            try:
                model = load()
            except RecursionError:
                raise
            except Exception as error:  # Keras, zipfile, json and h5py raise whatever they like for a bad file
                raise AttnzooError(f"{report.path}: {_too_much(budget) or _reason(error)}") from None
    except RewriteError as error:  # deeper than Python allows
        raise AttnzooError(f"{report.path}: {error}") from None
    if budget.complaint():  # a class of somebody else's may have caught the error
        raise AttnzooError(f"{report.path}: {_too_much(budget)}")
    return model


def _refuse(report: FileReport, *, trust: bool, untrusted: Callable[[FileReport, str], str]) -> None:
    if report.defects:
        raise AttnzooError(f"{report.path}: {report.defects[0]}")
    if report.kind == "weights":
        raise AttnzooError(f"{report.path}: {_ONLY_WEIGHTS}")
    if report.risks and not trust:
        first, more = report.risks[0].removesuffix("."), len(report.risks) - 1
        also = f" (and {more} more, see `attnzoo inspect`)" if more else ""
        raise AttnzooError(f"{report.path}: {untrusted(report, first + also)}")


def _untrusted(_: FileReport, risk: str) -> str:
    return f"{risk}; {_TRUST}"


def _too_much(budget: Budget) -> str | None:
    complaint = budget.complaint()
    return complaint and f"{complaint.removesuffix('.')}; {_TRUST}"


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, NotLoaded):
        return text
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:) '([^']+)'", text)
    if unknown:
        return _unknown(Reference(unknown[1], None, None))
    if isinstance(error, zipfile.BadZipFile) or "truncated file" in text:
        return damage(error)
    if isinstance(error, _ODD):
        return f"cannot be loaded: its config does not describe a model ({type(error).__name__}: {first_line(error)})."
    return f"cannot be loaded: {first_line(error)}"


def _unknown(reference: Reference) -> str:
    """Says what to do about a class: one that is here already needs no import."""
    import keras

    name, key = reference.name, reference.registered or reference.name
    found = getattr(sys.modules.get(reference.module or ""), name, None)
    # Of nothing but layers: a hostile file may name any function there is.
    if isinstance(found, type) and issubclass(found, keras.layers.Layer):
        return (
            f"holds a {name}, a class of {reference.module} that is not registered with Keras; hand it over,"
            f" load_model(path, custom_objects={{{key!r}: {name}}}), and decorate it with"
            " @keras.saving.register_keras_serializable() before a model is next saved."
        )
    other = "" if reference.module else f", or hand it over: load_model(path, custom_objects={{{key!r}: ...}})"
    return f"holds a {name}, a class Keras does not know; in Python, import the package that defines it first{other}."
