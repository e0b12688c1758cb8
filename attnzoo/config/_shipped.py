"""The configurations that attnzoo comes with."""

from __future__ import annotations

from pathlib import Path

from attnzoo.errors import ConfigError, did_you_mean, listing

SUFFIXES = (".yaml", ".yml")


def list_configs() -> list[str]:
    """Returns the names of the shipped configurations, sorted; `attnzoo.build` takes them."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def folder() -> Path:
    """Returns where they are: in the package once installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find_config(name: str) -> Path:
    """Returns the file of a shipped configuration.

    Raises:
        ConfigError: if there is none of this name.
    """
    names = list_configs()
    if name not in names:
        raise ConfigError(
            f"no shipped configuration is called {name!r}.{did_you_mean(name, names)} Known: {listing(names, 40)}. "
            "A file of your own is given by its path, which ends in .yaml."
        )
    return folder() / f"{name}.yaml"
