"""`attnzoo build`: a configuration becomes a model file."""

from __future__ import annotations

import argparse

from attnzoo.cli._arguments import add_config, add_output, overrides_of

HELP = "build the model of a configuration and save it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    from attnzoo.building import build
    from attnzoo.files import check_output, save_model

    output = check_output(args.output, overwrite=args.force)
    model = build(args.config, overrides=overrides_of(args.set))
    save_model(model, output, overwrite=args.force)
    print(f"{output}: {model.name}, {model.count_params():,} parameters")
    return 0
