"""Mails as people's programs write them: modern, GBK throughout, and file names in every encoding."""

import base64
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from urllib.parse import quote_from_bytes

LINE = 76


class Style(StrEnum):
    """How a mail program spells Chinese."""

    MODERN = "modern"  # UTF-8, RFC 2231 file names
    GBK = "gbk"  # everything in GBK, labelled gb2312
    NAME_2047 = "name_2047"  # encoded-word inside quotes: wrong, and common
    NAME_RAW = "name_raw"  # raw GBK bytes
    NAME_SPLIT = "name_split"  # RFC 2231 segments split inside a character


FILE_NAME_STYLES = (Style.MODERN, Style.NAME_2047, Style.NAME_RAW, Style.NAME_SPLIT)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A mail that a unit sends."""

    sender: str
    to: str
    subject: str
    text: str
    message_id: str
    date: datetime
    in_reply_to: str = ""
    file_name: str = ""
    content: bytes = b""
    style: Style = Style.MODERN
    automatic: bool = False


def build(mail: Outgoing) -> bytes:
    """Return the mail's bytes."""
    charset, codec = ("gb2312", "gb18030") if mail.style is Style.GBK else ("utf-8", "utf-8")
    head = [
        f"From: {mail.sender}".encode(),
        f"To: {mail.to}".encode(),
        b"Subject: " + _words(mail.subject, charset, codec),
        f"Message-ID: {mail.message_id}".encode(),
        f"Date: {format_datetime(mail.date)}".encode(),
        b"MIME-Version: 1.0",
    ]
    if mail.in_reply_to:
        head += [f"In-Reply-To: {mail.in_reply_to}".encode(), f"References: {mail.in_reply_to}".encode()]
    if mail.automatic:
        head.append(b"Auto-Submitted: auto-replied")
    text = b"\r\n".join(
        (
            f'Content-Type: text/plain; charset="{charset}"'.encode(),
            b"Content-Transfer-Encoding: base64",
            b"",
            base64.encodebytes(mail.text.encode(codec)).replace(b"\n", b"\r\n"),
        )
    )
    if not mail.file_name:
        return b"\r\n".join((*head, text))
    boundary = b"=_clerk_0001"
    head.append(b'Content-Type: multipart/mixed; boundary="' + boundary + b'"')
    file = b"\r\n".join(
        (
            b"Content-Type: application/octet-stream",
            b"Content-Disposition: attachment;" + _file_name(mail),
            b"Content-Transfer-Encoding: base64",
            b"",
            base64.encodebytes(mail.content).replace(b"\n", b"\r\n"),
        )
    )
    return b"\r\n".join((*head, b"", b"--" + boundary, text, b"--" + boundary, file, b"--" + boundary + b"--", b""))


def _words(text: str, charset: str, codec: str) -> bytes:
    """Return encoded-words cut every 30 bytes, inside a character where it falls so."""
    raw = text.encode(codec)
    chunks = [raw[i : i + 30] for i in range(0, len(raw), 30)]
    return b"\r\n ".join(f"=?{charset}?B?{base64.b64encode(c).decode()}?=".encode() for c in chunks)


def _file_name(mail: Outgoing) -> bytes:
    if mail.style is Style.NAME_RAW:
        return b' filename="' + mail.file_name.encode("gb18030") + b'"'
    if mail.style in (Style.NAME_2047, Style.GBK):
        word = base64.b64encode(mail.file_name.encode("gb18030")).decode()
        return f' filename="=?gb2312?B?{word}?="'.encode()
    raw = mail.file_name.encode()
    if mail.style is Style.NAME_SPLIT:
        cut = len(raw) // 2  # wherever it falls
        first, second = quote_from_bytes(raw[:cut]), quote_from_bytes(raw[cut:])
        return f"\r\n filename*0*=utf-8''{first};\r\n filename*1*={second}".encode()
    return f" filename*=utf-8''{quote_from_bytes(raw)}".encode()
