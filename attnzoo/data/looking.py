"""What is known of one picture after it was decoded to its end."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass

from attnzoo.data import decoding
from attnzoo.data.decoding import Unreadable

SIDE = 16  # of the picture in small, by which pictures are compared
SMALL = SIDE * SIDE * 3


@dataclass(frozen=True)
class Facts:
    """What a picture is.

    Attributes:
        problem: why it cannot be used; all else that is not known then is empty.
        size: of the file, in bytes.
        sha256: of the file.
        format, mode: Pillow's words, such as `"JPEG"` and `"RGB"`.
        width, height: in pixels, upright.
        orientation: what EXIF states, 1 to 8.
        animated: whether there are more frames or pages than the first, which is read.
        transparent: whether something in it is.
        said: what the decoder warned of.
        small: the picture shrunk to 16 x 16 x 3.
    """

    problem: str = ""
    size: int = 0
    sha256: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    animated: bool = False
    transparent: bool = False
    said: str = ""
    small: bytes = b""


def look(path: str | os.PathLike[str]) -> Facts:
    """Decodes a picture by the function that training uses, and says what it is; raises nothing for its sake."""
    try:
        data = decoding.read_bytes(path)
    except Unreadable as error:
        return Facts(problem=str(error))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return _look(data, sha256, caught)
    except Unreadable as error:
        return Facts(problem=str(error), size=len(data), sha256=sha256)
    except MemoryError:
        return Facts(problem="takes more memory than there is", size=len(data), sha256=sha256)


def _look(data: bytes, sha256: str, caught: list[warnings.WarningMessage]) -> Facts:
    Image = decoding.pillow()
    image = decoding.open_picture(data)
    # Asked before it is decoded: a TIFF is turned, and its file closed, by then.
    mode, orientation, animated = image.mode, decoding.orientation(image), _animated(image)
    upright = decoding.load(image)
    rgb = decoding.to_rgb(upright)
    small = rgb.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    return Facts(
        size=len(data),
        sha256=sha256,
        format="JPEG" if image.format == "MPO" else str(image.format),  # MPO is JPEG, with more pictures behind
        mode=mode,
        width=upright.width,
        height=upright.height,
        orientation=orientation,
        animated=animated,
        transparent=_transparent(upright),
        said=" ".join(str(caught[0].message).split())[:200] if caught else "",
        small=small.tobytes(),
    )


def _animated(image: decoding.PillowImage) -> bool:
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # the second frame is damaged; the first is what is read
        return True


def _transparent(image: decoding.PillowImage) -> bool:
    if image.mode in ("RGBA", "LA", "PA"):
        lowest = image.getchannel("A").getextrema()[0]
        return isinstance(lowest, int | float) and lowest < 255
    return bool(image.has_transparency_data)
