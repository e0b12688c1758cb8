"""Whatever a user gives -> `Config`."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnzoo.config._config import Config, check
from attnzoo.config._overrides import apply_overrides
from attnzoo.config._shipped import SUFFIXES, find_config
from attnzoo.config._source import Problem, Source
from attnzoo.config._values import plain
from attnzoo.config._yaml import MAX_BYTES, read_text
from attnzoo.errors import ConfigError


def load_config(
    config: str | Path | Mapping[str, Any] | Config, *, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Reads and checks a configuration; builds nothing.

    Args:
        config: the path of a YAML file, the name of a shipped configuration (`attnzoo.list_configs()`), a mapping
            with the same keys, or a `Config`.
        overrides: single values to replace, `{"head.classes": 10, "insert.0.ratio": 16, "backbone.weights": None}`.
            List entries are counted from 0 and must exist.

    Raises:
        ConfigError: one line for each problem, all problems at once: where, what came, what was expected.

    Example:
        >>> load_config("resnet50_cbam_stages34", overrides={"head.classes": 10}).head.classes
        10
    """
    if isinstance(config, Config):
        if not overrides:
            return config
        raw, source = config.to_dict(), config.source
    else:
        raw, source = _read(config)
    problems: list[Problem] = []
    raw, changed = apply_overrides(raw, overrides or {}, problems)
    source = dataclasses.replace(source, overridden=source.overridden | changed)
    checked = None
    if not problems:
        checked, problems = check(raw)
    if checked is None:
        raise ConfigError(source.lines(problems))
    checked._source = source
    return checked


def _read(config: str | Path | Mapping[str, Any]) -> tuple[Any, Source]:
    if isinstance(config, Mapping):
        problems: list[Problem] = []
        raw, source = plain(config, (), problems), Source(folder=Path.cwd())
        if problems:
            raise ConfigError(source.lines(problems))
        return raw, source
    if not isinstance(config, str | os.PathLike):
        raise ConfigError(
            "a configuration is the path of a YAML file, a shipped name or a mapping; "
            f"got a value of type {type(config).__name__}."
        )
    path = Path(config)
    label = str(path)
    if path.suffix not in SUFFIXES:
        if isinstance(config, str) and path.name == config and not path.suffix:
            path = find_config(config)
            label = path.name
        else:
            raise ConfigError(f"{label}: a configuration file ends in .yaml or .yml.")
    return read_text(_text(path, label), label, path.parent.resolve())


def _text(path: Path, label: str) -> str:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe waits for ever
            raise ConfigError(f"{label}: is a pipe, a socket or a device; expected an ordinary file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{label}: no such file.") from None
    except OSError as error:
        raise ConfigError(f"{label}: cannot be read: {error.strerror}.") from None
    except ConfigError:
        raise
    except ValueError as error:  # a zero in the name
        raise ConfigError(f"{label}: cannot be read: {error}.") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{label}: larger than {MAX_BYTES // 1024} KiB, which no configuration needs.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label}: not UTF-8: byte {error.start} is {data[error.start]:#04x}.") from None
