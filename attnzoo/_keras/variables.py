"""The variables of a layer as Keras writes them to a file, and reads them back."""

from __future__ import annotations

from typing import Any

from keras.src.saving import saving_lib
from keras.src.utils.naming import to_snake_case as to_snake_case  # Keras's way to name a layer after its class


class LayerState(saving_lib.H5IOStore):
    """What Keras writes for one layer, kept in memory: `groups[path][key]` is an array or a variable."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: Any = None) -> dict[str, Any]:
        return self.groups.setdefault(path, {})

    def get(self, path: str) -> dict[str, Any]:
        return self.groups.get(path, {})

    def has_path(self, path: str) -> bool:
        return any(name == path or name.startswith(f"{path}/") for name in self.groups)

    @classmethod
    def of(cls, layer: Any) -> LayerState:
        """Returns what Keras would write for a layer."""
        state = cls()
        saving_lib._save_state(layer, state, None, inner_path="", visited_saveables=set())
        return state

    def load_into(self, layer: Any) -> None:
        """Has Keras read the layer's state from here."""
        saving_lib._load_state(layer, self, None, inner_path="", visited_saveables=set())


class OwnWeights:
    """The weights that a layer has itself, without those of the layers inside it, with a layer's flag.

    Setting the flag of a layer sets those of all inside it, and a layer that does not train keeps all inside it from
    training: where attention inside must train and the rest must not, the variables are told one by one.
    """

    def __init__(self, layer: Any):
        self.weights: list[Any] = [*layer._trainable_variables, *layer._non_trainable_variables]
        self._may_train: list[Any] = layer._trainable_variables

    @property
    def trainable_weights(self) -> list[Any]:
        return [v for v in self._may_train if v.trainable]

    @property
    def trainable(self) -> bool:
        return bool(self.trainable_weights)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for variable in self._may_train:
            variable.trainable = value


def parts_around(layer: Any, attention: list[Any]) -> list[Any]:
    """Returns a layer and all inside it, but for attention and what is inside that, in order."""
    left_out = {id(x) for a in attention for x in a._flatten_layers()}
    return [part for part in layer._flatten_layers() if id(part) not in left_out]


def frozen_parts(layer: Any, attention: list[Any]) -> list[int]:
    """Returns which parts around attention do not train, by number; 0 stands for the variables of the layer itself."""
    own, *parts = parts_around(layer, attention)
    frozen = [i for i, part in enumerate(parts, 1) if not part.trainable]
    return [0, *frozen] if own._trainable_variables and not OwnWeights(own).trainable else frozen


def set_frozen_parts(layer: Any, attention: list[Any], frozen: list[int]) -> None:
    """Sets the flags that `frozen_parts` returned."""
    own, *parts = parts_around(layer, attention)
    OwnWeights(own).trainable = 0 not in frozen
    for i, part in enumerate(parts, 1):
        if part.trainable == (i in frozen):
            part.trainable = i not in frozen
