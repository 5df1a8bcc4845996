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
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, NamedTuple, Self, cast

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException, SMTPServerDisconnected

from rules.replies import Blame, Stage, read_reply

OutcomeState = Literal["sent", "deferred", "refused", "ambiguous"]
BeforeData = Callable[[int], Awaitable[None]]

GOODBYE_S = 1.5  # what a relay gets to answer QUIT
PIECE = 64 * 1024  # bytes of a body handed over at once
TO_WRITE = 0  # replies wanted while a body is written
LONGEST_REPLY = 32 * 1024
CLOSING = 421
GO_AHEAD = 354
DONE, INTERMEDIATE, REFUSING = 200, 300, 400
END_OF_DATA = b".\r\n"
EARLY = "the relay answered before it had the whole message"
CODE = re.compile(rb"[2-5]\d\d")

# What may stand between < and > as it is: a dot-atom, and a domain or an address literal. Nothing that needs quoting.
MAILBOX = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
    r"@(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
    r"|\[[A-Za-z0-9.:]+\])"
)


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """A relay: where, how encrypted, as whom (by token if there is one). Timeouts in seconds.

    The certificate is verified, against ``ca_file`` alone if one is named.
    """

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    oauth_token: str = field(default="", repr=False)
    local_hostname: str = "localhost"
    timeout_s: float = 60.0
    final_timeout_s: float = 600.0
    verify: bool = True
    ca_file: str = ""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A message ready to be handed over: both envelope addresses, and the bytes as they go over the wire.

    ``data`` is chunks of the message after DATA: CR LF line ends, dots stuffed, CR LF at the end, without the line
    that holds only the final dot.
    """

    id: int
    envelope_from: str
    to: str
    data: tuple[bytes, ...]
    lane: str = "default"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one attempt, whom it concerns, and when the reply asks us to come again."""

    state: OutcomeState
    code: int | None = None
    text: str = ""
    blame: Blame = Blame.NOBODY
    retry_after: timedelta | None = None


def wire_ready(raw: bytes) -> tuple[bytes, ...]:
    """Return any message as ``Envelope.data`` wants it."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not lines.endswith(b"\n"):
        lines += b"\n"
    stuffed = (b"\n" + lines).replace(b"\n.", b"\n..")[1:]
    return (stuffed.replace(b"\n", b"\r\n"),)


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
                except _StaleError:
                    pass  # closed while it lay idle: nothing was sent, and nothing is at fault
            opened = await self._open()
            if isinstance(opened, Outcome):
                return opened
            return await self._use(opened, envelope, body, before_data)

    def _take_idle(self) -> "Dialogue | None":
        while self._idle:
            dialogue = self._idle.pop()
            if dialogue.usable:
                return dialogue
            dialogue.drop()
        return None

    async def _use(
        self, dialogue: "Dialogue", envelope: Envelope, body: bytes, before_data: BeforeData | None
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

    def _leave(self, dialogue: "Dialogue") -> None:
        self._leaving.add(dialogue)
        dialogue.gone.add_done_callback(lambda _: self._leaving.discard(dialogue))
        dialogue.leave()

    async def _open(self) -> "Dialogue | Outcome":
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


async def _transact(dialogue: "Dialogue", envelope: Envelope, body: bytes, before_data: BeforeData | None) -> Outcome:
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
    except _LostError as error:
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


class Reply(NamedTuple):
    """A complete reply; the lines of a longer one are joined by a space."""

    code: int
    text: str


class _LostError(Exception):
    """The conversation broke. Whether a body byte was written by then decides what that means."""


class _StaleError(Exception):
    """A reused connection turned out to be closed before it answered anything."""


class Dialogue(asyncio.Protocol):
    """The conversation with a relay that has let us in: say something, wait for so many replies.

    One at a time; the pool sees to that. The first thing that goes wrong is kept as ``_fault`` and spoils the
    connection for good; replies that came before it can still be read.
    """

    def __init__(self, transport: asyncio.Transport, server: SmtpServer, *, pipelining: bool) -> None:
        """Converse over a transport; see :meth:`take_over`."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._timeout_s = server.timeout_s
        self._final_timeout_s = server.final_timeout_s
        self._pipelining = pipelining
        self._unread = b""  # the beginning of a line
        self._lines: list[bytes] = []  # the beginning of a reply of several lines
        self._code = b""  # and the code they bear
        self._replies: list[Reply] = []
        self._fault: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 1
        self._paused = False
        self._leaving: asyncio.TimerHandle | None = None
        self._reset_due = False  # a transaction was left open by a refusal: RSET comes first next time
        self.used = 0
        self.body_begun = False
        self.gone: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    def take_over(cls, client: SMTP, server: SmtpServer) -> Self:
        """Take the transport from a client that is logged in, and leave the client nothing to close."""
        if client.transport is None or client.transport.is_closing():
            raise SMTPServerDisconnected("the relay closed the connection after letting us in")
        transport = cast("asyncio.Transport", client.transport)
        dialogue = cls(transport, server, pipelining=client.supports_extension("pipelining"))
        transport.set_protocol(dialogue)
        client.transport = client.protocol = None
        client.close()
        return dialogue

    @property
    def usable(self) -> bool:
        """Whether the connection stands, and nothing is unread or unsent on it."""
        return (
            self._fault is None
            and not (self._replies or self._unread or self._lines)
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        )

    # What we say

    @property
    def pipelines(self) -> bool:
        """Whether the relay takes several commands at once (RFC 2920)."""
        return self._pipelining

    async def ask_at_once(self, envelope: Envelope) -> tuple[Stage, Reply]:
        """Name sender and recipient and ask to begin, all in one; return the reply that decides, and whose it is.

        Raises:
            _StaleError: a reused connection was closed before it answered.

        """
        commands = self._envelope_commands(envelope)
        resets = len(commands) - 2
        replies = await self._first(b"".join((*commands, b"DATA\r\n")), len(commands) + 1)
        stage, reply = self._decisive(replies[: len(commands)], resets=resets)
        if len(replies) <= len(commands):
            if reply.code < REFUSING:
                raise _LostError(self._fault)
            return stage, reply
        go = replies[-1]
        if reply.code < REFUSING:
            if go.code < REFUSING and go.code != GO_AHEAD:
                raise self._spoilt(f"{go.code} is no answer to DATA")
            return Stage.DATA, go
        if go.code == GO_AHEAD:
            # Nobody to deliver to, and yet it waits for a message: an empty one ends that (RFC 2920, 3.1).
            await self._ask(END_OF_DATA)
        return stage, reply

    async def ask_envelope(self, envelope: Envelope) -> tuple[Stage, Reply]:
        """Name sender and recipient, one by one; return the reply that decides, and whose it is.

        Raises:
            _StaleError: a reused connection was closed before it answered.

        """
        commands = self._envelope_commands(envelope)
        replies = await self._first(commands[0], 1)
        for command in commands[1:]:
            if replies[-1].code >= INTERMEDIATE:
                break
            replies += await self._ask(command)
        return self._decisive(replies, resets=len(commands) - 2)

    def _envelope_commands(self, envelope: Envelope) -> list[bytes]:
        self.used += 1
        self.body_begun = False
        commands = [
            b"MAIL FROM:<%b>\r\n" % envelope.envelope_from.encode("ascii"),
            b"RCPT TO:<%b>\r\n" % envelope.to.encode("ascii"),
        ]
        if self._reset_due:
            commands.insert(0, b"RSET\r\n")
        self._reset_due = True
        return commands

    async def ask_data(self) -> tuple[Stage, Reply]:
        """Ask to begin the message: 354, or a refusal that leaves the connection usable."""
        reply = (await self._ask(b"DATA\r\n"))[0]
        if reply.code < REFUSING and reply.code != GO_AHEAD:
            raise self._spoilt(f"{reply.code} is no answer to DATA")
        return Stage.DATA, reply

    async def say_body(self, body: bytes) -> tuple[Stage, Reply]:
        """Say the whole message with its final dot, no faster than the relay takes it; return the final reply."""
        self._check()
        self.body_begun = True
        await self._write(body)
        await self._wait(1, self._final_timeout_s)
        # Whoever answers before the dot can refuse the message, but cannot have taken it.
        early = self._fault == EARLY or (not self._transport.is_closing() and self._transport.get_write_buffer_size())
        reply = self._take(1)[0]
        if early:
            self._fail(EARLY)
        if INTERMEDIATE <= reply.code < REFUSING or (early and reply.code < INTERMEDIATE):
            raise self._spoilt(f"{reply.code} is no answer to a message")
        self._reset_due = False
        return Stage.DOT, reply

    def leave(self) -> None:
        """Say QUIT; the connection goes as soon as it is answered, or soon after."""
        if not self.usable:
            self.drop()
            return
        self._transport.write(b"QUIT\r\n")
        self._leaving = self._loop.call_later(GOODBYE_S, self.drop)

    def drop(self) -> None:
        """End the connection at once, whatever is still unsent."""
        self._fail("dropped")
        self._transport.abort()

    async def _first(self, commands: bytes, replies: int) -> list[Reply]:
        try:
            return await self._ask(commands, replies)
        except _LostError as error:
            # Silence after a pause is the server's idle timeout; a new connection will do. Not if it kept us waiting.
            if self.used > 1 and self._transport.is_closing():
                raise _StaleError from error
            raise

    async def _ask(self, commands: bytes, replies: int = 1) -> list[Reply]:
        """Write, and return so many replies; fewer if the connection ended after some."""
        if self._replies and self._replies[0].code == CLOSING:
            return self._take(1)  # it said goodbye meanwhile; that is the answer
        self._check()
        self._transport.write(commands)
        await self._wait(replies, self._timeout_s)
        return self._take(replies)

    def _decisive(self, replies: list[Reply], *, resets: int) -> tuple[Stage, Reply]:
        if replies[0].code >= INTERMEDIATE and resets:
            self._fail("the relay refused RSET")
            raise _StaleError
        del replies[:resets]
        stages = (Stage.MAIL, Stage.RCPT)
        for stage, reply in zip(stages, replies, strict=False):
            if INTERMEDIATE <= reply.code < REFUSING:
                raise self._spoilt(f"{reply.code} is no answer to {stage.upper()}")
            if reply.code >= REFUSING:
                return stage, reply
        if len(replies) < len(stages):
            raise _LostError(self._fault)
        return Stage.RCPT, replies[-1]

    async def _write(self, body: bytes) -> None:
        """Write while the relay takes it; stop at a reply, or when the connection breaks."""
        if len(body) <= PIECE:
            self._transport.write(body)
            return
        view = memoryview(body)
        for start in range(0, len(view), PIECE):
            while self._paused and not self._replies and self._fault is None:
                await self._wait(TO_WRITE, self._timeout_s)
            if self._replies:
                self._fail(EARLY)
            if self._fault is not None:
                return
            self._transport.write(view[start : start + PIECE])

    # How we wait

    async def _wait(self, replies: int, timeout_s: float) -> None:
        """Wait until so many replies are there or something is wrong; ``TO_WRITE``: or until writing can go on."""
        if self._fault is not None or len(self._replies) >= max(replies, 1):
            return
        self._wanted = replies
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._fail, f"no answer within {timeout_s:g} s")
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self, wanted: int) -> list[Reply]:
        replies, self._replies = self._replies, []
        if not replies:
            raise _LostError(self._fault)
        if len(replies) > wanted or self._unread or self._lines:
            self._fail("the relay said more than it was asked")
        return replies[:wanted]

    def _check(self) -> None:
        if not self.usable:
            raise self._spoilt("the relay spoke out of turn")

    def _spoilt(self, reason: str) -> _LostError:
        self._fail(reason)
        return _LostError(self._fault)

    def _fail(self, reason: str) -> None:
        if self._fault is None:
            self._fault = reason
        self._wake()

    # What asyncio tells us

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies."""
        if self._leaving is not None:
            self.drop()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._hear(line)
        if sum(map(len, self._lines), len(self._unread)) > LONGEST_REPLY:
            self._fail("a reply without end")
        elif len(self._replies) >= max(self._wanted, 1):
            self._wake()

    def _hear(self, line: bytes) -> None:
        code = line[:3]
        if CODE.fullmatch(code) is None or line[3:4] not in b" -\r":
            self._fail(f"no reply: {line[:80]!r}")
            return
        if self._lines and code != self._code:
            self._fail("a reply of two codes")
            return
        self._code = code
        self._lines.append(line[4:].strip())
        if line[3:4] == b"-":
            return
        reply = Reply(int(code), _text(b" ".join(self._lines)))
        self._lines.clear()
        if self._fault is None:
            self._replies.append(reply)
        if reply.code == CLOSING:
            self._fail("the relay said goodbye")

    def eof_received(self) -> None:
        """Take note; asyncio closes the transport."""
        self._fail("the relay closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note, and let go of the goodbye."""
        self._fail(f"the connection broke: {exc}" if exc else "the relay closed the connection")
        if self._leaving is not None:
            self._leaving.cancel()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        """Take note that the relay reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on writing, if that is what we wait for."""
        self._paused = False
        if self._wanted == TO_WRITE:
            self._wake()


def _text(raw: bytes) -> str:
    """Return a reply's words: some Chinese servers speak GBK."""
    raw = raw.replace(b"\0", b"")  # no database keeps it
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("gb18030", errors="replace")
