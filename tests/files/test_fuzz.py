"""Thousands of damaged files: only attnzoo's own errors come out, soon, in bounded memory, and nothing changes on disk.

One case again: `echo keras 123 | python -m tests.files.worker FOLDER`, where FOLDER does not exist yet.
"""

from __future__ import annotations

import collections
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("keras", "h5", "weights", "yaml", "plan")
SECONDS = 20
"""No file takes longer; most take a tenth of a second."""
GROWTH = 1 << 30
"""No file takes more bytes."""


class Worker:
    """A worker process that is started again when a file takes it down."""

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        self.process: subprocess.Popen[str] | None = None

    def run(self, family: str, seed: int) -> dict[str, Any]:
        if self.process is None:
            self._start()
        assert self.process
        assert self.process.stdin
        self.process.stdin.write(f"{family} {seed}\n")
        self.process.stdin.flush()
        answer = self._answer(SECONDS * 3)
        if answer is None:
            try:
                how = f"died with {self.process.wait(1)}"
            except subprocess.TimeoutExpired:
                how = "hung"
            self.close()
            return {"family": family, "seed": seed, "outcome": how, "text": "", "seconds": SECONDS * 3}
        return answer

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _start(self) -> None:
        self.count += 1
        command = [sys.executable, "-m", "tests.files.worker", str(self.folder / str(self.count))]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, self.lines), daemon=True).start()
        ready = self._answer(120)
        assert ready == {"ready": sorted(FAMILIES)}, (self.folder / "log").read_text()[-3000:]

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put("")

    def _answer(self, seconds: float) -> Any:
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            return None
        return json.loads(line) if line else None


def check(folder: Path, cases: dict[str, range]) -> list[dict[str, Any]]:
    worker = Worker(folder)
    try:
        results = [worker.run(family, seed) for family, seeds in cases.items() for seed in seeds]
    finally:
        worker.close()
    wrong = [r for r in results if r["outcome"] not in ("opened", "refused")]
    assert not wrong, "\n".join(f"{r['family']} {r['seed']}: {r['outcome']} {r['text']}" for r in wrong[:10])
    for result in results:
        case = f"{result['family']} {result['seed']}: {result['text']} {result['touched']}"
        assert result["seconds"] < SECONDS, case
        assert result["grown"] < GROWTH, case
        assert result["untouched"], case
        assert result["printable"], case
        assert result["family"] in ("yaml", "plan") or "\n" not in result["text"], case
    return results


def test_no_damaged_file_does_anything_but_open_or_be_refused(tmp_path: Path) -> None:
    results = check(
        tmp_path, {"keras": range(90), "h5": range(60), "weights": range(50), "yaml": range(150), "plan": range(40)}
    )
    kinds = collections.Counter((r["family"], r["outcome"]) for r in results)
    # Damage that is refused too early, or never, would test nothing.
    assert all(kinds[family, outcome] for family in FAMILIES for outcome in ("opened", "refused"))


@pytest.mark.exhaustive
def test_thousands_of_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"keras": 2000, "h5": 1200, "weights": 800, "yaml": 3000, "plan": 1000}
    results = check(tmp_path, {family: range(1000, 1000 + count) for family, count in numbers.items()})
    kinds = collections.Counter(f"{r['family']} {r['outcome']}" for r in results)
    slowest = max(results, key=lambda r: r["seconds"])
    with capsys.disabled():
        print(f"\n{len(results)} files: {dict(sorted(kinds.items()))}")
        print(f"slowest {slowest['seconds']:.1f} s ({slowest['family']} {slowest['seed']})")
        peak, grown = (max(r[key] for r in results) >> 20 for key in ("peak", "grown"))
        print(f"peak memory {peak} MiB, {grown} MiB more for one file")
