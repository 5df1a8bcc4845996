"""Looking at mails before the pen is taken: while some are handled, the next are read and their workbooks opened."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from typing import NamedTuple

from documents.opening import UnreadableWorkbook
from documents.sandbox import SANDBOX
from documents.sniff import FileKind, sniff
from mail.mailbox import Fetched
from mail.parsing import IncomingMail, parse_mail
from office.matching import bears_token
from office.premises import Premises
from office.workbooks import forget_ahead, open_ahead

AHEAD = 8  # mails looked at before their turn, and handled under one pen at most
AHEAD_BYTES = 16 * 1024 * 1024  # of those mails together; one alone may be larger
LOOKERS = 2  # threads; most of the time they wait for the processes that open workbooks


class Looked(NamedTuple):
    """A mail as it was looked at, None if that broke; and the files of which something is at hand."""

    mail: IncomingMail | None
    contents: tuple[bytes, ...]


class Coming(NamedTuple):
    """A mail that is being looked at, and how large it is."""

    size: int
    look: Future[Looked]


def looked_at(premises: Premises, kept: Sequence[tuple[str, int]]) -> Generator[tuple[IncomingMail | None, ...]]:
    """Yield kept mails, given by hash and size, read, in groups: those that are ready, one at least, in order.

    The files of a mail are kept and its workbooks at hand, those in a .zip too; meanwhile the next mails are looked at
    in other threads. None for a mail at which anything is wrong: it is found again, and said, when it is handled.
    Close what is not run to its end.
    """
    to_come = deque(kept)
    coming: deque[Coming] = deque()
    with ThreadPoolExecutor(LOOKERS, thread_name_prefix="looking-ahead") as other:

        def is_room() -> bool:
            held = sum(one.size for one in coming)
            return not coming or (len(coming) < AHEAD and held + to_come[0][1] <= AHEAD_BYTES)

        def look_on() -> None:
            while to_come and is_room():
                raw_sha256, size = to_come.popleft()
                coming.append(Coming(size, other.submit(_look, premises, raw_sha256)))

        try:
            look_on()
            while coming:
                group = [coming.popleft().look.result()]
                while coming and coming[0].look.done():
                    group.append(coming.popleft().look.result())
                look_on()
                try:
                    yield tuple(look.mail for look in group)
                finally:
                    _forget(group)
        finally:
            _forget([one.look.result() for one in coming if not one.look.cancel()])


@contextmanager
def glanced_at(premises: Premises, fetched: Iterable[Fetched]) -> Iterator[None]:
    """Keep the bytes of mails just fetched; of those whose unit only a workbook can name, have that at hand."""
    contents: list[bytes] = []
    try:
        for one in fetched:
            premises.files.put(one.raw)
            with suppress(Exception):  # whatever a mail can break: it is found again when the mail is recorded
                mail = parse_mail(one.raw)
                if not bears_token(premises, mail):
                    for attachment in mail.attachments:
                        contents.append(attachment.content)
                        open_ahead(attachment.content)
        yield
    finally:
        for content in contents:
            forget_ahead(content)


def _look(premises: Premises, raw_sha256: str) -> Looked:
    mail: IncomingMail | None = None
    contents: list[bytes] = []
    with suppress(Exception):  # whatever a mail can break
        read = parse_mail(premises.files.get(raw_sha256))
        for attachment in read.attachments:
            premises.files.put(attachment.content)  # so that nobody waits for the disk under the pen
            for content in _unfolded(attachment.content):
                contents.append(content)
                open_ahead(content)
        mail = read
    return Looked(mail, tuple(contents))


def _forget(group: Iterable[Looked]) -> None:
    for content in chain.from_iterable(look.contents for look in group):
        forget_ahead(content)


def _unfolded(content: bytes) -> Iterator[bytes]:
    """Yield a file, or what is in it if it is a .zip."""
    if sniff(content) is not FileKind.ZIP:
        yield content
        return
    with suppress(UnreadableWorkbook):
        for part in SANDBOX.unpack_ahead(content):
            yield part.content
