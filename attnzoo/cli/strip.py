"""`attnzoo strip`: a model file without its inserted attention."""

from __future__ import annotations

import argparse

from attnzoo.cli._arguments import add_output

HELP = "save a model without the attention that attnzoo inserted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .keras or .h5 file")
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    from attnzoo.files import check_output, save_model
    from attnzoo.loading import load_model
    from attnzoo.rewriting import strip

    output = check_output(args.output, overwrite=args.force)
    model = load_model(args.model)
    bare = strip(model)
    save_model(bare, output, overwrite=args.force)
    print(f"{output}: {bare.name}, {bare.count_params():,} parameters ({model.count_params():,} before)")
    return 0
