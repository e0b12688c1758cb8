"""`attnzoo check-data`: what is wrong with pictures, before anything learns from them."""

from __future__ import annotations

import argparse
import sys

from attnzoo.cli._arguments import add_json, print_json

HELP = "look at all pictures of a folder before training: files, classes, copies, and how they would be divided"
NEEDS_KERAS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DIR", help="a folder of classes, or of train, val and test; or a CSV file")
    parser.add_argument("--val", metavar="DIR", help="pictures to validate with, if they are not in DIR")
    parser.add_argument("--test", metavar="DIR", help="pictures to test with, if they are not in DIR")
    parser.add_argument("--split", metavar="FILE", help="a split.csv that says what is where, instead of a new split")
    parser.add_argument("--write-split", metavar="FILE", help="write split.csv: a row for each picture")
    parser.add_argument("--val-fraction", type=float, default=0.2, metavar="F", help="how much to validate with (0.2)")
    parser.add_argument(
        "--group-by", metavar="REGEX", help="pictures whose paths match alike stay together, e.g. 'patient_[0-9]+'"
    )
    parser.add_argument(
        "--near-duplicates",
        type=float,
        default=0.98,
        metavar="C",
        help="correlation from which on pictures stay together (0.98); 1 for equal files only",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another split (0)")
    parser.add_argument("--skip-bad", action="store_true", help="leave out what cannot be read")
    parser.add_argument("-j", "--workers", type=int, metavar="N", help="processes that decode; one a core if left out")
    parser.add_argument("--cache", metavar="DIR", help="where to keep what is known of pictures, outside of DIR")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from attnzoo.cli._main import DATA
    from attnzoo.data import check_data, check_output

    if args.write_split:
        check_output(args.write_split, args.data)
    report = check_data(
        args.data,
        val=args.val,
        test=args.test,
        split=args.split,
        val_fraction=args.val_fraction,
        group_by=args.group_by,
        near_duplicates=args.near_duplicates,
        seed=args.seed,
        skip_bad=args.skip_bad,
        workers=args.workers,
        cache=args.cache,
        progress=_show if sys.stderr.isatty() else None,
    )
    if args.json:
        print_json(report.to_dict())
    else:
        print(report)
    if report.ok and args.write_split:
        report.write_split(args.write_split)
    elif args.write_split:
        print(f"{args.write_split} was not written, since there are errors.", file=sys.stderr if args.json else None)
    return 0 if report.ok else DATA


def _show(done: int, total: int) -> None:
    """Says on one line of the terminal how far it is."""
    if done % 50 == 0 or done == total:
        print(f"\r{done:,} of {total:,} pictures", end="" if done < total else "\n", file=sys.stderr, flush=True)
