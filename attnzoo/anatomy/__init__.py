"""What a model is made of: its flat graph, blocks, stages and parts. Reads a model, never touches it."""

from attnzoo.anatomy.blocks import Block, after_inserted, before_stochastic, between
from attnzoo.anatomy.decoder import decoder_of
from attnzoo.anatomy.graph import Call, Graph, Value
from attnzoo.anatomy.holders import holders, holders_of, named
from attnzoo.anatomy.inserted import AttentionTable, attentions
from attnzoo.anatomy.opening import lifted
from attnzoo.anatomy.parts import parts_of
from attnzoo.anatomy.reader import read_graph
from attnzoo.anatomy.stages import Anatomy, Stage, describe

__all__ = [
    "Anatomy",
    "AttentionTable",
    "Block",
    "Call",
    "Graph",
    "Stage",
    "Value",
    "after_inserted",
    "attentions",
    "before_stochastic",
    "between",
    "decoder_of",
    "describe",
    "holders",
    "holders_of",
    "lifted",
    "named",
    "parts_of",
    "read_graph",
]
