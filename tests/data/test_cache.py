"""What is known from the last time: it saves decoding, is never believed too much, and survives kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from attnzoo.data import cache, checking
from attnzoo.errors import AttnzooError

from .pictures import check, encoded, fill, lines, picture, put


@pytest.fixture
def root(tmp_path):
    return fill(tmp_path / "d", cat=6, dog=6)


def looked_at(root, **options):
    """Returns a report, and the names of the files that were decoded for it."""
    seen = []

    def look_at(paths, workers):
        seen.extend(Path(path).relative_to(root).as_posix() for path in paths)
        yield from look(paths, workers)

    look = checking.look_at
    with mock.patch.object(checking, "look_at", look_at):
        return check(root, **options), seen


def cache_file(root):
    (file,) = (root.parent / f"{root.name}-cache").iterdir()
    return file


def test_nothing_is_decoded_twice(root):
    first, seen = looked_at(root)
    assert len(seen) == 12
    again, seen = looked_at(root)
    assert seen == []
    assert again == first


def test_what_has_changed_is_decoded_again_however_it_is_hidden(root):
    check(root)
    path = root / "cat" / "0.png"
    before = path.stat()
    path.write_bytes(bytes(before.st_size))  # as large ...
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # ... and as old
    report, seen = looked_at(root)
    assert seen == ["cat/0.png"]
    assert not report.ok
    os.rename(root / "cat" / "1.png", root / "cat" / "9.png")
    assert looked_at(root)[1] == ["cat/0.png", "cat/9.png"]


def test_what_could_not_be_read_is_tried_again(root):
    put(root / "cat" / "x.png", b"")
    check(root)
    assert looked_at(root)[1] == ["cat/x.png"]


def test_files_that_are_gone_are_forgotten(root):
    check(root)
    (root / "cat" / "0.png").unlink()
    check(root)
    assert len(cache_file(root).read_text().splitlines()) == 1 + 11


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


SPOILT = {
    "empty": lambda rows: "",
    "binary": lambda rows: "\udcff\udcfe\x00",
    "cut off": lambda rows: "\n".join(map(json.dumps, rows))[:-100],
    "another version": lambda rows: "\n".join(map(json.dumps, [["attnzoo-data", 99, "1", "1"], *rows[1:]])),
    "no header": lambda rows: "\n".join(map(json.dumps, rows[1:])),
    "deep": lambda rows: json.dumps(rows[0]) + "\n" + "[" * 200_000,
    "numbers": lambda rows: json.dumps(rows[0]) + "\n1\nnull\n[]\n[1,2,3]\n" + '["a",[1,2,3,4],[]]\n',
    "large numbers": lambda rows: json.dumps(rows[0]) + "\n" + "1" * 10_000,
    "other types": lambda rows: "\n".join(
        map(json.dumps, [rows[0], *([r[0], r[1], [None] * len(r[2])] for r in rows[1:])])
    ),
    "no size": lambda rows: "\n".join(map(json.dumps, [rows[0], *(zero(r) for r in rows[1:])])),
}


def zero(row):
    return [row[0], row[1], [0 if type(value) is int else value for value in row[2]]]


@pytest.mark.parametrize("how", SPOILT)
def test_a_file_that_is_not_right_is_not_believed(how, root):
    first = check(root)
    file = cache_file(root)
    file.write_bytes(SPOILT[how](rows(file)).encode("utf-8", "surrogateescape"))
    again, seen = looked_at(root)
    assert again == first
    assert len(seen) == 12
    assert looked_at(root)[1] == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners")
def test_a_file_that_others_may_write_is_not_believed(root):
    check(root)
    cache_file(root).chmod(0o666)
    assert len(looked_at(root)[1]) == 12
    assert cache_file(root).stat().st_mode & 0o777 == 0o600
    with mock.patch.object(os, "getuid", return_value=12345):
        assert len(looked_at(root)[1]) == 12


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_its_place_does_not_hold_it_up(root):
    check(root)
    file = cache_file(root)
    file.unlink()
    os.mkfifo(file)
    assert check(root).ok


def test_a_cache_that_cannot_be_written_is_a_note(root):
    put(root.parent / "file", b"")
    report = check(root, cache=root.parent / "file")
    assert report.ok
    assert any(x.startswith("cache: what is known of the pictures could not be kept") for x in lines(report, "note"))


def test_a_cache_inside_of_the_data_is_refused(root):
    with pytest.raises(AttnzooError, match="lies inside of"):
        check(root, cache=root / "cat" / "cache")
    os.symlink(root / "cat", root.parent / "link")
    with pytest.raises(AttnzooError, match="lies inside of"):
        check(root, cache=root.parent / "link")


def test_the_place_that_the_platform_has(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "l"))
    for platform, place in (("linux", tmp_path / "x"), ("win32", tmp_path / "l"), ("darwin", Path.home() / "Library")):
        monkeypatch.setattr(cache.sys, "platform", platform)
        assert cache.default_folder().is_relative_to(place)


def test_it_is_written_now_and_then(root, monkeypatch):
    monkeypatch.setattr(cache, "SECONDS", 0)
    written = []
    monkeypatch.setattr(cache, "_replace", lambda file, rows: written.append(len(rows)))
    check(root)
    assert written == [*range(2, 14)]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_kills_leave_a_cache_that_works(tmp_path):
    """Killed at different times, it is whole or absent each time, and the result in the end is right."""
    root = fill(tmp_path / "d", cat=30, dog=30)
    script = (
        "import sys, attnzoo\nfrom attnzoo.data import cache\ncache.SECONDS = 0\n"
        "attnzoo.check_data(sys.argv[1], cache=sys.argv[2], workers=0)\n"
    )
    place = tmp_path / "d-cache"
    for wait in (0.02, 0.05, 0.1):
        process = subprocess.Popen([sys.executable, "-c", script, root, place])
        deadline = time.monotonic() + 20
        while not list(place.glob("*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for file in place.glob("*.jsonl"):
            assert all(len(row) in (3, 4) for row in rows(file))
    report, seen = looked_at(root)
    assert report.ok
    assert len(seen) < 60
    assert report == check(root, cache=tmp_path / "other")


def test_an_interrupt_loses_nothing_that_was_done(root):
    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(root, progress=stop)
    assert len(looked_at(root)[1]) == 7


def test_pictures_that_change_meanwhile_are_not_kept(root):
    def change(done, total):
        for file in (root / "dog").iterdir():
            os.utime(file, ns=(done, done))

    check(root, progress=change)
    assert {name.partition("/")[0] for name in looked_at(root)[1]} == {"dog"}
    put(root / "cat" / "0.png", encoded(picture(77), "PNG"))
