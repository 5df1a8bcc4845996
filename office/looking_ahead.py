"""Looking at a mail before the pen is taken: while workbooks are opened, others may write."""

from contextlib import suppress

from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from mail.parsing import parse_mail
from office.premises import Premises


def look_ahead(premises: Premises, raw_sha256: str) -> None:
    """Have the workbooks of a kept mail opened ahead, those in a .zip too.

    Whatever is wrong with the mail is found again, and said, when it is handled.
    """
    with suppress(Exception):
        for attachment in parse_mail(premises.files.get(raw_sha256)).attachments:
            _open_ahead(attachment.content)


def _open_ahead(content: bytes) -> None:
    kind = sniff(content)
    if kind is FileKind.XLSX:
        SANDBOX.open_ahead(content)
    elif kind is FileKind.ZIP:
        with suppress(UnreadableWorkbook):
            for part in SANDBOX.unpack_ahead(content):
                if sniff(part.content) is FileKind.XLSX:
                    SANDBOX.open_ahead(part.content)
