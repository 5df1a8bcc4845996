"""Files that mean harm, or look as if they did: made here, so that no scanner takes our repository for a threat."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

from tests.documents.test_forms import FILLED

Edit = Callable[[bytes], bytes]


def with_parts(base: bytes = FILLED, /, **changes: bytes | Edit | None) -> bytes:
    """Return a workbook with parts replaced, edited or left out; ``sheet`` stands for the first sheet's XML."""
    return with_named({SHORT.get(name, name): change for name, change in changes.items()}, base)


SHORT = {"sheet": "xl/worksheets/sheet1.xml", "book": "xl/workbook.xml", "types": "[Content_Types].xml"}


def with_named(changes: dict[str, bytes | Edit | None], base: bytes = FILLED) -> bytes:
    """Return a workbook with parts replaced, edited, added or left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(base)) as good, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bad:
        for name in good.namelist():
            change = changes.pop(name, good.read(name))
            if change is not None:
                bad.writestr(name, change(good.read(name)) if callable(change) else change)
        for name, content in changes.items():
            if isinstance(content, bytes):
                bad.writestr(name, content)
    return buffer.getvalue()


def laughs(root: bytes = b"x") -> bytes:
    """Return XML that would grow to gigabytes."""
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{levels}]><x>&l9;</x>'.encode()


def outside_entity() -> bytes:
    """Return XML that asks for a file of the machine that reads it."""
    return b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>'


def bomb() -> bytes:
    """Return a workbook whose sheet unpacks to 300 MB of nothing."""
    return with_parts(sheet=b"0" * 300_000_000)


def long_directory() -> bytes:
    """Return a zip that lists a quarter of a million entries."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count = 250_000
    directory = entry * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), 4, 0)
    return b"PK\x03\x04" + directory + end


def many_rows(count: int = 2_000_000) -> bytes:
    """Return a workbook with the form below two million rows, most of them beyond the end of any sheet."""
    rows = b"".join(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (n, n) for n in range(61, 61 + 150_000))
    last = b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (count, count)
    return with_parts(sheet=lambda xml: xml.replace(b"</sheetData>", rows + last + b"</sheetData>"))


def deep_xml(depth: int = 200_000) -> bytes:
    """Return a workbook whose sheet is nested without end."""
    return with_parts(sheet=b"<worksheet>" + b"<a>" * depth + b"</a>" * depth + b"</worksheet>")


def packed(*files: tuple[str, bytes]) -> bytes:
    """Return a .zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def packed_by_windows(*files: tuple[str, bytes]) -> bytes:
    """Return a .zip as Windows in China writes it: names in GBK, without a word of it."""
    body, directory = b"", b""
    for name, content in files:
        raw = name.encode("gbk")
        sizes = (zlib.crc32(content), len(content), len(content), len(raw), 0)
        listed = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0x21, *sizes, 0, 0, 0, 0, len(body))
        directory += listed + raw
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, *sizes) + raw + content
    count = len(files)
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)


def many_strings() -> bytes:
    """Return a workbook whose table of strings takes hundreds of megabytes once it is read."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'.encode()
    sst = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    strings = b"".join(b"<si><t>%d</t></si>" % n for n in range(1_000_000))
    types: Edit = lambda xml: xml.replace(b"</Types>", override)  # noqa: E731
    return with_named({"xl/sharedStrings.xml": sst + strings + b"</sst>", "[Content_Types].xml": types})


def encrypted_zip() -> bytes:
    """Return a .zip whose entries say that they want a password."""
    data = bytearray(packed(("表.xlsx", FILLED)))
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def old_office(stream: str) -> bytes:
    """Return the beginning of an Office file of before 2007 with a stream of that name."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le") + bytes(512)
