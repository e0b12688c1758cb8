"""The zip archive that a `.keras` file is: its directory checked, its members read within bounds."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path
from typing import IO, Any

from attnzoo.errors import quoted
from attnzoo.files.inspect._findings import Findings, Unreadable

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MOST_DIRECTORY = 4 << 20
MOST_MEMBERS = 10_000
MOST_TEXT = 16 << 20
"""Bytes of a config; NASNetLarge, the longest of keras.applications, has 2 MB."""
FREE, EXPANSION = 64 << 20, 20
"""A file may hold 64 MiB more than twenty times its size on disk. Keras compresses nothing, and trained weights hardly
get smaller by compression; what grows a thousandfold is a bomb."""


def is_absurd(unpacked: int, size: int) -> bool:
    """Says whether a file of `size` bytes cannot honestly hold `unpacked` bytes."""
    return unpacked > FREE + EXPANSION * size


class Archive:
    """A `.keras` file.

    Args:
        path: the file.
        findings: receives what is wrong.

    Raises:
        Unreadable: if it is no zip archive, or damaged so that its directory cannot be read.
    """

    def __init__(self, path: Path, findings: Findings):
        self.findings = findings
        self._file = _Careful(path)
        self.size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.read(2) != b"PK":
                raise Unreadable("not a .keras file, though its name ends so.")
            self._zip = zipfile.ZipFile(self._file)
        except zipfile.BadZipFile as error:
            self._file.close()
            what = "an incomplete .keras file" if "not a zip" in str(error) else f"damaged: {error}"
            raise Unreadable(f"{what}; copy or download it again.") from None
        except BaseException:
            self._file.close()
            raise
        self.members = self._zip.infolist()
        self.unpacked = sum(m.file_size for m in self.members)
        self._check()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def text(self, name: str) -> bytes | None:
        """Returns a short member; None if there is none of this name or it is too long."""
        info = self._info(name)
        if info is None:
            return None
        if info.file_size > MOST_TEXT:
            self.findings.risk(f"its {name} has {info.file_size:,} bytes; expected {MOST_TEXT:,} at most.")
            return None
        with self._zip.open(info) as member:
            return member.read(MOST_TEXT)

    def weights(self) -> IO[bytes] | None:
        """Returns the weights as a file that can be read anywhere; None if there are none or they are a bomb."""
        info = self._info(WEIGHTS)
        if info is None or is_absurd(self.unpacked, self.size):
            return None
        if info.compress_type == zipfile.ZIP_STORED:
            return io.BufferedReader(_Window(self._file, self._start(info), info.file_size), 1 << 16)
        with self._zip.open(info) as member:
            return io.BytesIO(member.read())

    def verify(self) -> None:
        """Compares all members with their checksums; reading a part of one, as h5py does, compares nothing.

        Raises:
            Exception: whatever zipfile raises for a damaged member.
        """
        if is_absurd(self.unpacked, self.size):
            return
        for info in self.members:
            with self._zip.open(info) as member:
                while member.read(1 << 20):
                    pass

    def _info(self, name: str) -> zipfile.ZipInfo | None:
        return self._zip.NameToInfo.get(name)

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Returns where a member's bytes begin, which only its own header says."""
        with self._zip.open(info):  # compares that header with the directory
            pass
        self._file.seek(info.header_offset + 26)
        lengths = self._file.read(4)
        return info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")

    def _check(self) -> None:
        seen = set()
        if len(self.members) > MOST_MEMBERS:
            raise Unreadable(f"holds {len(self.members):,} members; expected {MOST_MEMBERS:,} at most.")
        for info in self.members:
            if info.flag_bits & 0x1:
                raise Unreadable(f"its member {quoted(info.orig_filename)} is encrypted.")
            problem = _problem(info) or ("appears twice in the archive" if info.filename in seen else None)
            seen.add(info.filename)
            if problem:
                self.findings.defect(f"its member {quoted(info.orig_filename)} {problem}.")
        if sum(m.compress_size for m in self.members) > self.size:
            self.findings.defect("its members overlap.")
        if is_absurd(self.unpacked, self.size):
            self.findings.risk(f"would grow from {self.size:,} to {self.unpacked:,} bytes: a decompression bomb.")
        for name in (CONFIG, METADATA, WEIGHTS):
            if name not in seen:
                self.findings.defect(f"holds no {name}.")


def _problem(info: zipfile.ZipInfo) -> str | None:
    name = info.orig_filename
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or ":" in parts[0]:
        return "leads out of the archive"
    if not name.isprintable():
        return "has control characters in its name"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return "has two different sizes"
    return None


class _Careful(io.FileIO):
    """A file that refuses one huge read: zipfile takes an archive's whole directory at once."""

    def read(self, size: int | None = -1) -> Any:
        left = os.fstat(self.fileno()).st_size - self.tell()
        if (left if size is None or size < 0 else min(size, left)) > MOST_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory is larger than {MOST_DIRECTORY:,} bytes")
        return super().read(-1 if size is None else size)


class _Window(io.RawIOBase):
    """The part of a file that a member lies in."""

    def __init__(self, file: io.FileIO, start: int, size: int):
        self._file, self._begin, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._at))
        self._file.seek(self._begin + self._at)
        done = self._file.readinto(view[:count]) or 0
        self._at += done
        return done
