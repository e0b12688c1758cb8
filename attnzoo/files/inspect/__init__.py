"""Model files looked at without building anything: what they hold, and why `attnzoo.load_model` would refuse them.

    file -> archive -> weights and config -> findings -> FileReport
            _archive   _weights    _config   _findings   _report

Nothing here imports Keras; memory and time are bounded by limits that stand at the top of each file.
"""

from attnzoo.files.inspect._config import read_config
from attnzoo.files.inspect._findings import Findings
from attnzoo.files.inspect._read import check_weights, damage, inspect_file, is_hdf5
from attnzoo.files.inspect._report import FileReport, Inserted, Reference

__all__ = [
    "FileReport",
    "Findings",
    "Inserted",
    "Reference",
    "check_weights",
    "damage",
    "inspect_file",
    "is_hdf5",
    "read_config",
]
