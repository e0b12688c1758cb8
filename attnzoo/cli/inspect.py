"""`attnzoo inspect`: what a model file holds, without building it."""

from __future__ import annotations

import argparse

from attnzoo.cli._arguments import add_json, print_json

HELP = "show what a model file holds, and reasons not to load it; builds nothing"
NEEDS_KERAS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .keras, .h5 or .weights.h5 file")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from attnzoo.files import inspect_file

    report = inspect_file(args.file)
    if args.json:
        print_json(report.to_dict())
    else:
        print(report)
    return 0
