"""Writes tests/layers/fixtures/authors.npz: what the papers' authors' own code makes of given weights and inputs.

Run by scripts/timm-fixtures, in its environment. Each source is fetched at a pinned commit, or read from a folder
(`OWNER/REPOSITORY/PATH` below it); only the named classes are taken out of it. None of that code is kept, only numbers.
"""

from __future__ import annotations

import argparse
import ast
import math
import urllib.request
from pathlib import Path
from typing import Any

import torch
from make_timm_fixtures import (
    FIXTURES,
    Case,
    across,
    batch_norm,
    coordinates,
    filters,
    pointwise,
    scale,
    write,
)
from torch import nn

# class: (repository, commit, path)
SOURCES = {
    "BAM": ("Jongchan/attention-module", "459efad0e05ee7dde50c41ca10a3d0800bc3792a", "MODELS/bam.py"),
    "CBAM": ("Jongchan/attention-module", "459efad0e05ee7dde50c41ca10a3d0800bc3792a", "MODELS/cbam.py"),
    "ChannelSpatialSELayer": (
        "ai-med/squeeze_and_excitation",
        "acdd26e7e3956b8e3d3b32663a784ebd64c844dd",
        "squeeze_and_excitation/squeeze_and_excitation.py",
    ),
    "ContextBlock": ("xvjiarui/GCNet", "029db5407dc27147eb1d41f62b09dfed8ec88837", "mmdet/ops/gcb/context_block.py"),
    "CoordAtt": ("houqb/CoordAttention", "7619bea9acbe260b3793833cc78cef3f124c8112", "coordatt.py"),
    "EMA": ("YOLOonMe/EMA-attention-module", "afc37ecf52454c03421a86105fc5c16eb4ea1ad3", "EMA_attention_module"),
    "GCT": ("z-x-yang/GCT", "68983edd87f8cfbe709b1b51214c69eb9c81abd7", "PyTorch/GCT.py"),
    "MultiSpectralAttentionLayer": ("cfzd/FcaNet", "aa5fb63505575bb4e4e094613565379c3f6ada33", "model/layer.py"),
    "SPBlock": ("houqb/SPNet", "5e97da3d055449b7a159cd1d4f333c1cc3b6f8d6", "models/resnet.py"),
    "SRMLayer": (
        "hyunjaelee410/style-based-recalibration-module",
        "f6221c77e797c4530dddba03616153708d636bd1",
        "models/recalibration_modules.py",
    ),
    "SpatialGroupEnhance": (
        "implus/PytorchInsight",
        "2864528f8b83f52c3df76f7c3804aa468b91e5cf",
        "classification/models/imagenet/resnet_sge.py",
    ),
    "TripletAttention": (
        "LandskapeAI/triplet-attention",
        "f07524e45db5eea1357c50316f30ab99a292d2f9",
        "triplet_attention.py",
    ),
    "eSEModule": ("youngwanLEE/vovnet-detectron2", "b81c813cbf6e7253655c20a16b83038988b881d9", "vovnet/vovnet.py"),
    "eca_layer": ("BangguWu/ECANet", "b332f6b3e6e2afe8a3287dc8ee8440a0fbec74c4", "models/eca_module.py"),
    "simam_module": (
        "ZjjConan/SimAM",
        "ae98f43a34a051cc82f6e618853c690e1f4c92e6",
        "networks/attentions/simam_module.py",
    ),
}

parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
parser.add_argument("--sources", type=Path, help="folder with the sources, instead of fetching them")
FOLDER = parser.parse_args().sources


def text_of(repository: str, commit: str, path: str) -> str:
    if FOLDER is not None:
        return (FOLDER / repository / path).read_text("utf-8")
    with urllib.request.urlopen(f"https://raw.githubusercontent.com/{repository}/{commit}/{path}") as answer:
        return answer.read().decode("utf-8")


def needed(name: str, defined: dict[str, ast.stmt]) -> set[str]:
    """The classes and functions of a source that one of them uses, itself included."""
    found, todo = set(), [name]
    while todo:
        if (one := todo.pop()) in defined and one not in found:
            found.add(one)
            todo += [node.id for node in ast.walk(defined[one]) if isinstance(node, ast.Name)]
    return found


def class_of(name: str) -> Any:
    """Runs what a class needs of its source, without the imports, and returns the class."""
    body = ast.parse(text_of(*SOURCES[name])).body
    defined: dict[str, ast.stmt] = {n.name: n for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    used = needed(name, defined)
    known: dict[str, Any] = {"torch": torch, "nn": nn, "F": nn.functional, "math": math, "Parameter": nn.Parameter}
    known["constant_init"] = known["kaiming_init"] = lambda *args, **kwargs: None  # all weights are replaced anyway
    known["gate_activation"] = None  # BAM stores a variable that it never defines
    wanted = ast.Module([node for one, node in defined.items() if one in used], [])
    exec(compile(wanted, name, "exec"), known)
    return known[name]


class Times(nn.Module):
    """x times what a module makes of it: strip pooling's class returns the gate."""

    def __init__(self, gate: nn.Module):
        super().__init__()
        self.gate = gate

    def forward(self, x: Any) -> Any:
        return x * self.gate(x)


def dense(layer: nn.Module) -> list[Any]:
    return [layer.weight.T, *([] if layer.bias is None else [layer.bias])]


def conv(layer: nn.Module) -> list[Any]:
    return [*filters(layer), layer.bias]


def bam(m: Any) -> list[Any]:
    c, s = m.channel_att.gate_c, m.spatial_att.gate_s
    convs = [s.gate_s_conv_di_0, s.gate_s_conv_di_1]
    norms = [c.gate_c_bn_1, s.gate_s_bn_reduce0, s.gate_s_bn_di_0, s.gate_s_bn_di_1]
    first = [*dense(c.gate_c_fc_0), *dense(c.gate_c_fc_final), *pointwise(s.gate_s_conv_reduce0)]
    last = pointwise(s.gate_s_conv_final)
    return [*first, *(w for k in convs for w in conv(k)), *last, *(w for n in norms for w in batch_norm(n))]


def cbam(m: Any) -> list[Any]:
    gate = m.SpatialGate.spatial
    mlp = m.ChannelGate.mlp
    return [*dense(mlp[1]), *dense(mlp[3]), *filters(gate.conv), *batch_norm(gate.bn)]


def scse(m: Any) -> list[Any]:
    return [*dense(m.cSE.fc1), *dense(m.cSE.fc2), *pointwise(m.sSE.conv)]


def context(m: Any) -> list[Any]:
    first, norm, _, last = m.channel_add_conv or m.channel_mul_conv
    pooling = pointwise(m.conv_mask) if m.pooling_type == "att" else []
    return [*pooling, *pointwise(first), *scale(norm), *pointwise(last)]


def ema(m: Any) -> list[Any]:
    return [*pointwise(m.conv1x1), *scale(m.gn), *conv(m.conv3x3)]


def strip(m: Any) -> list[Any]:
    rows, columns = m.gate.conv1.weight[..., 0], m.gate.conv2.weight[:, :, 0]
    kernels = [k.permute(2, 1, 0) for k in (rows, columns)]
    return [*kernels, *pointwise(m.gate.conv3), *batch_norm(m.gate.bn1), *batch_norm(m.gate.bn2)]


def triplet(m: Any) -> list[Any]:
    gates = [m.cw, m.hc, *([] if m.no_spatial else [m.hw])]
    return [*(w for g in gates for w in filters(g.conv.conv)), *(w for g in gates for w in batch_norm(g.conv.bn))]


def gct(m: Any) -> list[Any]:
    return [m.alpha.flatten(), m.gamma.flatten(), m.beta.flatten()]


def make(name: str, *args: Any, **kwargs: Any) -> Any:
    return lambda: class_of(name)(*args, **kwargs)


AUTHORS_CBAM = {"use_bn": True, "pool_order": "max_mean"}
CASES: dict[str, Case] = {
    "BAM": ("bam", {"combine": "product"}, 48, make("BAM", 48), bam),
    "CBAM": ("cbam", AUTHORS_CBAM, 16, make("CBAM", 16, 8), cbam),
    "ChannelSpatialSELayer": ("scse", {"combine": "max"}, 12, make("ChannelSpatialSELayer", 12), scse),
    "ContextBlock": ("gc", {"ratio": 4}, 16, make("ContextBlock", 16, 1 / 4), context),
    "ContextBlock, multiplied": (
        "gc",
        {"ratio": 4, "fusion": "scale", "pooling": "mean"},
        16,
        make("ContextBlock", 16, 1 / 4, "avg", ("channel_mul",)),
        context,
    ),
    "CoordAtt": ("coord", {}, 16, make("CoordAtt", 16, 16), coordinates),
    "EMA": ("ema", {"groups": 4}, 16, make("EMA", 16, factor=4), ema),
    "EMA, groups of one": ("ema", {"groups": 8}, 8, make("EMA", 8, factor=8), ema),
    "GCT": ("gct", {}, 12, make("GCT", 12), gct),
    "GCT, l1": ("gct", {"mode": "l1"}, 12, make("GCT", 12, mode="l1"), gct),
    "MultiSpectralAttentionLayer": (
        "fca",
        {},
        32,
        make("MultiSpectralAttentionLayer", 32, 7, 7),
        lambda m: [*dense(m.fc[0]), *dense(m.fc[2])],
    ),
    "MultiSpectralAttentionLayer, low": (
        "fca",
        {"selection": "low", "num_frequencies": 8, "size": 14, "ratio": 4},
        16,
        make("MultiSpectralAttentionLayer", 16, 14, 14, 4, "low8"),
        lambda m: [*dense(m.fc[0]), *dense(m.fc[2])],
    ),
    "MultiSpectralAttentionLayer, bottom": (
        "fca",
        {"selection": "bot", "num_frequencies": 32},
        32,
        make("MultiSpectralAttentionLayer", 32, 14, 7, 16, "bot32"),
        lambda m: [*dense(m.fc[0]), *dense(m.fc[2])],
    ),
    "SPBlock": (
        "strip",
        {"use_bias": False},
        12,
        lambda: Times(class_of("SPBlock")(12, 12, norm_layer=nn.BatchNorm2d)),
        strip,
    ),
    "SRMLayer": ("srm", {}, 12, make("SRMLayer", 12), lambda m: [m.cfc, *batch_norm(m.bn)]),
    "SpatialGroupEnhance": ("sge", {"groups": 4}, 12, make("SpatialGroupEnhance", 4), scale),
    "TripletAttention": ("triplet", {}, 12, make("TripletAttention"), triplet),
    "TripletAttention, two planes": ("triplet", {"spatial": False}, 12, make("TripletAttention", True), triplet),
    "eSEModule": ("ese", {}, 12, make("eSEModule", 12), lambda m: pointwise(m.fc)),
    "eca_layer": ("eca", {"kernel_size": 5}, 12, make("eca_layer", 12, 5), lambda m: across(m.conv)),
    "simam_module": ("simam", {}, 12, make("simam_module"), lambda m: []),
}
SIZES = {
    "BAM": (5, 5),  # it pools windows as wide as the map is high
    "MultiSpectralAttentionLayer, bottom": (14, 7),
}

if __name__ == "__main__":
    sources = {name: [repository, commit[:7]] for name, (repository, commit, _) in SOURCES.items()}
    write(FIXTURES / "authors.npz", {"sources": sources}, CASES, SIZES)
