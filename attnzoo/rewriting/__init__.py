"""The only place that rebuilds a graph: insertions -> new model."""

from attnzoo.rewriting.rebuilding import Insertion, name_outputs_by_host, rebuild, strip

__all__ = [
    "Insertion",
    "name_outputs_by_host",
    "rebuild",
    "strip",
]
