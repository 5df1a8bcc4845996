"""An IMAP mailbox. Polling by UID is the truth, IDLE only a hint; a flag is for those who look in, never for us.

What lies in the mailbox is never deleted or moved. imap-tools' own flagging expunges, so flags are stored here.
"""

import imaplib
import logging
import re
import select
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, Literal

from imap_tools import BaseMailBox, MailBox, MailboxFolderSelectError, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError, MailboxLoginError

from mail.mailbox import LARGEST, STEP_S, Fetched, MailboxAway, pause
from mail.parsing import received_headers

TAKEN = r"(\Seen $MusterTaken)"
SEEN = r"(\Seen)"
AT_ONCE = 100  # mails whose size and date are asked for in one command
STUMBLES = 3  # a mail over which the connection breaks so often is left to a person
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
INTERNALDATE = re.compile(rb'INTERNALDATE "\s?(\d{1,2})-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
SIZE, UID = re.compile(rb"RFC822\.SIZE (\d+)"), re.compile(rb"UID (\d+)")
ANOTHERS = (62, 64)  # OpenSSL's codes of a certificate for another name or address
GONE = (imaplib.IMAP4.abort, OSError, ssl.SSLError)
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ImapServer:
    """Where the mailbox is and how it is opened."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"]
    user: str
    password: str
    folder: str = "INBOX"
    ca_file: str = ""
    timeout_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is asked of a mail before it is fetched."""

    uid: int
    size: int
    received_at: datetime | None


class ImapMailbox:
    """A folder on an IMAP server; connects when it is asked for something, and again after it broke."""

    def __init__(self, server: ImapServer, *, largest: int = LARGEST) -> None:
        """Prepare; nothing is connected yet. Of mails larger than ``largest`` only the head is fetched."""
        self._server = server
        self._largest = largest
        self._box: BaseMailBox | None = None
        self._numbering = ""
        self._last: int | None = None  # the last number taken, once the ledger was asked
        self._stumbled: Counter[tuple[str, int]] = Counter()

    @property
    def name(self) -> str:
        """Under which the ledger keeps its mails."""
        return f"imap:{self._server.user}@{self._server.host}/{self._server.folder}"[:200]

    def new(self, last_of: Callable[[str], int]) -> Iterator[Fetched]:
        """Yield the mails beyond the last number taken, oldest first; what is not taken comes again at the next look.

        Raises:
            MailboxAway: it cannot be reached.

        """
        box = self._opened()
        if self._last is None:
            self._last = last_of(self._numbering)
        found = self._ask(lambda: _beyond(box, self._last or 0))
        for begin in range(0, len(found), AT_ONCE):
            uids = found[begin : begin + AT_ONCE]
            facts = self._ask(partial(_facts, box, uids))
            for uid in uids:
                yield self._fetch(box, facts.get(uid) or _Facts(uid=uid, size=0, received_at=None))

    def take(self, mail: Fetched) -> None:
        """Mark a mail for those who look into the mailbox. A server that keeps no keywords marks it as seen."""
        box = self._box
        if box is None or mail.uid_validity != self._numbering:
            return
        # Not before: of several mails recorded together, none may be passed over because that failed.
        self._last = max(self._last or 0, int(mail.uid))
        for flags in (TAKEN, SEEN):
            try:
                answer, _ = self._ask(partial(box.client.uid, "STORE", mail.uid, "+FLAGS.SILENT", flags))
            except imaplib.IMAP4.error as error:
                log.warning("mail %s in %s cannot be flagged: %s", mail.uid, self.name, error)
                continue
            if answer == "OK":
                return

    def wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until the server says that something came, at most so long; without IDLE just so long."""
        box = self._opened()
        if "IDLE" not in box.client.capabilities:
            pause(seconds, stopped, time.sleep)
            return
        self._ask(lambda: _idle(box, seconds, stopped))

    def close(self) -> None:
        """Log out; it opens again by itself."""
        box, self._box, self._last = self._box, None, None
        if box is not None:
            with suppress(*GONE, imaplib.IMAP4.error, ImapToolsError):
                box.logout()
            with suppress(*GONE):
                box.client.shutdown()

    def _opened(self) -> BaseMailBox:
        if self._box is not None:
            box = self._box
            self._ask(box.client.noop)
            return box
        self._box = box = self._open()
        _, numbering = box.client.response("UIDVALIDITY")
        self._last = None
        self._numbering = numbering[0].decode() if numbering and numbering[0] else ""
        return box

    def _open(self) -> BaseMailBox:
        server = self._server
        place = f"{server.user} at {server.host}:{server.port}"
        try:
            box = _connect(server)
            _introduce(box)
            with suppress(ImapToolsError):  # 163.com knows no IDLE before a login, and wants an ID after it
                box.client.capabilities = tuple(_capabilities(box))
            box.folder.set(server.folder)
        except MailboxLoginError as error:
            raise MailboxAway(f"{place}: user or password was refused ({error})", wants_staff=True) from error
        except MailboxFolderSelectError as error:
            raise MailboxAway(
                f"{place}: folder {server.folder!r} cannot be opened ({error})", wants_staff=True
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise MailboxAway(
                f"{place}: its certificate is not trusted: {_distrust(error)}", wants_staff=True
            ) from error
        except (*GONE, imaplib.IMAP4.error, ImapToolsError) as error:
            raise MailboxAway(f"{place} cannot be reached: {error}") from error
        return box

    def _ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever the server answers
        """Ask the server; a connection that broke is dropped, as nothing it says later can be trusted."""
        try:
            return question()
        except GONE as error:
            self.close()
            raise MailboxAway(f"the connection to {self._server.host} broke: {error}") from error

    def _fetch(self, box: BaseMailBox, facts: _Facts) -> Fetched:
        key = self._numbering, facts.uid
        head_only = facts.size > self._largest
        if self._stumbled[key] >= STUMBLES:
            return self._left_there(facts, f"the connection broke over it {STUMBLES} times")
        self._stumbled[key] += 1
        try:
            raw = self._ask(lambda: _bytes(box, facts.uid, head_only=head_only))
        except imaplib.IMAP4.error as error:
            return self._left_there(facts, str(error))
        del self._stumbled[key]
        if raw is None:
            return self._left_there(facts, "the server gave nothing of it")
        return Fetched(
            uid=str(facts.uid),
            uid_validity=self._numbering,
            raw=raw,
            size=max(facts.size, len(raw)) if head_only else len(raw),
            received_at=facts.received_at or _top_received(raw),
        )

    def _left_there(self, facts: _Facts, why: str) -> Fetched:
        return Fetched(
            uid=str(facts.uid),
            uid_validity=self._numbering,
            raw=b"",
            size=facts.size,
            received_at=facts.received_at or datetime.now(UTC),
            trouble=f"it could not be fetched and lies in the mailbox: {why}",
        )


def _connect(server: ImapServer) -> BaseMailBox:
    context = ssl.create_default_context(cafile=server.ca_file or None)
    box: BaseMailBox
    if server.tls == "implicit":
        box = MailBox(server.host, server.port, timeout=server.timeout_s, ssl_context=context)
    elif server.tls == "starttls":
        box = MailBoxStartTls(server.host, server.port, timeout=server.timeout_s, ssl_context=context)
    else:
        box = MailBoxUnencrypted(server.host, server.port, timeout=server.timeout_s)
    return box.login(server.user, server.password, initial_folder=None)


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    """Return what is wrong with a certificate, and what to set."""
    if error.verify_code in ANOTHERS:
        remedy = "give the server's name as its certificate has it in MUSTER_IMAP_HOST"
    else:
        remedy = "if it is the right server, name the file of its authority's certificate in MUSTER_IMAP_CA_FILE"
    return f"{error.verify_message.rstrip('.')}; {remedy}"


def _introduce(box: BaseMailBox) -> None:
    """Say who we are: 163.com and 126.com refuse every folder to a client that does not."""
    with suppress(imaplib.IMAP4.error):
        box.client.xatom("ID", '("name" "muster" "version" "1")')


def _capabilities(box: BaseMailBox) -> Sequence[str]:
    _, told = box.client.capability()
    return told[-1].decode("ascii", "replace").upper().split() if told and told[-1] else box.client.capabilities


def _beyond(box: BaseMailBox, last: int) -> list[int]:
    """Return the numbers beyond one; ``n:*`` also names the last mail where n lies beyond it."""
    answer, told = box.client.uid("SEARCH", f"UID {last + 1}:*")
    if answer != "OK":
        raise imaplib.IMAP4.abort(f"SEARCH: {answer} {told}")
    return sorted(uid for uid in map(int, (told[0] or b"").split()) if uid > last)


def _facts(box: BaseMailBox, uids: Sequence[int]) -> dict[int, _Facts]:
    answer, told = box.client.uid("FETCH", ",".join(map(str, uids)), "(UID INTERNALDATE RFC822.SIZE)")
    found = {}
    for line in told if answer == "OK" else ():
        text = b" ".join(line) if isinstance(line, tuple) else line or b""
        uid, size = UID.search(text), SIZE.search(text)
        if uid and size:
            number = int(uid[1])
            found[number] = _Facts(uid=number, size=int(size[1]), received_at=_internal_date(text))
    return found


def _bytes(box: BaseMailBox, uid: int, *, head_only: bool) -> bytes | None:
    answer, told = box.client.uid("FETCH", str(uid), "(BODY.PEEK[HEADER])" if head_only else "(BODY.PEEK[])")
    if answer != "OK":
        raise imaplib.IMAP4.error(f"{answer} {told}")
    return next((bytes(line[1]) for line in told if isinstance(line, tuple)), None)


def _internal_date(text: bytes) -> datetime | None:
    found = INTERNALDATE.search(text)
    if found is None or (month := found[2].decode("ascii", "replace").lower()) not in MONTHS:
        return None
    day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
    offset = timedelta(hours=int(found[8]), minutes=int(found[9])) * (-1 if found[7] == b"-" else 1)
    try:
        local = datetime(year, MONTHS.index(month) + 1, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    return local.astimezone(UTC)


def _top_received(raw: bytes) -> datetime:
    """Return when the last server had a mail whose own server does not say when it came."""
    first = next(iter(received_headers(raw)), None)
    return first.at if first is not None else datetime.now(UTC)


def _idle(box: BaseMailBox, seconds: float, stopped: Callable[[], bool]) -> None:
    """Idle until the server says anything. What it says is read by the end of IDLE: imap-tools would cut lines."""
    box.idle.start()  # type: ignore[no-untyped-call]
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped() and not select.select([box.client.sock], [], [], STEP_S)[0]:
        pass
    box.idle.stop()  # type: ignore[no-untyped-call]
