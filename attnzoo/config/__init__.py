"""Configurations: YAML, a mapping or a shipped name -> `Config`, with every problem reported at once.

text -> values and their positions -> overrides -> sections -> Config
_yaml          _values                _overrides   _backbone   _config
                                                   _insert
                                                   _head
"""

from attnzoo.config._backbone import BackboneConfig
from attnzoo.config._config import Config, json_schema
from attnzoo.config._head import HeadConfig
from attnzoo.config._insert import InsertConfig
from attnzoo.config._load import load_config
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
