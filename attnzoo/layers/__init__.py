"""The zoo: one module a file, the file named after its key."""

import attnzoo.layers._attended
import attnzoo.layers._attended_layer
import attnzoo.layers._custom  # noqa: F401  ... and what stands in saved models around a layer of the user's own
from attnzoo.layers._base import Attention
from attnzoo.layers._registry import list_attentions, register_attention
from attnzoo.layers._table import zoo_table
from attnzoo.layers.bam import BAM
from attnzoo.layers.cbam import CBAM
from attnzoo.layers.channel import ChannelAttention
from attnzoo.layers.coord import CoordinateAttention
from attnzoo.layers.eca import EfficientChannelAttention
from attnzoo.layers.ela import EfficientLocalAttention
from attnzoo.layers.ema import EfficientMultiScaleAttention
from attnzoo.layers.ese import EffectiveSqueezeExcite
from attnzoo.layers.fca import FrequencyChannelAttention
from attnzoo.layers.gc import GlobalContext
from attnzoo.layers.gct import GatedChannelTransformation
from attnzoo.layers.ge import GatherExcite
from attnzoo.layers.lcbam import LightCBAM
from attnzoo.layers.nl import NonLocal
from attnzoo.layers.scse import SCSE
from attnzoo.layers.se import SqueezeExcite
from attnzoo.layers.sge import SpatialGroupEnhance
from attnzoo.layers.simam import SimAM
from attnzoo.layers.spatial import SpatialAttention
from attnzoo.layers.srm import StyleRecalibration
from attnzoo.layers.strip import StripAttention
from attnzoo.layers.triplet import TripletAttention

__all__ = [
    "BAM",
    "CBAM",
    "SCSE",
    "Attention",
    "ChannelAttention",
    "CoordinateAttention",
    "EffectiveSqueezeExcite",
    "EfficientChannelAttention",
    "EfficientLocalAttention",
    "EfficientMultiScaleAttention",
    "FrequencyChannelAttention",
    "GatedChannelTransformation",
    "GatherExcite",
    "GlobalContext",
    "LightCBAM",
    "NonLocal",
    "SimAM",
    "SpatialAttention",
    "SpatialGroupEnhance",
    "SqueezeExcite",
    "StripAttention",
    "StyleRecalibration",
    "TripletAttention",
    "list_attentions",
    "register_attention",
    "zoo_table",
]
