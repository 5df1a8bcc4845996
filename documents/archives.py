"""Unpacking a .zip that somebody sent. Runs in the reading process (:mod:`documents.sandbox`), never in ours."""

import io
import re
import zipfile
from dataclasses import dataclass

from documents.opening import BROKEN, Cause, UnreadableWorkbook

MAX_FILES = 40
MAX_UNPACKED = 60 * 1024 * 1024
UTF8_NAME = 0x800  # flag of an entry: its name is UTF-8
ENCRYPTED = 0x1
RUBBISH = re.compile(r"(^|/)(__MACOSX/|\.(?!\.)[^/]*$|Thumbs\.db$|desktop\.ini$|~\$)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One file of an archive; its name without any path."""

    name: str
    content: bytes


def unpack(data: bytes) -> tuple[Packed, ...]:
    """Return the files of a .zip, folders flattened, without what operating systems leave behind.

    Raises:
        UnreadableWorkbook: it cannot be opened, or holds more than anybody hands in.

    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and not RUBBISH.search(e.filename)]
            if len(entries) > MAX_FILES or sum(e.file_size for e in entries) > MAX_UNPACKED:
                raise UnreadableWorkbook(f"more than {MAX_FILES} files or {MAX_UNPACKED} bytes", Cause.TOO_LARGE)
            return tuple(Packed(name=plain_name(_name(e)), content=archive.read(e)) for e in entries)
    except BROKEN as error:
        raise UnreadableWorkbook(f"{type(error).__name__}: {error}") from error


def _name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name: Windows in China writes GBK without saying so, and Python reads that as CP437."""
    if entry.flag_bits & UTF8_NAME:
        return entry.filename
    try:
        raw = entry.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename


def plain_name(name: str) -> str:
    """Return a file's name without path, drive or control characters: it is shown, and never opened by."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(" .")[:200] or "未命名"
