"""Pictures that cannot be used, and what else is said of them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from attnzoo.cli import main
from attnzoo.data import decode, decoding, folders, workers

from ..data.pictures import check, encoded, fill, picture, put
from ..data.test_decoding import BAD, bomb
from .collector import says

DATA = Path("d")


def text(name, make, **options):
    """Shows what is found under a name after two classes of five pictures were changed."""

    def run():
        fill(DATA, cat=5, dog=5)
        make()
        return "\n".join(str(f) for f in check(DATA, **options).findings if f.check == name)

    return says(run)


def add(name, data):
    return lambda: put(DATA / name, data)


def png(number, **options):
    return encoded(picture(number, **options), "PNG")


def copy(new, old="cat/0.png"):
    return lambda: put(DATA / new, (DATA / old).read_bytes())


def splits(**more):
    """Makes train and val of what there is."""

    def run():
        fill(Path("e/train"), cat=5, dog=5)
        fill(Path("e/val"), seed=50, cat=5, dog=5)
        os.rename("d", "old")
        os.rename("e", "d")
        fill(DATA, seed=90, **more)

    return run


def usage(**options):
    def run():
        fill(DATA, cat=5, dog=5)
        Path("f.txt").touch()
        check(**{"data": DATA, **options})

    return run


def table(content, name="d/t.csv"):
    def run():
        put(Path(name), content.encode())
        check(Path(name), cache="c")

    return run


def table_text(content):
    def run():
        fill(DATA, cat=5, dog=5)
        put(DATA / "t.csv", content.encode())
        return "\n".join(str(f) for f in check(DATA / "t.csv", cache="c").findings if f.check in ("table", "names"))

    return says(run)


def split(change):
    """Shows what differs from a split that was written."""

    def run():
        fill(DATA, cat=5, dog=5)
        check(DATA).write_split("s.csv")
        change()
        return "\n".join(str(f) for f in check(DATA, split="s.csv").findings if f.check == "split")

    return says(run)


def written(file):
    def run():
        check(fill(DATA, cat=5, dog=5)).write_split(file)

    return run


def bad_split(content):
    def run():
        fill(DATA, cat=5, dog=5)
        put(Path("s.csv"), content.encode())
        check(DATA, split="s.csv")

    return run


def decoded(data, name="x.png"):
    def run():
        if data is not None:
            put(Path(name), data)
        decode(name)

    return run


def folder():
    Path("x.png").mkdir()
    decode("x.png")


def without_pillow():
    with mock.patch.dict(sys.modules, {"PIL": None}):
        decode(b"x")


def unconvertible():
    grey = encoded(picture(1, mode="L"), "PNG")
    with mock.patch.object(Image.Image, "convert", side_effect=ValueError("conversion not supported")):
        decode(grey)


def limited(run, module, **limits):
    def lower():
        with mock.patch.multiple(module, **limits):
            run()

    return lower


def header_broken():
    with mock.patch.object(TiffImagePlugin.TiffImageFile, "_setup", side_effect=RuntimeError("made by hand")):
        decode(encoded(picture(1), "TIFF"))


def closed():
    with mock.patch.object(Path, "read_bytes", side_effect=PermissionError(13, "Permission denied")):
        decode(put(Path("x.png"), b"x"))


def unwritable():
    put(Path("file"), b"")
    fill(DATA, cat=5, dog=5)
    (found,) = (f for f in check(DATA, cache="file/c").findings if f.check == "cache")
    return str(found)


def no_process():
    fill(DATA, cat=5, dog=5)
    with mock.patch.object(workers, "_START", "1 / 0"):
        check(DATA, workers=1)


def links():
    if not hasattr(os, "symlink"):
        pytest.skip("needs links")
    os.symlink("../cat", DATA / "cat" / "again")


def listing_fails():
    real = os.scandir

    def scandir(place):
        if str(place).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(place)

    fill(DATA, cat=5, dog=5)
    with mock.patch.object(folders.os, "scandir", scandir):
        return "\n".join(str(f) for f in check(DATA).findings if f.check == "folders")


def warned():
    fill(DATA, cat=5, dog=5)
    exif = b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"
    put(DATA / "cat" / "x.png", encoded(picture(900), "PNG", exif=exif))
    return "\n".join(f.text for f in check(DATA).findings if f.check == "decoder")


def clues():
    for n in range(20):
        put(DATA / "cat" / f"{n}.png", png(100 + n))
        put(DATA / "dog" / f"{n}.bmp", encoded(picture(200 + n), "BMP"))
    return "\n".join(str(f) for f in check(DATA).findings if f.check == "clues" and "format" in f.text)


def unequal():
    return "\n".join(str(f) for f in check(fill(DATA, cat=60, dog=4)).findings)


def only(**classes):
    def run():
        fill(DATA, **classes).mkdir(exist_ok=True)
        return "\n".join(str(f) for f in check(DATA).findings)

    return says(run)


def too_low():
    fill(DATA, cat=5, dog=5)
    return "\n".join(str(f) for f in check(DATA / "cat").findings if f.check == "layout")


def beside():
    fill(DATA / "train", cat=5, dog=5)
    fill(DATA / "val", seed=50, cat=5, dog=5)
    return "\n".join(str(f) for f in check(DATA / "train").findings if f.check == "layout")


def given_twice():
    fill(DATA / "train", cat=5, dog=5)
    fill(DATA / "val", seed=50, cat=5, dog=5)
    fill(Path("v"), seed=90, cat=5, dog=5)
    return "\n".join(str(f) for f in check(DATA, val="v").findings if f.check == "layout")


def one_scene():
    for n in range(4):
        put(DATA / "cat" / f"{n}.jpg", encoded(picture(7), "JPEG", quality=50 + n))
    fill(DATA, seed=50, dog=5, eel=1)
    return "\n".join(str(f) for f in check(DATA).findings if f.check == "split")


def not_written():
    put(fill(DATA, cat=5, dog=5) / "x.png", b"")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["check-data", "d", "-j", "0", "--cache", "c", "--write-split", "s.csv"])
    return out.getvalue()


RAMP = Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27)
EXIF = Image.Exif()
EXIF[decoding.ORIENTATION] = 6

PICTURES = [
    decoded(b""),
    decoded(None),
    decoded(BAD["text"]),
    decoded(BAD["half_png"]),
    decoded(BAD["bomb"]),
    decoded(bomb(9_500, 9_500)),
    decoded(encoded(Image.new("F", (40, 40)), "TIFF")),
    decoded(None, "a\0b.png"),
    limited(decoded(png(1)), decoding, MOST_BYTES=10),
    lambda: decode(png(1)[:60]),
    lambda: decode(b"x", background=(0, 0, 300)),
    closed,
    folder,
    header_broken,
    unconvertible,
    without_pillow,
]

ARGUMENTS = [
    usage(data=Path("none")),
    usage(data=Path("f.txt")),
    usage(val="f.txt"),
    usage(val_fraction=20),
    usage(near_duplicates=98),
    usage(workers=-1),
    usage(group_by="(patient"),
    usage(cache="d/cache"),
    no_process,
]

FOLDERS = [
    only(),
    only(cat=5),
    only(cat=5, dog=5, eel=0),
    only(set__cat=5, set__dog=5),
    only(train=5, test=5),
    says(too_low),
    says(beside),
    says(given_twice),
    text("layout", add("x.png", png(900))),
    text("layout", splits(other__cat=1, valid__cat=1)),
    text("names", add("Cat/x.png", png(900))),
    text("names", add("a;b/x.png", png(900))),
    text("links", links),
    says(listing_fails),
    text("ignored", add("cat/x.heic", b"x")),
    text("hidden", add("cat/._0.png", b"x")),
    text("classes", splits(train__eel=5, val__egl=5)),
    text("group_by", lambda: None, group_by="cat/[0-9]"),
    says(unwritable),
]

TABLES = [
    table("path,lable\n0.png,a\n"),
    table("path,label\n0.png,a,b\n"),
    table("path,label,path\n0.png,a,b\n"),
    table("path,label,split\n0.png,a,tset\n"),
    table("path,label\n,a\n"),
    table('path,label\n0.png,"a\n'),
    table_text("path,label,split\ncat/0.png,a,train\ncat/0.png,b,\ndog/0.png,,train\n"),
    bad_split("path,class,split,sha256\na,b,tarin,0\n"),
    bad_split("path,class,split,sha256\na,b,train,0\na,b,train,0\n"),
    split(copy("cat/new.png")),
    split(lambda: os.unlink("d/cat/0.png")),
    split(add("cat/0.png", png(900))),
    split(lambda: put(Path("s.csv"), Path("s.csv").read_bytes().replace(b"cat/0.png,cat", b"cat/0.png,dog"))),
    written("d/s.csv"),
    written("none/s.csv"),
    says(not_written),
]

FOUND = [
    text("unreadable", add("cat/x.png", b"")),
    text("unreadable", add("cat/x.png", b""), skip_bad=True),
    text("suffix", add("cat/x.png", encoded(picture(900), "GIF"))),
    text("animated", add("cat/x.gif", encoded(picture(900), "GIF", save_all=True, append_images=[picture(901)]))),
    text("exif", add("cat/x.png", encoded(picture(900), "PNG", exif=EXIF))),
    text("16-bit", add("cat/x.png", encoded(RAMP, "PNG"))),
    text("transparent", add("cat/x.png", encoded(picture(900, mode="RGBA").rotate(30), "PNG"))),
    text("cmyk", add("cat/x.jpg", encoded(picture(900, mode="CMYK"), "JPEG"))),
    text("tiny", add("cat/x.png", png(900, size=(20, 20)))),
    text("aspect", add("cat/x.png", png(900, size=(400, 40)))),
    text("empty", add("cat/x.png", encoded(Image.new("RGB", (40, 40)), "PNG"))),
    text("grey", add("cat/x.png", png(900, mode="L"))),
    says(warned),
    text("copies", copy("cat/x.png")),
    text("copies", copy("dog/x.png")),
    text("copies", lambda: [splits()(), put(DATA / "val/cat/x.png", (DATA / "train/cat/0.png").read_bytes())]),
    text("near copies", add("dog/x.jpg", encoded(picture(1), "JPEG"))),
    text("near copies", lambda: [splits()(), put(DATA / "val/cat/x.jpg", encoded(picture(1), "JPEG"))]),
    text("group", splits(), group_by=r"/[01]\."),
    says(unequal),
    says(clues),
    says(one_scene),
]
