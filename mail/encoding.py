"""Texts as a mail carries them: headers (RFC 2047, 2231), base64 (RFC 2045), HTML, calendar lines (RFC 5545)."""

import re
from binascii import b2a_base64
from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from urllib.parse import quote

from markupsafe import escape

from rules.addresses import ADDRESS, ATOM

OPEN, CLOSE = "\ue000", "\ue001"
LINE = 76  # RFC 2045 and RFC 2047
WORD = 75  # RFC 2047: an encoded-word
SEGMENT = 54  # of an RFC 2231 value, so that ` filename*10*=utf-8''` before it still fits the line
ICS_LINE = 75  # octets, RFC 5545 3.1
CONTINUES, LEAD = 0x80, 0xC0  # the bits of an octet that goes on with a UTF-8 character
NO_HEADER = re.compile(f"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{OPEN}{CLOSE}]")
LINE_BREAKS = "\0\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
ATOMS = re.compile(rf"{ATOM}(?: {ATOM})*")
ASCII = re.compile(r"[!-~](?:[ -~]*[!-~])?")
MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")
PLAIN_NAME = re.compile(r"[A-Za-z0-9_.()+#@!~^-](?:[A-Za-z0-9 _.()+#@!~^-]{0,50}[A-Za-z0-9_.()+#@!~^-])?")
BREAK = re.compile(r"\r\n?|\n")
HTML_SPECIAL = re.compile(r"[&<>'\"\r\n]")
ICS_CONTROL = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
ICS_SPECIAL = re.compile(r"\r\n|[\\;,\0-\x08\n-\x1f\x7f\x85\u2028\u2029]")
CRLF = b"\r\n"


def base64_lines(content: bytes) -> bytes:
    """Return content in base64, in lines of 76; a Struct cuts them three times as fast as slicing does."""
    encoded = b2a_base64(content, newline=False)
    count = len(encoded) // LINE
    lines = _cutter(count).unpack_from(encoded)
    rest = encoded[count * LINE :]
    return CRLF.join((*lines, rest, b"") if rest else (*lines, b""))


@lru_cache(maxsize=512)
def _cutter(lines: int) -> Struct:
    return Struct(f"{LINE}s" * lines)


def body_text(text: str) -> str:
    """Return a body with the line ends of mail, and one at its end."""
    return line_ended(text).removesuffix("\r\n") + "\r\n"


def line_ended(value: str) -> str:
    """Return a text with the line ends of mail."""
    return BREAK.sub("\r\n", value) if "\n" in value or "\r" in value else value


def html_text(value: str) -> str:
    """Return a text as it may stand in HTML."""
    # Most values have nothing to escape, and looking is faster than making Markup of them.
    return line_ended(escape(value)) if HTML_SPECIAL.search(value) else value


def ics_text(value: str) -> str:
    """Return a value as TEXT (RFC 5545 3.3.11)."""
    if not ICS_SPECIAL.search(value):
        return value
    if found := ICS_CONTROL.search(value):
        raise ValueError(f"a value carries {fault_of(found.group())}: {value!r}")
    return ICS_SPECIAL.sub(lambda special: f"\\{special.group()}" if special.group() in "\\;," else r"\n", value)


def ics_line(line: bytes) -> bytes:
    """Return a content line folded: lines of 75 octets, no character cut."""
    if len(line) <= ICS_LINE:
        return line
    return b"\r\n ".join(cut(line, ICS_LINE, ICS_LINE - 1))


def cut(raw: bytes, first: int, then: int) -> Iterator[bytes]:
    """Yield UTF-8 in pieces of so many octets at most, never cutting a character."""
    start, limit = 0, first
    while start < len(raw):
        end = start + limit
        while end < len(raw) and raw[end] & LEAD == CONTINUES:
            end -= 1
        yield raw[start:end]
        start, limit = end, then


def encoded_words(text: str, room: int) -> str:
    """Return text as encoded-words (RFC 2047), one a line; ``room`` is what the header's name leaves of the first."""
    first, then = ((size - len("=?utf-8?b??=")) // 4 * 3 for size in (room, WORD))
    words = [b2a_base64(piece, newline=False).decode() for piece in cut(text.encode(), first, then)]
    return "=?utf-8?b?" + "?=\r\n =?utf-8?b?".join(words) + "?="


def is_plain(text: str, room: int) -> bool:
    """Whether a text may stand in a header as it is, on one line with so much room."""
    return len(text) <= room and ASCII.fullmatch(text) is not None and "=?" not in text


def unstructured(header: str, text: str) -> str:
    """Return an unstructured header's text, encoded where it must be."""
    room = LINE - len(header) - 2
    return text if not text or is_plain(text, room) else encoded_words(text, room)


def mailbox(header: str, role: str, name: str, address: str) -> str:
    """Return ``name <address>``, the name as atoms, quoted, or in encoded-words."""
    header_text(f"{role}_name", name)
    plain_address(f"{role}_address", address)
    if not name:
        return address
    room = LINE - len(header) - 2
    phrase = name
    if not ATOMS.fullmatch(name):
        phrase = '"' + name.replace("\\", r"\\").replace('"', r"\"") + '"'
    if not is_plain(phrase, room):
        phrase = encoded_words(name, room)
    one_line = "\n" not in phrase and len(phrase) + len(address) + len(" <>") <= room
    return f"{phrase} <{address}>" if one_line else f"{phrase}\r\n <{address}>"


def parameter(key: str, value: str) -> str:
    """Return a parameter on lines of its own: quoted if it is plain, else as RFC 2231 has it."""
    if PLAIN_NAME.fullmatch(value):
        return f';\r\n {key}="{value}"'
    segments = [""]
    for character in value:
        coded = quote(character, safe="")
        if len(segments[-1]) + len(coded) > SEGMENT:
            segments.append("")
        segments[-1] += coded
    if len(segments) == 1:
        return f";\r\n {key}*=utf-8''{segments[0]}"
    segments[0] = "utf-8''" + segments[0]
    return "".join(f";\r\n {key}*{number}*={segment}" for number, segment in enumerate(segments))


def header_text(name: str, text: str) -> str:
    """Return a text that may stand in a header.

    Raises:
        ValueError: it carries what would break or forge one; the message names the field.

    """
    if found := NO_HEADER.search(text):
        raise ValueError(f"{name} carries {fault_of(found.group())}")
    return text


def plain_address(name: str, address: str) -> str:
    """Return a plain mail address.

    Raises:
        ValueError: it is none.

    """
    header_text(name, address)
    # An encoded-word made of an address's letters is read as another address by some.
    if ADDRESS.fullmatch(address) is None or "=?" in address:
        raise ValueError(
            f"{name} is {address!r}, no plain mail address: correct it to name@domain in ASCII letters,"
            " an international domain in its xn-- form"
        )
    return address


def checked_message_id(name: str, message_id: str) -> str:
    """Return a message id.

    Raises:
        ValueError: it is none in angle brackets.

    """
    header_text(name, message_id)
    if MESSAGE_ID.fullmatch(message_id) is None:
        raise ValueError(f"{name} is {message_id!r}, no message id in angle brackets")
    return message_id


def fault_of(character: str) -> str:
    """Return in words what a character that may not stand somewhere does."""
    if character in LINE_BREAKS:
        return "a line break, which would forge headers"
    if character in (OPEN, CLOSE):
        return "U+E000 or U+E001, which stand for marks"
    if "\ud800" <= character <= "\udfff":
        return "half a character (a lone surrogate), which cannot be sent"
    return "a control character, which is not allowed there"
