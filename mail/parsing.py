"""A mail as it came, read without losing a character or raising over a broken header."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime

from mail.decoding import decode_header, decode_parameter, decode_text

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
MESSAGE_ID = re.compile(r"<[^<>\s]+>")
PREFIX = re.compile(r"^\s*(?:(?:re|fw|fwd|aw|回复|答复|转发|回覆)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)
AUTO_SUBJECT = re.compile(
    r"^\s*(?:自动回复|自动答复|auto(?:matic)?[ -]?reply|out of office|不在办公室|外出)", re.IGNORECASE
)
RECIPIENT_HEADERS = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
BY = re.compile(r"\bby\s+([^\s;()]+)", re.IGNORECASE)
MAX_PARTS = 200

Parsed = Message  # generic for the type checker only


@dataclass(frozen=True, kw_only=True)
class IncomingAttachment:
    """A file in a mail: name as meant, media type as claimed, content as bytes."""

    file_name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class ReceivedHeader:
    """One Received header: which server, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class IncomingMail:
    """What could be read of a mail; ``faults`` says what could not."""

    message_id: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    from_address: str = ""
    from_name: str = ""
    reply_to: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    attachments: tuple[IncomingAttachment, ...] = ()
    auto_submitted: bool = False
    null_return_path: bool = False
    faults: tuple[str, ...] = ()


def parse_mail(raw: bytes) -> IncomingMail:
    """Read a mail; never raises, whatever the bytes."""
    faults: list[str] = []
    message = message_from_bytes(raw)
    sender = _header(message, "From")
    addresses = ADDRESS.findall(sender)
    texts, attachments = _parts(message, faults)
    return IncomingMail(
        message_id=_first_id(_header(message, "Message-ID")),
        in_reply_to=_first_id(_header(message, "In-Reply-To")),
        references=tuple(MESSAGE_ID.findall(_header(message, "References"))),
        from_address=addresses[-1].lower() if addresses else "",
        from_name=re.sub(r"<[^>]*>$", "", sender).strip().strip('"'),
        reply_to=next(iter(ADDRESS.findall(_header(message, "Reply-To"))), ""),
        recipients=tuple(
            a.lower() for name in RECIPIENT_HEADERS for a in ADDRESS.findall(_header(message, name, every=True))
        ),
        subject=_header(message, "Subject"),
        text="\n".join(texts),
        attachments=tuple(attachments),
        auto_submitted=_is_automatic(message),
        null_return_path=_header(message, "Return-Path").replace(" ", "") == "<>",
        faults=tuple(faults),
    )


def new_part(subject: str) -> str:
    """Return a subject without its Re:, 回复：, 转发： prefixes."""
    return PREFIX.sub("", subject).strip()


def is_auto_reply(mail: IncomingMail) -> bool:
    """Whether a machine answered: by its headers, or by a subject such as 自动回复."""
    return mail.auto_submitted or mail.null_return_path or AUTO_SUBJECT.match(new_part(mail.subject)) is not None


def received_headers(raw: bytes) -> Iterator[ReceivedHeader]:
    """Yield the Received headers from the topmost down; unreadable ones are left out."""
    head = raw.split(b"\r\n\r\n", 1)[0].split(b"\n\n", 1)[0]
    for value in message_from_bytes(head + b"\n\n").get_all("Received", []):
        text = str(value)
        by = BY.search(text)
        try:
            at = parsedate_to_datetime(text.rsplit(";", 1)[-1].strip())
        except (ValueError, TypeError, IndexError):
            continue
        if by is not None and at.tzinfo is not None:
            yield ReceivedHeader(by=by.group(1).lower(), at=at.astimezone(UTC))


def _header(message: Parsed, name: str, *, every: bool = False) -> str:
    """Return a header's text (all of that name if ``every``); an unreadable one is empty."""
    found = message.get_all(name, [])
    texts = [decode_header(_bytes(value)) for value in (found if every else found[:1])]
    return ", ".join(texts)


def _bytes(value: object) -> bytes:
    """Return a header as its bytes: compat32 keeps raw 8-bit as surrogates, or wraps them in a Header."""
    return str(value).encode("ascii", "surrogateescape") if isinstance(value, str) else _unwrapped(value)


def _unwrapped(value: object) -> bytes:
    chunks = getattr(value, "_chunks", [])
    return b"".join(str(text).encode("utf-8", "surrogateescape") for text, _ in chunks)


def _first_id(text: str) -> str:
    found = MESSAGE_ID.search(text)
    return found.group() if found else ""


def _is_automatic(message: Parsed) -> bool:
    submitted = _header(message, "Auto-Submitted").lower()
    precedence = _header(message, "Precedence").lower()
    responder = any(message.get(name) is not None for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder"))
    return submitted not in ("", "no") or precedence in ("auto_reply", "auto-reply", "bulk", "junk") or responder


def _parts(message: Parsed, faults: list[str]) -> tuple[list[str], list[IncomingAttachment]]:
    texts: list[str] = []
    attachments: list[IncomingAttachment] = []
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            faults.append(f"more than {MAX_PARTS} parts; the rest was not read")
            break
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        name = _file_name(part)
        kind = part.get_content_type()
        if name or part.get_content_disposition() == "attachment" or not kind.startswith(("text/", "message/")):
            attachments.append(IncomingAttachment(file_name=name, media_type=kind, content=content))
        elif kind == "text/plain":
            texts.append(decode_text(content, str(part.get_content_charset() or "utf-8")))
    return texts, attachments


def _file_name(part: Parsed) -> str:
    for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        for value in part.get_all(header, []):
            if name := decode_parameter(_bytes(value), parameter).strip():
                return name.replace("\\", "/").rsplit("/", 1)[-1]
    return ""
