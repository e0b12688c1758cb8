"""Model files looked at without building anything: what they hold, and why `attnzoo.load_model` would refuse them.

    file -> archive -> weights and config -> findings -> FileReport
            _archive   _weights    _config   _findings   _report

Nothing here imports Keras; memory and time are bounded by limits that stand at the top of each file.
"""

from attnzoo.files.inspect._read import inspect_file, is_hdf5
from attnzoo.files.inspect._report import FileReport, Inserted, Reference

__all__ = ["FileReport", "Inserted", "Reference", "inspect_file", "is_hdf5"]
