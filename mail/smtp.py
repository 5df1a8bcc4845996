"""Sending over reused connections. What the world cannot tell is an outcome of its own: ambiguous.

aiosmtplib opens a connection: greeting, EHLO, TLS, AUTH. Then a ``Dialogue`` of our own takes the transport over, for
two reasons. aiosmtplib's ``sendmail`` spends more than half its time on parsing addresses four times, scanning the
body twice, and a lock, a future and a ``wait_for`` per command. And it goes on using a connection that was cancelled
inside DATA, its replies then off by one: the next recipient's 550 is read as 250. Here a connection that saw any
exception is dropped, and one is written to only while nothing is left unread on it.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self, cast

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException

from mail.dialogue import END_OF_DATA, GO_AHEAD, GOODBYE_S, INTERMEDIATE, Dialogue, LostError, StaleError
from mail.relay import Envelope, SmtpServer
from rules.replies import Blame, Stage, read_reply

OutcomeState = Literal["sent", "deferred", "refused", "ambiguous"]
BeforeData = Callable[[int], Awaitable[None]]

# What may stand between < and > as it is: a dot-atom, and a domain or an address literal. Nothing that needs quoting.
MAILBOX = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
    r"@(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
    r"|\[[A-Za-z0-9.:]+\])"
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one attempt, whom it concerns, and when the reply asks us to come again."""

    state: OutcomeState
    code: int | None = None
    text: str = ""
    blame: Blame = Blame.NOBODY
    retry_after: timedelta | None = None


class SmtpPool:
    """Up to ``connections`` connections to one relay, each reused for ``messages_per_connection`` messages."""

    def __init__(self, server: SmtpServer, *, connections: int = 4, messages_per_connection: int = 100) -> None:
        """Prepare; connections are opened when they are needed."""
        self._server = server
        self._limit = messages_per_connection
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[Dialogue] = []
        self._leaving: set[Dialogue] = set()
        self._closed = False
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        """Enter; nothing is opened yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye on every idle connection, to all at once, and wait no longer than politeness asks."""
        self._closed = True
        while self._idle:
            self._leave(self._idle.pop())
        leaving = tuple(self._leaving)
        try:
            if leaving:
                await asyncio.wait([dialogue.gone for dialogue in leaving], timeout=GOODBYE_S)
        finally:
            for dialogue in leaving:
                dialogue.drop()

    async def send(self, envelope: Envelope, before_data: BeforeData | None = None) -> Outcome:
        """Send one message; a fault of the message or the wire is an outcome, never an exception.

        ``before_data`` is awaited before DATA is said: where the relay takes one command at a time, once the recipient
        is accepted. What it raises passes through, as a cancellation does, after the connection is dropped.
        """
        async with self._slots:
            body = b"".join((*envelope.data, END_OF_DATA))
            if fault := _unsendable(envelope, body):
                return fault
            if dialogue := self._take_idle():
                try:
                    return await self._use(dialogue, envelope, body, before_data)
                except StaleError:
                    pass  # closed while it lay idle: nothing was sent, and nothing is at fault
            opened = await self._open()
            if isinstance(opened, Outcome):
                return opened
            return await self._use(opened, envelope, body, before_data)

    def _take_idle(self) -> Dialogue | None:
        while self._idle:
            dialogue = self._idle.pop()
            if dialogue.usable:
                return dialogue
            dialogue.drop()
        return None

    async def _use(
        self, dialogue: Dialogue, envelope: Envelope, body: bytes, before_data: BeforeData | None
    ) -> Outcome:
        """Carry out one transaction, then keep the connection, or not."""
        keep = False
        try:
            outcome = await _transact(dialogue, envelope, body, before_data)
            keep = dialogue.usable
        finally:
            # Also reached on cancellation, when `keep` is still False.
            if not keep:
                dialogue.drop()
            elif dialogue.used >= self._limit or self._closed:
                self._leave(dialogue)
            else:
                self._idle.append(dialogue)
        return outcome

    def _leave(self, dialogue: Dialogue) -> None:
        self._leaving.add(dialogue)
        dialogue.gone.add_done_callback(lambda _: self._leaving.discard(dialogue))
        dialogue.leave()

    async def _open(self) -> Dialogue | Outcome:
        """Return a new connection, ready for mail; or what hindered it, which is never the message's fault."""
        stage = Stage.CONNECT
        client: SMTP | None = None
        cancels = _cancellations()
        try:
            client = self._client()
            await _greet(client)
            stage = Stage.AUTH
            await self._log_in(client)
            _raise_if_cancelled(since=cancels)
            return Dialogue.take_over(client, self._server)
        except SMTPResponseException as error:
            _abort(client)
            reading = read_reply(error.code, error.message, stage)
            code = error.code if error.code > 0 else None
            text = f"the relay would not have us: {error.message}"
            return Outcome(state="deferred", code=code, text=text, blame=reading.blame, retry_after=reading.retry_after)
        except (SMTPException, OSError, ValueError) as error:
            _abort(client)
            # Else the relay offers no way to log in, which no retry will mend.
            broken = stage is Stage.CONNECT or isinstance(error, OSError)
            blame = Blame.RELAY if broken else Blame.AUTH
            return Outcome(state="deferred", text=f"no connection to the relay: {error}", blame=blame)
        except BaseException:
            _abort(client)
            raise

    def _client(self) -> SMTP:
        server = self._server
        if self._tls is None and server.tls != "none":
            self._tls = ssl.create_default_context(cafile=server.ca_file or None)
            if not server.verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        return SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            tls_context=self._tls,
            local_hostname=server.local_hostname,
            timeout=server.timeout_s,
        )

    async def _log_in(self, client: SMTP) -> None:
        server = self._server
        if server.oauth_token:
            await client.auth_xoauth2(server.username, server.oauth_token)
        elif server.username:
            await client.login(server.username, server.password)


async def _greet(client: SMTP) -> None:
    """Connect, encrypt if that is wanted, and say EHLO, after STARTTLS once more."""
    await client.connect()
    try:
        await client.ehlo()
    except SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _raise_if_cancelled(*, since: int) -> None:
    """Python 3.11's ``wait_for``, which aiosmtplib uses, swallows a cancellation that arrives with the reply."""
    if _cancellations() > since:
        raise asyncio.CancelledError


def _abort(client: SMTP | None) -> None:
    if client is None:
        return
    if client.transport is not None:
        cast("asyncio.Transport", client.transport).abort()
    client.close()


def _unsendable(envelope: Envelope, body: bytes) -> Outcome | None:
    """Return the outcome of a message that cannot be put on the wire, before anything is written."""
    if MAILBOX.fullmatch(envelope.to) is None:
        text = f"the address cannot be written on an envelope: {envelope.to!a}"
        return Outcome(state="refused", text=text, blame=Blame.ADDRESS)
    if envelope.envelope_from and MAILBOX.fullmatch(envelope.envelope_from) is None:
        # Our own, and the same fault in every message: no recipient's address is to be marked bad for it.
        text = f"the sender's address cannot be written on an envelope: {envelope.envelope_from!a}"
        return Outcome(state="refused", text=text, blame=Blame.POLICY)
    if not body.endswith(b"\r\n" + END_OF_DATA):
        return Outcome(state="refused", text="the message does not end with CR LF", blame=Blame.MESSAGE)
    return None


async def _transact(dialogue: Dialogue, envelope: Envelope, body: bytes, before_data: BeforeData | None) -> Outcome:
    """Carry one message through MAIL, RCPT, DATA and the final dot."""
    try:
        if dialogue.pipelines:
            if before_data is not None:
                await before_data(envelope.id)
            stage, reply = await dialogue.ask_at_once(envelope)
        else:
            stage, reply = await dialogue.ask_envelope(envelope)
            if reply.code < INTERMEDIATE:
                if before_data is not None:
                    await before_data(envelope.id)
                stage, reply = await dialogue.ask_data()
        if reply.code == GO_AHEAD:
            stage, reply = await dialogue.say_body(body)
    except LostError as error:
        state: OutcomeState = "ambiguous" if dialogue.body_begun else "deferred"
        return Outcome(state=state, text=str(error), blame=Blame.RELAY)
    if reply.code < INTERMEDIATE:
        return Outcome(state="sent", code=reply.code, text=reply.text)
    reading = read_reply(reply.code, reply.text, stage)
    return Outcome(
        # Refused credentials are not the message's fault: it waits until they are mended.
        state="refused" if reading.final and reading.blame is not Blame.AUTH else "deferred",
        code=reply.code,
        text=reply.text,
        blame=reading.blame,
        retry_after=reading.retry_after,
    )
