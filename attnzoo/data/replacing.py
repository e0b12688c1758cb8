"""Files that are replaced as a whole: a reader, or a kill at any moment, finds the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


@contextlib.contextmanager
def replacing(file: Path, **how: Any) -> Iterator[TextIO]:
    """Opens a text file beside `file` that takes its place when all is written; `how` goes to `open`.

    Raises:
        OSError: if it cannot be written; the old file is as it was then.
    """
    handle, new = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")
    try:
        with os.fdopen(handle, "w", **how) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(new, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
