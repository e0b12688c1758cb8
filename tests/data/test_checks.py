"""What is found in pictures, one kind of trouble a test."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from attnzoo.data import checks

from .pictures import check, encoded, fill, lines, picture, put
from .test_decoding import BAD

RAMP = np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27
KINDS = {
    "0 bytes": (b"", "unreadable", "(0 bytes)"),
    "text": (BAD["text"], "unreadable", "(no picture in a format that is read"),
    "half": (BAD["half_png"], "unreadable", "(cut off before its end)"),
    "bomb": (BAD["bomb"], "unreadable", "(more than 89,478,485 pixels; make it smaller)"),
    "bomb below Pillow's limit": (BAD["bomb_below"], "unreadable", "(more than 89,478,485 pixels"),
    "suffix": (encoded(picture(900), "GIF"), "suffix", "(GIF)"),
    "16 bits": (encoded(Image.fromarray(RAMP), "PNG"), "16-bit", "(I;16)"),
    "transparent": (encoded(picture(901, mode="RGBA").rotate(30), "PNG"), "transparent", "(RGBA)"),
    "cmyk": (encoded(picture(902, mode="CMYK"), "TIFF"), "cmyk", ""),
    "grey": (encoded(picture(903, mode="L"), "PNG"), "grey", ""),
    "tiny": (encoded(picture(904, (31, 40)), "PNG"), "tiny", "(31 x 40)"),
    "long": (encoded(picture(905, (400, 40)), "PNG"), "aspect", "(400 x 40)"),
    "dark": (encoded(Image.new("RGB", (40, 40), (3, 2, 1)), "PNG"), "empty", "(dark)"),
    "light": (encoded(Image.new("RGB", (40, 40), (255, 254, 255)), "PNG"), "empty", "(light)"),
    "flat": (encoded(Image.new("RGB", (40, 40), (200, 20, 20)), "PNG"), "empty", "(one colour)"),
    "animated": (
        encoded(picture(906), "GIF", save_all=True, append_images=[picture(907)]), "animated", ""
    ),
}  # fmt: skip
SUFFIX = {"animated": "gif", "cmyk": "tiff"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_found(kind, tmp_path):
    data, name, detail = KINDS[kind]
    root = fill(tmp_path / "d", cat=5, dog=5)
    put(root / "cat" / f"x.{SUFFIX.get(kind, 'png')}", data)
    report = check(root)
    found = [f for f in report.findings if f.check == name]
    assert [len(f.files) for f in found] == [1], report
    assert found[0].files[0].startswith("cat/x.")
    assert detail in found[0].files[0]
    assert report.ok == (name != "unreadable")


def test_pictures_that_are_as_they_should_be_are_not_found(tmp_path):
    report = check(fill(tmp_path / "d", cat=30, dog=30))
    assert lines(report, "error", "warning", "note") == []


def test_all_problems_are_reported_at_once(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5, eel=0)
    for n, (data, _, _) in enumerate(KINDS.values()):
        put(root / "cat" / f"{n}.png", data)
    report = check(root)
    names = {f.check for f in report.findings}
    assert names >= {"unreadable", "suffix", "16-bit", "tiny", "aspect", "empty", "animated", "classes"}
    bad = next(f for f in report.findings if f.check == "unreadable")
    assert len(bad.files) == 5
    assert [f.level for f in report.findings] == sorted(
        (f.level for f in report.findings), key=("error", "warning", "note").index
    )


def test_bad_pictures_are_left_out_when_asked(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    put(root / "cat" / "bad.png", b"")
    report = check(root, skip_bad=True)
    assert report.ok
    assert any(x.startswith("unreadable: 1 picture left out") for x in lines(report, "warning"))
    assert [p.split for p in report.pictures if p.name == "cat/bad.png"] == ["skipped"]
    assert sum(report.counts()["train"].values()) + sum(report.counts()["val"].values()) == 10


def test_exif_is_counted(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("JPEG", "TIFF"):
        put(root / "cat" / f"x.{form.lower()}", encoded(picture(950 + len(form)), form, exif=exif))
    report = check(root)
    note = next(f for f in report.findings if f.check == "exif")
    assert note.files == ("cat/x.jpeg (6)", "cat/x.tiff (6)")
    assert {(p.facts.width, p.facts.height) for p in report.pictures if "x." in p.name} == {(40, 48)}


# Copies ----------------------------------------------------------------------------------------------------------


def two_splits(root):
    fill(root / "train", cat=6, dog=6)
    return fill(root / "val", seed=50, cat=5, dog=5).parent


def test_a_file_in_two_splits_is_an_error(tmp_path):
    root = two_splits(tmp_path / "d")
    put(root / "val/cat/copy.png", (root / "train/cat/0.png").read_bytes())
    found = lines(check(root), "error")
    assert len(found) == 1
    assert found[0].startswith("copies: 1 picture in more than one split; ")
    assert "train/cat/0.png = val/cat/copy.png" in found[0]


def test_a_file_in_two_classes_is_an_error(tmp_path):
    root = fill(tmp_path / "d", cat=6, dog=6)
    put(root / "dog/copy.png", (root / "cat/0.png").read_bytes())
    assert lines(check(root), "error") == [
        "copies: 1 picture under more than one class; keep the one that is right. ['cat/0.png = dog/copy.png']"
    ]


def test_a_file_twice_in_a_class_is_a_note_and_stays_on_one_side(tmp_path):
    root = fill(tmp_path / "d", cat=6, dog=6)
    for n in range(2):
        put(root / f"cat/copy{n}.png", (root / "cat/0.png").read_bytes())
    for seed in range(5):
        report = check(root, seed=seed)
        assert report.ok
        assert len({p.split for p in report.pictures if p.name in ("cat/0.png", "cat/copy0.png", "cat/copy1.png")}) == 1
    assert any(x.startswith("copies: 1 picture more than once") for x in lines(report, "note"))


CHANGED = {
    "saved again": lambda image: encoded(image, "JPEG", quality=40),
    "smaller": lambda image: encoded(image.resize((100, 70)), "PNG"),
    "larger": lambda image: encoded(image.resize((400, 300)), "PNG"),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.7), "PNG"),
    "less contrast": lambda image: encoded(ImageEnhance.Contrast(image).enhance(0.6), "PNG"),
    "mirrored": lambda image: encoded(ImageOps.mirror(image), "PNG"),
    "a pixel cut off": lambda image: encoded(image.crop((1, 1, image.width, image.height)), "PNG"),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_copy_in_two_splits_is_a_warning(how, tmp_path):
    root = two_splits(tmp_path / "d")
    put(root / "train/cat/a.png", encoded(picture(900, (200, 150)), "PNG"))
    put(root / "val/cat/b.png", CHANGED[how](picture(900, (200, 150))))
    report = check(root)
    found = [x for x in lines(report, "warning") if x.startswith("near copies: ")]
    assert len(found) == 1
    assert "train/cat/a.png ~ val/cat/b.png" in found[0]
    assert report.ok
    assert not [x for x in lines(check(root, near_duplicates=1.0), "warning") if x.startswith("near copies: ")]


@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_copy_stays_on_one_side_of_our_split(how, tmp_path):
    root = fill(tmp_path / "d", cat=8, dog=8)
    for n in range(4):
        image = picture(900 + n, (200, 150))
        put(root / f"cat/a{n}.png", encoded(image, "PNG"))
        put(root / f"cat/b{n}.png", CHANGED[how](image))
    for seed in range(3):
        side = {p.name: p.split for p in check(root, seed=seed, val_fraction=0.4).pictures}
        assert all(side[f"cat/a{n}.png"] == side[f"cat/b{n}.png"] for n in range(4))


def test_a_changed_copy_in_two_classes_is_a_warning(tmp_path):
    root = fill(tmp_path / "d", cat=6, dog=6)
    put(root / "dog/b.png", encoded(picture(1), "JPEG", quality=60))
    found = lines(check(root), "warning")
    assert any(x.startswith("near copies: 1 pair of pictures nearly the same under different classes") for x in found)


def test_small_and_flat_pictures_are_not_taken_for_copies(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    for n in range(6):
        put(root / f"cat/flat{n}.png", encoded(Image.new("RGB", (40, 40), (50, 50, 50 + n)), "PNG"))
        put(root / f"dog/small{n}.png", encoded(picture(500).resize((20 + n, 20)), "PNG"))
    assert not [x for x in lines(check(root), "error", "warning") if x.startswith("near copies")]


def test_a_class_of_one_scene_says_what_to_do(tmp_path):
    root = fill(tmp_path / "d", cat=10)
    for n in range(6):
        put(root / f"dog/{n}.jpg", encoded(picture(900, (100, 80)), "JPEG", quality=50 + n))
    found = lines(check(root), "error")
    assert len(found) == 1
    assert found[0].startswith("split: 1 class cannot be both learnt and validated; ")
    assert found[0].endswith("['dog (6 pictures that belong together)']")
    assert check(root, near_duplicates=1.0).ok


# Classes and clues -----------------------------------------------------------------------------------------------


def test_imbalance_and_few(tmp_path):
    report = check(fill(tmp_path / "d", cat=44, dog=4))
    assert any(f.check == "imbalance" and "12 times" in f.text for f in report.findings)
    few = [f for f in report.findings if f.check == "few"]
    assert few[0].files == ("dog (3)",)
    assert "10 pictures to validate with" in few[1].text
    assert report.ok


def test_one_picture_of_a_class_cannot_be_divided(tmp_path):
    found = lines(check(fill(tmp_path / "d", cat=6, dog=1, eel=1)), "error")
    assert found[0].startswith("split: 2 classes cannot be both learnt and validated")
    assert found[0].endswith("['dog (1 picture)', 'eel (1 picture)']")


CLUES = {
    "the format": lambda n: encoded(picture(700 + n), "BMP"),
    "the size of the file": lambda n: encoded(picture(700 + n), "PNG", compress_level=0),
    "the number of pixels": lambda n: encoded(picture(700 + n, (90, 75)), "PNG"),
    "the aspect ratio": lambda n: encoded(picture(700 + n, (40, 48)), "PNG"),
    "the mode of colours": lambda n: encoded(picture(700 + n, mode="RGBA"), "PNG"),
    "the brightness": lambda n: encoded(ImageEnhance.Brightness(picture(700 + n)).enhance(0.3), "PNG"),
}


@pytest.mark.parametrize("clue", CLUES)
def test_a_property_that_tells_the_class_is_a_warning(clue, tmp_path):
    root = fill(tmp_path / "d", cat=40)
    for n in range(40):
        put(root / f"dog/{n}.{'bmp' if clue == 'the format' else 'png'}", CLUES[clue](n))
    found = [x for x in lines(check(root), "warning") if x.startswith("clues: ")]
    assert any(x.startswith(f"clues: {clue} alone tells the class of ") for x in found), found


def test_every_check_runs():
    assert checks.list_checks() == ["classes", "clues", "copies", "division", "pictures", "reading"]
