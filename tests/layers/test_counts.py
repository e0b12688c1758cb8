"""Trainable parameters, to the last unit, at every block of ResNet50 and MobileNetV2, without the blend's alpha."""

from __future__ import annotations

import functools
import math

import pytest

from attnzoo.layers._registry import attention_class

R50 = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
PROJECTED = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]
DEPTHWISE = [32, 96, 144, 144, 192, 192, 192, 384, 384, 384, 384, 576, 576, 576, 960, 960, 960]

R16 = {"ratio": 16}
TABLE = [
    ("se", R16, 2_530_992, 30_013, 571_614),
    ("se", {"ratio": 16, "use_bias": False}, 2_514_944, 28_416, 564_032),
    ("se", {"ratio": 8}, 5_046_880, 58_620, 1_136_092),
    ("se", {"ratio": 8, "use_bias": False}, 5_029_888, 56_928, 1_128_064),
    ("eca", {}, 86, 59, 81),
    ("cbam", R16, 2_532_560, 31_679, 573_280),
    ("cbam", {"ratio": 16, "use_bn": True}, 2_532_592, 31_713, 573_314),
    ("cbam", {"ratio": 16, "use_bias": False}, 2_516_512, 30_082, 565_698),
    ("gc", {}, 2_548_000, 31_720, 579_659),
    ("srm", {}, 60_416, 6_016, 28_544),
    ("gct", {}, 45_312, 4_512, 21_408),
    ("coord", {}, 1_917_832, 41_438, 446_632),
    ("triplet", {}, 4_800, 5_100, 5_100),
    ("ese", {}, 20_134_656, 229_216, 4_519_392),
    ("scse", R16, 2_546_112, 31_534, 578_767),
    ("simam", {}, 0, 0, 0),
]


@functools.cache
def parameters(key, options, channels):
    layer = attention_class(key)(init="identity", **dict(options))
    layer.build((None, None, None, channels))
    return sum(math.prod(w.shape) for w in layer.trainable_weights if w is not layer.alpha)


def total(key, options, sites):
    return sum(parameters(key, tuple(options.items()), channels) for channels in sites)


@pytest.mark.parametrize(("key", "options", "r50", "projected", "depthwise"), TABLE)
def test_counts_match_the_published_ones(key, options, r50, projected, depthwise):
    assert [total(key, options, sites) for sites in (R50, PROJECTED, DEPTHWISE)] == [r50, projected, depthwise]


def test_bam_at_three_stage_ends_of_resnet50():
    assert total("bam", {}, [256, 512, 1024]) == 358_067


def test_sge_on_resnet50():
    assert total("sge", {}, R50) == 2_048


def test_alpha_is_the_only_weight_that_identity_adds():
    for key, adds in {"se": 1, "cbam": 1, "gc": 0, "gct": 0, "nl": 0, "scse": 0}.items():
        paper, blend = (attention_class(key)(init=init) for init in ("paper", "identity"))
        paper.build((None, 4, 4, 16))
        blend.build((None, 4, 4, 16))
        assert len(blend.trainable_weights) - len(paper.trainable_weights) == adds


MACS = [
    ("se", {"ratio": 8}, 2 * 16 * 2),
    ("ese", {}, 16 * 16),
    ("lcbam", {}, 2 * 16 + 49 * 20),
    ("bam", {"ratio": 4}, 2 * 16 * 4 + (16 * 4 + 2 * 9 * 16 + 4) * 20),
    ("scse", {}, 2 * 16 * 8 + 16 * 20),
    ("gc", {}, 2 * 16 * 20 + 2 * 16),
    ("gc", {"pooling": "mean"}, 2 * 16),
    ("ge", {}, 0),
    ("ge", {"gather": "conv"}, 16 * 20),
    ("ge", {"gather": "conv", "extent": 4, "use_mlp": True}, 9 * 16 * (2 * 3 + 1 * 2) + 2 * 16 * 2),
    ("srm", {}, 32),
    ("gct", {}, 0),
    ("coord", {}, 2 * 16 * 8 * 9),
    ("triplet", {}, 2 * 49 * (16 * 5 + 4 * 16 + 20)),
    ("simam", {}, 0),
    ("sge", {}, 16 * 20),
    ("ela", {}, 7 * 16 * 9),
    ("ema", {"groups": 4}, 16 * 4 * (9 + 9) + 10 * 16 * 20),
    ("strip", {}, 256 * (27 + 20)),
    ("fca", {}, 16 * 20 + 32),
    ("nl", {"subsample": 2}, 4 * 16 * 8 * 20 + 2 * 8 * 20 * 4),
]


@pytest.mark.parametrize(("key", "options", "macs"), MACS)
def test_macs_on_a_4x5_map_of_16_channels(key, options, macs):
    assert attention_class(key)(**options).macs(16, 4, 5) == macs
