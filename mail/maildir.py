"""A Maildir: what a mail server delivers into. Mails move within it, and are never deleted."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path

from mail.mailbox import LARGEST, Fetched, pause
from mail.parsing import received_headers

DELIVERED = re.compile(r"^(\d{9,11})\.")
LONGEST_NAME = 255  # bytes of a file's name, on nearly every file system
SEEN = ":2,S"
MAX_HEAD = 256 * 1024
_serial = count(1)
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Maildir:
    """A Maildir as a mailbox."""

    folder: Path
    name: str
    received_by: str
    largest: int = LARGEST

    def new(self, last_of: Callable[[str], int]) -> Iterator[Fetched]:  # noqa: ARG002  what lies in new/ is new
        """Yield the mails in new/, oldest first."""
        return read_new(self.folder, received_by=self.received_by, largest=self.largest)

    def take(self, mail: Fetched) -> None:
        """Move a mail from new/ to cur/."""
        mark_taken(self.folder, mail.uid)

    def wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until a file lies in new/, at most so long."""
        new = self.folder / "new"
        pause(seconds, lambda: stopped() or (new.is_dir() and any(new.iterdir())), time.sleep)

    def close(self) -> None:
        """Do nothing: nothing is open."""


def read_new(maildir: Path, *, received_by: str, largest: int = LARGEST) -> Iterator[Fetched]:
    """Yield the mails in new/, oldest first. What is no file there is no mail, and is passed over with a warning.

    Received is the topmost Received header if our own server (``received_by``) wrote it, else the delivery time
    that the file's name begins with; never the Date header, which is the sender's to choose. What another process
    has taken meanwhile is passed over.
    """
    folder = maildir / "new"
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with suppress(FileNotFoundError):
                yield _read(path, received_by, largest)
        elif os.path.lexists(path):
            log.warning("%s is no mail and is passed over; move it out of the Maildir", ascii(str(path)))


def _read(path: Path, received_by: str, largest: int) -> Fetched:
    size = path.stat().st_size
    raw = path.read_bytes() if size <= largest else _head(path)
    return Fetched(uid=path.name, raw=raw, size=size, received_at=_received_at(raw, path, received_by))


def _head(path: Path) -> bytes:
    """Return the headers of a mail that is too large to be read whole."""
    with path.open("rb") as file:
        return re.split(rb"\r?\n\r?\n", file.read(MAX_HEAD), maxsplit=1)[0] + b"\r\n\r\n"


def _received_at(raw: bytes, path: Path, received_by: str) -> datetime:
    first = next(iter(received_headers(raw)), None)
    if first is not None and first.by == received_by.lower():
        return first.at
    delivered = DELIVERED.match(path.name)
    seconds = float(delivered.group(1)) if delivered else path.stat().st_mtime
    return datetime.fromtimestamp(seconds, UTC)


def mark_taken(maildir: Path, uid: str) -> None:
    """Move a mail from new/ to cur/ as seen, after what it says was committed; or another process has."""
    target = maildir / "cur"
    target.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        (maildir / "new" / uid).rename(target / _seen_name(uid))


def _seen_name(uid: str) -> str:
    """Return a mail's name in cur/; of one that has no room for the flag, its beginning and what it hashes to."""
    whole = os.fsencode(uid)
    if len(whole) + len(SEEN) <= LONGEST_NAME:
        return uid + SEEN
    return f"{uid[:40]}.{sha256(whole).hexdigest()}{SEEN}"


def deliver(maildir: Path, raw: bytes, at: datetime) -> str:
    """Deliver a mail as a mail server would: written in tmp/, then renamed into new/. Return its unique name."""
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    uid = f"{int(at.timestamp())}.M{next(_serial):06d}P{os.getpid()}.muster"
    part = maildir / "tmp" / uid
    part.write_bytes(raw)
    part.rename(maildir / "new" / uid)
    return uid
