"""The conversation with a relay that has let us in. A connection that saw any exception is never written to again."""

import asyncio
import re
from typing import NamedTuple, Self, cast

from aiosmtplib import SMTP, SMTPServerDisconnected

from mail.relay import Envelope, SmtpServer
from rules.replies import Stage

GOODBYE_S = 1.5  # what a relay gets to answer QUIT
PIECE = 64 * 1024  # bytes of a body handed over at once
TO_WRITE = 0  # replies wanted while a body is written
LONGEST_REPLY = 32 * 1024
CLOSING = 421
GO_AHEAD = 354
INTERMEDIATE, REFUSING = 300, 400
END_OF_DATA = b".\r\n"
EARLY = "the relay answered before it had the whole message"
CODE = re.compile(rb"[2-5]\d\d")


class Reply(NamedTuple):
    """A complete reply; the lines of a longer one are joined by a space."""

    code: int
    text: str


class LostError(Exception):
    """The conversation broke. Whether a body byte was written by then decides what that means."""


class StaleError(Exception):
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
            StaleError: a reused connection was closed before it answered.

        """
        commands = self._envelope_commands(envelope)
        resets = len(commands) - 2
        replies = await self._first(b"".join((*commands, b"DATA\r\n")), len(commands) + 1)
        stage, reply = self._decisive(replies[: len(commands)], resets=resets)
        if len(replies) <= len(commands):
            if reply.code < REFUSING:
                raise LostError(self._fault)
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
            StaleError: a reused connection was closed before it answered.

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
        except LostError as error:
            # Silence after a pause is the server's idle timeout; a new connection will do. Not if it kept us waiting.
            if self.used > 1 and self._transport.is_closing():
                raise StaleError from error
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
            raise StaleError
        del replies[:resets]
        stages = (Stage.MAIL, Stage.RCPT)
        for stage, reply in zip(stages, replies, strict=False):
            if INTERMEDIATE <= reply.code < REFUSING:
                raise self._spoilt(f"{reply.code} is no answer to {stage.upper()}")
            if reply.code >= REFUSING:
                return stage, reply
        if len(replies) < len(stages):
            raise LostError(self._fault)
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
            raise LostError(self._fault)
        if len(replies) > wanted or self._unread or self._lines:
            self._fail("the relay said more than it was asked")
        return replies[:wanted]

    def _check(self) -> None:
        if not self.usable:
            raise self._spoilt("the relay spoke out of turn")

    def _spoilt(self, reason: str) -> LostError:
        self._fail(reason)
        return LostError(self._fault)

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
