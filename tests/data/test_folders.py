"""Which pictures there are: layouts, names, links, and what is left out."""

from __future__ import annotations

import os
import unicodedata

import pytest

from .pictures import check, encoded, fill, lines, picture, put, tree

PNG = encoded(picture(1000), "PNG")


def test_a_folder_of_classes(tmp_path):
    report = check(fill(tmp_path / "d", dog=5, cat=6, **{"10": 5, "2": 5}))
    assert report.classes == ("10", "2", "cat", "dog")
    assert lines(report, "error", "warning") == []
    assert [p.name for p in report.pictures][:2] == ["10/0.png", "10/1.png"]
    assert {p.split for p in report.pictures} == {"train", "val"}
    assert report.seed == 0


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "testing"), ("train", "valid")])
def test_folders_of_splits(names, tmp_path):
    root = tmp_path / "d"
    for number, name in enumerate(names):
        fill(root / name, seed=100 * number, cat=5, dog=6)
    report = check(root)
    assert lines(report, "error", "warning") == []
    splits = ("train", "val", "test")[: len(names)]
    assert report.counts() == {split: {"cat": 5, "dog": 6} for split in splits}
    assert report.seed is None


def test_validation_is_made_where_there_is_only_train_and_test(tmp_path):
    root = tmp_path / "d"
    fill(root / "train", cat=10, dog=10)
    fill(root / "test", seed=50, cat=3, dog=3)
    report = check(root)
    assert report.counts() == {
        "train": {"cat": 8, "dog": 8},
        "val": {"cat": 2, "dog": 2},
        "test": {"cat": 3, "dog": 3},
    }


def test_classes_may_be_called_like_splits(tmp_path):
    report = check(fill(tmp_path / "d", car=5, bus=5, train=5))
    assert report.classes == ("bus", "car", "train")
    assert report.ok


def test_splits_elsewhere(tmp_path):
    fill(tmp_path / "d", cat=5, dog=5)
    fill(tmp_path / "v", seed=50, cat=5, dog=5)
    fill(tmp_path / "t", seed=80, cat=5, dog=5)
    report = check(tmp_path / "d", val=tmp_path / "v", test=tmp_path / "t")
    assert set(report.counts()) == {"train", "val", "test"}
    assert {p.name for p in report.pictures} >= {"cat/0.png", "../v/cat/0.png", "../t/dog/4.png"}
    assert report.ok


def test_what_lies_deeper_belongs_to_the_class(tmp_path):
    root = fill(tmp_path / "d", a__good=3, b__good=3, a=3, b=3)
    fill(root, seed=50, a__x__y__z=2, b__x=2)
    report = check(root)
    assert report.classes == ("a", "b")
    assert report.ok
    assert len(report.pictures) == 16


LAYOUTS = {
    "root": ({"a": 5, "b": 5}, {"x.png": PNG}, ["layout: 1 picture outside of any class; "]),
    "one level too high": ({"set__a": 5, "set__b": 5}, {}, ["layout: Classes seem to be one level deeper, in set; "]),
    "splits one level too high": (
        {"set__train__a": 5, "set__val__a": 5, "other__a": 5},
        {},
        ["layout: Classes seem to be one level deeper, in set; "],
    ),
    "beside splits": (
        {"train__a": 5, "train__b": 5, "val__a": 5, "val__b": 5, "more__a": 2},
        {},
        ["layout: 1 folder beside train, val and test; "],
    ),
    "two of one split": (
        {"train__a": 5, "train__b": 5, "val__a": 5, "val__b": 5, "valid__a": 5, "valid__b": 5},
        {},
        ["layout: Two folders mean the same split; "],
    ),
    "splits without classes": ({"train": 5, "val": 5}, {}, ["layout: Splits have no folders of classes in them; "]),
    "one class": ({"a": 5}, {}, ["classes: 1 class, where two or more are needed"]),
    "an empty class": ({"a": 5, "b": 5, "c": 0}, {}, ["classes: 1 class without a picture; "]),
    "nothing": ({}, {}, ["classes: no pictures; "]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_that_is_wrong(name, tmp_path):
    folders, files, expected = LAYOUTS[name]
    root = fill(tmp_path / "d", **folders)
    root.mkdir(exist_ok=True)
    for file, data in files.items():
        put(root / file, data)
    found = lines(check(root), "error")
    for text in expected:
        assert any(line.startswith(text) for line in found), found


def test_pictures_alone_are_one_level_too_low(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    found = lines(check(root / "cat"), "error")
    assert any(line.startswith("layout: 5 pictures outside of any class; ") for line in found)
    assert any(line.startswith(f"layout: cat lies beside other folders; give {tmp_path / 'd'}") for line in found)


def test_a_split_whose_others_lie_beside_it(tmp_path):
    root = tmp_path / "d"
    for number, split in enumerate(("train", "val")):
        fill(root / split, seed=100 * number, cat=5, dog=5)
    report = check(root / "train")
    assert report.ok
    assert any(line.startswith("layout: train has val beside it; ") for line in lines(report, "warning"))
    whole = check(root / "train", val=root / "val")
    assert not any("beside" in line for line in lines(whole, "warning"))


def test_a_class_that_one_split_lacks_or_has_more(tmp_path):
    root = tmp_path / "d"
    fill(root / "train", cat=5, dog=5, eel=5)
    fill(root / "val", seed=50, cat=5, dgo=5)
    fill(root / "test", seed=90, cat=5)
    report = check(root)
    found = lines(report, "error", "warning")
    assert report.classes == ("cat", "dog", "eel")
    assert any("val has 1 class that train lacks" in x and "dgo (did you mean 'dog'?)" in x for x in found)
    assert any("val lacks 2 classes that train has" in x for x in found)
    assert any("test lacks 2 classes that train has" in x for x in lines(report, "warning"))
    assert not report.ok
    assert str(report)


# Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("Cat", "cat"), ("caf\u00e9", "cafe\u0301"), ("cat", "cat "), ("STRASSE", "straße")])
def test_names_that_are_one_name_elsewhere(pair, tmp_path):
    root = fill(tmp_path / "d", **{pair[0]: 5, pair[1]: 5, "other": 5})
    if len(os.listdir(root)) < 3:
        pytest.skip("this file system makes them one already")
    assert any(line.startswith("names: 1 class name written in") for line in lines(check(root), "error"))


def test_classes_are_written_composed(tmp_path):
    report = check(fill(tmp_path / "d", **{"cafe\u0301": 5, "tea": 5}))
    assert report.classes == ("caf\u00e9", "tea")
    assert all(unicodedata.is_normalized("NFC", p.labels[0]) for p in report.pictures)
    assert os.path.exists(report.pictures[0].path)
    assert report.ok


@pytest.mark.skipif(os.name != "posix", reason="needs file names of any bytes")
def test_names_that_are_no_text(tmp_path):
    root = fill(tmp_path / "d", a=5, b=5)
    put(root / "a" / "\udcff\n\x1b[31m.png", encoded(picture(900), "PNG"))
    put(root / "a;b" / "x.png", encoded(picture(901), "PNG"))
    put(root / "c\udcff" / "x.png", encoded(picture(902), "PNG"))
    report = check(root)
    assert any(line.startswith("names: 2 class names that cannot be written down") for line in lines(report, "error"))
    assert str(report).isprintable() or "\x1b" not in str(report)
    report.to_dict()


# What is left out ------------------------------------------------------------------------------------------------


def test_hidden_files_and_clutter_are_left_out_and_counted(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    for name in ("cat/._0.png", ".DS_Store", "cat/.hidden.png", "cat/Thumbs.db", ".ipynb_checkpoints/x/a.png",
                 "__MACOSX/cat/0.png", "cat/@eaDir/x.png", "desktop.ini"):  # fmt: skip
        put(root / name, b"no picture")
    report = check(root)
    assert report.ok
    assert len(report.pictures) == 10
    assert any(line.startswith("hidden: 8 hidden files and folders left out") for line in lines(report, "note"))


def test_other_files_are_counted_by_suffix(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    for name in ("cat/a.txt", "cat/b.txt", "notes.md"):
        put(root / name, b"x")
    report = check(root)
    assert lines(report, "warning") == []
    assert any("3 files not read" in x and "2 .txt" in x and "1 .md" in x for x in lines(report, "note"))
    put(root / "cat" / "c.HEIC", b"x")
    assert any("4 files not read" in x and "1 .heic" in x for x in lines(check(root), "warning"))


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    elsewhere = put(tmp_path / "e" / "x.png", encoded(picture(900), "PNG"))
    os.symlink(elsewhere, root / "cat" / "linked.png")
    assert check(root).ok
    assert len(check(root).pictures) == 11
    os.symlink(root, root / "cat" / "loop")
    os.symlink("self", root / "cat" / "self")
    os.symlink(root / "dog", root / "eel")
    os.symlink("nowhere.png", root / "dog" / "broken.png")
    report = check(root)
    found = lines(report, "error")
    assert any(x.startswith("links: 2 folders reached twice") for x in found), found
    assert any("dog/broken.png (no such file, or a link to none)" in x for x in found)
    assert len(report.pictures) == 12


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links_that_double_at_every_level_take_no_time(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    for level in range(30):
        (tmp_path / f"l{level}").mkdir()
    for level in range(29):
        for name in "ab":
            os.symlink(tmp_path / f"l{level + 1}", tmp_path / f"l{level}" / name)
    os.symlink(tmp_path / "l0", root / "cat" / "deep")
    assert any(x.startswith("links: ") for x in lines(check(root), "error"))


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="needs permissions that bind")
def test_a_folder_that_may_not_be_read(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    (root / "dog").chmod(0)
    try:
        assert any("dog (Permission denied)" in x for x in lines(check(root), "error"))
    finally:
        (root / "dog").chmod(0o700)


def test_nothing_is_written_into_the_folder(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    put(root / "cat" / "bad.jpg", b"x")
    before = tree(root)
    check(root)
    check(root, workers=1)
    assert tree(root) == before
