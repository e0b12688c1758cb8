"""One function that makes pixels of a picture, for checking, training, evaluation and prediction alike.

    bytes -> Pillow's image, fully decoded -> upright -> 8 bits -> on a background -> three channels

Only bytes decide what a file is, never its name. Limits stand at the top; nothing here looks at Pillow's own switches
for damaged pictures, which are off unless a program turns them on.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnzoo.errors import AttnzooError, DataError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "PPM")
"""What is read. Pillow knows forty more, among them some that start other programs (EPS)."""

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
}
"""The names that pictures have, and the format that each promises."""

MOST_BYTES = 1 << 30
MOST_PIXELS = 89_478_485  # 256 MiB of RGB; where Pillow begins to warn

WHITE = (255, 255, 255)
ORIENTATION = 0x0112  # in EXIF


class Unreadable(Exception):
    """Why a picture cannot be read; becomes a part of a message."""


def decode(source: str | os.PathLike[str] | bytes, *, background: tuple[int, int, int] = WHITE) -> np.ndarray:
    """Returns the pixels of a picture.

    - Upright: the rotation that EXIF asks for is applied; EXIF that cannot be read asks for none.
    - The first frame of an animation, the first page of a TIFF.
    - 16 bits become 8 by division by 257, rounded; 12 bits by 4095 / 255.
    - Grey, palette, CMYK and other colours become RGB by Pillow's conversion. Colour profiles are not applied.
    - What is transparent lies on `background`, whatever colour is hidden below.

    Args:
        source: a file, or its bytes: JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, PPM or PGM, whatever it is called.
        background: red, green and blue, 0 to 255.

    Returns:
        An array of uint8 of shape (height, width, 3).

    Raises:
        AttnzooError: if Pillow is not installed, or `background` is no colour.
        DataError: if the picture cannot be decoded to its end, has more than 89,478,485 pixels, or pixels without an
            agreed range (32-bit integers, floats).
    """
    if len(background) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in background):
        raise AttnzooError(f"background={background!r}: expected three whole numbers from 0 to 255.")
    pillow()
    try:
        data = source if isinstance(source, bytes) else read_bytes(source)
        return np.array(to_rgb(load(open_picture(data)), background))
    except Unreadable as error:
        name = "a picture" if isinstance(source, bytes) else os.fspath(source)
        raise DataError(f"{name}: {error}.") from None


def pillow() -> Any:
    """Returns Pillow's `Image`.

    Raises:
        AttnzooError: if it is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise AttnzooError("reading pictures takes Pillow; install it with `pip install 'attnzoo[train]'`.") from None
    return Image


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a regular file.

    Raises:
        Unreadable: if it is none, is empty or too large, or cannot be opened.
    """
    try:
        # Looked at before it is opened: opening a pipe waits for whoever writes to it.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a file, but a folder, a pipe or a device")
        if status.st_size > MOST_BYTES:
            raise Unreadable(f"larger than {MOST_BYTES:,} bytes")
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise Unreadable("no such file, or a link to none") from None
    except (OSError, ValueError) as error:
        raise Unreadable(getattr(error, "strerror", None) or "the name cannot be opened") from None
    if not data:
        raise Unreadable("0 bytes")
    return data


def open_picture(data: bytes) -> PillowImage:
    """Returns a picture whose header was read and is within limits.

    Raises:
        Unreadable: if there is none.
    """
    Image = pillow()
    try:
        image: PillowImage = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise Unreadable("no picture in a format that is read (JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, PPM)") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {MOST_PIXELS:,} pixels; make it smaller") from None
    except Exception as error:  # a decoder raises anything on a file made for it
        raise Unreadable(_damage(error)) from None
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"more than {MOST_PIXELS:,} pixels; make it smaller")
    return image


def load(image: PillowImage) -> PillowImage:
    """Decodes a picture to its end and turns it upright.

    Raises:
        Unreadable: if that does not work.
    """
    Image = pillow()
    try:
        image.load()
    except Exception as error:  # as above
        raise Unreadable(_damage(error)) from None
    # TIFF is upright already, and then says so.
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation(image))
    if turn is None:
        return image
    upright = image.transpose(turn)
    upright.info = image.info  # which colour is transparent
    upright.format = image.format
    return upright


def orientation(image: PillowImage) -> int:
    """Returns the orientation that EXIF states, 1 to 8; 1 where it states nothing that makes sense."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF is damaged more often than pictures are
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def to_rgb(image: PillowImage, background: tuple[int, int, int] = WHITE) -> PillowImage:
    """Returns a decoded picture as RGB.

    Raises:
        Unreadable: if its pixels have no agreed range, or Pillow cannot convert them.
    """
    Image = pillow()
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise Unreadable("pixels are 32-bit numbers without an agreed range; save it with 8 or 16 bits")
    try:
        if image.mode.startswith("I"):
            image = Image.fromarray(_eight_bits(image))
        if image.has_transparency_data:
            seen = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", seen.size, (*background, 255)), seen)
        return image if image.mode == "RGB" else image.convert("RGB")
    except Exception as error:  # as above
        raise Unreadable(f"its colours cannot be converted ({_words(error)})") from None


def _eight_bits(image: PillowImage) -> np.ndarray:
    values = np.asarray(image, dtype=np.float32)
    bits = getattr(image, "tag_v2", {}).get(258, (16,))  # TIFF's BitsPerSample; Pillow leaves 12 bits as they are
    most = 4095 if tuple(np.atleast_1d(bits)) == (12,) else 65535
    return np.rint(np.clip(values, 0, most) * (255 / most)).astype(np.uint8)


def _damage(error: Exception) -> str:
    text = _words(error)
    cut = "truncated" in text.lower() or "not enough image data" in text
    return "cut off before its end" if cut else f"damaged ({text})"


def _words(error: Exception) -> str:
    return first_line(error).rstrip(".") if str(error) else type(error).__name__
