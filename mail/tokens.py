"""Signed tokens: short, case-insensitive, safe in an address, a subject and a workbook.

``p3f-abcdefghij``: kind (p party, m message), number in base 32, ten characters of HMAC-SHA256 (50 bits).
"""

import hmac
import re
from dataclasses import dataclass

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
SIGNATURE = 10
DIGEST_BYTES = 7  # enough for ten times five bits
PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
SHIFTS = range(5 * (SIGNATURE - 2), -1, -10)  # two characters at a time
PATTERN = re.compile(rf"(?<![a-z0-9])([pm])([a-z2-7]{{1,12}})-([a-z2-7]{{{SIGNATURE}}})(?![a-z0-9])")


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a valid token stands for."""

    kind: str  # p: party, m: message
    number: int


def sign(kind: str, number: int, secret: bytes) -> str:
    """Return the token of a party (``p``) or message (``m``)."""
    body = kind + encode(number)
    return f"{body}-{_signature(body, secret)}"


def find_tokens(text: str, secret: bytes) -> list[Token]:
    """Return the valid tokens in a text, in order; forged ones are passed over."""
    found = []
    for kind, number, signature in PATTERN.findall(text.lower()):
        if hmac.compare_digest(_signature(kind + number, secret), signature):
            found.append(Token(kind=kind, number=decode(number)))
    return found


def read_token(text: str, secret: bytes) -> Token | None:
    """Return the first valid token in a text."""
    return next(iter(find_tokens(text, secret)), None)


def _signature(body: str, secret: bytes) -> str:
    digest = hmac.digest(secret, body.encode(), "sha256")
    bits = int.from_bytes(digest[:DIGEST_BYTES], "big") >> (8 * DIGEST_BYTES - 5 * SIGNATURE)
    return "".join([PAIRS[(bits >> shift) & 1023] for shift in SHIFTS])


def encode(number: int) -> str:
    """Return a number in base 32."""
    digits = ""
    while True:
        number, rest = divmod(number, len(ALPHABET))
        digits = ALPHABET[rest] + digits
        if not number:
            return digits


def decode(text: str) -> int:
    """Return the number that stands in base 32."""
    number = 0
    for char in text:
        number = number * len(ALPHABET) + ALPHABET.index(char)
    return number
