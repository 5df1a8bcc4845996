"""A mail as it came, read without losing a character or raising over a broken header.

The standard library's parser goes down into parts by recursion and takes quadratic time over some headers, so the
structure is read here: by the same rules, in a time that grows with the size of the mail, to a depth and number of
parts beyond which a person has to look.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime

from mail.decoding import decode_header, decode_parameter, decode_text, plain_parameter
from mail.pages import text_of_page

ADDRESS = re.compile(r"(?<![A-Za-z0-9.!#$%&'*+/=?^_`{|}~-])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
MESSAGE_ID = re.compile(r"<[^<>\s]+>")
PREFIX = re.compile(r"^\s*(?:(?:re|fw|fwd|aw|回复|答复|转发|回覆)\s*(?:\[\d+\]\s*)?[:：]\s*)+", re.IGNORECASE)
AUTO_SUBJECT = re.compile(
    r"^\s*(?:自动回复|自动答复|auto(?:matic)?[ -]?reply|out of office|不在办公室|外出)", re.IGNORECASE
)
RECIPIENT_HEADERS = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
BY = re.compile(r"\bby\s+([^\s;()]+)", re.IGNORECASE)
HEADER_LINE = re.compile(rb"[!-9;-~]*:|[ \t]|From ")
BLANK_LINE = re.compile(rb"\n\r?\n")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
AS_IT_IS = (b"", b"7bit", b"8bit", b"binary")
MAILS = ("message/rfc822", "message/global")
TRIMMINGS = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "text/vcard",
        "text/x-vcard",
    }
)
SMALL_PICTURE = 20 * 1024  # bytes; a photograph of an event is larger
MAX_PARTS = 200
MAX_DEPTH = 50
MAX_HEADER_LINES = 5_000
MAX_HEADER = 64 * 1024  # of one header, or of all of one name; what comes after is not read
MAX_STRUCTURE = 8 * 1024  # of the headers that say how a part is made
MAX_REFERENCES = 100


@dataclass(frozen=True, kw_only=True)
class IncomingAttachment:
    """A file in a mail: name as meant, media type as claimed, content as bytes."""

    file_name: str
    media_type: str
    content: bytes
    inline: bool = False  # shown within the text, by its Content-ID

    @property
    def is_trimming(self) -> bool:
        """Whether it is none that anybody sends: a signature's seal or card, a small picture shown in the text."""
        picture = self.inline and self.media_type.startswith("image/") and len(self.content) < SMALL_PICTURE
        return picture or self.media_type in TRIMMINGS


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
    from_list: bool = False
    faults: tuple[str, ...] = ()


def parse_mail(raw: bytes) -> IncomingMail:
    """Read a mail; never raises, whatever the bytes. All text in it can be kept in a database."""
    faults: list[str] = []
    whole = _part(raw if b"\n" in raw else raw.replace(b"\r", b"\n"))
    sender = _header(whole, "From")
    addresses = ADDRESS.findall(sender)
    texts, attachments = _contents(whole, faults)
    return IncomingMail(
        message_id=_first_id(_header(whole, "Message-ID")),
        in_reply_to=_first_id(_header(whole, "In-Reply-To")),
        references=_references(whole),
        from_address=addresses[-1].lower() if addresses else "",
        from_name=_name(sender),
        reply_to=next(iter(ADDRESS.findall(_header(whole, "Reply-To"))), ""),
        recipients=tuple(
            a.lower() for name in RECIPIENT_HEADERS for a in ADDRESS.findall(_header(whole, name, every=True))
        ),
        subject=_header(whole, "Subject"),
        text="\n".join(texts),
        attachments=tuple(attachments),
        auto_submitted=_is_automatic(whole),
        null_return_path=_header(whole, "Return-Path").replace(" ", "") == "<>",
        from_list=_is_from_list(whole),
        faults=tuple(dict.fromkeys(faults)),
    )


def new_part(subject: str) -> str:
    """Return a subject without its Re:, 回复：, 转发： prefixes."""
    return PREFIX.sub("", subject).strip()


def is_auto_reply(mail: IncomingMail) -> bool:
    """Whether a machine answered: by its headers, or by a subject such as 自动回复."""
    return mail.auto_submitted or mail.null_return_path or AUTO_SUBJECT.match(new_part(mail.subject)) is not None


def received_headers(raw: bytes) -> Iterator[ReceivedHeader]:
    """Yield the Received headers from the topmost down; unreadable ones are left out."""
    headers, _ = _headers(raw)
    for value in headers.get("received", ()):
        text = decode_text(value, "ascii")
        by = BY.search(text)
        try:
            at = parsedate_to_datetime(text.rsplit(";", 1)[-1].strip())
            utc = at.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if by is not None and at.tzinfo is not None:
            yield ReceivedHeader(by=by.group(1).lower(), at=utc)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A part of a mail, or the whole: headers by lower-case name, each as it stands, and what follows them."""

    headers: Mapping[str, Sequence[bytes]]
    body: bytes
    kind: str  # its media type
    depth: int

    def structure(self, name: str) -> bytes:
        """Return a header that says how the part is made."""
        return next(iter(self.headers.get(name, ())), b"")[:MAX_STRUCTURE]

    def content(self) -> bytes:
        """Return the body without its transfer encoding."""
        encoding = self.structure("content-transfer-encoding").strip().lower()
        if encoding in AS_IT_IS:
            return self.body
        carrier = Message()
        carrier["Content-Transfer-Encoding"] = encoding.decode("ascii", "replace")
        carrier.set_payload(self.body.decode("ascii", "surrogateescape"))
        content = carrier.get_payload(decode=True)
        return content if isinstance(content, bytes) else self.body


def _part(raw: bytes, *, default: str = "text/plain", depth: int = 0) -> _Part:
    headers, begin = _headers(raw)
    stated = next(iter(headers.get("content-type", ())), None)
    kind = default if stated is None else _essence(stated[:MAX_STRUCTURE])
    return _Part(headers=headers, body=raw[begin:], kind=kind if kind.count("/") == 1 else "text/plain", depth=depth)


def _essence(header: bytes) -> str:
    """Return a header's value without its parameters."""
    return decode_text(header.split(b";", 1)[0].strip().lower(), "ascii")


def _headers(raw: bytes) -> tuple[dict[str, list[bytes]], int]:
    """Return headers, and where what follows them begins. A line that can be no header ends them like a blank one."""
    found: dict[str, list[bytearray]] = {}
    current = bytearray()
    begin = 0
    for _ in range(MAX_HEADER_LINES):
        end = raw.find(b"\n", begin) + 1 or len(raw)
        line = raw[begin:end]
        if not line.strip(b"\r\n") or not HEADER_LINE.match(line):
            begin = begin if line.strip(b"\r\n") else end
            break
        begin = end
        if line[:1] not in (b" ", b"\t"):
            name, colon, line = line.partition(b":")
            current = bytearray()
            if colon:
                found.setdefault(name.decode("ascii", "replace").lower(), []).append(current)
        current += line[: MAX_HEADER - len(current)]
    else:
        blank = BLANK_LINE.search(raw, max(begin - 1, 0))
        begin = blank.end() if blank else len(raw)
    return {name: [bytes(value) for value in values] for name, values in found.items()}, begin


def _header(part: _Part, name: str, *, every: bool = False) -> str:
    """Return a header's text (all of that name if ``every``)."""
    found = part.headers.get(name.lower(), ())
    texts: list[str] = []
    for value in found if every else found[:1]:
        texts.append(decode_header(value))
        if sum(map(len, texts)) >= MAX_HEADER:
            break
    return ", ".join(texts)[:MAX_HEADER]


def _name(sender: str) -> str:
    """Return the name that stands before an address in angle brackets."""
    name, bracket, rest = sender.rpartition("<")
    return (name if bracket and rest.endswith(">") else sender).strip().strip('"')


def _first_id(text: str) -> str:
    found = MESSAGE_ID.search(text)
    return found.group() if found else ""


def _references(part: _Part) -> tuple[str, ...]:
    """Return the mails that a mail refers to; of very many, the first and the last."""
    found = MESSAGE_ID.findall(_header(part, "References"))
    few = MAX_REFERENCES // 2
    return tuple(found if len(found) <= MAX_REFERENCES else [*found[:few], *found[-few:]])


def _is_automatic(part: _Part) -> bool:
    submitted = _header(part, "Auto-Submitted").lower()
    precedence = _header(part, "Precedence").lower()
    responder = any(name in part.headers for name in ("x-autoreply", "x-autorespond", "x-autoresponder"))
    return submitted not in ("", "no") or precedence in ("auto_reply", "auto-reply", "bulk", "junk") or responder


def _is_from_list(part: _Part) -> bool:
    return "list-id" in part.headers or _header(part, "Precedence").strip().lower() == "list"


def _contents(whole: _Part, faults: list[str]) -> tuple[list[str], list[IncomingAttachment]]:
    texts: list[str] = []
    attachments: list[IncomingAttachment] = []
    pages: list[_Part] = []
    for part in _leaves(whole, faults):
        name = _file_name(part)
        made_of_others = part.kind.startswith("multipart/") or part.kind in MAILS
        if made_of_others:  # and not opened: too deep, or its boundary never comes
            texts.append(decode_text(part.body, "utf-8"))
        elif part.kind.startswith("message/"):
            continue  # the fields of a report
        elif name or _is_attached(part) or not part.kind.startswith("text/"):
            inline = "content-id" in part.headers and not _is_attached(part)
            content = part.content()
            attachments.append(IncomingAttachment(file_name=name, media_type=part.kind, content=content, inline=inline))
        elif part.kind == "text/html":
            pages.append(part)
        elif part.kind == "text/plain":
            charset = decode_parameter(part.structure("content-type"), "charset")
            texts.append(decode_text(part.content(), charset))
    if not any(text.strip() for text in texts):
        texts += [
            text_of_page(decode_text(page.content(), decode_parameter(page.structure("content-type"), "charset")))
            for page in pages
        ]
    return texts, attachments


def _leaves(whole: _Part, faults: list[str]) -> Iterator[_Part]:
    """Yield the parts that are not made of others, in their order; of those nested too deeply, the outermost."""
    waiting = [whole]
    opened = 0
    while waiting:
        part = waiting.pop()
        opened += 1
        if opened > MAX_PARTS:
            faults.append(f"more than {MAX_PARTS} parts; the rest was not read")
            return
        inner = _inside(part, faults)
        if inner:
            waiting.extend(reversed(inner))
        else:
            yield part


def _inside(part: _Part, faults: list[str]) -> list[_Part]:
    """Return what a part is made of; nothing if it is not made of others or cannot be opened."""
    is_mail = part.kind in MAILS
    if not is_mail and not part.kind.startswith("multipart/"):
        return []
    if part.depth >= MAX_DEPTH:
        faults.append(f"parts nested more than {MAX_DEPTH} deep; the rest was not opened")
        return []
    if is_mail:
        return [_part(part.content(), depth=part.depth + 1)]
    default = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
    pieces = _pieces(part)
    if not pieces:
        faults.append("a part whose boundary never comes")
    return [_part(piece, default=default, depth=part.depth + 1) for piece in pieces]


def _pieces(part: _Part) -> list[bytes]:
    """Return the pieces between the boundaries of a multipart."""
    header = part.structure("content-type")
    boundary = plain_parameter(header, "boundary") or decode_parameter(header, "boundary").encode()
    body, mark = part.body, b"--" + boundary.rstrip()
    pieces: list[bytes] = []
    begin, position = -1, 0
    while boundary and len(pieces) <= MAX_PARTS and (at := body.find(mark, position)) >= 0:
        position = body.find(b"\n", at) + 1 or len(body)
        tail = body[at + len(mark) : position].strip(b" \t\r\n")
        if (at and body[at - 1 : at] != b"\n") or tail not in (b"", b"--"):
            continue
        if begin >= 0:
            pieces.append(body[begin:at].removesuffix(b"\n").removesuffix(b"\r"))
        begin = -1 if tail else position
        if tail:
            break
    if begin >= 0:
        pieces.append(body[begin:])
    return pieces


def _is_attached(part: _Part) -> bool:
    return _essence(part.structure("content-disposition")) == "attachment"


def _file_name(part: _Part) -> str:
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        for value in part.headers.get(header, ()):
            if name := CONTROLS.sub(" ", decode_parameter(value[:MAX_STRUCTURE], parameter)).strip():
                return name.replace("\\", "/").rsplit("/", 1)[-1]
    return ""
