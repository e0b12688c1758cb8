"""Configurations: YAML, a mapping or a shipped name -> `Config`, with every problem reported at once.

text -> values and their positions -> overrides -> checks -> Config
_yaml          _values                _overrides   _problems  _models
"""

from attnzoo.config._load import load_config
from attnzoo.config._models import BackboneConfig, Config, HeadConfig, InsertConfig
from attnzoo.config._schema import json_schema
from attnzoo.config._shipped import list_configs
from attnzoo.config._yaml import read_value

__all__ = [
    "BackboneConfig",
    "Config",
    "HeadConfig",
    "InsertConfig",
    "json_schema",
    "list_configs",
    "load_config",
    "read_value",
]
