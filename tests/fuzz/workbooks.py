"""Workbooks: one part of a filled form is anything at all; it is opened or refused, and what is read is judged.

The bytes are the part itself, behind one that says which: so they need not pass a checksum and a decompression first.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from functools import cache

from documents.opening import UnreadableWorkbook, open_workbook
from documents.reading import read_book
from documents.sheets import as_plain, from_plain
from documents.sniff import sniff
from rules.form_checks import check
from tests.corpus import make
from tests.corpus.workbooks import CASES

LONGEST = 30_000
WHOLE = 0  # the bytes are the file
SHEET, TEXTS, TYPES = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "[Content_Types].xml"
PARTS = (
    "", SHEET, "xl/workbook.xml", TEXTS, "xl/_rels/workbook.xml.rels", TYPES, "xl/styles.xml",
    "xl/worksheets/sheet2.xml",
)  # fmt: skip
INLINE = re.compile(rb't="inlineStr">\s*<is>(.*?)</is>')
SPREADSHEET = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHARED = (
    b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/'
    b'vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)
FORMS = tuple(make.form(key) for key in ("annex2", "annex3", "annex4"))


@cache
def parts(form: int) -> dict[str, bytes]:
    """Return the parts of a form filled in rightly, its texts in a part of their own as Excel saves them."""
    with zipfile.ZipFile(io.BytesIO(make.right(FORMS[form].key))) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    texts: list[bytes] = []

    def shared(inline: re.Match[bytes]) -> bytes:
        texts.append(b"<si>%s</si>" % inline[1])
        return b't="s"><v>%d</v>' % (len(texts) - 1)

    found[SHEET] = INLINE.sub(shared, found[SHEET])
    found[TEXTS] = b'<sst xmlns="%s">%s</sst>' % (SPREADSHEET, b"".join(texts))
    found[TYPES] = found[TYPES].replace(b"</Types>", SHARED + b"</Types>")
    return found


def seeds() -> Iterator[bytes]:
    """Yield the parts of the forms, and the corpus' own files where they are short."""
    for form in range(len(FORMS)):
        for number, part in enumerate(PARTS[1:], start=1):
            yield bytes([number + form * len(PARTS)]) + parts(form)[part]
    for case in CASES:
        content = case.make()
        if len(content) <= LONGEST:
            yield bytes([WHOLE]) + content


def built(data: bytes) -> bytes:
    """Return the file that the bytes stand for."""
    form, which = divmod(data[0], len(PARTS)) if data else (0, WHOLE)
    if which == WHOLE:
        return data[1:]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts(form % len(FORMS)).items():
            archive.writestr(name, data[1:] if name == PARTS[which] else content)
    return buffer.getvalue()


def judge(data: bytes) -> None:
    """Open, read and check; raise where a promise is broken."""
    content = built(data)
    sniff(content)
    try:
        opened = open_workbook(content)
    except UnreadableWorkbook:
        return
    book = from_plain(json.loads(json.dumps(as_plain(opened))))
    read = read_book(book, FORMS)
    if read.form is not None and read.table is not None:
        checked = check(read.form, read.table)
        assert checked.findings or checked.figures
