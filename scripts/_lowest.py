"""Prints the lowest versions that a pyproject.toml allows, as constraints for pip: `keras==3.15.1`."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("test", "demo", "train", "export", "keras-hub", "keras-cv")
"""Extras that are installed for the tests."""


def constraints(pyproject: str) -> list[str]:
    """Returns a line for each direct dependency, those of the test extra included.

    Raises:
        ValueError: if one has no lower bound, or one that this cannot read.
    """
    project = tomllib.loads(pyproject)["project"]
    wanted = [*project["dependencies"], *(r for extra in EXTRAS for r in project["optional-dependencies"][extra])]
    lines = []
    for requirement in wanted:
        if requirement.startswith(f"{project['name']}["):
            continue  # the project's own extras, which are in the list themselves
        bound = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement.replace(" ", ""))
        if bound is None:
            raise ValueError(f"{requirement!r} has no lower bound of the form name>=version.")
        lines.append(f"{bound[1]}=={bound[2]}")
    return lines


if __name__ == "__main__":
    print("\n".join(constraints(Path(sys.argv[1]).read_text("utf-8"))))
