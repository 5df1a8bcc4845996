"""Signed links for pages: whose they are, of which epoch, until when.

``3f.a.bfxk2q-<26 characters>``: party, epoch and the first second that is too late, each in base 32, then 130 bits of
HMAC-SHA256. The key is derived for links alone: no token of a mail or a workbook opens a page, and no link is a token.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mail.tokens import ALPHABET, decode, encode

SIGNATURE = 26
SCOPE = b"muster link 1"
PATTERN = re.compile(rf"([a-z2-7]{{1,12}})\.([a-z2-7]{{1,6}})\.([a-z2-7]{{1,8}})-([a-z2-7]{{{SIGNATURE}}})")


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a validly signed link says. Whether it still holds is for whoever knows the time and the party's epoch."""

    party_id: int
    epoch: int
    expires: datetime


def sign_link(link: Link, secret: bytes) -> str:
    """Return a link's text, safe in a path."""
    seconds = int(link.expires.timestamp())
    body = ".".join(encode(number) for number in (link.party_id, link.epoch, seconds))
    return f"{body}-{_signature(body, secret)}"


def read_link_text(text: str, secret: bytes) -> Link | None:
    """Return what a link says, or None if it is forged or none at all."""
    match = PATTERN.fullmatch(text)
    if match is None:
        return None
    body = text.rpartition("-")[0]
    if not hmac.compare_digest(_signature(body, secret), match[4]):
        return None
    return Link(
        party_id=decode(match[1]),
        epoch=decode(match[2]),
        expires=datetime.fromtimestamp(decode(match[3]), UTC),
    )


def _signature(body: str, secret: bytes) -> str:
    key = hmac.digest(secret, SCOPE, "sha256")
    digest = int.from_bytes(hmac.digest(key, body.encode(), "sha256"), "big")
    return "".join(ALPHABET[(digest >> shift) & 31] for shift in range(5 * (SIGNATURE - 1), -1, -5))
