"""Models to files and back; files are inspected before Keras sees them. Imports no Keras by itself."""

from attnzoo.files.budget import weights_at_most
from attnzoo.files.inspect import FileReport, inspect_file, is_hdf5
from attnzoo.files.load import check_weights, load_model
from attnzoo.files.save import check_output, save_model

__all__ = [
    "FileReport",
    "check_output",
    "check_weights",
    "inspect_file",
    "is_hdf5",
    "load_model",
    "save_model",
    "weights_at_most",
]
