"""The zoo: one module a file, the file named after its key."""

from attnzoo.layers._base import Attention
from attnzoo.layers._registry import list_attentions, register_attention
from attnzoo.layers.cbam import CBAM
from attnzoo.layers.channel import ChannelAttention
from attnzoo.layers.eca import EfficientChannelAttention
from attnzoo.layers.se import SqueezeExcite
from attnzoo.layers.spatial import SpatialAttention

__all__ = [
    "CBAM",
    "Attention",
    "ChannelAttention",
    "EfficientChannelAttention",
    "SpatialAttention",
    "SqueezeExcite",
    "list_attentions",
    "register_attention",
]
