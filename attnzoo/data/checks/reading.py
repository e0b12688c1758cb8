"""Pictures that cannot be read, or were read in a way that somebody may not expect."""

from __future__ import annotations

import os
from collections.abc import Iterator

from attnzoo.data.decoding import SUFFIXES
from attnzoo.data.findings import Finding, count
from attnzoo.data.images import Looked


def check(looked: Looked) -> Iterator[Finding]:
    bad = tuple(f"{p.name} ({p.facts.problem})" for p in looked.unreadable)
    if bad and looked.skip_bad:
        yield Finding(
            "warning", "unreadable", f"{count(len(bad), 'picture')} left out, since they cannot be read.", bad
        )
    elif bad:
        text = f"{count(len(bad), 'picture')} cannot be read; mend or remove what is listed, or say --skip-bad."
        yield Finding("error", "unreadable", text, bad)
    yield from _differently(looked)


def _differently(looked: Looked) -> Iterator[Finding]:
    wrong = [
        f"{p.name} ({p.facts.format})"
        for p in looked.pictures
        if SUFFIXES.get(os.path.splitext(p.name)[1].lower(), p.facts.format) != p.facts.format
    ]
    if wrong:
        text = f"{count(len(wrong), 'picture')} in another format than the name says; attnzoo reads it, others may not."
        yield Finding("warning", "suffix", text, tuple(wrong))
    animated = tuple(looked.which("animated"))
    if animated:
        text = f"{count(len(animated), 'picture')} with several frames or pages; the first is used."
        yield Finding("warning", "animated", text, animated)
    said = tuple(looked.which("said", "said"))
    if said:
        text = f"{count(len(said), 'picture')} of which the decoder says that something is not as it should be."
        yield Finding("warning", "decoder", text, said)
    turned = [f"{p.name} ({p.facts.orientation})" for p in looked.pictures if p.facts.orientation != 1]
    if turned:
        text = f"{count(len(turned), 'picture')} turned upright as EXIF says."
        yield Finding("note", "exif", text, tuple(turned))
    deep = [f"{p.name} ({p.facts.mode})" for p in looked.pictures if p.facts.mode.startswith("I")]
    if deep:
        text = f"{count(len(deep), 'picture')} with 16 bits a pixel, of which the whole range is scaled to 8 bits."
        yield Finding("warning", "16-bit", text, tuple(deep))
    clear = tuple(looked.which("transparent", "mode"))
    if clear:
        text = f"{count(len(clear), 'picture')} with transparent parts, which lie on white."
        yield Finding("note", "transparent", text, clear)
    inks = [p.name for p in looked.pictures if p.facts.mode == "CMYK"]
    if inks:
        text = f"{count(len(inks), 'picture')} in CMYK, converted without a colour profile."
        yield Finding("note", "cmyk", text, tuple(inks))
