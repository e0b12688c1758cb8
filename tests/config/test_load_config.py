"""Configurations: every problem at once, each with its place, what came, what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnzoo
from attnzoo.config import Config, load_config
from attnzoo.errors import ConfigError
from attnzoo.layers._registry import options_of

OF_EVERY_ENTRY = ["attention", "stages", "blocks", "placement", "after", "init"]
SE = ", ".join([*OF_EVERY_ENTRY, *options_of(attnzoo.layers.SqueezeExcite)])
ECA = ", ".join([*OF_EVERY_ENTRY, *options_of(attnzoo.layers.EfficientChannelAttention)])
KEYS = attnzoo.layers.list_attentions()
SHAPE = "three whole numbers from 1 to 8192, such as [224, 224, 3]; null for an open height or width"
NAME = (
    "a keras.applications name such as 'ResNet50', 'file:PATH', 'keras_hub:PRESET', 'keras_cv:PRESET' "
    "or a name registered with attnzoo.register_backbone"
)
BLOCKS = "'first', 'last', a list of whole numbers such as [0, -1], or null for all"
ON_MOBILENET = "Known: name, weights, input_shape, include_top, alpha, pooling, classes, classifier_activation."


def problems(config: Any, overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(config, overrides=overrides)
    return str(error.value).splitlines()


def test_all_problems_of_a_file_come_at_once_with_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.yaml").write_text(
        """\
backbone:
  nmae: ResNet50
insert:
  - attention: cbamm
    ratio: "16"
  - attention: se
    ratoi: 16
  - attention: se
    ratio: "16"
    placement: residul
    use_bias: no
    gate: 3
  - attention: se
    ratio: 0
  - ratio: 3
  - 3
head:
  classes: 1e7
  dropout: 1
  activation: yes
  nme: x
heed: 1
"""
    )
    assert problems("file.yaml") == [
        f"file.yaml:1:1: backbone.name: missing; expected {NAME}.",
        f"file.yaml:4:5: insert.0.attention: a string 'cbamm'; expected one of {', '.join(KEYS)}. Did you mean 'cbam'?",
        f"file.yaml:7:5: insert.1.ratoi: not an option of se. Did you mean 'ratio'? Known: {SE}.",
        "file.yaml:9:5: insert.2.ratio: a string '16'; expected a whole number.",
        "file.yaml:10:5: insert.2.placement: a string 'residul'; expected stage, post, residual, pre, shortcut, inner, "
        "parallel. Did you mean 'residual'?",
        "file.yaml:11:5: insert.2.use_bias: a string 'no'; expected true or false.",
        "file.yaml:12:5: insert.2.gate: the number 3; expected a string.",
        "file.yaml:13:5: insert.3: SqueezeExcite: ratio=0 is not a whole number of 1 or more.",
        "file.yaml:15:5: insert.4.attention: missing; expected a key of attnzoo.list_attentions() such as 'se'.",
        "file.yaml:16:5: insert.5: the number 3; expected a mapping with at least an attention.",
        "file.yaml:18:3: head.classes: the number 10000000.0; expected a whole number from 1 to 1000000.",
        "file.yaml:19:3: head.dropout: the number 1; expected a number from 0 to below 1.",
        "file.yaml:20:3: head.activation: a string 'yes'; expected 'softmax', 'sigmoid', or null for logits.",
        "file.yaml:21:3: head.nme: not a known key. Did you mean 'name'? "
        "Known: pooling, dropout, classes, activation, name.",
        "file.yaml:22:1: heed: not a known key. Did you mean 'head'? Known: backbone, insert, head.",
    ]


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits_small").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_config("digits_small").model_name == "digits_small"


def test_many_problems_are_cut_after_a_hundred() -> None:
    many = {f"x{i}": 1 for i in range(300)}
    lines = problems({"backbone": {"name": "ResNet50"}, **many})
    assert (len(lines), lines[-1]) == (101, "... and 200 more problems.")


def test_overrides_replace_single_values_and_create_optional_ones() -> None:
    given = {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se"}]}
    config = load_config(
        given,
        overrides={
            "head.classes": 10,
            "head.dropout": 0.5,
            "insert.0.ratio": 4,
            "insert.0.stages": (3, 4),
            "backbone.weights": None,
        },
    )
    assert config.to_dict() == {
        "backbone": {"name": "ResNet50", "weights": None},
        "insert": [{"attention": "se", "ratio": 4, "stages": [3, 4]}],
        "head": {"classes": 10, "dropout": 0.5},
    }
    assert given == {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se"}]}


def test_numpy_numbers_and_paths_are_taken_for_what_they_mean() -> None:
    config = load_config(
        {
            "backbone": {"name": "ResNet50", "weights": Path("w.h5")},
            "head": {"classes": np.int64(3), "dropout": np.float32(0.5)},
        }
    )
    assert config.to_dict()["head"] == {"classes": 3, "dropout": 0.5}
    assert config.backbone.weights == "w.h5"


@pytest.mark.parametrize("name", attnzoo.list_configs())
def test_a_config_survives_the_way_through_plain_values(name: str) -> None:
    config = load_config(name)
    assert load_config(config) is config
    again = load_config(config.to_dict())
    assert isinstance(again, Config)
    assert again == config


def test_a_config_cannot_be_changed() -> None:
    config = load_config("digits_small")
    with pytest.raises(ValueError, match="frozen"):
        config.backbone.weights = "imagenet"  # type: ignore[misc]


def test_options_and_arguments_are_told_apart() -> None:
    entry = load_config("mobilenetv2_se_inner").insert[0]
    assert entry.options == {"ratio": 4, "gate": "hard_sigmoid"}
    assert entry.arguments == {
        "stages": None,
        "blocks": None,
        "placement": "inner",
        "after": None,
        "init": "identity",
        "ratio": 4,
        "gate": "hard_sigmoid",
    }


def test_loading_does_not_move_the_names_that_keras_gives() -> None:
    import keras

    keras.backend.clear_session()
    load_config("se_resnet50")
    assert attnzoo.layers.SqueezeExcite().name == "squeeze_excite"
