"""Small KerasHub backbones, one for each family of image networks, made by their constructors without a download."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SIZE = 64
SHAPE = (SIZE, SIZE, 3)


def resnet(block_type: str = "basic_block", **kwargs: Any) -> Any:
    from keras_hub.models import ResNetBackbone

    return ResNetBackbone(
        **{
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [3],
            "stackwise_num_filters": [64, 16, 16, 24],
            "stackwise_num_blocks": [1, 2, 1, 1],
            "stackwise_num_strides": [1, 2, 2, 2],
            "block_type": block_type,
            "image_shape": SHAPE,
            **kwargs,
        }
    )


def densenet() -> Any:
    from keras_hub.models import DenseNetBackbone

    return DenseNetBackbone(stackwise_num_repeats=[2, 2, 1, 1], growth_rate=4, image_shape=SHAPE)


def vgg() -> Any:
    from keras_hub.models import VGGBackbone

    return VGGBackbone(stackwise_num_repeats=[1, 1, 2], stackwise_num_filters=[8, 12, 16], image_shape=SHAPE)


def xception() -> Any:
    from keras_hub.models import XceptionBackbone

    return XceptionBackbone(
        stackwise_conv_filters=[[8, 12], [16, 16], [24, 24], [24, 24, 24], [24, 32], [32, 48]],
        stackwise_pooling=[False, True, True, False, True, False],
        image_shape=SHAPE,
    )


def cspnet(stage_type: str = "csp", block_type: str = "dark_block") -> Any:
    from keras_hub.models import CSPNetBackbone

    return CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2, 1],
        stackwise_strides=[2, 2, 2],
        stackwise_num_filters=[16, 24, 32],
        block_type=block_type,
        stage_type=stage_type,
        expand_ratio=[1.0 if stage_type == "dark" else 2.0],
        image_shape=SHAPE,
    )


def efficientnet(types: tuple[str, ...] = ("v1", "v1", "v1")) -> Any:
    from keras_hub.models import EfficientNetBackbone

    stacks = len(types)
    return EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * stacks,
        stackwise_depth_coefficients=[1.0] * stacks,
        stackwise_kernel_sizes=[3] * stacks,
        stackwise_num_repeats=[1, 2, 1],
        stackwise_input_filters=[8, 8, 16],
        stackwise_output_filters=[8, 16, 24],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_squeeze_and_excite_ratios=[0.25] * stacks,
        stackwise_strides=[1, 2, 2],
        stackwise_block_types=list(types),
        stackwise_force_input_filters=[0] * stacks,
        stackwise_nores_option=[False] * stacks,
        input_shape=SHAPE,
    )


def mobilenet() -> Any:
    from keras_hub.models import MobileNetBackbone

    return MobileNetBackbone(
        stackwise_expansion=[[16, 24], [24, 48]],
        stackwise_num_blocks=[2, 2],
        stackwise_num_filters=[[8, 8], [16, 16]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=32,
        depthwise_filters=8,
        depthwise_stride=1,
        depthwise_residual=False,
        last_layer_filter=24,
        squeeze_and_excite=0.5,
        input_num_filters=8,
        image_shape=SHAPE,
    )


def mobilenetv5() -> Any:
    from keras_hub.models import MobileNetV5Backbone

    return MobileNetV5Backbone(
        stackwise_block_types=[["er"], ["uir", "uir"]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[8], [16, 16]],
        stackwise_strides=[[2], [2, 1]],
        stackwise_act_layers=[["relu"], ["relu", "relu"]],
        stackwise_exp_ratios=[[4.0], [6.0, 6.0]],
        stackwise_se_ratios=[[0.0], [0.0, 0.0]],
        stackwise_dw_kernel_sizes=[[0], [5, 5]],
        stackwise_dw_start_kernel_sizes=[[0], [0, 0]],
        stackwise_dw_end_kernel_sizes=[[0], [0, 0]],
        stackwise_exp_kernel_sizes=[[3], [0, 0]],
        stackwise_pw_kernel_sizes=[[1], [0, 0]],
        stackwise_num_heads=[[0], [0, 0]],
        stackwise_key_dims=[[0], [0, 0]],
        stackwise_value_dims=[[0], [0, 0]],
        stackwise_kv_strides=[[0], [0, 0]],
        stackwise_use_cpe=[[False], [False, False]],
        use_msfa=False,
        image_shape=SHAPE,
    )


def hgnetv2() -> Any:
    from keras_hub.models import HGNetV2Backbone

    return HGNetV2Backbone(
        depths=[1, 1, 1],
        embedding_size=8,
        hidden_sizes=[16, 24, 32],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=False,
        stackwise_stage_filters=[[8, 8, 16, 1, 2, 3], [16, 8, 24, 1, 2, 3], [24, 8, 32, 1, 2, 3]],
        apply_downsample=[False, True, True],
        use_lightweight_conv_block=[False, False, True],
        image_shape=SHAPE,
    )


def mit() -> Any:
    from keras_hub.models import MiTBackbone

    return MiTBackbone(
        layerwise_depths=[1, 1],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        hidden_dims=[8, 16],
        image_shape=SHAPE,
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    "ResNet": resnet,
    "ResNetV2": lambda: resnet("bottleneck_block", use_pre_activation=True),
    "ResNet-vd": lambda: resnet("basic_block_vd", input_conv_filters=[8, 64], input_conv_kernel_sizes=[3, 3]),
    "DenseNet": densenet,
    "VGG": vgg,
    "Xception": xception,
    "CSPNet (csp)": cspnet,
    "CSPNet (cs3)": lambda: cspnet("cs3", "bottleneck_block"),
    "CSPNet (dark)": lambda: cspnet("dark"),
    "EfficientNet": efficientnet,
    "EfficientNetV2": lambda: efficientnet(("cba", "fused", "unfused")),
    "MobileNet": mobilenet,
    "MobileNetV5": mobilenetv5,
    "HGNetV2": hgnetv2,
    "MiT": mit,
}
