"""The command `attnzoo`. A verb is a file of this folder with `HELP`, `add_arguments(parser)` and `run(args) -> int`.

Exit codes: 0 done; 1 pictures that cannot be learnt from; 2 something else the user can mend, said in one line;
130 interrupted; 141 nobody reads the output.
Nothing here imports Keras before a verb runs, so that `--help` answers at once; a verb that never needs it says
`NEEDS_KERAS = False`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded, which is when it reads it

from attnzoo.cli._main import main

__all__ = ["main"]
