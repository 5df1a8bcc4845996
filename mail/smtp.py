"""Sending over reused connections. What the world cannot tell is an outcome of its own: ambiguous."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException

PERMANENT = 500
OutcomeState = Literal["sent", "deferred", "refused", "ambiguous"]
POLICY_CODES = frozenset({530, 535, 554})


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """A relay: where, how encrypted, as whom. Timeouts in seconds."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    username: str = ""
    password: str = ""
    local_hostname: str = "localhost"
    timeout_s: float = 60.0
    final_timeout_s: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A message ready to be handed over: bytes with CR LF line ends, and both envelope addresses."""

    id: int
    envelope_from: str
    to: str
    raw: bytes


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one attempt. ``policy``: the relay refuses us or the content, the address is not at fault."""

    state: OutcomeState
    code: int | None = None
    text: str = ""
    policy: bool = False


class SmtpPool:
    """Up to ``connections`` connections to one relay, each reused for ``messages_per_connection`` messages.

    A connection that saw any exception is dropped: aiosmtplib 5.1.3 keeps one that was cancelled inside DATA, and
    its answers are then off by one, so that the next recipient's 550 would be read as 250.
    """

    def __init__(self, server: SmtpServer, *, connections: int = 4, messages_per_connection: int = 100) -> None:
        """Prepare; connections are opened when they are needed."""
        self._server = server
        self._limit = messages_per_connection
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[tuple[SMTP, int]] = []
        self._connections = connections

    async def __aenter__(self) -> Self:
        """Enter; nothing is opened yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye on every idle connection."""
        while self._idle:
            client, _count = self._idle.pop()
            try:
                await client.quit()
            except (SMTPException, OSError):
                client.close()

    async def send_all(self, envelopes: Sequence[Envelope]) -> AsyncIterator[tuple[int, Outcome]]:
        """Send many, as many at once as there are connections; yield (id, outcome) as each is known."""

        async def one(envelope: Envelope) -> tuple[int, Outcome]:
            return envelope.id, await self.send(envelope.envelope_from, envelope.to, envelope.raw)

        tasks = [asyncio.create_task(one(envelope)) for envelope in envelopes]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()

    async def send(self, envelope_from: str, to: str, raw: bytes) -> Outcome:
        """Send one message; a fault of the message or the wire is an outcome, never an exception."""
        async with self._slots:
            try:
                client, used = self._idle.pop() if self._idle else (await self._connect(), 0)
            except SMTPResponseException as error:
                return Outcome(state="deferred", code=error.code, text=str(error.message), policy=True)
            except (SMTPException, OSError, TimeoutError) as error:
                return Outcome(state="deferred", text=f"no connection to the relay: {error}")
            keep = False
            try:
                outcome = await self._transact(client, envelope_from, to, raw)
                keep = outcome.state != "ambiguous" and client.is_connected and used + 1 < self._limit
            finally:
                # Also reached on cancellation, when `keep` is still False.
                if keep:
                    self._idle.append((client, used + 1))
                else:
                    client.close()
            return outcome

    async def _connect(self) -> SMTP:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            tls_context=ssl.create_default_context() if server.tls != "none" else None,
            local_hostname=server.local_hostname,
            timeout=server.timeout_s,
        )
        try:
            await client.connect()
            if server.username:
                await client.login(server.username, server.password)
        except BaseException:
            client.close()
            raise
        return client

    async def _transact(self, client: SMTP, envelope_from: str, to: str, raw: bytes) -> Outcome:
        in_data = False
        try:
            await client.mail(envelope_from, encoding="ascii")
            await client.rcpt(to, encoding="ascii")
            in_data = True
            code, text = await client.data(raw, timeout=self._server.final_timeout_s)
        except aiosmtplib.SMTPRecipientRefused as error:
            await self._reset(client)
            return _refusal(error.code, error.message, at_recipient=True)
        except SMTPResponseException as error:
            await self._reset(client)
            return _refusal(error.code, error.message, at_recipient=False)
        except (SMTPException, OSError, TimeoutError, UnicodeEncodeError, ValueError) as error:
            client.close()
            if isinstance(error, UnicodeEncodeError | ValueError) and not in_data:
                return Outcome(state="refused", text=f"the address cannot be written on an envelope: {error}")
            return Outcome(state="ambiguous" if in_data else "deferred", text=f"{type(error).__name__}: {error}")
        return Outcome(state="sent", code=code, text=text)

    async def _reset(self, client: SMTP) -> None:
        """Clear a refused transaction, so that the connection can be used again."""
        try:
            await client.rset()
        except (SMTPException, OSError, TimeoutError):
            client.close()


def _refusal(code: int, text: str, *, at_recipient: bool) -> Outcome:
    """Return what a reply code means: 4xx come again, 5xx at RCPT the address is at fault, else our own business."""
    if code < PERMANENT:
        return Outcome(state="deferred", code=code, text=text)
    policy = not at_recipient or code in POLICY_CODES or "5.7." in text
    return Outcome(state="refused", code=code, text=text, policy=policy)
