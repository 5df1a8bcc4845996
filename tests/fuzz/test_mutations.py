"""Workbooks and mails whose form holds and whose content does not: cells, areas and parts that no program writes."""

import base64
import re
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import mails, workbooks

ENOUGH = settings(deadline=None, suppress_health_check=list(HealthCheck))

CELL = re.compile(rb'<c r="([A-Z]+[0-9]+)"[^>]*?(?:/>|>.*?</c>)', re.DOTALL)
ODD_TEXTS = st.sampled_from(
    [
        "", "0", "-1", "1e308", "1e309", "-1e-400", "NaN", "inf", "9" * 400, "0" * 30 + "6" * 30 + "万", "约" * 30,
        "12" + " " * 70 + "3", "2020-06-31", "43983.5", "-70000", "1e10", "#REF!", "TRUE", "&#0;", "&#xD800;", "&lt;",
        "_x000D_", "_x0000_", "=1+1", "\u202e12", "１２．５", "〇", "万亿", "十十", "三百零零五", "1,2,3", "+-1", "٣",
    ]
)  # fmt: skip
TYPES = st.sampled_from(["", "s", "n", "b", "d", "e", "str", "inlineStr", "zzz"])
REFS = st.sampled_from(["", "A0", "a1", "A1", "XFD1048576", "ZZZ9", "E6", "1", "$E$6", "E6:F7", "BH7", "A3001"])
AREAS = st.sampled_from(["A1:A1", "E6:E9", "E9:E6", "B6:B5000", "A1:XFD1048576", "A:A", "ZZZ1:ZZZ9", "A0:B0", ""])


@dataclass(frozen=True)
class OddCell:
    """What is put into a cell in the place of what stood there."""

    which: int
    ref: str | None
    kind: str
    text: str
    formula: str | None
    style: int


CELLS = st.builds(
    OddCell,
    which=st.integers(0, 400),
    ref=st.none() | REFS,
    kind=TYPES,
    text=ODD_TEXTS | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&"), max_size=70),
    formula=st.none() | st.sampled_from(["1+1", "[1]Sheet1!A1", "SUM(", "=", "A1:A9"]),
    style=st.integers(-1, 60),
)


def with_odd_cells(sheet: bytes, cells: list[OddCell], areas: list[str]) -> bytes:
    """Return a sheet's XML with some of its cells replaced, and merged areas added."""
    places = list(CELL.finditer(sheet))
    for cell in sorted(cells, key=lambda c: -(c.which % len(places))):
        place = places[cell.which % len(places)]
        ref = place[1].decode() if cell.ref is None else cell.ref
        inner = f"<is><t>{cell.text}</t></is>" if cell.kind == "inlineStr" else f"<v>{cell.text}</v>"
        formula = "" if cell.formula is None else f"<f>{cell.formula}</f>"
        kind = f' t="{cell.kind}"' if cell.kind else ""
        made = f'<c r="{ref}" s="{cell.style}"{kind}>{formula}{inner}</c>'
        sheet = sheet[: place.start()] + made.encode() + sheet[place.end() :]
    merged = "".join(f'<mergeCell ref="{area}"/>' for area in areas)
    return sheet.replace(b"</sheetData>", f"</sheetData><mergeCells>{merged}</mergeCells>".encode(), 1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # openpyxl wonders at much of it
@ENOUGH
@given(form=st.integers(0, 2), cells=st.lists(CELLS, max_size=12), areas=st.lists(AREAS, max_size=3))
def test_no_cell_breaks_the_reading_of_a_workbook(form: int, cells: list[OddCell], areas: list[str]) -> None:
    sheet = with_odd_cells(workbooks.parts(form)[workbooks.SHEET], cells, areas)
    workbooks.judge(bytes([1 + form * len(workbooks.PARTS)]) + sheet)


HEADERS = st.sampled_from(
    [
        b"Subject: =?gb2312?B?ztK1xA==?= =?gb2312?B?zg==?=",
        b"Subject: \xce\xd2\xff",
        b"From: =?utf-8?Q?=00?= <a@b.example>",
        b"From: <<>>",
        b"To: a@b, ,,@;",
        b"Message-ID: <>",
        b"Message-ID: <\xff@x>",
        b"References: " + b"<a@b> " * 300,
        b"In-Reply-To: <" + b"a" * 2000 + b">",
        b"Received: by x; Thu, 99 Foo 99999 99:99:99 +9999",
        b"Received: by x; 1 Jan 0001",
        b"Received: from a by mx.office.example; Fri, 29 May 2020 01:00:30 -0000",
        b"Return-Path: <>",
        b"Auto-Submitted: \0",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: x-uuencode",
        b"Content-Transfer-Encoding: \xff",
        b"Content-Disposition: attachment; filename*0*=gb2312''%CE; filename*1*=%D2; filename*1=x",
        b'Content-Disposition: attachment; filename="..\\..\\\0a\r\n .xlsx"',
        b"Content-Disposition: inline; filename*=x''%",
        b"Content-ID: <\xff>",
        b"X-Failed-Recipients: \xff@\0",
        b":",
        b"A",
        b" folded",
        b"Content-Type: text/html",
    ]
)
KINDS = st.sampled_from(
    [
        b"text/plain; charset=gb2312",
        b"text/plain; charset=utf-7",
        b"text/html; charset=\xff",
        b"text/plain; charset=idna",
        b"application/octet-stream; name==?gbk?B?ztI=?=",
        b"message/rfc822",
        b"message/delivery-status",
        b"text",
        b"/",
        b"",
        b"message/partial",
        b"text/rfc822-headers",
        b"multipart/mixed",
        b"application/ms-tnef",
        b"image/png",
    ]
)
BODIES = st.binary(max_size=80) | st.sampled_from(
    [
        "正文，零报告。".encode("gb18030"),
        b"<p>&#0;&#xD800;&nbsp;<style>",
        b"begin 644 a\n#\n`\nend\n",
        base64.b64encode(b"PK\3\4"),
        b"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b\0.example\nAction: failed\nDiagnostic-Code: \xff",
        b"Hi. This is the qmail-send program at x.\n\n<a@b\0.example>:\nuser unknown\n--- Below this line is a copy",
        b"=\n=zz=00=D2",
        b"====",
        b"\r\r\n\n",
        b"From nobody\n>From",
        "您的邮件被退回：用户不存在 5.1.1 a@b.example".encode(),
    ]
)


def joined(headers: list[bytes], kind: bytes, body: bytes) -> bytes:
    """Return a mail, or a part of one."""
    return b"\r\n".join([*headers, b"Content-Type: " + kind]) + b"\r\n\r\n" + body


def multipart(headers: list[bytes], kind: bytes, parts: list[bytes], boundary: bytes) -> bytes:
    """Return a mail made of others, whose boundary may be that of what it is in, and may never end."""
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--"
    return joined(headers, kind + b"; boundary=" + boundary, body)


LEAVES = st.builds(joined, st.lists(HEADERS, max_size=5), KINDS, BODIES)


def made_of(parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return mails made of others."""
    return st.builds(
        multipart,
        st.lists(HEADERS, max_size=3),
        st.sampled_from([b"multipart/mixed", b"multipart/report", b"multipart/digest", b"multipart/alternative"]),
        st.lists(parts, max_size=4),
        st.sampled_from([b"b", b"bb", b'"b c"', b"", b"\xff", b"b'()+_,-./:=?"]),
    )


MAILS = st.recursive(LEAVES, made_of, max_leaves=12)


@ENOUGH
@given(MAILS)
def test_no_mail_breaks_its_reading_or_holds_what_cannot_be_kept(raw: bytes) -> None:
    mails.judge(raw)
