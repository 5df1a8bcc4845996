"""A mailbox that units write to, whatever kind it is: what fetches mail knows no more of it than this."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

STEP_S = 0.2
LARGEST = 50 * 1024 * 1024  # bytes of a mail that is fetched whole, unless settings say otherwise


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A mail as it lies in the mailbox: its name there, its bytes, and when our own server received it.

    ``size`` is the whole mail's: of one that is too large only the head is in ``raw``. ``trouble`` says why a mail
    could not be fetched at all.
    """

    uid: str
    raw: bytes
    received_at: datetime
    uid_validity: str = ""  # the numbering that an IMAP uid belongs to
    size: int = 0
    trouble: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of the mail was fetched."""
        return self.size <= len(self.raw) and not self.trouble


class MailboxAway(Exception):  # noqa: N818  a state of the world, not a fault of ours
    """The mailbox cannot be reached now; what lies in it stays there, and is fetched the next time.

    ``wants_staff`` says that trying again does not help: credentials were refused, or the folder does not exist.
    """

    def __init__(self, reason: str, *, wants_staff: bool = False) -> None:
        """Keep whether a person has to do something."""
        super().__init__(reason)
        self.wants_staff = wants_staff


class Mailbox(Protocol):
    """Where mail comes in. Used by one thread at a time. Nothing in it is ever deleted."""

    @property
    def name(self) -> str:
        """Under which the ledger keeps its mails."""

    def new(self, last_of: Callable[[str], int]) -> Iterator[Fetched]:
        """Yield the mails that were not taken; ``last_of`` gives the last number on record under a numbering.

        Raises:
            MailboxAway: it cannot be reached.

        """

    def take(self, mail: Fetched) -> None:
        """Mark a mail as taken, after what it says was committed.

        Raises:
            MailboxAway: it cannot be reached.

        """

    def wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until something may have come in, at most so long. Only a hint: whoever waited has to look.

        Raises:
            MailboxAway: it cannot be reached.

        """

    def close(self) -> None:
        """Let go of what is open; it opens again by itself."""


def pause(seconds: float, stopped: Callable[[], bool], sleep: Callable[[float], None]) -> None:
    """Sleep in small steps, so that a stop is heard at once."""
    left = seconds
    while left > 0 and not stopped():
        sleep(min(left, STEP_S))
        left -= STEP_S
