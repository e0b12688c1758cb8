"""`python -m attnzoo`."""

from __future__ import annotations

import sys

from attnzoo.cli import main

sys.exit(main())
