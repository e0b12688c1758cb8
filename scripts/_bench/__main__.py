"""`python -m _bench VERB`, as `scripts/bench` calls it."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from _bench._report import DOCS, stamp, write


def main(argv: Sequence[str] | None = None) -> int:
    verbs = list_verbs()
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures and prints tables.")
    parser.add_argument("verb", choices=[*verbs, "all"])
    parser.add_argument("--rounds", type=int, help="how often each thing is measured; a verb knows its own number")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCS.parent.name}/{DOCS.name}")
    args = parser.parse_args(argv)
    if args.rounds is not None and args.rounds < 1:
        parser.error(f"--rounds {args.rounds}: expected 1 or more.")
    for verb in verbs if args.verb == "all" else [args.verb]:
        module = importlib.import_module(f"_bench.{verb}")
        rounds = args.rounds or module.ROUNDS
        text = f"{stamp(verb, rounds)}\n\n{module.measure(rounds)}"
        print(f"\n{text}\n", flush=True)
        if args.write:
            write(verb, text)
    return 0


def list_verbs() -> list[str]:
    """Returns the verbs: the files of this folder whose names do not begin with an underscore."""
    return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_"))


if __name__ == "__main__":
    raise SystemExit(main())
