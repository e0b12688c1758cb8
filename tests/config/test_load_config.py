"""Configurations: every problem at once, each with its place, what came, what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnzoo
from attnzoo.config import Config, load_config
from attnzoo.errors import ConfigError, listing
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


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            {"name": "Resnet50"},
            "backbone.name: backbone 'Resnet50' is not known. Did you mean 'ResNet50'? Known: "
            f"{listing(attnzoo.list_backbones(), 6)}, or file:PATH, keras_hub:PRESET, keras_cv:PRESET; "
            "`attnzoo list backbones` shows all.",
        ),
        (
            {"name": "ResNet50", "weights": 3},
            "backbone.weights: the number 3; expected 'imagenet', the path of a weights file, or null.",
        ),
        ({"name": "ResNet50", "input_shape": [0, 1, 3]}, f"backbone.input_shape.0: the number 0; expected {SHAPE}."),
        ({"name": "ResNet50", "input_shape": [9, 9]}, f"backbone.input_shape: a list [9, 9]; expected {SHAPE}."),
        ({"name": "ResNet50", "input_shape": 224}, f"backbone.input_shape: the number 224; expected {SHAPE}."),
        (
            {"name": "ResNet50", "input_shape": [9, 9, 9000]},
            f"backbone.input_shape.2: the number 9000; expected {SHAPE}.",
        ),
        ({"name": "ResNet50", "include_top": 1}, "backbone.include_top: the number 1; expected true or false."),
        (
            {"name": "MobileNetV2", "alhpa": 0.35},
            f"backbone.alhpa: not an option of MobileNetV2. Did you mean 'alpha'? {ON_MOBILENET}",
        ),
        ({"name": "MobileNetV2", "alpha": "0.35"}, "backbone.alpha: a string '0.35'; expected a number."),
        ({"name": "MobileNetV2", "alpha": 100}, "backbone.alpha: the number 100; expected a number from -10 to 10."),
        (
            {"name": "MobileNetV2", "alpha": float("nan")},
            "backbone.alpha: the number nan; expected a number from -10 to 10.",
        ),
        (
            {"name": "ResNet50", "pooling": "mean"},
            "backbone.pooling: a string 'mean'; expected 'avg' or 'max' or null.",
        ),
        ({"name": "ResNet50", "pooling": "avg"}, "backbone.pooling: the head pools; remove it and set head.pooling."),
        ({"name": "ResNet50", "classes": 3}, "backbone.classes: has no effect without include_top; set head.classes."),
        (
            {"name": "ResNet50", "classifier_activation": "softmax"},
            "backbone.classifier_activation: has no effect without include_top; set head.activation.",
        ),
        (
            {"name": "ResNet50", "include_top": True},
            "head: the backbone keeps its own top; set backbone.include_top to false or remove the head.",
        ),
        ({"name": "file:"}, "backbone.name: backbone 'file:' names no file; expected file:PATH."),
        (
            {"name": "file:a.keras", "weights": "imagenet"},
            "backbone.weights: has no effect: a file backbone takes none.",
        ),
        ({"name": "file:a.keras", "alpha": 1}, "backbone.alpha: not an option of file:a.keras. Known: name."),
        (
            {"name": "keras_hub:hf://user/net"},
            "backbone.name: backbone 'keras_hub:hf://user/net' is not keras_hub:PRESET with a preset of letters, "
            "digits and '_'.",
        ),
        (
            {"name": "keras_cv:resnet50_imagenet", "include_top": True},
            "backbone.include_top: has no effect: a keras_cv backbone takes weights, input_shape.",
        ),
    ],
)
def test_backbone_problems(backbone: dict[str, Any], message: str) -> None:
    assert message in problems({"backbone": backbone, "head": {"classes": 10}})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"stages": 3}, "insert.0.stages: the number 3; expected a list of stages such as [3, 4], or null for all."),
        ({"stages": []}, "insert.0.stages: a list []; expected a list of stages such as [3, 4], or null for all."),
        (
            {"stages": ["a"]},
            "insert.0.stages.0: a string 'a'; expected a list of stages such as [3, 4], or null for all.",
        ),
        ({"stages": [True]}, "insert.0.stages.0: true; expected a list of stages such as [3, 4], or null for all."),
        ({"placement": "post", "blocks": "middle"}, f"insert.0.blocks: a string 'middle'; expected {BLOCKS}."),
        ({"placement": "post", "blocks": [0, "x"]}, f"insert.0.blocks.1: a string 'x'; expected {BLOCKS}."),
        (
            {"blocks": "last"},
            "insert.0.blocks: placement 'stage' goes once after each stage; to choose blocks set placement: post.",
        ),
        (
            {"after": ["x"], "stages": [1]},
            "insert.0.stages: cannot go with after, which names the places itself; remove one of the two.",
        ),
        (
            {"after": "x"},
            "insert.0.after: a string 'x'; expected a list of layer names or globs such as ['conv4_block*_out'].",
        ),
        ({"init": "idnetity"}, "insert.0.init: a string 'idnetity'; expected 'identity' or 'paper'."),
        ({"ratio": 4e8}, "insert.0.ratio: the number 400000000.0; expected a number from -1000000 to 1000000."),
        (
            {"attention": "cbam", "kernel_size": 999},
            "insert.0.kernel_size: the number 999; expected a number from -255 to 255.",
        ),
        ({"ratio": 16.0}, "insert.0.ratio: the number 16.0; expected a whole number."),
        ({"ratio": [16]}, "insert.0.ratio: a list [16]; expected a whole number."),
        ({"use_bias": 0}, "insert.0.use_bias: the number 0; expected true or false."),
        (
            {"kernel_initializer": {"class_name": "Zeros"}},
            "insert.0.kernel_initializer: a mapping; expected a number, a string, true, false, null or a list of them.",
        ),
        (
            {"gate": "hard_sigmod"},
            "insert.0: SqueezeExcite: gate='hard_sigmod' is not one of 'sigmoid', 'hard_sigmoid'. "
            "Did you mean 'hard_sigmoid'?",
        ),
        ({"kernel_initializer": "heavenly"}, "insert.0: Could not interpret initializer identifier: heavenly"),
    ],
)
def test_insert_problems(entry: dict[str, Any], message: str) -> None:
    assert problems({"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", **entry}]}) == [message]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("se_resnet5.yaml", "se_resnet5.yaml: no such file."),
        ("notes.txt", "notes.txt: a configuration file ends in .yaml or .yml."),
        ("../mine", "../mine: a configuration file ends in .yaml or .yml."),
        (3, "a configuration is the path of a YAML file, a shipped name or a mapping; got a value of type int."),
        ({}, "backbone: missing; expected a mapping with at least a name."),
        ({1: 2}, "a key must be a string; 1 came."),
        ({"backbone": {"name": object()}}, "backbone.name: a value of type object came; expected what YAML can write."),
        (
            {"backbone": {"name": "ResNet50"}, "insert": {"attention": "se"}},
            "insert: a mapping; expected a list of mappings, each with at least an attention.",
        ),
    ],
)
def test_other_things_are_refused(given: Any, message: str) -> None:
    assert problems(given)[0] == message


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits_small").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_config("digits_small").model_name == "digits_small"


def test_an_unknown_name_points_at_the_nearest_shipped_one() -> None:
    names = ", ".join(attnzoo.list_configs())
    assert problems("se_resnet5") == [
        f"no shipped configuration is called 'se_resnet5'. Did you mean 'se_resnet50'? Known: {names}. "
        "A file of your own is given by its path, which ends in .yaml."
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\n" * 20000, "c.yaml: larger than 64 KiB, which no configuration needs."),
        (b"a: \xff", "c.yaml: not UTF-8: byte 3 is 0xff."),
        (b"", "c.yaml:1:1: null; expected a mapping with the keys backbone, insert and head."),
        (b"just text", "c.yaml:1:1: a string 'just text'; expected a mapping with the keys backbone, insert and head."),
    ],
)
def test_files_that_are_no_configuration(
    data: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_bytes(data)
    assert problems("c.yaml") == [message]


def test_a_folder_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").mkdir()
    assert problems("c.yaml") == ["c.yaml: cannot be read: Is a directory."]


def test_many_problems_are_cut_after_a_hundred() -> None:
    many = {f"x{i}": 1 for i in range(300)}
    lines = problems({"backbone": {"name": "ResNet50"}, **many})
    assert (len(lines), lines[-1]) == (101, "... and 200 more problems.")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"head.clases": 1},
            "override head.clases: not a known key. Did you mean 'classes'? "
            "Known: pooling, dropout, classes, activation, name.",
        ),
        ({"heed.x": 1}, "override heed: not a known key. Did you mean 'head'? Known: backbone, insert, head."),
        ({"insert.3.ratio": 1}, "override insert.3.ratio: insert has no entry 3; it has 0 to 0."),
        ({"insert.last.ratio": 1}, "override insert.last.ratio: insert has no entry 'last'; it has 0 to 0."),
        (
            {"insert.0.paddding": "same"},
            f"override insert.0.paddding: not an option of eca. Did you mean 'padding'? Known: {ECA}.",
        ),
        ({"backbone.name.x": 1}, "override backbone.name.x: backbone.name is a string 'MobileNetV2' and has no parts."),
        ({"backbone.0": 1}, "override backbone.0: backbone is a mapping and has no entry 0."),
        ({"": 1}, "override '': the configuration is a mapping and has no entry ''."),
        ({"head.dropout": 2}, "override head.dropout: the number 2; expected a number from 0 to below 1."),
        (
            {"head.name": "a b"},
            "override head.name: a string 'a b'; expected a layer name of letters, digits, '_', '.' and '-'.",
        ),
        (
            {"insert.0.kernel_size": 4},
            "digits_small.yaml:11:5: insert.0: EfficientChannelAttention: kernel_size=4 must be odd.",
        ),
    ],
)
def test_override_problems(overrides: dict[str, Any], message: str) -> None:
    assert problems("digits_small", overrides) == [message]


def test_an_entry_of_an_empty_list_cannot_be_addressed() -> None:
    assert problems({"backbone": {"name": "ResNet50"}}, {"insert.0.ratio": 1}) == [
        "override insert.0.ratio: insert has no entry 0; it is empty."
    ]


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
