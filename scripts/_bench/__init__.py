"""Measurements. A verb is a file of this folder with `HELP`, `ROUNDS` and `measure(rounds) -> str`, a markdown text."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded, which is when it reads it

from attnzoo.cli._quiet import import_keras

import_keras()
