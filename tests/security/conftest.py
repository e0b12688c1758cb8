"""One small network with attention, as the files that it is saved to."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import attnzoo
from tests.core.helpers import small_backbone
from tests.security.mutations import zipped

TRUST = "; if you trust its author, use attnzoo.load_model(path, trust=True)."


def net() -> keras.Model:
    base = keras.Sequential([small_backbone(16), keras.layers.Flatten(), keras.layers.Dense(3)], name="net")
    return attnzoo.augment(base, "cbam", placement="residual", ratio=2)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same network as `.keras`, `.h5` and `.weights.h5`."""
    folder, model = tmp_path_factory.mktemp("good"), net()
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "m.weights.h5")
    return {suffix: (folder / f"m{suffix}").read_bytes() for suffix in (".keras", ".h5", ".weights.h5")}


@pytest.fixture
def members(good: dict[str, bytes]) -> dict[str, bytes]:
    """The members of the `.keras` file."""
    with zipfile.ZipFile(io.BytesIO(good[".keras"])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def with_config(members: dict[str, bytes], tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """Saves the network with its config changed by a function."""

    def save(change: Callable[[dict[str, Any]], None]) -> Path:
        config = json.loads(members["config.json"])
        change(config)
        path = tmp_path / "m.keras"
        path.write_bytes(zipped({**members, "config.json": json.dumps(config).encode()}.items()))
        return path

    return save


def refusal(path: Path) -> str:
    """Returns what `load_model` says against a file, without its path."""
    with pytest.raises(attnzoo.errors.AttnzooError) as error:
        attnzoo.load_model(path)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")
