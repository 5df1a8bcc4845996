"""A small SMTP server that misbehaves on demand, scripted by stage and mailbox."""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

from mail.relay import SmtpServer
from rules.replies import Stage


@dataclass(frozen=True)
class Act:
    """What the relay does instead of agreeing: wait for ``released``, speak, hang up, in this order."""

    say: str | bytes = ""
    hang: bool = False
    close: bool = False


DROP = Act(close=True)
HANG = Act(hang=True)


@dataclass
class Relay:
    """Answers as its script says: keyed by stage and local part (of the sender at MAIL, else of the recipient).

    It insists on the order of commands, so that a transaction left open shows.
    """

    extensions: tuple[str, ...] = ("PIPELINING",)
    greeting: Act = field(default_factory=lambda: Act("220 ready"))
    ehlo: Act | None = None
    quit: Act = field(default_factory=lambda: Act("221 bye", close=True))
    auth: Act | None = None
    reset: Act | None = None
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    script: dict[tuple[Stage, str], Act] = field(default_factory=dict)

    port: int = 0
    connections: int = 0
    most_at_once: int = 0
    taken: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    deserted: asyncio.Event = field(default_factory=asyncio.Event)  # set while nobody is connected
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    tasks: set["asyncio.Task[None] | None"] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        """Serve on loopback until the end of the block."""
        tls = self.tls if self.implicit else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls, limit=1 << 25)
        self.port = server.sockets[0].getsockname()[1]
        # Small, so that a relay that does not read is felt by the sender soon.
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        try:
            yield self
        finally:
            server.close()
            self.released.set()
            self.hang_up()
            await asyncio.gather(*(task for task in self.tasks if task), return_exceptions=True)

    def server(
        self,
        *,
        username: str = "",
        password: str = "",
        oauth_token: str = "",
        timeout_s: float = 5,
        verify: bool = True,
        ca_file: str = "",
    ) -> SmtpServer:
        """Return how to reach it."""
        return SmtpServer(
            host="127.0.0.1",
            port=self.port,
            tls="none" if self.tls is None else "implicit" if self.implicit else "starttls",
            username=username,
            password=password,
            oauth_token=oauth_token,
            timeout_s=timeout_s,
            final_timeout_s=timeout_s,
            verify=verify,
            ca_file=ca_file,
        )

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self.writers:
            writer.close()

    def say_to_all(self, line: str) -> None:
        """Speak without being asked."""
        for writer in self.writers:
            writer.write(line.encode() + b"\r\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        self.deserted.clear()
        self.tasks.add(asyncio.current_task())
        self.most_at_once = max(self.most_at_once, len(self.writers))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await _Session(self, reader, writer).run()
        self.writers.discard(writer)
        if not self.writers:
            self.deserted.set()
        writer.close()


class _Session:
    def __init__(self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.relay, self.reader, self.writer = relay, reader, writer
        self.sender: str | None = None
        self.recipient: str | None = None
        self.encrypted = relay.implicit

    async def run(self) -> None:
        await self.act(self.relay.greeting)
        while not self.writer.is_closing() and (line := (await self.reader.readline()).decode().strip()):
            self.relay.commands.append(line)
            verb = line.split()[0].upper()
            await getattr(self, f"on_{verb.lower()}", self.on_other)(line)

    async def act(self, act: Act) -> None:
        if act.hang:
            self.relay.hanging.set()
            await self.relay.released.wait()
        if act.say:
            self.say(act.say)
        if act.close:
            self.writer.close()

    def say(self, line: str | bytes) -> None:
        self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def scripted(self, stage: Stage, who: str | None) -> Act | None:
        return self.relay.script.get((stage, who or ""))

    async def on_other(self, line: str) -> None:
        self.say(f"502 5.5.2 {line} unknown")

    async def on_ehlo(self, _: str) -> None:
        if self.relay.ehlo:
            await self.act(self.relay.ehlo)
            return
        offers = [*self.relay.extensions]
        if self.relay.tls and not self.encrypted:
            offers.append("STARTTLS")
        lines = ["relay.example", *offers]
        for line in lines[:-1]:
            self.say(f"250-{line}")
        self.say(f"250 {lines[-1]}")

    async def on_helo(self, _: str) -> None:
        self.say("250 relay.example")

    async def on_starttls(self, _: str) -> None:
        if self.relay.tls is None:
            self.say("502 5.5.1 not here")
            return
        self.say("220 go ahead")
        await self.writer.start_tls(self.relay.tls)
        self.encrypted = True

    async def on_auth(self, line: str) -> None:
        if self.relay.auth:
            await self.act(self.relay.auth)
            return
        _, mechanism, given = line.split()
        if mechanism == "LOGIN":
            self.say("334 " + base64.b64encode(b"Password:").decode())
            given += " " + (await self.reader.readline()).decode().strip()
        said = b" ".join(base64.b64decode(part) for part in given.split())
        good = {
            "PLAIN": b"\0muster\0secret",
            "LOGIN": b"muster secret",
            "XOAUTH2": b"user=muster\x01auth=Bearer token\x01\x01",
        }
        if said == good[mechanism]:
            self.say("235 2.7.0 welcome")
            return
        if mechanism == "XOAUTH2":
            self.say("334 " + base64.b64encode(b'{"status":"401"}').decode())
            await self.reader.readline()
        self.say("535 5.7.8 authentication failed")

    async def on_rset(self, _: str) -> None:
        self.sender = self.recipient = None
        await self.act(self.relay.reset or Act("250 reset"))

    async def on_quit(self, _: str) -> None:
        await self.act(self.relay.quit)

    async def on_mail(self, line: str) -> None:
        if self.sender is not None:
            self.say("503 5.5.1 nested MAIL")
            return
        who = _local(line)
        if act := self.scripted(Stage.MAIL, who):
            await self.act(act)
            return
        self.sender = who
        self.say("250 2.1.0 sender ok")

    async def on_rcpt(self, line: str) -> None:
        if self.sender is None:
            self.say("503 5.5.1 need MAIL")
            return
        who = _local(line)
        if act := self.scripted(Stage.RCPT, who):
            await self.act(act)
            return
        self.recipient = who
        self.say("250 2.1.5 recipient ok")

    async def on_data(self, _: str) -> None:
        if self.recipient is None:
            self.say("503 5.5.1 need RCPT")
            return
        who = self.recipient
        if act := self.scripted(Stage.DATA, who):
            await self.act(act)
            if not act.hang or self.writer.is_closing():
                return
        self.say("354 go")
        if who.startswith("unread"):  # does not read, whatever it is sent
            cast("asyncio.Transport", self.writer.transport).pause_reading()
            await asyncio.sleep(0.05)
            if act := self.scripted(Stage.DOT, who):
                await self.act(act)
            await self.act(Act(hang=True, close=True))
            return
        if who.startswith("slow"):  # takes its time before it reads
            wire = cast("asyncio.Transport", self.writer.transport)
            wire.pause_reading()
            await asyncio.sleep(0.05)
            wire.resume_reading()
        body = await self.reader.readuntil(b"\r\n.\r\n")
        self.sender = self.recipient = None
        if act := self.scripted(Stage.DOT, who):
            await self.act(act)
            return
        self.relay.taken.append(who)
        self.relay.bodies.append(body.removesuffix(b".\r\n"))
        self.say("250 2.0.0 taken")


def _local(line: str) -> str:
    return line.partition("<")[2].partition("@")[0]
