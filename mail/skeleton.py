"""Mails by skeleton: what the mails of a step share is prepared once, each recipient's fields are filled in.

EmailMessage builds some 300 mails a second, a skeleton 20,000 and more. Texts are written with marks where recipients
differ; everything between the marks, and every attachment without marks, is turned into bytes once and shared.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from markupsafe import Markup

from mail.encoding import (
    BREAK,
    CLOSE,
    CRLF,
    OPEN,
    base64_lines,
    body_text,
    checked_message_id,
    fault_of,
    header_text,
    html_text,
    ics_line,
    ics_text,
    line_ended,
    mailbox,
    parameter,
    plain_address,
    unstructured,
)

VERSION = 1  # of the dump; raise it when the same dump would come out as other bytes
INLINE_LIMIT = 1024  # octets; a longer constant content stands in the dump as its sha256

NAME = r"[A-Za-z0-9_.-]+"
MARK = re.compile(f"{OPEN}({NAME}){CLOSE}")
NO_TEXT = re.compile(f"[\ud800-\udfff{OPEN}{CLOSE}]")
MEDIA_TYPE = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9.+_-]*/[a-z0-9][a-z0-9.+_-]*")
ICS_FOLD = re.compile(rb"\r?\n[ \t]")

BASE64 = b"Content-Transfer-Encoding: base64\r\n"
SAME_FOR_ALL = (
    b"Auto-Submitted: auto-generated\r\n"
    b"X-Auto-Response-Suppress: All\r\n"
    b"Content-Language: zh-CN\r\n"
    b"MIME-Version: 1.0\r\n"
)


def mark(name: str) -> str:
    """Return the mark that stands in a text where the value of that name will.

    Raises:
        ValueError: the name has other characters than ASCII letters, digits and ``_.-``.

    """
    if re.fullmatch(NAME, name) is None:
        raise ValueError(f"{name!r} names no mark: ASCII letters, digits, _ . and - only")
    return f"{OPEN}{name}{CLOSE}"


@dataclass(frozen=True, kw_only=True)
class Enclosure:
    """An attachment: the same for all, or UTF-8 text with marks, or (None) each recipient's own, from Fields.own."""

    file_name: str
    media_type: str
    content: bytes | None


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What one recipient's mail has of its own. ``date`` is aware; message ids are in angle brackets.

    A value that is Markup goes into the HTML as it is; every other one is escaped there.
    """

    to_name: str
    to_address: str
    reply_to: str
    message_id: str
    date: datetime
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    own: tuple[bytes, ...] = ()


class Skeleton:
    """The mails of a step but for what is each recipient's own; a value, ready to be kept and used elsewhere."""

    def __init__(
        self,
        *,
        sender_name: str,
        sender_address: str,
        subject: str,
        text: str,
        html: str,
        enclosures: Sequence[Enclosure] = (),
    ) -> None:
        """Prepare what all mails share.

        Raises:
            ValueError: a header would be forged, a mark is broken, or an enclosure cannot be sent so.

        """
        for name, written in (("subject", subject), ("text", text), ("html", html)):
            _refuse_broken_marks(name, written)
        header_text("subject", MARK.sub("", subject))
        self._sender = f"From: {mailbox('From', 'sender', sender_name, sender_address)}\r\n"
        self._subject = MARK.split(subject)
        files = [_File(enclosure) for enclosure in enclosures]
        self._kept = {file.digest: file.content for file in files if file.digest and file.content}
        self._dump = _canonical(
            {
                "version": VERSION,
                "sender_name": sender_name,
                "sender_address": sender_address,
                "subject": subject,
                "text": text,
                "html": html,
                "enclosures": [file.dump() for file in files],
            }
        )
        # Of the content, so that every process writes the same; "_" is in no base64 and no header begins with "--".
        boundary = sha256(self._dump).hexdigest()[:24]
        self._plan = tuple(
            _plan(boundary, _Gapped(body_text(text), line_ended), _Gapped(body_text(html), html_text), files)
        )
        self._own = sum(file.content is None for file in files)
        gapped = [piece for piece in self._plan if isinstance(piece, _Gapped)]
        self.marks = frozenset(self._subject[1::2]).union(*(piece.marks for piece in gapped))

    def subject(self, values: Mapping[str, str]) -> str:
        """Return the subject with its marks filled in.

        Raises:
            ValueError: a value is missing, or would forge headers.

        """
        parts = self._subject.copy()
        try:
            parts[1::2] = [values[name] for name in parts[1::2]]
        except KeyError as error:
            raise ValueError(f"the subject bears the mark {error}, and no value of that name was given") from error
        return header_text("subject", "".join(parts))

    def fill(self, fields: Fields) -> tuple[bytes, ...]:
        """Return one recipient's mail as it goes over the wire after DATA, in chunks; what all share is not copied.

        Raises:
            ValueError: a field would forge headers, is no address or message id, or a value or content is missing.

        """
        self._check(fields)
        own = iter(fields.own)
        chunks = [self._head(fields)]
        try:
            for piece in self._plan:
                if isinstance(piece, bytes):
                    chunks.append(piece)
                else:
                    chunks.append(base64_lines(next(own) if piece is None else piece.filled(fields.values)))
        except UnicodeEncodeError as error:
            raise ValueError(f"a value carries {fault_of(error.object[error.start])}: {error.object!r}") from error
        return tuple(chunks)

    def dump(self, put: Callable[[bytes], str]) -> bytes:
        """Return the skeleton as canonical JSON; long constant contents go through ``put``, which returns the sha256.

        Raises:
            ValueError: ``put`` returned another sha256.

        """
        for digest, content in self._kept.items():
            if put(content) != digest:
                raise ValueError(f"the content {digest} was kept under another name")
        return self._dump

    @classmethod
    def load(cls, dumped: bytes, get: Callable[[str], bytes]) -> "Skeleton":
        """Return a dumped skeleton; it fills in to the same bytes.

        Raises:
            ValueError: another version of Muster dumped it, or ``get`` returned another content.

        """
        told = json.loads(dumped)
        if told.pop("version") != VERSION:
            raise ValueError("the skeleton was dumped by another version of Muster, which alone writes the same bytes")
        told["enclosures"] = [_enclosure(file, get) for file in told["enclosures"]]
        skeleton = cls(**told)
        if skeleton._dump != dumped:
            raise ValueError("the skeleton's contents are not those it was dumped with")
        return skeleton

    def _check(self, fields: Fields) -> None:
        values = fields.values
        if not values.keys() >= self.marks:
            missing = ", ".join(sorted(self.marks - values.keys()))
            raise ValueError(f"no value was given for the mark {missing}")
        # One look at all of them; a character of marks is hardly ever there.
        together = "".join(values.values())
        if OPEN in together or CLOSE in together:
            name = next(n for n, value in values.items() if OPEN in value or CLOSE in value)
            raise ValueError(f"the value of {name} carries {fault_of(OPEN)}")
        if len(fields.own) != self._own:
            raise ValueError(f"{self._own} contents of the recipient's own are asked for, {len(fields.own)} were given")
        if fields.date.tzinfo is None:
            raise ValueError("date has no time zone")

    def _head(self, fields: Fields) -> bytes:
        return (
            f"{self._sender}"
            f"To: {mailbox('To', 'to', fields.to_name, fields.to_address)}\r\n"
            f"Reply-To: {plain_address('reply_to', fields.reply_to)}\r\n"
            f"Subject: {unstructured('Subject', self.subject(fields.values))}\r\n"
            f"Date: {_date(fields.date.isoformat(timespec='seconds'))}\r\n"
            f"Message-ID: {checked_message_id('message_id', fields.message_id)}\r\n"
            f"{_thread(fields)}"
        ).encode("ascii")


def dump_fields(fields: Fields, put: Callable[[bytes], str]) -> dict[str, Any]:
    """Return fields as a plain JSON object without what is empty; own contents go through ``put``."""
    told = {
        "to_name": fields.to_name,
        "to_address": fields.to_address,
        "reply_to": fields.reply_to,
        "message_id": fields.message_id,
        "date": fields.date.isoformat(),
    }
    more = {
        "in_reply_to": fields.in_reply_to,
        "references": list(fields.references),
        # JSON would lose without a word that a value is Markup.
        "values": {name: str(value) for name, value in fields.values.items()},
        "markup": [name for name, value in fields.values.items() if isinstance(value, Markup)],
        "own": [put(content) for content in fields.own],
    }
    return told | {name: value for name, value in more.items() if value}


def load_fields(told: Mapping[str, Any], get: Callable[[str], bytes]) -> Fields:
    """Return dumped fields; they fill in to the same bytes."""
    markup = frozenset(told.get("markup", ()))
    values = told.get("values", {}).items()
    return Fields(
        to_name=told["to_name"],
        to_address=told["to_address"],
        reply_to=told["reply_to"],
        message_id=told["message_id"],
        date=datetime.fromisoformat(told["date"]),
        in_reply_to=told.get("in_reply_to", ""),
        references=tuple(told.get("references", ())),
        values={name: Markup(value) if name in markup else value for name, value in values},  # noqa: S704  as dumped
        own=tuple(get(digest) for digest in told.get("own", ())),
    )


class _Gapped:
    """Text with gaps: the octets between the marks, and how a value is dressed to stand there."""

    def __init__(self, text: str, dress: Callable[[str], str]) -> None:
        parts = MARK.split(text)
        self._dress = dress
        self._names = parts[1::2]
        self._parts = [part.encode() for part in parts]
        self.marks = frozenset(self._names)

    def filled(self, values: Mapping[str, str]) -> bytes:
        dress, parts = self._dress, self._parts.copy()
        parts[1::2] = [dress(values[name]).encode() for name in self._names]
        return b"".join(parts)


class _Calendar(_Gapped):
    """An .ics with gaps. A mark may have been folded: the text comes unfolded, long lines are folded once filled in."""

    def __init__(self, text: str) -> None:
        super().__init__("", ics_text)
        self._stretches: list[bytes | _Gapped] = []
        for line in (line for line in BREAK.split(text) if line):
            if MARK.search(line):
                self._stretches.append(_Gapped(line, ics_text))
            elif self._stretches and isinstance(self._stretches[-1], bytes):
                self._stretches[-1] += CRLF + ics_line(line.encode())
            else:
                self._stretches.append(ics_line(line.encode()))
        gapped = [stretch for stretch in self._stretches if isinstance(stretch, _Gapped)]
        self.marks = frozenset().union(*(stretch.marks for stretch in gapped))

    def filled(self, values: Mapping[str, str]) -> bytes:
        pieces = [s if isinstance(s, bytes) else ics_line(s.filled(values)) for s in self._stretches]
        return CRLF.join((*pieces, b""))


class _File:
    """An enclosure looked at: whether it has marks, and what stands before its content."""

    def __init__(self, enclosure: Enclosure) -> None:
        name, media_type = enclosure.file_name, enclosure.media_type.lower()
        if not header_text("file_name", name).strip():
            raise ValueError("an enclosure has no file name")
        if MEDIA_TYPE.fullmatch(media_type) is None:
            raise ValueError(f"{name} cannot be enclosed as {media_type!r}")
        self._told = {"file_name": name, "media_type": media_type}
        self.content = enclosure.content
        self.gapped = self._gaps(media_type == "text/calendar")
        fixed = self.content is not None and self.gapped is None and len(self.content) > INLINE_LIMIT
        self.digest = sha256(self.content or b"").hexdigest() if fixed else ""
        # Of a file that is the same for all only calendars are known to be UTF-8.
        charset = ";\r\n charset=utf-8" if self.gapped or media_type == "text/calendar" else ""
        # Outlook and Foxmail look at the type's name too.
        self.opening = (
            f"Content-Type: {media_type}{charset}{parameter('name', name)}\r\n"
            f"Content-Disposition: attachment{parameter('filename', name)}\r\n"
        ).encode("ascii") + BASE64

    def dump(self) -> dict[str, object]:
        if self.content is None:
            return self._told | {"content": None}
        if self.digest:
            return self._told | {"content": {"sha256": self.digest}}
        return self._told | {"content": {"base64": b64encode(self.content).decode()}}

    def _gaps(self, calendar: bool) -> _Gapped | None:  # noqa: FBT001  asked once, just above
        content = ICS_FOLD.sub(b"", self.content or b"") if calendar else self.content or b""
        if OPEN.encode() not in content:
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return None  # a PDF, a workbook: the octets of a mark's first character come about by chance
        if not MARK.search(text):
            return None
        _refuse_broken_marks(self._told["file_name"], text)
        return _Calendar(text) if calendar else _Gapped(text, str)


def _enclosure(told: Mapping[str, Any], get: Callable[[str], bytes]) -> Enclosure:
    kept = told["content"]
    if kept is not None:
        kept = get(kept["sha256"]) if "sha256" in kept else b64decode(kept["base64"])
    return Enclosure(file_name=told["file_name"], media_type=told["media_type"], content=kept)


def _canonical(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _plan(boundary: str, text: _Gapped, html: _Gapped, files: Sequence[_File]) -> Iterator[bytes | _Gapped | None]:
    """Yield what follows a recipient's own headers: octets, gapped content, and None for the recipient's own."""
    outer, inner = f"=_m{boundary}", f"=_a{boundary}"
    start = SAME_FOR_ALL
    if files:
        start += f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n--{outer}\r\n'.encode()
    start += f'Content-Type: multipart/alternative; boundary="{inner}"\r\n\r\n'.encode()
    for subtype, body in (("plain", text), ("html", html)):
        opening = f"--{inner}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n".encode() + BASE64 + CRLF
        yield start + opening
        yield body if body.marks else base64_lines(body.filled({}))
        start = b""
    yield f"--{inner}--\r\n".encode()
    for file in files:
        opening = f"--{outer}\r\n".encode() + file.opening + CRLF
        if file.content is None or file.gapped:
            yield opening
            yield file.gapped
        else:
            yield opening + base64_lines(file.content)
    if files:
        yield f"--{outer}--\r\n".encode()


@lru_cache(maxsize=64)
def _date(moment: str) -> str:
    """Return a moment as Date has it. Asked by its text: equal moments of two zones are written differently."""
    return format_datetime(datetime.fromisoformat(moment))


def _thread(fields: Fields) -> str:
    """Return In-Reply-To and References; who answers a mail refers to it at the least (RFC 5322 3.6.4)."""
    answered, references = fields.in_reply_to, fields.references
    if not answered and not references:
        return ""
    lines = f"In-Reply-To: {checked_message_id('in_reply_to', answered)}\r\n" if answered else ""
    ids = [checked_message_id("references", one) for one in references] or [answered]
    return lines + "References: " + "\r\n ".join(ids) + "\r\n"


def _refuse_broken_marks(name: str, text: str) -> None:
    if found := NO_TEXT.search(MARK.sub("", text)):
        raise ValueError(f"{name} carries {fault_of(found.group())}")
