"""Pictures in folders, looked at before anything learns from them; and the one function that decodes a picture.

Imports no Keras. Nothing is ever written into the folder of the pictures.
"""

from attnzoo.data.checking import check_data
from attnzoo.data.decoding import decode
from attnzoo.data.findings import Finding
from attnzoo.data.images import Picture
from attnzoo.data.report import DataReport
from attnzoo.data.split_files import check_output, read_split

__all__ = ["DataReport", "Finding", "Picture", "check_data", "check_output", "decode", "read_split"]
