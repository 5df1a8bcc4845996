"""Looking at a mail before the pen is taken: while workbooks are opened, others may write."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from mail.parsing import IncomingMail, parse_mail
from office.premises import Premises
from office.workbooks import forget_ahead, open_ahead


@contextmanager
def looked_at(premises: Premises, raw_sha256: str) -> Iterator[IncomingMail | None]:
    """Read a kept mail, and have its workbooks at hand while it is handled, those in a .zip too.

    None if anything is wrong: it is found again, and said, when the mail is handled.
    """
    mail: IncomingMail | None = None
    contents: list[bytes] = []
    try:
        with suppress(Exception):  # whatever a mail can break
            read = parse_mail(premises.files.get(raw_sha256))
            for attachment in read.attachments:
                for content in _unfolded(attachment.content):
                    contents.append(content)
                    open_ahead(content)
            mail = read
        yield mail
    finally:
        for content in contents:
            forget_ahead(content)


def _unfolded(content: bytes) -> Iterator[bytes]:
    """Yield a file, or what is in it if it is a .zip."""
    if sniff(content) is not FileKind.ZIP:
        yield content
        return
    with suppress(UnreadableWorkbook):
        for part in SANDBOX.unpack_ahead(content):
            yield part.content
