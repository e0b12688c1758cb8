"""Names -> networks: keras.applications, model files, KerasHub and KerasCV presets, and functions of your own.

    ResNet50                        keras.applications
    file:path/to/model.keras        a saved model
    keras_hub:resnet_50_imagenet    a KerasHub preset, needs `pip install 'attnzoo[keras-hub]'`
    keras_cv:resnet50_imagenet      a KerasCV preset, needs `pip install 'attnzoo[keras-cv]'`
    my_net                          a function decorated with @register_backbone("my_net")

A name never becomes an import or a call of anything that is not in this list.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attnzoo.errors import AttnzooError, ConfigError, did_you_mean, first_line, listing, printable
from attnzoo.files import check_weights
from attnzoo.loading import load_model

if TYPE_CHECKING:
    import keras

STANDARD = ("weights", "input_shape", "include_top")
"""What every configuration may say of a backbone; not every backbone takes all of it."""

WEIGHT_SUFFIXES = (".keras", ".h5")

_NOT_OPTIONS = (*STANDARD, "name", "input_tensor", "args", "kwargs")
_PREFIXES = {"file": "file", "keras_hub": "keras_hub", "keras_cv": "keras_cv"}
_REGISTRY: dict[str, Callable[..., Any]] = {}
Maker = TypeVar("Maker", bound=Callable[..., Any])


class WeightsError(ConfigError):
    """The weights cannot be obtained; the rest of the backbone is in order."""


@dataclass(frozen=True)
class Recipe:
    """What is known of a backbone before it is made.

    Args:
        kind: where it comes from.
        name: the name without its prefix.
        takes: which of `STANDARD` it takes.
        options: its further options, as in its signature.
        make: the function that makes it; None for files and presets.
    """

    kind: Literal["application", "registered", "file", "keras_hub", "keras_cv"]
    name: str
    takes: tuple[str, ...]
    options: Mapping[str, inspect.Parameter] = field(default_factory=dict)
    make: Callable[..., Any] | None = None


def register_backbone(name: str) -> Callable[[Maker], Maker]:
    """Function decorator: makes a function that returns a `keras.Model` usable by name in configurations.

    The function is called with keywords only. Of `weights`, `input_shape` and `include_top` it receives those that
    its signature names; its other arguments are options that a configuration may set.

    Args:
        name: letters, digits and `_`, `-`, `.`; must be free.

    Raises:
        AttnzooError: if the name is taken or malformed, or what it decorates cannot be called.
    """

    def decorate(make: Maker) -> Maker:
        if not callable(make):
            raise AttnzooError(f"register_backbone({name!r}): {make!r} is not a function.")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise AttnzooError(f"register_backbone({name!r}): use letters, digits, '_', '-' and '.'.")
        taken = _REGISTRY.get(name)
        if name in _applications() or (taken is not None and _identity(taken) != _identity(make)):
            raise AttnzooError(f"register_backbone({name!r}): the name is taken already.")
        _REGISTRY[name] = make
        return make

    return decorate


def list_backbones() -> list[str]:
    """Returns the names of keras.applications and of registered backbones, sorted.

    Files and presets (`file:`, `keras_hub:`, `keras_cv:`) are not listed.
    """
    return sorted([*_applications(), *_REGISTRY])


def find_backbone(name: str) -> Recipe:
    """Returns what is known of the backbone called `name`; makes nothing.

    Raises:
        ConfigError: if there is none of this name, with the nearest one.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix in _PREFIXES:
        return _prefixed(name, prefix, rest)
    make = _REGISTRY.get(name) or _applications().get(name)
    if make is None:
        known = list_backbones()
        raise ConfigError(
            f"backbone {name!r} is not known.{did_you_mean(name, known)} Known: {listing(known, 6)}, or file:PATH, "
            "keras_hub:PRESET, keras_cv:PRESET; `attnzoo list backbones` shows all."
        )
    parameters = inspect.signature(make).parameters
    options = {
        p.name: p
        for p in parameters.values()
        if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in _NOT_OPTIONS
    }
    kind: Literal["registered", "application"] = "registered" if name in _REGISTRY else "application"
    return Recipe(kind, name, tuple(s for s in STANDARD if s in parameters), options, make)


def make_backbone(
    name: str,
    *,
    weights: str | Path | None = "imagenet",
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = False,
    **options: Any,
) -> keras.Model:
    """Returns a new network.

    Args:
        name: one of `list_backbones()`, or `file:`, `keras_hub:`, `keras_cv:` and what follows.
        weights: `"imagenet"` (for presets: the preset's own), the path of a weights file, or None for random ones.
            Beware: Keras builds EfficientNetB0-B7 with one `Rescaling` layer more for `"imagenet"` than for a path.
        input_shape: (height, width, channels); None for the network's default.
        include_top: whether the network's own classifier is kept. A `file:` is taken as it is, and presets have none.
        **options: of the application or function, e.g. `alpha=0.35`.

    Raises:
        ConfigError: if the name, an option or a file is wrong, weights cannot be downloaded, or a package is missing.
    """
    recipe = find_backbone(name)
    unknown = next((o for o in options if o not in recipe.options), None)
    if unknown is not None:
        raise ConfigError(f"backbone {name!r} has no option {unknown!r}.{did_you_mean(unknown, recipe.options)}")
    if recipe.kind == "file":
        try:
            return load_model(recipe.name)
        except AttnzooError as error:
            raise ConfigError(str(error)) from None
    weights = _weights(recipe, weights)
    if recipe.make is None:
        return _from_preset(recipe, weights, input_shape)
    standard = {"weights": weights, "input_shape": input_shape, "include_top": include_top}
    return _call(recipe, recipe.make, {k: v for k, v in standard.items() if k in recipe.takes} | options)


def _prefixed(name: str, prefix: str, rest: str) -> Recipe:
    if prefix == "file":
        if not rest:
            raise ConfigError(f"backbone {name!r} names no file; expected file:PATH.")
        return Recipe("file", rest, ())
    # Handles such as hf://... or a folder are not taken: a preset from there may bring code along.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", rest):
        raise ConfigError(f"backbone {name!r} is not {prefix}:PRESET with a preset of letters, digits and '_'.")
    kind: Literal["keras_hub", "keras_cv"] = "keras_hub" if prefix == "keras_hub" else "keras_cv"
    return Recipe(kind, rest, ("weights", "input_shape"))


def _applications() -> dict[str, Callable[..., Any]]:
    import keras

    found = {n: getattr(keras.applications, n) for n in dir(keras.applications) if n[0].isupper()}
    return {n: make for n, make in found.items() if callable(make)}


def _identity(make: Callable[..., Any]) -> tuple[Any, Any]:
    return getattr(make, "__module__", None), getattr(make, "__qualname__", None)


def _weights(recipe: Recipe, weights: str | Path | None) -> str | None:
    if weights is None or weights == "imagenet" or recipe.kind == "registered":
        return None if weights is None else str(weights)
    path = Path(weights)
    if recipe.kind != "application":
        raise WeightsError(f"weights {str(weights)!r}: a {recipe.kind} preset takes 'imagenet' (its own) or null.")
    if path.suffix not in WEIGHT_SUFFIXES:
        raise WeightsError(f"weights {str(weights)!r}: expected 'imagenet', null or a .keras, .h5 or .weights.h5 file.")
    if not path.is_file():
        raise WeightsError(f"weights {str(weights)!r}: no such file.")
    try:
        check_weights(path)
    except AttnzooError as error:
        reason = str(error).removeprefix(printable(f"{path}: "))
        raise WeightsError(f"weights {str(weights)!r}: {reason}") from None
    return str(path)


def _call(recipe: Recipe, make: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    file = arguments.get("weights") if recipe.kind == "application" else None
    file = None if file == "imagenet" else file
    try:
        # Keras would load a file by position, and leave random weights where the file has none.
        model = make(**(arguments if file is None else {**arguments, "weights": None}))
    except Exception as error:  # Keras raises a bare Exception for a failed download
        if recipe.kind == "registered":
            raise  # a function of the user's own: the traceback is what helps
        raise _failure(recipe, arguments.get("weights"), error) from None
    if not hasattr(model, "layers"):
        raise ConfigError(f"backbone {recipe.name!r} returned a {type(model).__name__}; expected a keras.Model.")
    if file is not None:
        _load(model, recipe, file)
    return model


def _load(model: Any, recipe: Recipe, file: str) -> None:
    """Loads a file into a network of which every layer must be in it, its classifier too."""
    from attnzoo.weights import load_backbone_weights  # imports Keras

    try:
        report = load_backbone_weights(model, file, partial=True)
    except AttnzooError as error:
        reason = str(error).removeprefix(f"{file}: ")
        raise WeightsError(f"{recipe.name} cannot be made with the weights {file!r}: {reason}") from None
    lacking = [f"'{name}' is missing" for name in report.missing]
    lacking += [f"'{name}' has {why}" for name, why in report.mismatched.items()]
    if lacking:
        raise WeightsError(f"weights {file!r}: fit {recipe.name} only in part: {listing(lacking, 3)}.")


def _failure(recipe: Recipe, weights: str | None, error: Exception) -> ConfigError:
    reason = first_line(error)
    if weights == "imagenet" and (isinstance(error, OSError) or reason.startswith(("URL fetch", "Incomplete"))):
        return WeightsError(
            f"the download of the ImageNet weights of {recipe.name} failed: {reason}; "
            "set backbone.weights to null or to a local file."
        )
    return ConfigError(f"{recipe.name} cannot be made: {reason}")


def _from_preset(recipe: Recipe, weights: str | None, input_shape: tuple[int | None, ...] | None) -> Any:
    extra = recipe.kind.replace("_", "-")
    try:
        package = importlib.import_module(recipe.kind)
    except ImportError:
        raise ConfigError(f"{recipe.kind} is not installed; run `pip install 'attnzoo[{extra}]'`.") from None
    arguments: dict[str, Any] = {"load_weights": weights is not None}
    if input_shape is not None:
        arguments["image_shape" if recipe.kind == "keras_hub" else "input_shape"] = input_shape
    try:
        return package.models.Backbone.from_preset(recipe.name, **arguments)
    except Exception as error:  # an unknown preset, a failed download, an option the preset does not take
        raise ConfigError(f"{recipe.kind} preset {recipe.name!r} cannot be made: {first_line(error)}") from None
