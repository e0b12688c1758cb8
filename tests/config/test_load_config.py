"""Configurations: every problem at once, each with its place, what came, what was expected."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnzoo
from attnzoo.config import Config, InsertConfig, load_config
from attnzoo.errors import ConfigError
from attnzoo.layers._registry import options_of

OF_EVERY_ENTRY = ["attention", "after", "stages", "placement", "blocks", "init"]
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
        f"file.yaml:4:5: insert.0.attention: attention 'cbamm' is not registered. Did you mean 'cbam'? "
        f"Known: {', '.join(KEYS)}.",
        f"file.yaml:7:5: insert.1.ratoi: not an option of se. Did you mean 'ratio'? Known: {SE}.",
        "file.yaml:9:5: insert.2.ratio: a string '16'; expected a whole number.",
        "file.yaml:10:5: insert.2.placement: a string 'residul'; expected stage, post, residual, pre, shortcut, inner, "
        "parallel. Did you mean 'residual'?",
        "file.yaml:11:5: insert.2.use_bias: a string 'no'; expected true or false.",
        "file.yaml:12:5: insert.2.gate: the number 3; expected a string.",
        "file.yaml:14:5: insert.3.ratio: SqueezeExcite: ratio=0 is not a whole number of 1 or more.",
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


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ([3, 4], [3, 4]),
        ((3, 4), [3, 4]),
        (np.array([3, 4]), [3, 4]),
        (np.arange(1, 3, dtype="uint8"), [1, 2]),
        ([np.int64(3), np.array(4)], [3, 4]),
        (np.array([3, 4], dtype=object), [3, 4]),
    ],
)
def test_a_list_may_be_an_array(given: Any, plain: list[int]) -> None:
    config = {"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "stages": given}]}
    assert load_config(config).insert[0].stages == tuple(plain)
    assert load_config(config).to_dict()["insert"][0]["stages"] == plain
    config["insert"] = [{"attention": "se"}]
    assert load_config(config, overrides={"insert.0.stages": given}).insert[0].stages == tuple(plain)


def test_options_and_shapes_may_be_arrays_too() -> None:
    config = {
        "backbone": {"name": "ResNet50", "input_shape": np.array([64, 64, 3])},
        "insert": [{"attention": "se", "use_bias": np.bool_(False), "ratio": np.array(4)}],
    }
    assert load_config(config).backbone.input_shape == (64, 64, 3)
    assert load_config(config).insert[0].options == {"use_bias": False, "ratio": 4}


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (
            np.array([3.0]),
            ["insert.0.stages.0: the number 3.0; expected a list of stages such as [3, 4], or null for all."],
        ),
        (np.array([True]), ["insert.0.stages.0: true; expected a list of stages such as [3, 4], or null for all."]),
        (np.array(3), ["insert.0.stages: the number 3; expected a list of stages such as [3, 4], or null for all."]),
        (np.array([1j]), ["insert.0.stages.0: a value of type complex came; expected what YAML can write."]),
        (np.ndarray, ["insert.0.stages: a value of type type came; expected what YAML can write."]),
        (np.zeros(2000), ["insert.0.stages: 2000 entries; expected 1000 at most."]),
    ],
)
def test_an_array_is_judged_like_a_list(given: Any, lines: list[str]) -> None:
    assert problems({"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", "stages": given}]}) == lines


def test_values_are_judged_alike_wherever_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("x" * 1001, [0] * 1001, 2**64, "\u202e"):
        Path("c.yaml").write_text(f"backbone:\n  name: {json.dumps(value)}\n")
        (of_mapping,) = problems({"backbone": {"name": value}})
        assert problems("c.yaml") == [f"c.yaml:2:3: {of_mapping}"]
        assert problems({"backbone": {"name": "VGG16"}}, {"backbone.name": value}) == [f"override {of_mapping}"]
    for value in ("x" * 1000, 0.12345678901234567e-05, -(2**64) + 1):
        Path("c.yaml").write_text(f"backbone:\n  alpha: {value}\n")
        assert "c.yaml:1:1: backbone.name: missing" in problems("c.yaml")[0]


def test_every_problem_of_a_value_comes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(f"1: 2\nb:\n  - {'x' * 1001}\n  - c: 1\n    c: 2\n{'k' * 1001}: 1\n")
    assert problems("c.yaml") == [
        "c.yaml:1:1: 1: a key must be a string.",
        "c.yaml:3:5: b.0: a string of 1001 characters; expected 1000 at most.",
        "c.yaml:5:5: b.1.c: stands here twice; first in line 4.",
        f"c.yaml:6:1: {'k' * 57}...: a string of 1001 characters; expected 1000 at most.",
    ]


def test_the_name_of_an_override_is_a_string_like_any_other() -> None:
    given = {"backbone": {"name": "ResNet50"}}
    assert problems(given, {"head.\ud800": 1}) == ["control characters are not allowed in 'head.\\ud800'."]


def test_what_a_module_says_of_an_option_points_at_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(
        "backbone: {name: ResNet50}\ninsert:\n  - attention: se\n    placement: residul\n    ratio: 4\n    gate: tanh\n"
    )
    placement, gate = problems("c.yaml")
    assert placement.startswith("c.yaml:4:5: insert.0.placement: a string 'residul'; expected stage, post, ")
    assert gate == "c.yaml:6:5: insert.0.gate: SqueezeExcite: gate='tanh' is not one of 'sigmoid', 'hard_sigmoid'."


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused_everywhere(number: float) -> None:
    shown = "expected a number from"
    assert shown in problems({"backbone": {"name": "MobileNetV2", "alpha": number}})[0]
    assert shown in problems({"backbone": {"name": "ResNet50"}, "insert": [{"attention": "eca", "gamma": number}]})[0]
    assert problems({"backbone": {"name": "ResNet50"}, "head": {"classes": 3, "dropout": number}}) == [
        f"head.dropout: the number {number}; expected a number from 0 to below 1."
    ]


def test_a_part_written_in_python_takes_lists() -> None:
    entry = InsertConfig(attention="se", stages=[3, 4], after=None)
    assert entry.stages == (3, 4)
    with pytest.raises(ValueError, match="not registered"):
        InsertConfig(attention="sse")


def test_a_config_can_be_pickled() -> None:
    config = load_config("mobilenetv2_se_inner", overrides={"insert.0.ratio": 2})
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert again.insert[0].options == config.insert[0].options


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
