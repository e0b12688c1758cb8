"""Writes tests/layers/fixtures/timm.npz: inputs, weights and outputs of timm's layers, for tests without torch.

Run by scripts/timm-fixtures, which makes an environment with torch and timm. `CASES` says which layer of timm is which
of ours, under which options; the file records them together with timm's version. Weights are random and stored in the
order of `layer.get_weights()`, maps channels_last.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "layers" / "fixtures"


def import_timm_layers() -> Any:
    """Imports timm.layers alone: the rest of timm needs torchvision, and layers a single class of it they never use."""
    misc = types.ModuleType("torchvision.ops.misc")
    misc.FrozenBatchNorm2d = type("FrozenBatchNorm2d", (nn.Module,), {})  # type: ignore[attr-defined]
    ops = types.ModuleType("torchvision.ops")
    sys.modules.update({"torchvision": types.ModuleType("torchvision"), "torchvision.ops": ops, misc.__name__: misc})
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("timm is not installed; run scripts/timm-fixtures.")
    timm = types.ModuleType("timm")
    timm.__path__ = list(spec.submodule_search_locations)
    sys.modules["timm"] = timm
    return importlib.import_module("timm.layers")


layers = import_timm_layers()
cbam = importlib.import_module("timm.layers.cbam")
coord = importlib.import_module("timm.layers.coord_attn")
ConvMlp = importlib.import_module("timm.layers.mlp").ConvMlp

# From torch's weights to ours ------------------------------------------------------------------------------------


def pointwise(conv: nn.Module) -> list[Any]:
    """1x1 convolution: (out, in, 1, 1) -> (in, out), then the bias if there is one."""
    return [conv.weight[:, :, 0, 0].T, *([] if conv.bias is None else [conv.bias])]


def filters(conv: nn.Module) -> list[Any]:
    """k x k convolution without bias: (out, in, k, k) -> (k, k, in, out)."""
    return [conv.weight.permute(2, 3, 1, 0)]


def depthwise(conv: nn.Module) -> list[Any]:
    """Depthwise convolution without bias: (channels, 1, k, k) -> (k, k, channels, 1)."""
    return [conv.weight.permute(2, 3, 0, 1)]


def across(conv: nn.Module) -> list[Any]:
    """1-D convolution of one channel: (1, 1, k) -> (k, 1, 1)."""
    return [conv.weight.permute(2, 1, 0)]


def strip(conv: nn.Module) -> list[Any]:
    """Depthwise convolution along a strip: (channels, 1, k, 1) or (channels, 1, 1, k) -> (k, 1, channels)."""
    return [conv.weight.flatten(1).T[:, None, :]]


def scale(norm: nn.Module) -> list[Any]:
    """Scale and shift of a normalisation, whatever dimensions of size one they carry."""
    return [norm.weight.flatten(), norm.bias.flatten()]


def batch_norm(norm: nn.Module) -> list[Any]:
    return [*scale(norm), norm.running_mean, norm.running_var]


def mlp(module: nn.Module) -> list[Any]:
    return [*pointwise(module.fc1), *pointwise(module.fc2)]


def spatial_gate(module: nn.Module) -> list[Any]:
    return [*filters(module.conv.conv), *batch_norm(module.conv.bn)]


def both_gates(module: nn.Module) -> list[Any]:
    return [*mlp(module.channel), *spatial_gate(module.spatial)]


def context(module: nn.Module) -> list[Any]:
    transform = module.mlp_scale or module.mlp_add
    pooling = [] if module.conv_attn is None else pointwise(module.conv_attn)
    return [*pooling, *pointwise(transform.fc1), *scale(transform.norm), *pointwise(transform.fc2)]


def gather_excite(module: nn.Module) -> list[Any]:
    parts = [] if module.gather is None else list(module.gather)
    kernels = [w for part in parts if isinstance(part, nn.Conv2d) for w in depthwise(part)]
    norms = [w for part in parts if isinstance(part, nn.BatchNorm2d) for w in batch_norm(part)]
    return [*kernels, *(mlp(module.mlp) if isinstance(module.mlp, ConvMlp) else []), *norms]


def coordinates(module: nn.Module) -> list[Any]:
    convs = (module.conv1, module.conv_h, module.conv_w)
    return [*(w for conv in convs for w in pointwise(conv)), *batch_norm(module.bn1)]


def strips(module: nn.Module) -> list[Any]:
    return [*strip(module.conv_h), *scale(module.norm_h), *strip(module.conv_w), *scale(module.norm_w)]


def non_local(module: nn.Module) -> list[Any]:
    return [
        *(w for conv in (module.t, module.p, module.g, module.z) for w in pointwise(conv)),
        *batch_norm(module.norm),
    ]


def make_gather_excite(channels: int, extent: int, conv: bool, use_mlp: bool) -> Any:
    """GatherExcite with its parts put in by hand.

    Its constructor hands the keys of a keyword dictionary on as positional arguments (`*dd` for `**dd`, seen in 1.0.31)
    and so cannot make them; `forward` is timm's.
    """
    module = layers.GatherExcite(channels, extent=extent, use_mlp=False)
    if conv:
        parts: list[nn.Module] = []
        for _ in range(extent.bit_length() - 1):
            halve = layers.create_conv2d(channels, channels, kernel_size=3, stride=2, depthwise=True)
            parts += [halve, nn.BatchNorm2d(channels), nn.ReLU()]
        module.gather = nn.Sequential(*parts[:-1])
    if use_mlp:
        module.mlp = ConvMlp(channels, channels // 4, act_layer=nn.ReLU)
    return module


def make_ela(groups: int) -> Any:
    def norm(channels: int, **_: Any) -> nn.Module:
        return nn.GroupNorm(groups, channels)

    return coord.EfficientLocalAttn(16, kernel_size=5, act_layer=nn.Identity, norm_layer=norm)


# (our key, our options, channels, the layer, its weights in our order)
Case = tuple[str, dict[str, Any], int, Callable[[], Any], Callable[[Any], list[Any]]]
CASES: dict[str, Case] = {
    "SEModule": ("se", {"ratio": 4}, 16, lambda: layers.SEModule(16, rd_channels=4), mlp),
    "SEModule, no bias": (
        "se",
        {"ratio": 4, "use_bias": False},
        16,
        lambda: layers.SEModule(16, rd_channels=4, bias=False),
        mlp,
    ),
    "SEModule, hard sigmoid": (
        "se",
        {"gate": "hard_sigmoid"},
        16,
        lambda: layers.SEModule(16, rd_channels=2, gate_layer="hard_sigmoid"),
        mlp,
    ),
    "EffectiveSEModule": ("ese", {}, 12, lambda: layers.EffectiveSEModule(12), lambda m: pointwise(m.fc)),
    "EffectiveSEModule, sigmoid": (
        "ese",
        {"gate": "sigmoid"},
        12,
        lambda: layers.EffectiveSEModule(12, gate_layer="sigmoid"),
        lambda m: pointwise(m.fc),
    ),
    "EcaModule, 4 channels": (
        "eca",
        {"min_kernel_size": 3},
        4,
        lambda: layers.EcaModule(4),
        lambda m: across(m.conv),
    ),
    "EcaModule, 144 channels": (
        "eca",
        {"min_kernel_size": 3},
        144,
        lambda: layers.EcaModule(144),
        lambda m: across(m.conv),
    ),
    "CecaModule": (
        "eca",
        {"min_kernel_size": 3, "padding": "circular"},
        16,
        lambda: layers.CecaModule(16),
        lambda m: across(m.conv),
    ),
    "ChannelAttn": (
        "channel",
        {"ratio": 4, "use_bias": False},
        16,
        lambda: cbam.ChannelAttn(16, rd_ratio=1 / 4),
        mlp,
    ),
    "ChannelAttn, bias": ("channel", {}, 16, lambda: cbam.ChannelAttn(16, rd_ratio=1 / 8, mlp_bias=True), mlp),
    "SpatialAttn": ("spatial", {"use_bn": True}, 6, lambda: cbam.SpatialAttn(7), spatial_gate),
    "SpatialAttn, 3x3": (
        "spatial",
        {"use_bn": True, "kernel_size": 3},
        6,
        lambda: cbam.SpatialAttn(3),
        spatial_gate,
    ),
    "CbamModule": (
        "cbam",
        {"ratio": 4, "use_bias": False, "use_bn": True},
        16,
        lambda: cbam.CbamModule(16, rd_ratio=1 / 4),
        both_gates,
    ),
    "CbamModule, bias, 3x3": (
        "cbam",
        {"use_bn": True, "kernel_size": 3},
        16,
        lambda: cbam.CbamModule(16, rd_ratio=1 / 8, mlp_bias=True, spatial_kernel_size=3),
        both_gates,
    ),
    "LightCbamModule": ("lcbam", {}, 32, lambda: cbam.LightCbamModule(32), both_gates),
    "LightCbamModule, bias, 3x3": (
        "lcbam",
        {"ratio": 4, "use_bias": True, "kernel_size": 3},
        16,
        lambda: cbam.LightCbamModule(16, rd_ratio=1 / 4, mlp_bias=True, spatial_kernel_size=3),
        both_gates,
    ),
    "GlobalContext": (
        "gc",
        {"ratio": 4, "fusion": "scale", "epsilon": 1e-6},
        16,
        lambda: layers.GlobalContext(16, rd_ratio=1 / 4),
        context,
    ),
    "GlobalContext, added": (
        "gc",
        {"ratio": 4, "epsilon": 1e-6},
        16,
        lambda: layers.GlobalContext(16, rd_ratio=1 / 4, fuse_add=True, fuse_scale=False),
        context,
    ),
    "GlobalContext, mean": (
        "gc",
        {"ratio": 4, "epsilon": 1e-6, "pooling": "mean"},
        16,
        lambda: layers.GlobalContext(16, rd_ratio=1 / 4, fuse_add=True, fuse_scale=False, use_attn=False),
        context,
    ),
    "CoordAttn": (
        "coord",
        {"hidden": 4, "use_bias": False},
        16,
        lambda: coord.CoordAttn(16, rd_channels=4),
        coordinates,
    ),
    "CoordAttn, bias": ("coord", {}, 16, lambda: coord.CoordAttn(16, rd_channels=8, bias=True), coordinates),
    "EfficientLocalAttn": (
        "ela",
        {"shared": False, "norm_groups": 1, "activation": "silu"},
        16,
        lambda: coord.EfficientLocalAttn(16),
        strips,
    ),
    "EfficientLocalAttn, grouped norm, no SiLU": (
        "ela",
        {"shared": False, "norm_groups": 4, "kernel_size": 5},
        16,
        lambda: make_ela(4),
        strips,
    ),
    "NonLocalAttn": (
        "nl",
        {"hidden": 4, "scale": "channels"},
        16,
        lambda: layers.NonLocalAttn(16, rd_channels=4),
        non_local,
    ),
    "NonLocalAttn, no scale": (
        "nl",
        {},
        16,
        lambda: layers.NonLocalAttn(16, rd_channels=8, use_scale=False),
        non_local,
    ),
}
for extent, conv, use_mlp in [
    (0, False, False),
    (2, False, False),
    (4, False, False),
    (8, False, False),
    (0, False, True),
    (4, False, True),
    (2, True, False),
    (4, True, True),
]:
    CASES[f"GatherExcite, extent {extent}{', convolutions' if conv else ''}{', MLP' if use_mlp else ''}"] = (
        "ge",
        {"extent": extent, "gather": "conv" if conv else "mean", "use_mlp": use_mlp, "ratio": 4},
        8,
        lambda e=extent, c=conv, m=use_mlp: make_gather_excite(8, e, c, m),
        gather_excite,
    )

# The fixture -----------------------------------------------------------------------------------------------------


def randomize(module: nn.Module) -> None:
    """Gives parameters and moving statistics random values, variances positive ones."""
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith(("running_mean", "running_var")) or isinstance(value, nn.Parameter):
                value.normal_(0.0, 0.5)
                if name.endswith("running_var"):
                    value.abs_().add_(0.5)


def input_of(channels: int, height: int, width: int) -> Any:
    """One input for all layers of that many channels, which keeps the file small."""
    generator = torch.Generator().manual_seed(channels)
    return torch.randn(2, channels, height, width, generator=generator) + 0.2


def array(tensor: Any) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), "float32")


def write(target: Path, source: dict[str, Any], cases: dict[str, Case], sizes: dict[str, tuple[int, int]]) -> None:
    """Writes what each case makes of its input; maps are 7x5 where `sizes` does not say otherwise."""
    torch.manual_seed(0)
    about: dict[str, Any] = {**source, "cases": {}}
    arrays: dict[str, np.ndarray] = {}
    for number, (name, (key, options, channels, make, weights_of)) in enumerate(cases.items()):
        height, width = sizes.get(name, (7, 5))
        x = input_of(channels, height, width)
        module = make().eval()
        randomize(module)
        with torch.no_grad():
            y = module(x.clone())
        given = f"x/{height}x{width}x{channels}"
        about["cases"][name] = {"key": key, "options": options, "x": given}
        arrays[given] = array(x.permute(0, 2, 3, 1))
        made = [y.permute(0, 2, 3, 1), *weights_of(module)]
        arrays.update({f"{number}/{i}": array(tensor) for i, tensor in enumerate(made)})
    np.savez_compressed(target, about=json.dumps(about), **arrays)
    print(f"{target.name}: {len(cases)} layers, {target.stat().st_size // 1024} KB")


if __name__ == "__main__":
    write(FIXTURES / "timm.npz", {"timm": importlib.metadata.version("timm")}, CASES, {})
