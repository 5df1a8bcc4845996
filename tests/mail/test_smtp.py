"""Sending, against a real server on loopback that misbehaves on demand."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from mail.smtp import Envelope, SmtpPool, SmtpServer

RAW = b"Subject: x\r\n\r\nbody\r\n"


class Relay:
    """A small SMTP server, scripted by recipient: refuse, defer, hang, drop before DATA or after the dot."""

    def __init__(self) -> None:
        self.connections = 0
        self.taken: list[str] = []
        self.hanging = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        recipient = ""

        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 ready")
        try:
            while line := (await reader.readline()).decode().strip():
                verb = line[:4].upper()
                if verb == "RCPT":
                    recipient = line[9:].split("@")[0]
                    if recipient == "drop_before":
                        break
                    say(
                        {"gone": "550 5.1.1 no such user", "busy": "450 4.2.0 later", "policy": "554 5.7.1 no"}.get(
                            recipient, "250 ok"
                        )
                    )
                elif verb == "DATA":
                    say("354 go")
                    await reader.readuntil(b"\r\n.\r\n")
                    if recipient == "drop_after":
                        break
                    if recipient == "hang":
                        self.hanging.set()
                        await asyncio.sleep(30)
                    self.taken.append(recipient)
                    say("250 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    break
                else:
                    say("250 ok")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    served = Relay()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    yield served
    server.close()


def pool_of(relay: Relay, connections: int = 1) -> SmtpPool:
    port: int = relay.port  # type: ignore[attr-defined]
    return SmtpPool(
        SmtpServer(host="127.0.0.1", port=port, tls="none", timeout_s=3, final_timeout_s=3), connections=connections
    )


async def test_connections_are_reused(relay: Relay) -> None:
    envelopes = [Envelope(id=i, envelope_from="o@x.example", to=f"u{i}@x.example", raw=RAW) for i in range(40)]
    async with pool_of(relay, connections=4) as pool:
        outcomes = [pair async for pair in pool.send_all(envelopes)]
    assert sorted(id_ for id_, _ in outcomes) == list(range(40))
    assert {outcome.state for _, outcome in outcomes} == {"sent"}
    assert len(relay.taken) == 40
    assert relay.connections <= 4


@pytest.mark.parametrize(
    ("recipient", "state", "policy"),
    [
        ("gone", "refused", False),
        ("policy", "refused", True),
        ("busy", "deferred", False),
        ("drop_before", "deferred", False),
        ("drop_after", "ambiguous", False),
    ],
)
async def test_what_came_of_it(relay: Relay, recipient: str, state: str, policy: bool) -> None:
    async with pool_of(relay) as pool:
        outcome = await pool.send("o@x.example", f"{recipient}@x.example", RAW)
        assert (outcome.state, outcome.policy) == (state, policy)
        assert (await pool.send("o@x.example", "next@x.example", RAW)).state == "sent"
    assert relay.taken == ["next"]


async def test_no_relay_defers(unused_tcp_port_factory: Callable[[], int]) -> None:
    server = SmtpServer(host="127.0.0.1", port=unused_tcp_port_factory(), tls="none", timeout_s=2)
    async with SmtpPool(server) as pool:
        assert (await pool.send("o@x.example", "u@x.example", RAW)).state == "deferred"


async def test_a_connection_cancelled_inside_data_is_never_used_again(relay: Relay) -> None:
    """Aiosmtplib 5.1.3 would keep it, its answers off by one: the next recipient's 550 would be read as 250."""
    async with pool_of(relay) as pool:
        sending = asyncio.create_task(pool.send("o@x.example", "hang@x.example", RAW))
        await asyncio.wait_for(relay.hanging.wait(), 3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await pool.send("o@x.example", "gone@x.example", RAW)).state == "refused"
        assert relay.connections == 2
