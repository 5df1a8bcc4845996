"""What a file is, by its content; its name proves nothing."""

import io
import re
import struct
import zipfile
import zlib
from enum import StrEnum

MAX_ENTRIES = 2_000
MAX_DIRECTORY = 1024 * 1024  # of a zip's list of entries: it is read before anything is known of them
MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 200
MAX_TYPES = 256 * 1024  # of the part that lists what an Office file is made of
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "pdf"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF8", "gif"),
    (4, b"ftyp", "mp4"),
    (0, b"Rar!", "rar"),
    (0, b"7z\xbc\xaf", "7z"),
)
MARKUP = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*+(?>(?:<\?xml[^>]*+>|<!--.*?-->|<!doctype\s[^>]*+>)\s*+)*+<\s*+(?:[a-z]+:)?([a-z!]+)",
    re.IGNORECASE | re.DOTALL,
)
HTML = frozenset({"html", "head", "body", "table", "meta", "script", "div", "style", "!doctype"})
OLE_STREAMS = (("EncryptedPackage", "encrypted"), ("WordDocument", "doc"), ("Workbook", "xls"), ("Book", "xls"))
EMPTY_ZIP = b"PK\x05\x06"
DIRECTORY_END = struct.Struct("<4s4H2LH")
WIDE_END = b"PK\x06\x06"
IN_WIDE_END = 0xFFFFFFFF  # the size stands there


class FileKind(StrEnum):
    """Kinds that are told apart."""

    XLSX = "xlsx"
    DOCX = "docx"
    MACROS = "macros"  # an Office file that carries macros
    ENCRYPTED = "encrypted"  # an Office file or a zip that wants a password
    XLS = "xls"  # .xls, .et: the format before 2007
    DOC = "doc"  # .doc, .wps
    XLSB = "xlsb"
    ODF = "odf"  # OpenDocument
    PDF = "pdf"
    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    MP4 = "mp4"
    ZIP = "zip"
    RAR = "rar"
    SEVEN_ZIP = "7z"
    OLE = "ole"  # some other old Office file
    HTML = "html"
    SVG = "svg"
    XML = "xml"
    TEXT = "text"  # also .csv
    BOMB = "bomb"  # a zip that unpacks beyond reason
    EMPTY = "empty"
    UNKNOWN = "unknown"


def sniff(data: bytes) -> FileKind:
    """Return what a file is."""
    if not data:
        return FileKind.EMPTY
    if data[:4] in (b"PK\x03\x04", EMPTY_ZIP):
        return _zip(data)
    if data[: len(OLE)] == OLE:
        return _ole(data)
    for offset, magic, kind in MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return FileKind(kind)
    return _text(data[:4096])


def _ole(data: bytes) -> FileKind:
    for stream, kind in OLE_STREAMS:
        if stream.encode("utf-16-le") in data:
            return FileKind(kind)
    return FileKind.OLE


def _text(start: bytes) -> FileKind:
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start.decode("utf-16", "ignore").encode("utf-8", "ignore")
    markup = MARKUP.match(start)
    if markup:
        name = markup[1].decode().lower()
        if name == "svg":
            return FileKind.SVG
        return FileKind.HTML if name in HTML else FileKind.XML
    return FileKind.UNKNOWN if b"\0" in start else FileKind.TEXT


def _zip(data: bytes) -> FileKind:
    """Return what a zip is; its list of entries is read only if it is of a decent size."""
    if _directory_size(data) > MAX_DIRECTORY:
        return FileKind.BOMB
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _packed(archive)
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, OSError, ValueError, struct.error):
        return FileKind.UNKNOWN


def _directory_size(data: bytes) -> int:
    end = data.rfind(EMPTY_ZIP)
    if end < 0 or end + DIRECTORY_END.size > len(data):
        return 0
    size = int(DIRECTORY_END.unpack_from(data, end)[5])
    wide = data.rfind(WIDE_END, 0, end)
    if wide >= 0 and wide + 48 <= len(data):
        size = max(size if size != IN_WIDE_END else 0, *struct.unpack_from("<Q", data, wide + 40))
    return size


def _packed(archive: zipfile.ZipFile) -> FileKind:
    entries = archive.infolist()
    unpacked = sum(e.file_size for e in entries)
    packed = sum(e.compress_size for e in entries) or 1
    if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED or unpacked / packed > MAX_RATIO:
        return FileKind.BOMB
    names = {e.filename.lower() for e in entries}
    if any(e.flag_bits & 1 for e in entries):
        return FileKind.ENCRYPTED
    if _has_macros(archive, names):
        return FileKind.MACROS
    for part, kind in (
        ("xl/workbook.xml", FileKind.XLSX),
        ("word/document.xml", FileKind.DOCX),
        ("xl/workbook.bin", FileKind.XLSB),
        ("meta-inf/manifest.xml", FileKind.ODF),
    ):
        if part in names:
            return kind
    return FileKind.ZIP


def _has_macros(archive: zipfile.ZipFile, names: set[str]) -> bool:
    """Whether an Office file carries macros: by the usual names, or by what it says of its parts."""
    if any(name.endswith("vbaproject.bin") or name.startswith("xl/macrosheets/") for name in names):
        return True
    try:
        with archive.open("[Content_Types].xml") as part:
            types = part.read(MAX_TYPES).lower()
    except (KeyError, EOFError, zlib.error, RuntimeError, zipfile.BadZipFile, NotImplementedError):
        return False
    return b"macroenabled" in types or b"vbaproject" in types
