"""Importing Keras without the lines its backend writes past Python."""

from __future__ import annotations

import os
import sys
import tempfile


def import_keras() -> None:
    """Imports Keras and attnzoo's layers; what is written to file descriptor 2 meanwhile is shown only on failure.

    TensorFlow's C++ side reports missing GPU drivers before it looks at TF_CPP_MIN_LOG_LEVEL.
    """
    if "keras" in sys.modules:
        return
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # a process without stderr
        import attnzoo.layers

        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            import attnzoo.layers  # noqa: F401
        except BaseException:
            os.dup2(saved, 2)
            caught.seek(0)
            os.write(2, caught.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
