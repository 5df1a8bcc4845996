"""Polling: the mailbox is looked into for as long as `muster serve` stays up, whatever becomes of the connection.

What is fetched are rows in the ledger, and nothing else: that somebody has to take them in is seen there, by the same
question that is asked of mail to send. So an outage of the mailbox delays mails and loses none, and one of Prefect
leaves them waiting where they are.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from ledger.acts import Act
from mail.mailbox import Mailbox, MailboxAway, pause
from office.intake import fetch_mail
from office.premises import Premises
from tasks.desk import now

LONGEST_PAUSE_S = 300.0
Say = Callable[[str], None]
logger = logging.getLogger(__name__)


class Poller:
    """Fetches what lies in a mailbox, again and again, in a thread of its own."""

    def __init__(
        self, mailbox: Mailbox, fetch: Callable[[Callable[[], bool]], int], *, poll_s: float, say: Say
    ) -> None:
        """Prepare; ``fetch`` fetches what is new, stops early if it is told to, and returns how many mails came."""
        self._mailbox = mailbox
        self._fetch = fetch
        self._poll_s = poll_s
        self._say = say
        self._trouble = ""
        self._pause_s = 0.0

    async def poll(self, stop: asyncio.Event) -> None:
        """Poll until told to stop. The thread dies with the program if that does not wait for it."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def run() -> None:
            self.run(stop.is_set)
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=run, name="mailbox", daemon=True).start()
        await ended.wait()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Poll until told to stop; then let go of the mailbox."""
        while not stopped():
            self.once(stopped)
        self._mailbox.close()

    def once(self, stopped: Callable[[], bool]) -> None:
        """Look once, then wait for a hint or until the next look is due; after trouble longer and longer."""
        try:
            count = self._fetch(stopped)
            self._well(count)
            self._mailbox.wait(self._poll_s, stopped)
        except MailboxAway as error:
            advice = " (see MUSTER_IMAP_USER and the settings beside it)" if error.wants_staff else ""
            self._troubled(f"{error}{advice}")
            pause(self._pause_s, stopped, time.sleep)
        except Exception as error:  # the ledger or the disk may be away for a moment
            logger.exception("mail could not be fetched")
            self._troubled(f"{type(error).__name__}: {error}")
            pause(self._pause_s, stopped, time.sleep)

    def _well(self, count: int) -> None:
        if self._trouble:
            self._say("the mailbox is back")
        self._trouble, self._pause_s = "", 0.0
        if count:
            self._say(f"{count} mail{'s' if count > 1 else ''} fetched")

    def _troubled(self, trouble: str) -> None:
        """Say a trouble once, not at every look."""
        self._pause_s = min(max(2 * self._pause_s, 1.0), LONGEST_PAUSE_S)
        if trouble != self._trouble:
            self._say(f"mailbox: {trouble}; tried again, at the latest every {LONGEST_PAUSE_S:.0f} s")
        self._trouble = trouble


def poller_of(premises: Premises, *, poll_s: float, say: Say) -> Poller:
    """Return the poller of the premises' mailbox."""

    def fetch(stopped: Callable[[], bool]) -> int:
        return fetch_mail(premises, Act.now("rule:collect", now()), stopped)

    return Poller(premises.mailbox, fetch, poll_s=poll_s, say=say)
