"""Models to files and back; files are inspected before Keras sees them. Imports no Keras by itself."""

from attnzoo.files.inspect import FileReport, inspect_file
from attnzoo.files.load import check_output, check_weights, load_model, save_model

__all__ = [
    "FileReport",
    "check_output",
    "check_weights",
    "inspect_file",
    "load_model",
    "save_model",
]
