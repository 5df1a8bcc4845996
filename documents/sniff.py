"""What a file is, by its content; its name proves nothing."""

import io
import zipfile
from enum import StrEnum

MAX_ENTRIES = 2_000
MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 200
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "pdf"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF8", "gif"),
    (4, b"ftyp", "mp4"),
    (0, b"Rar!", "rar"),
    (0, b"7z\xbc\xaf", "7z"),
    (0, OLE, "ole"),
)


class FileKind(StrEnum):
    """Kinds that are told apart."""

    XLSX = "xlsx"
    DOCX = "docx"
    MACROS = "macros"  # an Office file that carries macros
    PDF = "pdf"
    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    MP4 = "mp4"
    ZIP = "zip"
    RAR = "rar"
    SEVEN_ZIP = "7z"
    OLE = "ole"  # .xls, .doc, .et, .wps
    BOMB = "bomb"  # a zip that unpacks beyond reason
    UNKNOWN = "unknown"


def sniff(data: bytes) -> FileKind:
    """Return what a file is."""
    if data[:4] == b"PK\x03\x04":
        return _zip(data)
    for offset, magic, kind in MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return FileKind(kind)
    return FileKind.UNKNOWN


def _zip(data: bytes) -> FileKind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, OSError, ValueError):
        return FileKind.UNKNOWN
    unpacked = sum(e.file_size for e in entries)
    packed = sum(e.compress_size for e in entries) or 1
    if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED or unpacked / packed > MAX_RATIO:
        return FileKind.BOMB
    names = {e.filename for e in entries}
    if any(name.endswith("vbaProject.bin") for name in names):
        return FileKind.MACROS
    if "xl/workbook.xml" in names:
        return FileKind.XLSX
    return FileKind.DOCX if "word/document.xml" in names else FileKind.ZIP
