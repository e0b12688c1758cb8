"""`attnzoo schema`: the JSON Schema of a configuration."""

from __future__ import annotations

import argparse

from attnzoo.cli._arguments import print_json

HELP = "print the JSON Schema of configurations, for editors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes no arguments."""


def run(args: argparse.Namespace) -> int:
    from attnzoo.config import json_schema

    print_json(json_schema())
    return 0
