"""An SMTP server for loopback that misbehaves: ``python -m benchmarks.unruly PORT_FILE LOG [--seed N] [--faults]``.

It writes every message it took into LOG, ``Message-ID recipient`` a line, just before it answers 250: the truth that a
ledger is compared with. With ``--faults`` it refuses, hangs up and falls silent at random, at every point of the
conversation; what it did to messages whose DATA had begun stands in ``LOG.faults``, ``fault recipient`` a line.
"""

import argparse
import asyncio
import os
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

import uvloop

from settings import HOUSE
from tests.servers import running

HANG_S = 4.0  # longer than the timeouts of those who are tested with it
REST_S = 0.004  # the second half of a split reply comes so much later
HEADERS = 8192
MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)
END = b"\r\n.\r\n"


class Fault(StrEnum):
    """What it does instead of its duty. None of the replies asks for a slower pace: that would only make us wait."""

    MAIL_LATER = "451 4.3.0 internal error, later"
    RCPT_LATER = "450 4.2.0 greylisted, try again later"
    RCPT_UNKNOWN = "550 5.1.1 no such user"
    DATA_LATER = "451 4.3.0 no room at the moment, later"
    DOT_LATER = "451 4.3.0 could not be filed, later"
    DROP_BEFORE_DATA = "dropped before DATA"
    DROP_AFTER_354 = "dropped after 354"
    DROP_IN_BODY = "dropped inside the body"
    DROP_UNTAKEN = "dropped after the dot, not taken"
    DROP_TAKEN = "dropped after the dot, taken"
    HANG_AT_RCPT = "silent at RCPT"
    HANG_UNTAKEN = "silent after the dot, not taken"
    HANG_TAKEN = "silent after the dot, taken"


AT_MAIL = ((Fault.MAIL_LATER, 0.02),)
AT_RCPT = ((Fault.RCPT_LATER, 0.02), (Fault.RCPT_UNKNOWN, 0.02), (Fault.HANG_AT_RCPT, 0.01))
AT_DATA = ((Fault.DATA_LATER, 0.02), (Fault.DROP_BEFORE_DATA, 0.02), (Fault.DROP_AFTER_354, 0.02))
AT_BODY = ((Fault.DROP_IN_BODY, 0.02),)
AT_DOT = (
    (Fault.DOT_LATER, 0.02),
    (Fault.DROP_UNTAKEN, 0.02),
    (Fault.DROP_TAKEN, 0.02),
    (Fault.HANG_UNTAKEN, 0.01),
    (Fault.HANG_TAKEN, 0.01),
)
SPLIT = 0.03  # of replies, over two packets
GO_ON_WITH_NOBODY = 0.3  # of DATA after a refused recipient: 354 all the same, as RFC 2920 allows
SAYS = {fault: fault.value.encode() for fault in Fault if fault[0].isdigit()}


class Unruly:
    """What all its connections share: the log, the dice."""

    def __init__(self, log: Path, *, seed: int, faults: bool) -> None:
        """Write into a log; with faults, throw dice of a seed."""
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._fault_log = os.open(f"{log}.faults", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._random = random.Random(seed)
        self._faults = faults

    def take(self, message_id: bytes, recipient: bytes) -> None:
        """Take a message: from now on it must not be sent again."""
        os.write(self._log, message_id + b" " + recipient + b"\n")

    def own_up(self, fault: Fault, recipient: bytes) -> None:
        """Note what was done to a message whose DATA had begun."""
        os.write(self._fault_log, b"%b %b\n" % (fault.name.encode(), recipient))

    def throw(self, faults: tuple[tuple[Fault, float], ...]) -> Fault | None:
        """Return the fault that the dice say, if any."""
        if not self._faults:
            return None
        point = self._random.random()
        for fault, share in faults:
            if point < share:
                return fault
            point -= share
        return None

    def chance(self, share: float) -> bool:
        """Whether the dice say so."""
        return self._faults and self._random.random() < share

    def moment(self) -> float:
        """Return some time between none and a little."""
        return self._random.random() * REST_S

    def cut(self, length: int) -> int:
        """Return where a reply is split."""
        return self._random.randrange(1, length)


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Unruly) -> None:
        """Converse on behalf of a server."""
        self._server = server
        self._wire: asyncio.Transport | None = None
        self._unread = bytearray()
        self._said = bytearray()
        self._late = bytearray()  # the rest of a split reply, and what was said since
        self._in_body = False
        self._gone = False
        self._sender = False
        self._recipient: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._wire = cast("asyncio.Transport", transport)
        self._say(b"220 unruly.example ready")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not said yet."""
        del exc
        self._gone = True

    def data_received(self, data: bytes) -> None:
        """Go on as far as there are whole commands, or a whole message."""
        if self._gone:
            return
        self._unread += data
        while not self._gone and (self._hear_body() if self._in_body else self._hear_line()):
            pass
        self._flush()

    def _hear_line(self) -> bool:
        end = self._unread.find(b"\n")
        if end < 0:
            return False
        line = bytes(self._unread[:end]).strip()
        del self._unread[: end + 1]
        answer = {
            b"EHLO": self._on_ehlo,
            b"MAIL": self._on_mail,
            b"RCPT": self._on_rcpt,
            b"DATA": self._on_data,
            b"RSET": self._on_rset,
            b"QUIT": self._on_quit,
        }.get(line[:4].upper())
        if answer is None:
            self._say(b"502 5.5.2 what?")
        else:
            answer(line)
        return True

    def _on_ehlo(self, _: bytes) -> None:
        self._say(b"250-unruly.example\r\n250-8BITMIME\r\n250 PIPELINING")

    def _on_rset(self, _: bytes) -> None:
        self._sender, self._recipient = False, None
        self._say(b"250 2.0.0 forgotten")

    def _on_quit(self, _: bytes) -> None:
        self._say(b"221 2.0.0 bye")
        self._hang_up()

    def _on_mail(self, _: bytes) -> None:
        if self._sender:
            self._say(b"503 5.5.1 nested MAIL")
        elif fault := self._server.throw(AT_MAIL):
            self._say(SAYS[fault])
        else:
            self._sender = True
            self._say(b"250 2.1.0 ok")

    def _on_rcpt(self, line: bytes) -> None:
        if not self._sender:
            self._say(b"503 5.5.1 MAIL first")
            return
        fault = self._server.throw(AT_RCPT)
        if fault is Fault.HANG_AT_RCPT:
            self._fall_silent()
        elif fault is not None:
            self._say(SAYS[fault])
        else:
            self._recipient = line.partition(b"<")[2].partition(b">")[0]
            self._say(b"250 2.1.5 ok")

    def _on_data(self, _: bytes) -> None:
        if self._recipient is None:
            self._in_body = self._sender and self._server.chance(GO_ON_WITH_NOBODY)
            self._say(b"354 go on, though to nobody" if self._in_body else b"503 5.5.1 no recipient")
            return
        fault = self._server.throw(AT_DATA)
        if fault is Fault.DROP_BEFORE_DATA:
            self._hang_up()
        elif fault is Fault.DATA_LATER:
            self._say(SAYS[fault])
        else:
            self._in_body = True
            self._say(b"354 go on")
            if fault is not None:
                self._betray(fault)
                self._flush()
                self._gone = True  # but the client learns of it a moment later, when it may have begun the body
                asyncio.get_running_loop().call_later(self._server.moment(), self._hang_up)

    def _hear_body(self) -> bool:
        if not self._unread:
            return False
        if self._recipient is not None and (fault := self._server.throw(AT_BODY)):
            self._betray(fault)
            self._hang_up()
            return False
        empty = self._unread.startswith(b".\r\n")
        end = 0 if empty else self._unread.find(END)
        if end < 0:
            return False
        body = bytes(self._unread[:end])
        del self._unread[: end + (3 if empty else len(END))]
        self._in_body = False
        recipient, self._sender, self._recipient = self._recipient, False, None
        if recipient is None:
            self._say(b"554 5.5.1 no valid recipients")
        else:
            self._on_dot(body, recipient)
        return True

    def _on_dot(self, body: bytes, recipient: bytes) -> None:
        fault = self._server.throw(AT_DOT)
        if fault is Fault.DOT_LATER:
            self._say(SAYS[fault])
            return
        if fault not in (Fault.DROP_UNTAKEN, Fault.HANG_UNTAKEN):
            found = MESSAGE_ID.search(body, 0, HEADERS)
            self._server.take(found[1] if found else b"<none>", recipient)
        if fault is None:
            self._say(b"250 2.0.0 taken")
            return
        self._server.own_up(fault, recipient)
        if fault in (Fault.DROP_UNTAKEN, Fault.DROP_TAKEN):
            self._hang_up()
        else:
            self._fall_silent()

    def _betray(self, fault: Fault) -> None:
        assert self._recipient is not None  # noqa: S101  for the type checker
        self._server.own_up(fault, self._recipient)

    # How it speaks

    def _say(self, reply: bytes) -> None:
        self._said += reply + b"\r\n"

    def _flush(self) -> None:
        if not self._said or self._wire is None or self._wire.is_closing():
            return
        if self._late:
            self._late += self._said
        elif self._server.chance(SPLIT):
            cut = self._server.cut(len(self._said))
            self._late += self._said[cut:]
            self._wire.write(bytes(self._said[:cut]))
            asyncio.get_running_loop().call_later(REST_S, self._say_the_rest)
        else:
            self._wire.write(bytes(self._said))
        self._said.clear()

    def _say_the_rest(self) -> None:
        if self._wire is not None and not self._wire.is_closing():
            self._wire.write(bytes(self._late))
        self._late.clear()

    def _hang_up(self) -> None:
        self._flush()
        self._gone = True
        if self._wire is not None:
            self._wire.close()

    def _fall_silent(self) -> None:
        self._flush()
        self._gone = True
        if self._wire is not None:
            asyncio.get_running_loop().call_later(HANG_S, self._wire.abort)


async def serve(port_file: Path, server: Unruly) -> None:
    """Serve until the process is ended; the port stands in a file as soon as it is open."""
    listening = await asyncio.get_running_loop().create_server(lambda: Conversation(server), "127.0.0.1", 0)
    written = port_file.with_suffix(".new")
    written.write_text(str(listening.sockets[0].getsockname()[1]))
    written.rename(port_file)
    await listening.serve_forever()


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A running unruly server: its port, and what it wrote down."""

    port: int
    log: Path

    def taken(self) -> list[tuple[str, str]]:
        """Return (Message-ID, recipient) of every message it took, in order."""
        return [(line.split(" ")[0], line.split(" ")[1]) for line in self.log.read_text().splitlines()]

    def faults(self) -> list[tuple[str, str]]:
        """Return (fault, recipient) of every message it mistreated once DATA had begun."""
        lines = Path(f"{self.log}.faults").read_text().splitlines()
        return [(line.split(" ")[0], line.split(" ")[1]) for line in lines]


@contextmanager
def unruly(folder: Path, *, seed: int = 1, faults: bool = False) -> Iterator[Witness]:
    """Run an unruly server in a process of its own while the block lasts."""
    port_file, log = folder / "unruly.port", folder / "unruly.log"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.unruly", str(port_file), str(log), "--seed", str(seed)]
    if faults:
        command.append("--faults")
    environment = {"PYTHONPATH": str(HOUSE)}
    with running(command, port_file.exists, log=folder / "unruly.out", environment=environment):
        yield Witness(port=int(port_file.read_text()), log=log)


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port_file", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", action="store_true")
    given = parser.parse_args()
    uvloop.run(serve(given.port_file, Unruly(given.log, seed=given.seed, faults=given.faults)))


if __name__ == "__main__":
    main()
