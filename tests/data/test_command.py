"""`attnzoo check-data`: the same words as `attnzoo.check_data`, exit codes, and no Keras."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import attnzoo
from attnzoo.cli import check_data as verb
from attnzoo.cli import main
from attnzoo.cli._main import _parser, list_verbs

from .pictures import fill, put, tree


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path / "d", cat=10, dog=10)


def run(capsys, *argv):
    code = main(["check-data", *map(str, argv)])
    done = capsys.readouterr()
    return code, done.out, done.err


def test_a_table_and_the_findings(root, capsys):
    put(root / "cat" / "x.png", b"")
    code, out, err = run(capsys, "d", "-j", 0)
    assert (code, err) == (1, "")
    assert out == (
        "d: 21 pictures, 2 classes\n\n"
        "class  train  val\ncat        8    2\ndog        8    2\nall       16    4\n\n"
        "error    1 picture cannot be read; mend or remove what is listed, or say --skip-bad:"
        " cat/x.png (0 bytes)\n"
        "warning  4 pictures to validate with: an accuracy measured on so few is right within 29 points.\n\n"
        "1 error, 1 warning, 0 notes.\n"
    )
    assert run(capsys, "d", "-j", 0, "--skip-bad")[0] == 0


def test_json(root, capsys):
    code, out, _ = run(capsys, "d", "--json", "-j", 0)
    found = json.loads(out)
    assert code == 0
    assert found == attnzoo.check_data("d", workers=0).to_dict()
    assert found["counts"] == {"train": {"cat": 8, "dog": 8}, "val": {"cat": 2, "dog": 2}}
    assert [f["check"] for f in found["findings"]] == ["few"]


def test_exit_codes(root, capsys):
    assert run(capsys, "none") == (2, "", "attnzoo: none: no such folder.\n")
    assert run(capsys, "d", "--val-fraction", "x")[0] == 2
    assert run(capsys, "d", "--cache", "d/c")[0] == 2
    put(root.parent / "t.csv", b"path\n")
    code, out, err = run(capsys, "t.csv", "--cache", "xdg")
    assert (code, out) == (1, "")
    assert err == "attnzoo: t.csv: no column 'label' or 'class'. Columns: path.\n"


def test_a_split_is_written_and_read(root, capsys):
    before = tree(root)
    assert run(capsys, "d", "-j", 0, "--seed", 5, "--val-fraction", 0.3, "--write-split", "s.csv")[0] == 0
    put(root / "cat" / "new.png", (root / "cat" / "0.png").read_bytes())
    code, out, _ = run(capsys, "d", "-j", 0, "--split", "s.csv", "--write-split", "again.csv")
    assert code == 1
    assert "1 picture that the split does not have" in out
    assert "again.csv was not written, since there are errors.\n" in out
    assert not Path("again.csv").exists()
    (root / "cat" / "new.png").unlink()
    assert run(capsys, "d", "-j", 0, "--split", "s.csv", "--write-split", "again.csv")[0] == 0
    assert Path("again.csv").read_bytes() == Path("s.csv").read_bytes()
    assert tree(root) == before
    assert run(capsys, "d", "--write-split", "d/s.csv")[:2] == (2, "")


def test_the_words_are_those_of_the_function():
    named = set(inspect.signature(attnzoo.check_data).parameters)
    args = vars(_parser().parse_args(["check-data", "d"]))
    assert set(args) - {"run", "needs_keras", "json", "write_split"} | {"progress"} == named
    defaults = {n: p.default for n, p in inspect.signature(attnzoo.check_data).parameters.items() if n != "data"}
    assert {name: args[name] for name in defaults if name != "progress"} | {"progress": None} == defaults
    assert "check-data" in list_verbs()
    assert verb.NEEDS_KERAS is False


def test_progress_is_one_line(root, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert run(capsys, "d", "-j", 0)[2] == "\r20 of 20 pictures\n"


def test_it_runs_without_keras(root):
    script = (
        "import sys\nfrom attnzoo.cli import main\ncode = main(['check-data', 'd'])\n"
        "print(code, sorted({'keras', 'tensorflow', 'h5py', 'pydantic'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stderr == ""
