"""Parsing, running and failing, for all verbs alike."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import attnzoo
from attnzoo.errors import AttnzooError, DataError, did_you_mean, listing, printable

DESCRIPTION = "Insert attention (SE, ECA, CBAM, ...) into pretrained Keras CNNs without changing what they compute."
DATA, MISTAKE, INTERRUPTED, UNREAD = 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code.

    Args:
        argv: the arguments; None for those of the process.
    """
    try:
        args = _parser().parse_args(argv)
        if args.needs_keras:
            from attnzoo.cli._quiet import import_keras

            import_keras()
        code = int(args.run(args))
        sys.stdout.flush()
    except SystemExit as stop:  # argparse: 0 for --help, 2 for a mistake
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return UNREAD
    except DataError as error:
        return _fail(str(error), DATA)
    except AttnzooError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"attnzoo: {message}; see `{self.prog} --help`.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = list(action.choices)
            what = action.metavar or action.dest
            text = f"{value!r} is not a {what}.{did_you_mean(value, known)} Known: {listing(known)}"
            raise argparse.ArgumentError(None, text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="attnzoo", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"attnzoo {attnzoo.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="verb", required=True, parser_class=_Parser)
    for name in list_verbs():
        module = importlib.import_module(f"attnzoo.cli.{name.replace('-', '_')}")
        verb = verbs.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run, needs_keras=getattr(module, "NEEDS_KERAS", True))
    return parser


def list_verbs() -> list[str]:
    """Returns the verbs: the files of this folder whose names do not begin with an underscore, which is a
    dash inside of one."""
    names = (m.name for m in pkgutil.iter_modules([os.path.dirname(__file__)]))
    return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))


def _fail(text: str, code: int = MISTAKE) -> int:
    for line in printable(text).split("\n"):
        print(f"attnzoo: {line}", file=sys.stderr)
    return code


def _drop_output() -> None:
    """Points stdout at nothing, or Python complains once more when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
