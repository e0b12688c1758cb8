"""Configurations that are refused: what they hold, how they are written, how much they ask for."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest

import attnzoo
from attnzoo.config._yaml import read_text

from ..config.test_backbones import tiny
from ..files import test_configurations
from .models import with_layer
from .rest import SMALL, registered

# What they hold --------------------------------------------------------------------------------------------------


def load(config, overrides=None):
    return lambda: attnzoo.load_config(config, overrides=overrides)


def backbone(entry):
    return load({"backbone": entry, "head": {"classes": 10}})


def insert(entry):
    return load({"backbone": {"name": "ResNet50"}, "insert": [{"attention": "se", **entry}]})


def of_tiny(options):
    """Options of a function that is registered as a backbone."""

    def run():
        with registered("tiny", tiny):
            attnzoo.load_config({"backbone": {"name": "tiny", **options}})

    return run


def load_more_problems_than_are_shown():
    with mock.patch("attnzoo.config._source.MOST_LINES", 1):
        attnzoo.load_config({"x": 1, "y": 1, "z": 1})


WHOLE = [
    load_more_problems_than_are_shown,
    load("se_resnet5.yaml"),
    load("notes.txt"),
    load("../mine"),
    load(3),
    load({}),
    load({1: 2}),
    load({"backbone": {"name": object()}}),
    load({"backbone": {"name": "ResNet50"}, "insert": {"attention": "se"}}),
    load({"backbone": {"name": "ResNet50", "include_top": True, "pooling": "avg"}}),
    load("se_resnet5"),
]
BACKBONE = [
    backbone({"name": "Resnet50"}),
    backbone({"name": "ResNet50", "weights": 3}),
    backbone({"name": "ResNet50", "input_shape": [0, 1, 3]}),
    backbone({"name": "ResNet50", "input_shape": [9, 9]}),
    backbone({"name": "ResNet50", "input_shape": 224}),
    backbone({"name": "ResNet50", "input_shape": [9, 9, 9000]}),
    backbone({"name": "ResNet50", "include_top": 1}),
    backbone({"name": "MobileNetV2", "alhpa": 0.35}),
    backbone({"name": "MobileNetV2", "alpha": "0.35"}),
    backbone({"name": "MobileNetV2", "alpha": 100}),
    backbone({"name": "MobileNetV2", "alpha": float("nan")}),
    backbone({"name": "ResNet50", "pooling": "mean"}),
    backbone({"name": "ResNet50", "pooling": "avg"}),
    backbone({"name": "ResNet50", "classes": 3}),
    backbone({"name": "ResNet50", "classifier_activation": "softmax"}),
    backbone({"name": "ResNet50", "include_top": True}),
    backbone({"name": "file:"}),
    backbone({"name": "file:a.keras", "weights": "imagenet"}),
    backbone({"name": "file:a.keras", "alpha": 1}),
    backbone({"name": "keras_hub:hf://user/net"}),
    backbone({"name": "keras_cv:resnet50_imagenet", "include_top": True}),
    of_tiny({"widht": 3}),
    of_tiny({"width": "3"}),
    of_tiny({"weights": "imagenet"}),
    of_tiny({"include_top": False}),
]
INSERT = [
    insert({"stages": 3}),
    insert({"stages": []}),
    insert({"stages": ["a"]}),
    insert({"stages": [True]}),
    insert({"placement": "post", "blocks": "middle"}),
    insert({"placement": "post", "blocks": [0, "x"]}),
    insert({"blocks": "last"}),
    insert({"after": ["x"], "stages": [1]}),
    insert({"after": "x"}),
    insert({"init": "idnetity"}),
    insert({"ratio": 400_000_000}),
    insert({"attention": "bam", "num_convs": 9999}),
    insert({"ratio": 16.0}),
    insert({"ratio": [16]}),
    insert({"use_bias": 0}),
    insert({"kernel_initializer": {"class_name": "Zeros"}}),
    insert({"gate": "hard_sigmod"}),
    insert({"kernel_initializer": "heavenly"}),
]
OVERRIDES = [
    load("digits_small", {"head.clases": 1}),
    load("digits_small", {"heed.x": 1}),
    load("digits_small", {"insert.3.ratio": 1}),
    load("digits_small", {"insert.last.ratio": 1}),
    load("digits_small", {"insert.0.paddding": "same"}),
    load("digits_small", {"backbone.name.x": 1}),
    load("digits_small", {"backbone.0": 1}),
    load("digits_small", {"": 1}),
    load("digits_small", {"head.dropout": 2}),
    load("digits_small", {"head.name": "a b"}),
    load("digits_small", {"insert.0.kernel_size": 4}),
    load({"backbone": {"name": "ResNet50"}}, {"insert.0.ratio": 1}),
]

# How they are written --------------------------------------------------------------------------------------------


def read(text):
    return lambda: read_text(text, "f", Path())


def load_file(data):
    def run():
        Path("c.yaml").write_bytes(data)
        attnzoo.load_config("c.yaml")

    return run


def load_folder():
    Path("c.yaml").mkdir()
    attnzoo.load_config("c.yaml")


def odd(name):
    def run():
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs pipes and links")
        test_configurations.odd_files(Path())
        attnzoo.load_config(name)

    return run


YAML = [
    read("a: &x 1\nb: *x"),
    read("a: *x"),
    read("a: !!python/name:os.system"),
    read("a: !!str 1"),
    read("a: ! b"),
    read("<<: {a: 1}"),
    read("a: 1\nb: 2\na: 3"),
    read("1: 2"),
    read("true: 2"),
    read("[a]: 2"),
    read('"a\\x07": 1'),
    read('a: "\\u202e"'),
    read("a: b\x01"),
    read("a: 1\n---\nb: 2"),
    read("a: [1"),
    read("[[[[[[[[[1]]]]]]]]]"),
    read("a: " + "9" * 5000),
    read("a: " + "x" * 2000),
    read("a: [" + "1," * 1500 + "]"),
    read("1: 2\na: 3\na: 4"),
]
FILES = [
    load_file(b"a: 1\n" * 20000),
    load_file(b"a: \xff"),
    load_file(b""),
    load_file(b"just text"),
    load_file("a: 1".encode("utf-16")),
    load_file(b"a: \x00"),
    load_file(b"a: \x1b[31m"),
    load_file("a: \u202e".encode()),
    load_file(b"[" * 60_000),
    load_file(b"a: " * 20_000),
    load_file(b"x" * 70_000),
    load_folder,
    load({"backbone": {"name": [[[[[[[[3]]]]]]]]}}),
    load({"backbone": {"name": "ResNet50"}, "insert": [3] * 1500}),
    odd("pipe.yaml"),
    odd("zero.yaml"),
    odd("a.yaml"),
    odd("a\0.yaml"),
]

# How much they ask for -------------------------------------------------------------------------------------------


def at_most(most, **parts):
    """Builds with a lower limit of weights."""

    def run():
        with (
            registered("net", lambda: with_layer(keras.layers.ReLU())),
            mock.patch("attnzoo.building.MOST_WEIGHTS", most),
        ):
            attnzoo.build({"backbone": {"name": "net"}, **parts})

    return run


BOUNDS = [
    load({"backbone": {**SMALL, "alpha": 10**5000}}),
    load({10**5000: 1}),
    load({"backbone": {**SMALL, "alpha": np.float64("inf")}}),
    load({"backbone": {**SMALL, "input_shape": [10**9, 64, 3]}}),
    at_most(100),
    at_most(450, insert=[{"attention": "nl"}]),
    at_most(1000, head={"classes": 300}),
]
