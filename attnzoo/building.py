"""Configuration -> model: the backbone, each insertion in turn, the head."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnzoo.config import BackboneConfig, Config, HeadConfig, load_config
from attnzoo.config._source import KeyPath
from attnzoo.errors import AttnzooError, ConfigError

if TYPE_CHECKING:
    import keras

    from attnzoo.planning import Plan

Given = str | Path | Mapping[str, Any] | Config

MOST_WEIGHTS = 1_000_000_000
"""No step makes more, 4 GB in float32: nearly three times ConvNeXtXLarge, the largest of keras.applications."""


def build(config: Given, *, overrides: Mapping[str, Any] | None = None) -> keras.Model:
    """Builds the model that a configuration describes.

    The result is one flat graph: the backbone is not nested, and `model.get_layer` finds its layers. The layers of
    the head are called `head_pool`, `head_dropout` and, unless the head has a name, `predictions` (`head_logits`
    without an activation); the last computes in float32 under any dtype policy.

    Args:
        config: path of a YAML file, shipped name, mapping or `Config`; see `attnzoo.load_config`.
        overrides: single values to replace, e.g. `{"head.classes": 10}`.

    Raises:
        ConfigError: if the configuration is wrong, or its backbone or weights cannot be obtained.
        PlanError: if attention cannot go where an entry wants it.
        RewriteError: if the backbone cannot be rebuilt.

    Example:
        >>> model = build("resnet50_cbam_stages34", overrides={"head.classes": 10})
    """
    config = load_config(config, overrides=overrides)
    model = _backbone(config)
    for index in range(len(config.insert)):
        model = _apply(config, index, _plan(config, index, model))
    if config.head is not None:
        model = _add_head(config, model, config.head)
    if config.model_name:
        model.name = config.model_name
    return model


def plan_config(config: Given, *, overrides: Mapping[str, Any] | None = None) -> list[Plan]:
    """Returns the plan of each entry of `insert`, without pretrained weights: a plan never looks at values.

    Args:
        config: as for `build`.
        overrides: as for `build`.

    Raises:
        ConfigError: if the configuration is wrong, or its backbone cannot be made.
        PlanError: if attention cannot go where an entry wants it.
        RewriteError: if the backbone cannot be rebuilt.
    """
    config = load_config(config, overrides=overrides)
    model = _backbone(config, pretrained=False)
    plans: list[Plan] = []
    for index in range(len(config.insert)):
        plans.append(_plan(config, index, model))
        if index + 1 < len(config.insert):
            model = _apply(config, index, plans[-1])
    return plans


def _backbone(config: Config, *, pretrained: bool = True) -> keras.Model:
    from attnzoo.backbones import WeightsError, find_backbone, make_backbone

    part = config.backbone
    recipe = find_backbone(part.name)
    name, weights = part.name, _absolute(config, part) if pretrained else None
    if recipe.kind == "file":
        name = f"file:{config.source.folder / recipe.name}"
    try:
        with _bounded(config, ("backbone",)):
            return make_backbone(
                name, weights=weights, input_shape=part.input_shape, include_top=part.include_top, **part.options
            )
    except AttnzooError as error:
        path: KeyPath = ("backbone", "weights") if isinstance(error, WeightsError) else ("backbone",)
        raise _located(config, path, error) from None


def _absolute(config: Config, part: BackboneConfig) -> str | None:
    """Returns the weights, a path being relative to the configuration's folder."""
    if part.weights is None or part.weights == "imagenet":
        return part.weights
    return str(config.source.folder / part.weights)


def _plan(config: Config, index: int, model: keras.Model) -> Plan:
    from attnzoo.planning import plan

    entry = config.insert[index]
    try:
        with _bounded(config, ("insert", index)):
            return plan(model, entry.attention, **entry.arguments)
    except AttnzooError as error:
        about = getattr(error, "about", None)
        raise _located(config, ("insert", index, about) if about else ("insert", index), error) from None


def _apply(config: Config, index: int, plan: Plan) -> keras.Model:
    try:
        with _bounded(config, ("insert", index)):
            return plan.apply()
    except AttnzooError as error:
        raise _located(config, ("insert", index), error) from None


@contextlib.contextmanager
def _bounded(config: Config, path: KeyPath) -> Iterator[None]:
    """Refuses what would fill the memory, whatever numbers it comes from, before it is allocated."""
    from attnzoo.files import weights_at_most

    with weights_at_most(MOST_WEIGHTS) as budget:
        try:
            yield
        except Exception:
            if budget.complaint():
                raise _TooMany(config.source.line(path, str(budget.complaint()))) from None
            raise


class _TooMany(ConfigError):
    """Says its place already."""


def _located(config: Config, path: KeyPath, error: AttnzooError) -> AttnzooError:
    """Returns the same error, saying which part of the configuration it belongs to."""
    if isinstance(error, _TooMany):
        return error
    return type(error)(config.source.line(path, str(error)))


def _add_head(config: Config, model: keras.Model, head: HeadConfig) -> keras.Model:
    import keras

    from attnzoo._keras import deep_graphs
    from attnzoo.anatomy import read_graph

    last = head.name or ("predictions" if head.activation else "head_logits")
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 4:
        shapes = ", ".join(str(tuple(o.shape)) for o in model.outputs)
        raise ConfigError(
            config.source.line(("head",), f"needs a single feature map as input; the backbone has {shapes}.")
        )
    for name in ("head_pool", "head_dropout", last):
        if any(layer.name == name for layer in model.layers):
            raise ConfigError(config.source.line(("head",), f"the backbone has a layer {name!r} already."))
    pool = keras.layers.GlobalAveragePooling2D if head.pooling == "avg" else keras.layers.GlobalMaxPooling2D
    x = pool(data_format=read_graph(model).data_format, name="head_pool")(model.outputs[0])
    if head.dropout:
        x = keras.layers.Dropout(head.dropout, name="head_dropout")(x)
    # float32 whatever the policy: a soft-max over half-precision logits loses classes.
    with _bounded(config, ("head",)):
        x = keras.layers.Dense(head.classes, activation=head.activation, dtype="float32", name=last)(x)
    with deep_graphs():
        return keras.Model(model.input, x, name=model.name)
