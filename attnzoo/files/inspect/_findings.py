"""What is collected while a file is read."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST = 50


@dataclass
class Findings:
    """Reasons not to load a file, each once, in the order they were found.

    Attributes:
        defects: the file is not what a program writes; nobody can load it well.
        risks: loading it could run code, reach outside the file or fill the memory; for the caller to allow.
    """

    defects: dict[str, None] = field(default_factory=dict)
    risks: dict[str, None] = field(default_factory=dict)

    def defect(self, text: str) -> None:
        if len(self.defects) < MOST:
            self.defects[text] = None

    def risk(self, text: str) -> None:
        if len(self.risks) < MOST:
            self.risks[text] = None


class Unreadable(Exception):
    """The file cannot be read any further; the message says why."""
