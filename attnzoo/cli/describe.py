"""`attnzoo describe`: the stages and blocks that attention can go to."""

from __future__ import annotations

import argparse

from attnzoo.cli._arguments import add_json, print_json
from attnzoo.errors import AttnzooError

HELP = "show the stages and blocks of a network, as insertion sees them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a name from `attnzoo list backbones`, or a .keras or .h5 file")
    parser.add_argument("--input-shape", metavar="H,W,C", help="height, width and channels, such as 224,224,3")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    shape = _shape(args.input_shape)
    from attnzoo.anatomy import describe
    from attnzoo.backbones import make_backbone
    from attnzoo.loading import load_model

    file = args.model.removeprefix("file:")
    if file != args.model or file.endswith((".keras", ".h5", ".hdf5")):
        if shape:
            raise AttnzooError("--input-shape is for names; a model file has its own.")
        model = load_model(file)
    else:
        # Random weights: the structure does not depend on them, and nothing needs to be downloaded.
        model = make_backbone(args.model, weights=None, input_shape=shape, include_top=True)
    anatomy = describe(model)
    if args.json:
        print_json(anatomy.to_dict())
    else:
        print(anatomy)
    return 0


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(p.strip().isdecimal() and 1 <= int(p) <= 8192 for p in parts):
        raise AttnzooError(f"--input-shape {text}: expected three whole numbers from 1 to 8192, such as 224,224,3.")
    return tuple(int(p) for p in parts)
