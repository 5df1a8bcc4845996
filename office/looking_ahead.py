"""Looking at a mail before the pen is taken: while workbooks are opened, others may write."""

from contextlib import suppress

from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from mail.parsing import IncomingMail, parse_mail
from office.premises import Premises


def look_ahead(premises: Premises, raw_sha256: str) -> IncomingMail | None:
    """Read a kept mail, and have its workbooks opened ahead, those in a .zip too.

    None if anything is wrong: it is found again, and said, when the mail is handled.
    """
    try:
        mail = parse_mail(premises.files.get(raw_sha256))
        for attachment in mail.attachments:
            _open_ahead(attachment.content)
    except Exception:  # noqa: BLE001  whatever a mail can break
        return None
    return mail


def _open_ahead(content: bytes) -> None:
    kind = sniff(content)
    if kind is FileKind.XLSX:
        SANDBOX.open_ahead(content)
    elif kind is FileKind.ZIP:
        with suppress(UnreadableWorkbook):
            for part in SANDBOX.unpack_ahead(content):
                if sniff(part.content) is FileKind.XLSX:
                    SANDBOX.open_ahead(part.content)
