"""Decoding what Chinese mail programs write. The standard library loses characters here silently.

Bodies and headers labelled gb2312 are GB18030 in practice; encoded-words and RFC 2231 segments are split inside
characters, so segments are joined before they are decoded. Whatever a mail says, the text that comes out of here can
be kept: it encodes as UTF-8 and bears no NUL.
"""

import base64
import binascii
import quopri
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from urllib.parse import unquote_to_bytes

GB = frozenset({"gb2312", "gbk", "gb18030", "x_gbk", "gb_2312_80"})
# Python's other codecs are no charsets, and a mail may not ask for them: unicode_escape, idna, punycode, zlib, rot13
CHARSETS = {name for name in aliases.values() if not name.endswith("_codec")} - {"rot_13", "mbcs"} | {"cp874", "koi8_u"}
LONGEST_LABEL = 40
SURROGATE = re.compile("[\ud800-\udfff]")
ENCODED_WORD = re.compile(rb"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
BETWEEN_WORDS = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")


def decode_text(raw: bytes, charset: str) -> str:
    """Return text: by its label if that holds, else UTF-8, else GB18030; what fits none is replaced visibly."""
    for name in (_codec(charset), "utf-8", "gb18030"):
        try:
            return keepable(raw.decode(name))
        except UnicodeError:
            continue
    return keepable(raw.decode("gb18030", errors="replace"))


def keepable(text: str) -> str:
    """Return a text as a database can keep it: without NUL, lone surrogates replaced visibly."""
    return SURROGATE.sub("\ufffd", text.replace("\0", ""))


def _codec(label: str) -> str:
    """Return Python's name of a charset; of one that is none, UTF-8."""
    bare = label.strip().strip("\"'").lower()[:LONGEST_LABEL]
    spelled = normalize_encoding(bare) if bare.isascii() else ""
    name = aliases.get(spelled, spelled)
    if name in GB:
        return "gb18030"
    return name if name in CHARSETS else "utf-8"


def decode_header(raw: bytes) -> str:
    """Return a header's text: encoded-words joined by charset before decoding, raw 8-bit bytes recognised."""
    raw = BETWEEN_WORDS.sub(rb"\1", re.sub(rb"\r?\n(?=[ \t])", b"", raw)).strip()
    parts: list[tuple[str, bytes]] = []
    position = 0
    for match in ENCODED_WORD.finditer(raw):
        _add(parts, "", raw[position : match.start()])
        charset, encoding, payload = match.groups()
        _add(parts, charset.decode("ascii", "replace").split("*")[0], _payload(encoding, payload))
        position = match.end()
    _add(parts, "", raw[position:])
    return "".join(decode_text(content, charset or "utf-8") for charset, content in parts)


def _add(parts: list[tuple[str, bytes]], charset: str, content: bytes) -> None:
    if not content:
        return
    if parts and parts[-1][0].lower() == charset.lower():
        parts[-1] = (charset, parts[-1][1] + content)
    else:
        parts.append((charset, content))


def _payload(encoding: bytes, payload: bytes) -> bytes:
    if encoding in b"qQ":
        return quopri.decodestring(payload.replace(b"_", b" "))
    try:
        return base64.b64decode(payload + b"=" * (-len(payload) % 4))
    except (binascii.Error, ValueError):
        return payload


def decode_parameter(header: bytes, name: str) -> str:
    """Return a parameter (``filename``, ``name``) of a header in any of its spellings; empty if it is not there.

    RFC 2231 (``name*0*=utf-8''…``), RFC 2047 inside quotes (wrong, and common), raw 8-bit bytes, plain.
    """
    header = re.sub(rb"\r?\n(?=[ \t])", b"", header)
    key = re.escape(name.encode())
    segments = re.findall(rb";\s*" + key + rb"\*(\d{1,4})?(\*)?\s*=\s*(\"[^\"]*\"|[^;]*)", header, re.IGNORECASE)
    return _joined(segments) if segments else decode_header(plain_parameter(header, name))


def plain_parameter(header: bytes, name: str) -> bytes:
    """Return a parameter of a header as it stands there, quotes taken off; empty if it is not there."""
    key = re.escape(name.encode())
    found = re.search(rb";\s*" + key + rb"\s*=\s*(\"((?:[^\"\\]|\\.)*)\"|[^;]*)", header, re.IGNORECASE)
    if found is None:
        return b""
    return found.group(1).strip() if found.group(2) is None else re.sub(rb"\\(.)", rb"\1", found.group(2))


def _joined(segments: list[tuple[bytes, bytes, bytes]]) -> str:
    charset, content = "utf-8", b""
    for index, (number, star, value) in enumerate(sorted(segments, key=lambda s: int(s[0] or 0))):
        bare = value.strip().strip(b'"')
        # name*=utf-8''…: a star and no number says the same as number 0 with a star
        if star or not number:
            if index == 0 and bare.count(b"'") > 1:
                label, _, bare = bare.split(b"'", 2)
                charset = label.decode("ascii", "replace") or charset
            bare = unquote_to_bytes(bare)
        content += bare
    return decode_text(content, charset)
