"""Prints how far exported networks are from Keras; `--write` puts it into docs/export.md."""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attnzoo.cli._quiet import import_keras

import_keras()

import keras  # noqa: E402

import attnzoo  # noqa: E402
from _exports import grid  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"
START, END = "<!-- exports -->", "<!-- /exports -->"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/exports")
    everything = attnzoo.list_attentions()
    parser.add_argument("--networks", nargs="+", choices=grid.NETWORKS, default=[*grid.NETWORKS])
    parser.add_argument("--modules", nargs="+", choices=everything, default=everything)
    parser.add_argument("--formats", nargs="+", choices=grid.FORMATS, default=[*filter(grid.installed, grid.FORMATS)])
    parser.add_argument("--write", action="store_true", help="put the table into docs/export.md")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    found = [x for name in given.networks for x in _network(name, given.modules, given.formats)]
    text = f"{table(found)}\n\n{_stamp(given, time.monotonic() - start)}"
    print(text)
    if given.write:
        page = PAGE.read_text("utf-8")
        before, after = page.partition(START)[0], page.partition(END)[2]
        PAGE.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", "utf-8")
    return 0


def _network(name: str, modules: list[str], formats: list[str]) -> list[grid.Exported]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for x in grid.measure(grid.network(name), [grid.NONE, *modules], formats, Path(folder)):
            print(
                x.network,
                x.module,
                x.format,
                *(f"{n:.1e}" for n in (x.deviation, x.logits, x.effect)),
                x.failure,
                flush=True,
            )
            found.append(x)
    keras.backend.clear_session()
    gc.collect()
    return found


def table(found: Sequence[grid.Exported]) -> str:
    """Lays out, for each network and format, the worst of all modules and what it is without them."""
    rows = [
        ["network", "format", "outputs", "without attention", "logits", "without attention"],
        ["---", "---", "---:", "---:", "---:", "---:"],
    ]
    for network, format_ in dict.fromkeys((x.network, x.format) for x in found):
        of = [x for x in found if (x.network, x.format) == (network, format_)]
        failure = next((x.failure for x in of if x.failure), "")
        without = next(x for x in of if x.module == grid.NONE)
        cells = [
            _worst((x.deviation, x.module) for x in of if x is not without),
            f"{without.deviation:.1e}",
            _worst((x.logits, x.module) for x in of if x is not without),
            f"{without.logits:.1e}",
        ]
        rows.append([network, format_, *([f"**{failure}**", "-", "-", "-"] if failure else cells)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _worst(numbers: Iterable[tuple[float, str]]) -> str:
    return "{:.1e} (`{}`)".format(*max(numbers))


def _stamp(given: argparse.Namespace, seconds: float) -> str:
    packages = ("attnzoo", "keras", "tensorflow", "ai-edge-litert", "tf2onnx", "onnx", "onnxruntime", "openvino")
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    parts = len(given.networks), len(given.modules), len(given.formats)
    return (
        f"{parts[0]} x {parts[1]} x {parts[2]} = {parts[0] * parts[1] * parts[2]} exports, `scripts/exports`,"
        f" {time.strftime('%Y-%m-%d')}, {seconds / 60:.0f} minutes; {', '.join(found)}."
    )


if __name__ == "__main__":
    raise SystemExit(main())
