"""`attnzoo plan`: what a configuration would insert."""

from __future__ import annotations

import argparse

from attnzoo.cli._arguments import add_config, add_json, overrides_of, print_json

HELP = "show what a configuration would insert where, and what it costs; builds and downloads nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from attnzoo.building import plan_config
    from attnzoo.config import load_config

    config = load_config(args.config, overrides=overrides_of(args.set))
    plans = plan_config(config)
    if args.json:
        print_json({"config": config.to_dict(), "plans": [plan.to_dict() for plan in plans]})
        return 0
    if not plans:
        print("insert is empty: the backbone stays as it is.")
    for index, plan in enumerate(plans):
        if index:
            print()
        if len(plans) > 1:
            print(f"insert.{index}:")
        print(plan)
    return 0
