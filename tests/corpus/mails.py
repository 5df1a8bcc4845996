"""Mails as units, their mail programs and the world write them: recipes that build the same bytes every time.

Each case says what the mail is to be recognised as, how it finds its unit, and what is recorded of it.
"""

import base64
import binascii
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes

from docx import Document

from mail.tokens import sign
from rehearsal.clerk import Manner
from rehearsal.envelopes import Outgoing, Style, build
from rehearsal.post_office import delivery_report

AT = datetime(2020, 5, 28, 4, tzinfo=UTC)
OFFICE, SENDER = "muster@office.example", "duty@bureau.example"
PDF, JPEG = b"%PDF-1.7 text", b"\xff\xd8\xff\xe0photo"
MP4 = b"\0\0\0\x18ftypmp42"
OLE, RAR = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", b"Rar!\x1a\x07\0 archive"
TNEF = b"\x78\x9f\x3e\x22 packed"
OURS = "提醒：活动方案、零报告事项请按时报送"
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class World:
    """What a mail can know of us: tokens, forms, and the mail it answers."""

    secret: bytes
    party: Callable[[str], int]
    form: Callable[[str, str, Manner], bytes]
    message: int  # our launch mail to BH001
    message_id: str

    def token(self, code: str = "BH001") -> str:
        """Return a unit's token."""
        return sign("p", self.party(code), self.secret)

    def address(self, code: str = "BH001") -> str:
        """Return our address with a unit's token."""
        return f"muster+{self.token(code)}@office.example"

    @property
    def verp(self) -> str:
        """Our address with the token of the mail to BH001."""
        return f"muster+{sign('m', self.message, self.secret)}@office.example"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One mail with what is expected of it."""

    name: str
    build: Callable[[World], bytes]
    kind: str
    by: str = "address"
    recorded: tuple[str, ...] = ()
    state: str = "done"
    unit: str = "BH001"


def plan(world: World, code: str = "BH001") -> bytes:
    """Return a filled form."""
    return world.form(code, "plan", Manner.RIGHT)


def word(text: str, charset: str = "utf-8", codec: str = "") -> bytes:
    """Return a text as one encoded-word."""
    return f"=?{charset}?B?{base64.b64encode(text.encode(codec or charset)).decode()}?=".encode()


def b64(content: bytes) -> bytes:
    """Return a body in base64."""
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def part(kind: bytes, content: bytes, *more: bytes, encoding: bytes = b"base64") -> bytes:
    """Return a part of a mail, its headers and body."""
    body = b64(content) if encoding == b"base64" else content
    return b"\r\n".join((b"Content-Type: " + kind, b"Content-Transfer-Encoding: " + encoding, *more, b"", body))


def attached(name: bytes, content: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    """Return an attachment."""
    return part(kind, content, b'Content-Disposition: attachment; filename="' + name + b'"')


def several(kind: bytes, *parts: bytes, boundary: bytes = b"=_b0", end: bool = True) -> bytes:
    """Return a multipart."""
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    inner = b"".join(b"--" + boundary + b"\r\n" + one.rstrip(b"\r\n") + b"\r\n" for one in parts)
    return head + inner + (b"--" + boundary + b"--\r\n" if end else b"")


def text(words: str = "请查收", charset: str = "utf-8", codec: str = "") -> bytes:
    """Return a text part."""
    return part(b"text/plain; charset=" + charset.encode(), words.encode(codec or charset))


def mail(
    world: World, body: bytes, *more: bytes, to: str | None = None, subject: bytes = b"hello", sender: str = SENDER
) -> bytes:
    """Return a mail of BH001 with a body that begins with its headers."""
    head = [f"From: {sender}".encode(), f"To: {to or world.address()}".encode(), b"Subject: " + subject]
    head += [b"Message-ID: <corpus@unit.example>", b"Date: Thu, 28 May 2020 12:00:00 +0800", *more]
    return b"\r\n".join((*head, b"MIME-Version: 1.0", body))


def simple(world: World, style: Style = Style.MODERN, **changes: object) -> bytes:
    """Return a mail with a filled form, as one of the mail programs of the rehearsal writes it."""
    known = {
        "sender": "duty@bureau.example", "to": world.address(), "subject": "回复：通知", "text": "请查收",
        "message_id": "<corpus@unit.example>", "date": AT, "file_name": "附件2活动计划表.xlsx",
        "content": b"" if "file_name" in changes else plan(world), "style": style,
    }  # fmt: skip
    return build(Outgoing(**{**known, **changes}))  # type: ignore[arg-type]


def letter(world: World, subject: str, words: str = "您好", *more: bytes) -> bytes:
    """Return a mail without attachment."""
    return mail(world, text(words), *more, subject=word(subject))


def with_form(world: World, *more: bytes, to: str | None = None, sender: str = SENDER) -> bytes:
    """Return a mail with a filled form and headers of its own."""
    return mail(world, several(b"mixed", text(), attached(b"plan.xlsx", plan(world))), *more, to=to, sender=sender)


def with_file(
    world: World, name: bytes, content: bytes, subject: str = "材料", *, to: str | None = None, sender: str = SENDER
) -> bytes:
    """Return a mail with one file."""
    return mail(world, several(b"mixed", text(), attached(name, content)), subject=word(subject), to=to, sender=sender)


def docx() -> bytes:
    """Return a Word document."""
    buffer = io.BytesIO()
    document = Document()
    document.add_paragraph("活动方案正文")
    document.save(buffer)
    return buffer.getvalue()


def zipped(**files: bytes) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def photo(size: int) -> bytes:
    """Return a picture of a size."""
    return JPEG + random.Random(size).randbytes(size)


def inline(content: bytes) -> bytes:
    """Return a picture shown within the text."""
    return part(b"image/jpeg; name=image001.jpg", content, b"Content-ID: <image001>", b"Content-Disposition: inline")


def nested(inner: bytes, encoding: bytes = b"7bit") -> bytes:
    """Return a mail as a part of another."""
    return part(b"message/rfc822", inner, encoding=encoding)


def quoted_printable(content: bytes) -> bytes:
    """Return a file as quoted-printable, as some programs send binary ones."""
    body = binascii.b2a_qp(content, istext=False).replace(b"=\n", b"=\r\n")
    name = b'Content-Disposition: attachment; filename="plan.xlsx"'
    return part(b"application/octet-stream", body, name, encoding=b"quoted-printable")


def report(world: World, address: str = "duty@bureau.example") -> bytes:
    """Return a delivery report on our mail."""
    ours = f"Message-ID: {world.message_id}\r\nSubject: x\r\n\r\n".encode()
    return b"Return-Path: <>\r\n" + delivery_report("mx.unit.example", world.verp, address, ours, AT)


def split_name(name: str) -> bytes:
    """Return a file name in RFC 2231 segments of GBK, cut inside a character and given out of order."""
    raw = name.encode("gb18030")
    first, second = quote_from_bytes(raw[:5]), quote_from_bytes(raw[5:])
    return f"Content-Disposition: attachment;\r\n filename*1*={second};\r\n filename*0*=gbk''{first}".encode()
