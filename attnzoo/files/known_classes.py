"""What Keras may do while it builds a model that a stranger described: known classes only, and bounded weights."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

import keras

from attnzoo.files.inspect._report import Reference

# Where Keras looks a class up by its module. The first two lines are Keras's own; the other packages are those that it
# imports by itself, and from these it takes nothing but subclasses of its own classes.
_KNOWN_MODULES = re.compile(
    r"builtins|keras|keras\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies|quantizers"
    r"|ops|random|losses|metrics|optimizers)(\..+)?|keras\.src\..+"
    r"|(keras_hub|keras_cv|keras_nlp)(\..+)?"
)
_SPECIAL = (
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__slice__",
    "__tuple__",
    "TensorShape",
)
_BARE = (keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints, keras.dtype_policies)
_BARE_MODELS = ("Functional", "Model", "Sequential")


def unknown_classes(references: Iterable[Reference], custom_objects: Container[str] = ()) -> list[Reference]:
    """Returns what neither Keras nor a package imported by now has registered, and nobody handed over."""
    return [r for r in references if not _is_known(r, custom_objects)]


def _is_known(reference: Reference, custom_objects: Container[str]) -> bool:
    names = (reference.registered or reference.name, reference.name)
    if reference.name in _SPECIAL or any(name in custom_objects for name in names):
        return True
    if any(keras.saving.get_registered_object(name) is not None for name in names):
        return True
    if reference.module is not None:
        return _KNOWN_MODULES.fullmatch(reference.module) is not None
    # Legacy files name Keras's own classes bare. Keras would also call functions of these names.
    found = [getattr(module, reference.name, None) for module in _BARE]
    return reference.name in _BARE_MODELS or any(isinstance(f, type) for f in found)
