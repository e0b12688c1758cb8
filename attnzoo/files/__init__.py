"""What is in model files, and models to files; a file is inspected before Keras sees it. Imports no Keras by itself."""

from attnzoo.files.budget import weights_at_most
from attnzoo.files.inspect import FileReport, Reference, check_weights, damage, inspect_file, is_hdf5
from attnzoo.files.save import check_output, save_model

__all__ = [
    "FileReport",
    "Reference",
    "check_output",
    "check_weights",
    "damage",
    "inspect_file",
    "is_hdf5",
    "save_model",
    "weights_at_most",
]
