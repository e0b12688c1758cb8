"""The only place that rebuilds a graph: insertions -> new model."""

from attnzoo.rewriting.insertion import Insertion
from attnzoo.rewriting.rebuilding import rebuild, strip

__all__ = [
    "Insertion",
    "rebuild",
    "strip",
]
