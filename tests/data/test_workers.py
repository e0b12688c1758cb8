"""Many pictures at once: the same answers, and no picture takes anything down but itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from attnzoo.data import workers
from attnzoo.data.looking import look
from attnzoo.data.rows import from_row, to_row
from attnzoo.data.workers import CRASHED, SLOW, look_at
from attnzoo.errors import AttnzooError

from .pictures import check, encoded, fill, picture, put
from .test_decoding import BAD


@pytest.fixture
def paths(tmp_path):
    for n in range(8):
        put(tmp_path / f"{n}.png", encoded(picture(n), "PNG"))
    for name, data in BAD.items():
        put(tmp_path / f"{name}.png", data)
    put(tmp_path / "\udcff\n.png" if os.name == "posix" else tmp_path / "é.png", encoded(picture(9), "PNG"))
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_processes_say_what_this_one_says(paths):
    here = dict(look_at(paths, 0))
    assert here == {n: look(path) for n, path in enumerate(paths)}
    assert dict(look_at(paths, 3)) == here
    assert threading.active_count() < 8


def test_a_row_holds_all_facts(paths):
    for path in paths:
        assert from_row(to_row(look(path))) == look(path)


def serve_as(monkeypatch, tmp_path, body):
    """Lets the processes answer as `body` says, which has `path` and `answer(facts)`."""
    script = (
        "import sys, json, os, time; sys.path[:] = json.loads(sys.argv[1])\n"
        "from attnzoo.data import workers\nfrom attnzoo.data.looking import look as real\n"
        f"def look(path):\n    {body}\n    return real(path)\nworkers.look = look\nworkers.serve()\n"
    )
    monkeypatch.setattr(workers, "_START", script)


def test_a_picture_that_crashes_the_decoder_is_one_finding(tmp_path, monkeypatch):
    root = fill(tmp_path / "d", cat=6, dog=6)
    serve_as(monkeypatch, tmp_path, "if path.endswith('cat/3.png'): os.abort()")
    report = check(root, workers=2)
    bad = [f for f in report.findings if f.level == "error"]
    assert [f.files for f in bad] == [(f"cat/3.png ({CRASHED})",)]
    assert len(report.pictures) == 12


def test_a_picture_that_takes_for_ever_is_one_finding(tmp_path, monkeypatch):
    root = fill(tmp_path / "d", cat=6, dog=6)
    monkeypatch.setattr(workers, "SECONDS", 1)
    serve_as(monkeypatch, tmp_path, "if path.endswith('cat/3.png'): time.sleep(100)")
    report = check(root, workers=2)
    assert [f.files for f in report.findings if f.level == "error"] == [(f"cat/3.png ({SLOW})",)]


def test_what_libraries_print_is_not_an_answer(tmp_path, monkeypatch):
    root = fill(tmp_path / "d", cat=6, dog=6)
    serve_as(monkeypatch, tmp_path, "os.write(1, b'noise\\n'); os.write(2, b'noise\\n')")
    assert check(root, workers=2).ok


def test_processes_that_do_not_start_are_an_error(tmp_path, monkeypatch):
    root = fill(tmp_path / "d", cat=6, dog=6)
    monkeypatch.setattr(workers, "_START", "1 / 0")
    with pytest.raises(
        AttnzooError, match=r"no process that decodes pictures can be started; do without \(--workers 0\)"
    ):
        check(root, workers=2)


def test_a_script_without_a_guard_runs_once(tmp_path):
    root = fill(tmp_path / "d", cat=6, dog=6)
    script = put(
        tmp_path / "s.py",
        b"import sys, attnzoo\nprint('once')\n"
        b"print(attnzoo.check_data(sys.argv[1], cache=sys.argv[2], workers=2).ok)\n",
    )
    done = subprocess.run([sys.executable, script, root, tmp_path / "c"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("once\nTrue\n", "")


def test_progress_counts_every_picture(tmp_path):
    root = fill(tmp_path / "d", cat=6, dog=6)
    seen = []
    check(root, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 12) for n in range(1, 13)]


def test_an_interrupt_ends_the_processes(tmp_path, monkeypatch):
    root = fill(tmp_path / "d", cat=20, dog=20)
    started = []
    start = subprocess.Popen

    def popen(*args, **kwargs):
        started.append(start(*args, **kwargs))
        return started[-1]

    def stop(done, total):
        raise KeyboardInterrupt

    monkeypatch.setattr(workers.subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        check(root, workers=2, progress=stop)
    assert 1 <= len(started) <= 2
    assert all(process.poll() is not None for process in started)


def test_none_means_a_process_a_core_but_eight_at_most():
    assert 1 <= workers.default_workers() <= 8
