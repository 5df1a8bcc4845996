"""Sending, against a real server on loopback that misbehaves on demand."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtplib import SMTP
from aiosmtplib.protocol import SMTPProtocol
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

import mail.dialogue
import mail.smtp
from mail.dialogue import PIECE
from mail.relay import Envelope, SmtpServer, wire_ready
from mail.smtp import Outcome, SmtpPool
from rules.replies import Blame, Stage
from tests.mail.relay import DROP, HANG, Act, Relay

RAW = b"Subject: x\r\n\r\nbody\r\n"
LARGE = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 4 + b"\r\n" + b"." * 70 + b"\r\n"
LARGE += (b"x" * 74 + b"\r\n") * (8 * 1024 * 1024 // 76)  # more than the sender's buffer holds, too


def envelope(to: str, *, sender: str = "o", raw: bytes = RAW, id_: int = 1) -> Envelope:
    return Envelope(id=id_, envelope_from=f"{sender}@x.example", to=f"{to}@x.example", data=wire_ready(raw))


def pool_of(
    relay: Relay, connections: int = 1, *, messages_per_connection: int = 100, timeout_s: float = 5
) -> SmtpPool:
    server = relay.server(timeout_s=timeout_s)
    return SmtpPool(server, connections=connections, messages_per_connection=messages_per_connection)


def patience(act: Act) -> float:
    """Return a timeout in seconds: short where the relay is known to be silent."""
    return 0.2 if act.hang else 5


def end_silence(relay: Relay, pool: SmtpPool) -> None:
    relay.released.set()
    pool._server = replace(pool._server, timeout_s=5, final_timeout_s=5)


@pytest.fixture(params=[True, False], ids=["pipelining", "one by one"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[Relay]:
    async with Relay(extensions=("PIPELINING",) if request.param else ("8BITMIME",)).running() as served:
        yield served


# What goes over the wire


def unstuffed(data: tuple[bytes, ...]) -> bytes:
    return b"".join(data).replace(b"\r\n..", b"\r\n.")


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb", b"a\r\nb\r\n"),
        (b"a\rb\r\r\n", b"a\r\nb\r\n\r\n"),
        (b".\r\n", b"..\r\n"),
        (b".a\n..b\nc.\n", b"..a\r\n...b\r\nc.\r\n"),
        (b"a\n.\nRCPT TO:<b@x.example>\n", b"a\r\n..\r\nRCPT TO:<b@x.example>\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_lines_end_with_cr_lf_and_dots_are_stuffed(raw: bytes, wire: bytes) -> None:
    assert b"".join(wire_ready(raw)) == wire


@given(raw=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a"])).map(b"".join))
def test_no_message_ends_itself_before_its_end(raw: bytes) -> None:
    wire = b"".join(wire_ready(raw))
    assert wire.endswith(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    lines = wire.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    back = b"\n".join(line.removeprefix(b".") for line in lines)
    assert back == raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + (b"" if raw.endswith((b"\r", b"\n")) else b"\n")


async def test_the_message_arrives_as_it_is(relay: Relay) -> None:
    raw = b"Subject: dots\r\n\r\n.\r\n..two\r\n.\r\nlast\r\n"
    async with pool_of(relay) as pool:
        outcome = await pool.send(envelope("u", raw=raw))
    assert outcome == Outcome(state="sent", code=250, text="2.0.0 taken")
    assert unstuffed((relay.bodies[0],)) == raw


async def test_a_message_may_come_in_chunks(relay: Relay) -> None:
    async with pool_of(relay) as pool:
        data = (b"Subject: x\r\n", b"\r", b"\nbody\r", b"\n")
        outcome = await pool.send(Envelope(id=1, envelope_from="o@x.example", to="u@x.example", data=data))
    assert outcome.state == "sent"
    assert relay.bodies == [b"Subject: x\r\n\r\nbody\r\n"]


@pytest.mark.parametrize("data", [(), (b"",), (b"no end",), (b"half an end\n",)])
async def test_a_message_without_its_last_line_end_is_not_begun(relay: Relay, data: tuple[bytes, ...]) -> None:
    async with pool_of(relay) as pool:
        outcome = await pool.send(Envelope(id=1, envelope_from="o@x.example", to="u@x.example", data=data))
    assert (outcome.state, outcome.blame) == ("refused", Blame.MESSAGE)
    assert relay.connections == 0


@pytest.mark.parametrize("last", [1, 3, PIECE // 2, PIECE - 1, PIECE])
async def test_a_large_message_waits_for_a_slow_reader(relay: Relay, last: int) -> None:
    """However much is still unsent when the final reply is waited for."""
    body = b"".join(wire_ready(LARGE))
    data = (b"x" * ((last - len(body) - 5) % PIECE) + b"\r\n" + body,)
    assert (len(data[0]) + 3 - last) % PIECE == 0
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("first"))).state == "sent"
        wire = pool._idle[0]._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)  # so that it waits often, and at the end
        slow = Envelope(id=1, envelope_from="o@x.example", to="slow@x.example", data=data)
        assert (await pool.send(slow)).state == "sent"
        assert (await pool.send(envelope("next"))).state == "sent"
    assert (relay.bodies[1],) == data
    assert relay.connections == 1


async def test_small_writes_leave_at_once(relay: Relay) -> None:
    async with pool_of(relay) as pool:
        await pool.send(envelope("u"))
        wire = pool._idle[0]._transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_secrets_are_not_shown() -> None:
    server = SmtpServer(host="relay.example", port=587, username="muster", password="secret", oauth_token="token")
    assert "secret" not in repr(server)
    assert "token'" not in repr(server)


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "@x.example",
        "u@",
        "u@v@x.example",
        "u@x..example",
        "u@-x.example",
        "u v@x.example",
        "u@x.example ",
        "<u@x.example>",
        "u@x.example>\r\nRCPT TO:<v@x.example",
        "u\n@x.example",
        "u@x.example\n",
        "u\0@x.example",
        "u@x.example,v@x.example",
        "张三@x.example",
        "u@例子.中国",
        "u＠x.example",
    ],
)
async def test_an_address_that_cannot_be_written_is_refused_unseen(relay: Relay, address: str) -> None:
    async with pool_of(relay) as pool:
        bad = Envelope(id=1, envelope_from="o@x.example", to=address, data=wire_ready(RAW))
        outcome = await pool.send(bad)
        assert (outcome.state, outcome.blame) == ("refused", Blame.ADDRESS)
        if address:
            ours = Envelope(id=1, envelope_from=address, to="u@x.example", data=wire_ready(RAW))
            outcome = await pool.send(ours)
            # The sender is ours: no unit's address is to be marked bad for it.
            assert (outcome.state, outcome.blame) == ("refused", Blame.POLICY)
    assert relay.connections == 0


@pytest.mark.parametrize("address", ["u@x.example", "a.b+c=d_e-f@mail-1.x.example", "u@localhost", "u@[127.0.0.1]"])
async def test_an_ordinary_address_is_written_as_it_is(relay: Relay, address: str) -> None:
    async with pool_of(relay) as pool:
        good = Envelope(id=1, envelope_from=address, to=address, data=wire_ready(RAW))
        assert (await pool.send(good)).state == "sent"
    assert f"MAIL FROM:<{address}>" in relay.commands
    assert f"RCPT TO:<{address}>" in relay.commands


async def test_an_answer_may_have_no_sender(relay: Relay) -> None:
    async with pool_of(relay) as pool:
        null = Envelope(id=1, envelope_from="", to="u@x.example", data=wire_ready(RAW))
        assert (await pool.send(null)).state == "sent"
    assert "MAIL FROM:<>" in relay.commands


# What came of it

MAIL, RCPT, DATA, DOT = Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT


@pytest.mark.parametrize(
    ("stage", "act", "state", "code", "blame", "connections"),
    [
        # A refusal before the message leaves the connection as good as new.
        (MAIL, Act("550 5.7.1 sender not welcome"), "refused", 550, Blame.POLICY, 1),
        (MAIL, Act("451 4.7.1 too many messages"), "deferred", 451, Blame.THROTTLE, 1),
        (MAIL, Act("530 5.7.0 log in first"), "deferred", 530, Blame.AUTH, 1),
        (RCPT, Act("550 5.1.1 no such user"), "refused", 550, Blame.ADDRESS, 1),
        (RCPT, Act("554 5.7.1 no"), "refused", 554, Blame.POLICY, 1),
        (RCPT, Act("450 4.2.0 greylisted"), "deferred", 450, Blame.NOBODY, 1),
        (RCPT, Act("550-5.1.1 no such\r\n550 5.1.1 user"), "refused", 550, Blame.ADDRESS, 1),
        (DATA, Act("451 4.3.2 not now"), "deferred", 451, Blame.THROTTLE, 1),
        (DATA, Act("554 5.7.1 no"), "refused", 554, Blame.POLICY, 1),
        (DOT, Act("552 5.3.4 too large"), "refused", 552, Blame.MESSAGE, 1),
        (DOT, Act("451 DT:SPM, please try again"), "deferred", 451, Blame.THROTTLE, 1),
        # 421 is an answer, and the end of the connection.
        (MAIL, Act("421 4.7.0 too many", close=True), "deferred", 421, Blame.THROTTLE, 2),
        (RCPT, Act("421 4.7.0 too many", close=True), "deferred", 421, Blame.THROTTLE, 2),
        (RCPT, Act("421 4.7.0 too many"), "deferred", 421, Blame.THROTTLE, 2),
        (DATA, Act("421 4.3.2 shutting down", close=True), "deferred", 421, Blame.THROTTLE, 2),
        (DOT, Act("421 4.3.2 shutting down", close=True), "deferred", 421, Blame.THROTTLE, 2),
        (RCPT, Act("550 5.1.1 no such user", close=True), "refused", 550, Blame.ADDRESS, 2),
        # Lost, or silent.
        (MAIL, DROP, "deferred", None, Blame.RELAY, 2),
        (RCPT, DROP, "deferred", None, Blame.RELAY, 2),
        (DATA, DROP, "deferred", None, Blame.RELAY, 2),
        (DOT, DROP, "ambiguous", None, Blame.RELAY, 2),
        (MAIL, HANG, "deferred", None, Blame.RELAY, 2),
        (RCPT, HANG, "deferred", None, Blame.RELAY, 2),
        (DATA, HANG, "deferred", None, Blame.RELAY, 2),
        (DOT, HANG, "ambiguous", None, Blame.RELAY, 2),
        # Nonsense, and half a reply.
        (MAIL, Act("354 go"), "deferred", None, Blame.RELAY, 2),
        (RCPT, Act("hello"), "deferred", None, Blame.RELAY, 2),
        (RCPT, Act("25 ok"), "deferred", None, Blame.RELAY, 2),
        (RCPT, Act("150 ok"), "deferred", None, Blame.RELAY, 2),
        (RCPT, Act("2500 ok"), "deferred", None, Blame.RELAY, 2),
        (RCPT, Act("250-ok", close=True), "deferred", None, Blame.RELAY, 2),
        (DATA, Act("250 ok"), "deferred", None, Blame.RELAY, 2),
        (DOT, Act("354 go"), "ambiguous", None, Blame.RELAY, 2),
        (DOT, Act("hello"), "ambiguous", None, Blame.RELAY, 2),
        (DOT, Act("250-half", close=True), "ambiguous", None, Blame.RELAY, 2),
        # More than was asked: the answer holds, the connection does not.
        (RCPT, Act("550 5.1.1 no\r\n250 or yes"), "refused", 550, Blame.ADDRESS, 2),
        (DOT, Act("250 taken\r\n250 twice"), "sent", 250, Blame.NOBODY, 2),
        (DOT, Act("250 taken\r\n421 bye", close=True), "sent", 250, Blame.NOBODY, 2),
        (DOT, Act("250-taken\r\n250 well", close=True), "sent", 250, Blame.NOBODY, 2),
    ],
)
async def test_what_came_of_it(
    relay: Relay, stage: Stage, act: Act, state: str, code: int | None, blame: Blame, connections: int
) -> None:
    relay.script[stage, "odd"] = act
    async with pool_of(relay, timeout_s=patience(act)) as pool:
        outcome = await pool.send(envelope("odd", sender="odd"))
        assert (outcome.state, outcome.code, outcome.blame) == (state, code, blame)
        assert outcome.text
        end_silence(relay, pool)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert relay.taken == ["next"]
    assert relay.connections == connections


@pytest.mark.parametrize("stage", [RCPT, DATA])
async def test_what_came_of_one_message_says_nothing_of_the_next(relay: Relay, stage: Stage) -> None:
    relay.script[stage, "odd"] = DROP
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("first"))).state == "sent"
        assert (await pool.send(envelope("odd"))).state == "deferred"
    assert relay.connections == 1
    await asyncio.wait_for(relay.deserted.wait(), 3)


@pytest.mark.parametrize("act", [Act("hello"), HANG])
async def test_a_broken_conversation_leaves_no_connection_open(relay: Relay, act: Act) -> None:
    relay.script[RCPT, "odd"] = act
    async with pool_of(relay, timeout_s=patience(act)) as pool:
        await pool.send(envelope("odd"))
        relay.released.set()
        await asyncio.wait_for(relay.deserted.wait(), 3)


@pytest.mark.parametrize("endless", ["250-" + "x" * 40_000, "\r\n".join(["250-" + "x" * 400] * 100)])
async def test_a_reply_without_end_is_not_waited_for(relay: Relay, endless: str) -> None:
    relay.script[RCPT, "odd"] = Act(endless)
    async with pool_of(relay) as pool:
        outcome = await pool.send(envelope("odd"))
    # Where commands go together, the answer to the next one ends it, with another code.
    text = "a reply of two codes" if "PIPELINING" in relay.extensions else "a reply without end"
    assert outcome == Outcome(state="deferred", text=text, blame=Blame.RELAY)


async def test_a_recipient_may_be_forwarded(relay: Relay) -> None:
    relay.script[RCPT, "moved"] = Act("251 will forward")
    async with pool_of(relay) as pool:
        # The relay of this test does not take it after all; 251 was not read as a refusal.
        assert (await pool.send(envelope("moved"))).code == 503
    assert "DATA" in relay.commands


async def test_what_the_reply_states_is_handed_on(relay: Relay) -> None:
    relay.script[RCPT, "grey"] = Act("450 4.2.0 Greylisted, try again in 300 seconds")
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("grey"))).retry_after == timedelta(minutes=5)


async def test_a_reply_in_gbk_can_be_read(relay: Relay) -> None:
    relay.script[RCPT, "gone"] = Act("550 用户不存在".encode("gbk"))
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("gone"))).text == "用户不存在"


@pytest.mark.parametrize(
    ("act", "state", "code", "blame"),
    [
        (Act("552 5.3.4 too large"), "refused", 552, Blame.MESSAGE),
        (Act("421 4.3.2 shutting down", close=True), "deferred", 421, Blame.THROTTLE),
        (Act("250 taken"), "ambiguous", None, Blame.RELAY),  # which cannot be
        (DROP, "ambiguous", None, Blame.RELAY),
        (HANG, "ambiguous", None, Blame.RELAY),
    ],
)
async def test_a_relay_that_will_not_read_to_the_end(
    relay: Relay, act: Act, state: str, code: int | None, blame: Blame
) -> None:
    relay.script[DOT, "unread"] = act
    async with pool_of(relay, timeout_s=patience(act)) as pool:
        outcome = await pool.send(envelope("unread", raw=LARGE))
        assert (outcome.state, outcome.code, outcome.blame) == (state, code, blame)
        end_silence(relay, pool)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert relay.taken == ["next"]
    assert relay.connections == 2


# Before DATA


async def test_the_last_word_before_data(relay: Relay) -> None:
    seen: list[tuple[int, bool]] = []

    async def mark(id_: int) -> None:
        await asyncio.sleep(0.01)
        seen.append((id_, "DATA" in relay.commands))

    relay.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    async with pool_of(relay) as pool:
        await pool.send(envelope("gone", id_=1), mark)
        await pool.send(envelope("u", id_=2), mark)
    # Where commands go together, it is asked before the recipient is known to be good.
    assert seen == ([(1, False), (2, True)] if "PIPELINING" in relay.extensions else [(2, False)])


async def test_what_before_data_raises_passes_through(relay: Relay) -> None:
    async def fail(_: int) -> None:
        raise RuntimeError("the ledger is locked")

    async with pool_of(relay) as pool:
        with pytest.raises(RuntimeError, match="locked"):
            await pool.send(envelope("u"), fail)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert relay.taken == ["next"]
    assert relay.connections == 2


@pytest.mark.parametrize(("goodbye", "code"), [("421 4.4.2 timed out", 421), ("250 out of turn", None), ("", None)])
async def test_a_relay_that_goes_while_we_take_note(relay: Relay, goodbye: str, code: int | None) -> None:
    async def slow(_: int) -> None:
        if goodbye:
            relay.say_to_all(goodbye)
        else:
            relay.hang_up()
        await asyncio.sleep(0.02)

    async with pool_of(relay) as pool:
        outcome = await pool.send(envelope("u"), slow)
        assert (outcome.state, outcome.code, outcome.blame) == ("deferred", code, Blame.RELAY)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert "DATA" in relay.commands[-3:]
    assert relay.taken == ["next"]


# Cancellation


@pytest.mark.parametrize(
    ("stage", "to", "raw"),
    [(MAIL, "hang", RAW), (RCPT, "hang", RAW), (DATA, "hang", RAW), (DOT, "unread", LARGE), (DOT, "hang", RAW)],
    ids=["MAIL", "RCPT", "DATA", "body", "dot"],
)
async def test_a_cancelled_connection_is_never_used_again(relay: Relay, stage: Stage, to: str, raw: bytes) -> None:
    relay.script[stage, to] = Act("250 too late", hang=True)
    relay.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    async with pool_of(relay) as pool:
        sending = asyncio.create_task(pool.send(envelope(to, sender=to, raw=raw)))
        await asyncio.wait_for(relay.hanging.wait(), 3)
        await asyncio.sleep(0.02)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        relay.released.set()
        outcome = await pool.send(envelope("gone"))
        assert (outcome.state, outcome.code) == ("refused", 550)
        assert relay.connections == 2
    await asyncio.wait_for(relay.deserted.wait(), 3)


async def test_aiosmtplib_goes_on_with_a_cancelled_connection() -> None:
    """Why we take the transport over. If this fails, aiosmtplib has mended it: tell docs and ``mail/smtp.py``."""
    script = {(DOT, "hang"): Act("250 taken", hang=True), (RCPT, "gone"): Act("550 5.1.1 no such user")}
    async with Relay(script=script).running() as relay:
        client = SMTP(hostname="127.0.0.1", port=relay.port, start_tls=False, local_hostname="localhost")
        await client.connect()
        sending = asyncio.create_task(client.sendmail("o@x.example", "hang@x.example", RAW))
        await asyncio.wait_for(relay.hanging.wait(), 3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert client.is_connected
        asyncio.get_running_loop().call_later(0.05, relay.released.set)
        await client.mail("o@x.example")
        assert (await client.rcpt("gone@x.example")).code == 250  # which was MAIL's; the 550 comes one late
        client.close()


async def test_cancelling_while_connecting() -> None:
    async with Relay(greeting=Act("220 late", hang=True)).running() as relay, pool_of(relay) as pool:
        sending = asyncio.create_task(pool.send(envelope("u")))
        await asyncio.wait_for(relay.hanging.wait(), 3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        relay.released.set()
        relay.greeting = Act("220 ready")
        assert (await pool.send(envelope("next"))).state == "sent"


async def test_a_cancellation_that_comes_with_a_reply_is_not_lost(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's wait_for, under aiosmtplib, returns the reply and forgets the cancellation."""
    heard = SMTPProtocol.data_received

    def hear(self: SMTPProtocol, data: bytes) -> None:
        heard(self, data)
        if data.startswith(b"250"):
            sending.cancel()

    monkeypatch.setattr(SMTPProtocol, "data_received", hear)
    async with pool_of(relay) as pool:
        sending = asyncio.create_task(pool.send(envelope("u")))
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert relay.taken == []


# Connections


async def test_connections_are_reused(relay: Relay) -> None:
    async with pool_of(relay, connections=4) as pool:
        outcomes = await asyncio.gather(*(pool.send(envelope(f"u{i}", id_=i)) for i in range(40)))
        assert relay.connections == relay.most_at_once == 4
    assert {outcome.state for outcome in outcomes} == {"sent"}
    assert sorted(relay.taken) == sorted(f"u{i}" for i in range(40))
    assert relay.commands.count("QUIT") == 4


async def test_commands_go_together_only_where_that_is_offered(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    async with pool_of(relay) as pool:
        await pool.send(envelope("u"))
        transport = pool._idle[0]._transport
        write = transport.write

        def record(data: bytes | bytearray | memoryview) -> None:
            writes.append(bytes(data))
            write(data)

        monkeypatch.setattr(transport, "write", record)
        await pool.send(envelope("u"))
    commands = b"MAIL FROM:<o@x.example>\r\n", b"RCPT TO:<u@x.example>\r\n", b"DATA\r\n"
    expected = [b"".join(commands)] if "PIPELINING" in relay.extensions else [*commands]
    assert writes == [*expected, RAW + b".\r\n", b"QUIT\r\n"]


async def test_a_relay_that_waits_for_a_message_to_nobody_gets_an_empty_one(relay: Relay) -> None:
    relay.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    relay.script[DATA, "gone"] = Act("354 go on, to nobody")
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("gone"))).blame is Blame.ADDRESS
        assert (await pool.send(envelope("u"))).state == "sent"
    assert relay.taken == ["u"]


async def test_a_connection_is_used_for_so_many_messages(relay: Relay) -> None:
    relay.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    async with pool_of(relay, messages_per_connection=3) as pool:
        states = [(await pool.send(envelope(to))).state for to in ["u", "gone", "u", "u", "u", "u", "u"]]
    assert states == ["sent", "refused", *["sent"] * 5]
    assert relay.connections == 3
    assert relay.commands.count("QUIT") == 3


@pytest.mark.parametrize("goodbye", ["", "421 4.4.2 idle too long", "250 nobody asked"])
async def test_a_connection_closed_while_idle_is_replaced_unnoticed(relay: Relay, goodbye: str) -> None:
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("first"))).state == "sent"
        if goodbye:
            relay.say_to_all(goodbye)
        else:
            relay.hang_up()
        await asyncio.sleep(0.02)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert relay.taken == ["first", "next"]
    assert relay.connections == 2


async def test_a_connection_closed_as_we_begin_is_replaced_unnoticed(relay: Relay) -> None:
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("first"))).state == "sent"
        relay.hang_up()  # and at once, before we can have heard of it
        assert (await pool.send(envelope("next"))).state == "sent"
    assert relay.taken == ["first", "next"]
    assert relay.connections == 2


@pytest.mark.parametrize("act", [Act("451 4.3.0 not now"), Act("421 4.4.2 bye", close=True), DROP])
async def test_a_connection_that_cannot_be_reset_is_replaced_unnoticed(relay: Relay, act: Act) -> None:
    relay.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    relay.reset = act
    async with pool_of(relay) as pool:
        assert (await pool.send(envelope("gone"))).state == "refused"
        assert (await pool.send(envelope("next"))).state == "sent"
    assert relay.taken == ["next"]
    assert relay.connections == 2


async def test_the_relay_cannot_keep_us_at_the_door(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail.dialogue, "GOODBYE_S", 0.1)
    monkeypatch.setattr(mail.smtp, "GOODBYE_S", 0.1)
    relay.quit = HANG
    async with pool_of(relay, connections=4, messages_per_connection=2) as pool:
        await asyncio.gather(*(pool.send(envelope("u")) for _ in range(10)))
        began = time.monotonic()
    assert time.monotonic() - began < 0.5
    assert relay.commands.count("QUIT") == relay.connections


async def test_a_message_still_on_its_way_at_the_end_leaves_no_connection(relay: Relay) -> None:
    relay.script[DATA, "slow"] = HANG
    async with pool_of(relay) as pool:
        sending = asyncio.create_task(pool.send(envelope("slow")))
        await asyncio.wait_for(relay.hanging.wait(), 3)
    relay.released.set()
    assert (await sending).state == "sent"
    await asyncio.sleep(0.02)
    assert pool._idle == []
    assert "QUIT" in relay.commands


# Getting in


async def test_no_relay_defers(unused_tcp_port_factory: Callable[[], int]) -> None:
    server = SmtpServer(host="127.0.0.1", port=unused_tcp_port_factory(), tls="none", timeout_s=2)
    async with SmtpPool(server) as pool:
        outcome = await pool.send(envelope("u"))
    assert (outcome.state, outcome.code, outcome.blame) == ("deferred", None, Blame.RELAY)


@pytest.mark.parametrize(
    ("greeting", "code", "blame"),
    [
        (Act("421 come back another time", close=True), 421, Blame.THROTTLE),
        (Act("554 5.7.1 your address is on a list", close=True), 554, Blame.POLICY),
        (Act("451 4.3.0 local error"), 451, Blame.RELAY),
        (Act("hello"), None, Blame.RELAY),
        (DROP, None, Blame.RELAY),
        (HANG, None, Blame.RELAY),
    ],
)
async def test_a_relay_that_does_not_let_us_in_defers(greeting: Act, code: int | None, blame: Blame) -> None:
    async with Relay(greeting=greeting).running() as relay, pool_of(relay, timeout_s=patience(greeting)) as pool:
        outcome = await pool.send(envelope("u"))
        assert (outcome.state, outcome.code, outcome.blame) == ("deferred", code, blame)
        assert outcome.text
        relay.greeting = Act("220 ready")
        end_silence(relay, pool)
        assert (await pool.send(envelope("u"))).state == "sent"


async def test_a_relay_that_knows_only_helo() -> None:
    async with Relay(ehlo=Act("502 what?")).running() as relay, pool_of(relay) as pool:
        assert (await pool.send(envelope("u"))).state == "sent"


@pytest.mark.parametrize("local_hostname", ["", "two words", "主机"])
async def test_a_name_of_ours_that_cannot_be_said_defers(relay: Relay, local_hostname: str) -> None:
    server = SmtpServer(host="127.0.0.1", port=relay.port, tls="none", local_hostname=local_hostname)
    async with SmtpPool(server) as pool:
        outcome = await pool.send(envelope("u"))
    assert (outcome.state, outcome.blame) == ("deferred", Blame.RELAY)


@pytest.mark.parametrize(
    ("offered", "password", "token"),
    [("PLAIN", "secret", ""), ("LOGIN", "secret", ""), ("LOGIN PLAIN", "secret", ""), ("PLAIN XOAUTH2", "", "token")],
)
async def test_logging_in(offered: str, password: str, token: str) -> None:
    async with Relay(extensions=("PIPELINING", f"AUTH {offered}")).running() as relay:
        server = relay.server(username="muster", password=password, oauth_token=token)
        async with SmtpPool(server) as pool:
            assert (await pool.send(envelope("u"))).state == "sent"
            assert (await pool.send(envelope("v"))).state == "sent"
        assert [c.split()[1] for c in relay.commands if c.startswith("AUTH")] == [
            "XOAUTH2" if token else offered.rsplit(maxsplit=1)[-1]
        ]


@pytest.mark.parametrize(
    ("offered", "password", "token", "code"),
    [
        ("AUTH PLAIN", "wrong", "", 535),
        ("AUTH LOGIN", "wrong", "", 535),
        ("AUTH XOAUTH2", "", "expired", 535),
        ("AUTH GSSAPI", "secret", "", None),
        ("8BITMIME", "secret", "", None),
    ],
)
async def test_refused_credentials_are_not_the_message_s_fault(
    offered: str, password: str, token: str, code: int | None
) -> None:
    async with Relay(extensions=(offered,)).running() as relay:
        server = relay.server(username="muster", password=password, oauth_token=token)
        async with SmtpPool(server) as pool:
            outcome = await pool.send(envelope("u"))
        assert (outcome.state, outcome.code, outcome.blame) == ("deferred", code, Blame.AUTH)
        assert not any(command.startswith("MAIL") for command in relay.commands)


@pytest.mark.parametrize(
    ("act", "code"),
    [(Act("454 4.7.0 temporary authentication failure"), 454), (DROP, None), (HANG, None)],
)
async def test_a_login_that_fails_for_now_is_the_relay_s_business(act: Act, code: int | None) -> None:
    async with Relay(extensions=("AUTH PLAIN",), auth=act).running() as relay:
        async with SmtpPool(relay.server(username="muster", password="secret", timeout_s=patience(act))) as pool:
            outcome = await pool.send(envelope("u"))
        assert (outcome.state, outcome.code, outcome.blame) == ("deferred", code, Blame.RELAY)


# Encrypted


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "relay.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture(params=[True, False], ids=["implicit", "STARTTLS"])
async def encrypted(request: pytest.FixtureRequest, certificate: Path) -> AsyncIterator[Relay]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    extensions = ("PIPELINING", "AUTH PLAIN")
    async with Relay(tls=context, implicit=request.param, extensions=extensions).running() as served:
        yield served


async def test_an_encrypted_connection_carries_everything(encrypted: Relay, certificate: Path) -> None:
    encrypted.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    server = encrypted.server(username="muster", password="secret", ca_file=str(certificate))
    async with SmtpPool(server, connections=1) as pool:
        states = [
            (await pool.send(envelope(to, raw=raw))).state for to, raw in [("a", RAW), ("b", LARGE), ("gone", RAW)]
        ]
        assert (await pool.send(envelope("c"))).state == "sent"
    assert states == ["sent", "sent", "refused"]
    assert encrypted.taken == ["a", "b", "c"]
    assert unstuffed((encrypted.bodies[1],)) == LARGE
    assert encrypted.connections == 1
    assert encrypted.commands[-1] == "QUIT"


async def test_a_certificate_nobody_vouches_for_is_refused(encrypted: Relay) -> None:
    async with SmtpPool(encrypted.server(username="muster", password="secret")) as pool:
        outcome = await pool.send(envelope("u"))
    assert (outcome.state, outcome.blame) == ("deferred", Blame.RELAY)
    assert "certificate" in outcome.text.lower()
    assert not any(command.startswith(("AUTH", "MAIL")) for command in encrypted.commands)


async def test_verification_can_be_turned_off(encrypted: Relay) -> None:
    async with SmtpPool(encrypted.server(verify=False)) as pool:
        assert (await pool.send(envelope("u"))).state == "sent"


async def test_a_missing_file_of_certificates_defers(encrypted: Relay, tmp_path: Path) -> None:
    async with SmtpPool(encrypted.server(ca_file=str(tmp_path / "missing.pem"))) as pool:
        outcome = await pool.send(envelope("u"))
    assert (outcome.state, outcome.blame) == ("deferred", Blame.RELAY)


@pytest.mark.parametrize(
    ("stage", "act", "state", "connections"),
    [
        (RCPT, DROP, "deferred", 2),
        (DATA, HANG, "deferred", 2),
        (DOT, DROP, "ambiguous", 2),
        (DOT, HANG, "ambiguous", 2),
        (DOT, Act("250 taken", close=True), "sent", 2),
        (RCPT, Act("421 4.7.0 too many", close=True), "deferred", 2),
    ],
)
async def test_an_encrypted_connection_breaks_like_any_other(
    encrypted: Relay, certificate: Path, stage: Stage, act: Act, state: str, connections: int
) -> None:
    encrypted.script[stage, "odd"] = act
    async with SmtpPool(encrypted.server(ca_file=str(certificate), timeout_s=patience(act)), connections=1) as pool:
        assert (await pool.send(envelope("odd"))).state == state
        end_silence(encrypted, pool)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert encrypted.taken == ["next"]
    assert encrypted.connections == connections


async def test_an_encrypted_connection_closed_while_idle_is_replaced_unnoticed(
    encrypted: Relay, certificate: Path
) -> None:
    async with SmtpPool(encrypted.server(ca_file=str(certificate)), connections=1) as pool:
        assert (await pool.send(envelope("first"))).state == "sent"
        encrypted.hang_up()
        await asyncio.sleep(0.05)
        assert (await pool.send(envelope("next"))).state == "sent"
    assert encrypted.connections == 2


async def test_a_cancelled_encrypted_message_takes_its_connection_along(encrypted: Relay, certificate: Path) -> None:
    encrypted.script[RCPT, "gone"] = Act("550 5.1.1 no such user")
    encrypted.script[DOT, "unread"] = Act("250 too late", hang=True)
    async with SmtpPool(encrypted.server(ca_file=str(certificate)), connections=1) as pool:
        sending = asyncio.create_task(pool.send(envelope("unread", raw=LARGE)))
        await asyncio.wait_for(encrypted.hanging.wait(), 3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        encrypted.released.set()
        assert (await pool.send(envelope("gone"))).state == "refused"


async def test_nothing_is_sent_in_the_clear_to_a_relay_that_cannot_encrypt(relay: Relay) -> None:
    server = SmtpServer(host="127.0.0.1", port=relay.port, username="muster", password="secret", timeout_s=1)
    async with SmtpPool(server) as pool:
        outcome = await pool.send(envelope("u"))
    assert (outcome.state, outcome.blame) == ("deferred", Blame.RELAY)
    assert [command.split()[0] for command in relay.commands] == ["EHLO"]
