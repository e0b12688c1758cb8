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
