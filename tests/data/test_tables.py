"""Labels from a CSV file, and the split.csv that attnzoo writes."""

from __future__ import annotations

import csv
import os

import pytest

from attnzoo.data import read_split
from attnzoo.errors import AttnzooError, DataError

from .pictures import check, encoded, fill, lines, picture, put


def table(root, rows, head="path,label"):
    path = root / "labels.csv"
    path.write_text("\n".join([head, *rows]) + "\n", "utf-8")
    return path


@pytest.fixture
def root(tmp_path):
    for n in range(20):
        put(tmp_path / "d" / f"{n}.png", encoded(picture(n), "PNG"))
    return tmp_path / "d"


def check_table(path, **options):
    return check(path, cache=path.parent.parent / "cache", **options)


def test_a_table_of_labels(root):
    report = check_table(table(root, [f"{n}.png,{'cat' if n % 2 else 'dog'}" for n in range(20)]))
    assert report.ok
    assert report.classes == ("cat", "dog")
    assert report.counts() == {"train": {"cat": 8, "dog": 8}, "val": {"cat": 2, "dog": 2}}


def test_splits_and_groups_of_a_table(root):
    splits = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    rows = [f"{n}.png,{'ab'[n % 2]},{splits[n]},g{n // 4}" for n in range(20)]
    report = check_table(table(root, rows, "path,label,split,group"))
    assert report.ok
    assert [sum(c.values()) for c in report.counts().values()] == [12, 4, 4]
    rows[0] = "0.png,a,train,g4"
    assert any(x.startswith("group: 1 group in more than one split") for x in lines(
        check_table(table(root, rows, "path,label,split,group")), "error"))  # fmt: skip


def test_several_labels(root):
    rows = [f"{n}.png,{';'.join(w for k, w in ((2, 'wet'), (3, 'hot')) if n % k == 0)}" for n in range(20)]
    report = check_table(table(root, rows))
    assert report.multi_label
    assert report.classes == ("hot", "wet")
    assert report.ok
    assert {p.labels for p in report.pictures} == {(), ("wet",), ("hot",), ("hot", "wet")}
    for split in ("train", "val"):
        assert {p.labels for p in report.pictures if p.split == split} >= {()}


@pytest.mark.parametrize(
    ("rows", "head", "text"),
    [
        (["0.png,a"], "path,lable", r"no column 'label' or 'class'\. Did you mean 'lable'\? Columns: path, lable\.$"),
        ([], "", r"no column 'path'\. Columns: none\.$"),
        (["0.png,a,b"], "path,label", r"line 2 has 3 values, the first has 2; put a value with a comma"),
        (["0.png,a,tset"], "path,label,split", r"line 2: split 'tset'; expected .* Did you mean 'test'\?$"),
        ([",a"], "path,label", r"line 2: no path\.$"),
        (['0.png,"a'], "path,label", r"no CSV file that can be read \(unexpected end of data\)\.$"),
        (["0.png,a"], "path,label,path", r"two columns have the same name"),
    ],
)
def test_a_table_that_is_none(rows, head, text, root):
    with pytest.raises(DataError, match=text):
        check_table(table(root, rows, head))


def test_rows_that_cannot_be_used(root):
    rows = [*(f"{n}.png,{'ab'[n % 2]}" for n in range(12)), "0.png,b", "13.png,", "none.png,a"]
    found = lines(check_table(table(root, rows)), "error")
    assert any(x.startswith("table: 1 picture on more than one line") and "0.png (lines 2, 14)" in x for x in found)
    assert any(x.startswith("table: 1 picture without a label") and "13.png" in x for x in found)
    assert any("none.png (no such file, or a link to none)" in x for x in found)
    some = table(root, ["0.png,a,train", "1.png,b,"], "path,label,split")
    assert any(x.startswith("table: 1 line without a split") for x in lines(check_table(some), "error"))


def test_a_table_from_excel(root):
    path = root / "labels.csv"
    path.write_bytes(
        b"\xef\xbb\xbfPath, Label\r\n" + b"".join(b"%d.png,%s\r\n" % (n, b"ab"[n % 2 :][:1]) for n in range(20))
    )
    assert check_table(path).classes == ("a", "b")


# split.csv -------------------------------------------------------------------------------------------------------


def test_a_split_is_written_and_is_then_the_truth(tmp_path):
    root = fill(tmp_path / "d", cat=10, dog=10)
    put(root / "cat" / "bad.png", b"")
    report = check(root, seed=3, skip_bad=True)
    report.write_split(tmp_path / "split.csv")
    rows = list(csv.DictReader((tmp_path / "split.csv").open(encoding="utf-8", newline="")))
    assert list(rows[0])[:4] == ["path", "class", "split", "sha256"]
    assert [r["path"] for r in rows] == [p.name for p in report.pictures]
    assert {r["path"]: r["note"] for r in rows if r["split"] == "skipped"} == {"cat/bad.png": "0 bytes"}
    again = check(root, split=tmp_path / "split.csv", val_fraction=0.5)
    assert again.ok
    assert again.seed is None
    kept = [p for p in report.pictures if p.split != "skipped"]
    assert [(p.name, p.split) for p in again.pictures] == [(p.name, p.split) for p in kept]
    assert read_split(tmp_path / "split.csv")["cat/0.png"].labels == ("cat",)


def test_what_differs_from_the_split_is_an_error(tmp_path):
    root = fill(tmp_path / "d", cat=10, dog=10)
    check(root).write_split(tmp_path / "split.csv")
    put(root / "cat" / "new.png", encoded(picture(900), "PNG"))
    (root / "cat" / "1.png").unlink()
    os.rename(root / "cat" / "2.png", root / "dog" / "2b.png")
    put(root / "dog" / "3.png", encoded(picture(901), "PNG"))
    found = lines(check(root, split=tmp_path / "split.csv"), "error")
    assert [x.split(";")[0].split(". ")[0] for x in found] == [
        "split: 2 pictures that the split does not have",
        "split: 2 pictures of the split cannot be found",
        "split: 1 picture changed since the split was written",
    ]
    text = (tmp_path / "split.csv").read_text().replace("cat/0.png,cat", "cat/0.png,dog")
    (tmp_path / "split.csv").write_text(text)
    found = lines(check(root, split=tmp_path / "split.csv"), "error")
    assert any("under another class than the split says. ['cat/0.png (dog)']" in x for x in found)


def test_a_split_that_is_none(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    for text, match in (
        ("path,class,split\n", "no column 'sha256'"),
        ("path,class,split,sha256\na,b,tarin,0\n", "line 2: split 'tarin'; expected"),
        ("path,class,split,sha256\na,b,train,0\na,b,train,0\n", "line 3: 'a' stands there twice"),
    ):
        put(tmp_path / "s.csv", text.encode())
        with pytest.raises(DataError, match=match):
            check(root, split=tmp_path / "s.csv")


def test_a_split_can_be_the_table_of_data(tmp_path):
    root = fill(tmp_path / "d", cat=10, dog=10)
    report = check(root)
    report.write_split(tmp_path / "split.csv")
    moved = tmp_path / "e"
    os.rename(root, moved)
    os.rename(tmp_path / "split.csv", moved / "split.csv")
    again = check(moved / "split.csv", cache=tmp_path / "c")
    assert [(p.name, p.label, p.split) for p in again.pictures] == [(p.name, p.label, p.split) for p in report.pictures]


def test_any_name_survives_the_file(tmp_path):
    root = fill(tmp_path / "d", **{"a,b": 5, 'q"q': 5, "é": 5})
    names = ["new\nline.png", " space .png"] + (["\udcff.png"] if os.name == "posix" else [])
    for n, name in enumerate(names):
        put(root / "é" / name, encoded(picture(900 + n), "PNG"))
    report = check(root)
    report.write_split(tmp_path / "split.csv")
    assert list(read_split(tmp_path / "split.csv")) == [p.name for p in report.pictures]
    assert check(root, split=tmp_path / "split.csv").ok


def test_a_split_is_not_written_into_the_data_nor_half(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    report = check(root)
    with pytest.raises(AttnzooError, match="lies inside of"):
        report.write_split(root / "split.csv")
    with pytest.raises(AttnzooError, match=r"cannot be written \(No such file or directory\)"):
        report.write_split(tmp_path / "none" / "split.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(AttnzooError, match="cannot be written"):
        report.write_split(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["d", "d-cache", "folder"]
