"""One small network with attention, as the files that it is saved to."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import attnzoo
from tests.files.mutations import zipped
from tests.helpers import small_backbone

TRUST = "; if you trust its author, use attnzoo.load_model(path, trust=True)."


def unknown(name: str, registered: str | None = None) -> str:
    """Returns what `load_model` says of a class that nobody has registered."""
    return (
        f"holds a {name}, a class Keras does not know; in Python, import the package that defines it first,"
        f" or hand it over: load_model(path, custom_objects={{{registered or name!r}: ...}})."
    )


def net() -> keras.Model:
    base = keras.Sequential([small_backbone(16), keras.layers.Flatten(), keras.layers.Dense(3)], name="net")
    return attnzoo.augment(base, "cbam", placement="residual", ratio=2)


@functools.cache
def saved() -> dict[str, bytes]:
    """Returns the network as `.keras`, `.h5` and `.weights.h5`."""
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), net()
        model.save(folder / "m.keras")
        model.save(folder / "m.h5")
        model.save_weights(folder / "m.weights.h5")
        return {suffix: (folder / f"m{suffix}").read_bytes() for suffix in (".keras", ".h5", ".weights.h5")}


def members_of(data: bytes) -> dict[str, bytes]:
    """Returns the members of a `.keras` file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def change_config(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Returns a `.keras` file with its config changed by a function."""
    members = members_of(data)
    config = json.loads(members["config.json"])
    change(config)
    return zipped({**members, "config.json": json.dumps(config).encode()}.items())


@pytest.fixture
def good() -> dict[str, bytes]:
    """The same network as `.keras`, `.h5` and `.weights.h5`."""
    return saved()


@pytest.fixture
def members() -> dict[str, bytes]:
    """The members of the `.keras` file."""
    return members_of(saved()[".keras"])


@pytest.fixture
def with_config(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], Any]], Path]:
    """Saves the network with its config changed by a function."""

    def save(change: Callable[[dict[str, Any]], Any]) -> Path:
        path = tmp_path / "m.keras"
        path.write_bytes(change_config(saved()[".keras"], change))
        return path

    return save


def risk(finding: str, more: int = 0) -> str:
    """Returns what `load_model` says of a finding that trust would allow."""
    also = f" (and {more} more, see `attnzoo inspect`)" if more else ""
    return finding.removesuffix(".") + also + TRUST


def refusal(path: Path) -> str:
    """Returns what `load_model` says against a file, without its path."""
    with pytest.raises(attnzoo.errors.AttnzooError) as error:
        attnzoo.load_model(path)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")
