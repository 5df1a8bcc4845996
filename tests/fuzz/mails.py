"""Mails and bounces: whatever the bytes, they are read in short time, and all text of it can be kept."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from mail.bounces import concerns, original_message_id, read_bounce
from mail.parsing import is_auto_reply, new_part, parse_mail, received_headers
from tests.corpus import make
from tests.corpus.mail_cases import CASES
from tests.corpus.mails import World

LONGEST = 20_000
BOUNCES = Path(__file__).parent.parent / "mail" / "bounces"


def seeds() -> Iterator[bytes]:
    """Yield the corpus of mails, with a short file for the workbook, and the bounces of the providers."""
    known = World(
        secret=make.SECRET, party=lambda _: make.OWN_ID, form=lambda *_: b"PK\x03\x04 form", message=1,
        message_id="<1.abc@office.example>",
    )  # fmt: skip
    built = (case.build(known) for case in CASES)
    yield from (raw for raw in (*built, *(file.read_bytes() for file in BOUNCES.glob("*.eml"))) if len(raw) <= LONGEST)


def judge(data: bytes) -> None:
    """Read the bytes as a mail, and as a bounce; raise where a promise is broken."""
    read = parse_mail(data)
    for value in asdict(read).values():
        for text in value if isinstance(value, tuple) else (value,):
            keepable(text["file_name"] + text["media_type"] if isinstance(text, dict) else text)
    assert new_part(read.subject) in read.subject
    is_auto_reply(read)
    assert all(header.at.utcoffset() is not None for header in received_headers(data))
    keepable(original_message_id(data))
    bounce = read_bounce(read, data)
    # A report by a machine is looked at more closely: so every mail is read as if one had sent it.
    for found in (bounce, read_bounce(parse_mail(b"Return-Path: <>\r\n" + data), b"Return-Path: <>\r\n" + data)):
        if found is not None:
            keepable(found.recipient + found.status + found.diagnostic)
            concerns(found, "duty@bureau.example")


def keepable(text: object) -> None:
    """Raise if a database could not keep it."""
    if isinstance(text, str):
        text.encode()
        assert "\0" not in text, text
