"""The poller beside the sender: what comes in is taken in within moments, outages delay and lose nothing."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from definition.loading import LoadedCampaign
from flows.polling import LONGEST_PAUSE_S, Poller
from flows.serving import intake_serving, serve
from ledger.acts import Act
from ledger.tables import IntakeRow
from mail.imap import ImapMailbox, ImapServer
from mail.mailbox import MailboxAway
from office import intake
from office.intake import drain_intake, fetch_mail
from rules.obligations import Standing
from tests import servers
from tests.mail.test_imap import PLAIN, Post
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk

HOUR = 3600.0


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


@pytest.fixture
def post(desk: Desk) -> Iterator[Post]:
    """Give the desk a mailbox on an IMAP server."""
    with servers.imap(*PLAIN) as port:
        server = ImapServer(host="127.0.0.1", port=port, tls="none", user="intake", password="secret", timeout_s=5)
        desk.house.__dict__["mailbox"] = ImapMailbox(server)
        yield Post(port)


def hand_in_of(desk: Desk, code: str) -> bytes:
    return desk.mail_of(datetime(2020, 5, 28, 1, tzinfo=UTC), code, "表.xlsx", desk.form_of(code, "plan"))


async def test_a_mail_is_taken_in_once_by_one_run_and_the_rest_ends_cleanly(desk: Desk, post: Post) -> None:
    runs: list[str] = []
    done = asyncio.Event()

    async def collect(campaign: str) -> str:
        taken = await asyncio.to_thread(drain_intake, desk.house, Act.now("rule:collect"), campaign)
        runs.append(str({str(kind): count for kind, count in taken.mails.items()}))
        done.set()
        return runs[-1]

    async def nothing(_: str) -> str:
        return ""

    def fetch(stopped: Callable[[], bool]) -> int:
        return fetch_mail(desk.house, Act.now("rule:collect"), stopped)

    said: list[str] = []
    poller = Poller(desk.house.mailbox, fetch, poll_s=HOUR / 10, say=said.append)
    intake = intake_serving(desk.house, collect, poll_s=0.05, sweep_s=HOUR, say=said.append)
    post.deliver(hand_in_of(desk, "BH001"))
    beside = [poller.poll, intake.serve]
    serving = asyncio.create_task(
        serve(desk.house, nothing, poll_s=0.05, sweep_s=HOUR, say=lambda _: None, beside=beside)
    )
    await asyncio.wait_for(done.wait(), 20)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(serving, 10)
    assert runs == ["{'hand_in': 1}"]
    assert {"1 mail fetched", f"{KEY}: {{'hand_in': 1}}"} <= set(said)
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED


def test_a_renumbered_mailbox_is_read_again_and_what_was_taken_is_recognised(desk: Desk, post: Post) -> None:
    raw = hand_in_of(desk, "BH001")
    post.deliver(raw)
    assert fetch_mail(desk.house, Act.now("rule:collect")) == 1
    with servers.imap(*PLAIN) as port:
        again = Post(port)
        again.deliver(raw)
        again.mailbox.__dict__["_server"] = desk.house.mailbox.__dict__["_server"].__class__(
            host="127.0.0.1", port=port, tls="none", user="intake", password="secret", timeout_s=5
        )
        desk.house.__dict__["mailbox"] = again.mailbox
        assert fetch_mail(desk.house, Act.now("rule:collect")) == 1
        assert fetch_mail(desk.house, Act.now("rule:collect")) == 0
        again.mailbox.close()
    with desk.house.ledger.reading() as session:
        rows = session.query(IntakeRow).order_by(IntakeRow.id).all()
        assert [(r.kind, r.state) for r in rows] == [("", "waiting"), ("duplicate", "done")]


class Broken:
    """A mailbox that is away for some looks."""

    name = "broken"
    closed = False

    def wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Return at once."""

    def close(self) -> None:
        self.closed = True


def test_an_outage_is_said_once_tried_again_ever_later_and_its_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("flows.polling.pause", lambda seconds, *_: pauses.append(seconds))
    troubles: list[Exception | None] = [*([MailboxAway("gone")] * 12), RuntimeError("the ledger is locked"), None, None]
    said: list[str] = []

    def fetch(_: Callable[[], bool]) -> int:
        if (trouble := troubles.pop(0)) is not None:
            raise trouble
        return 2

    mailbox = Broken()
    Poller(mailbox, fetch, poll_s=1, say=said.append).run(lambda: not troubles)  # type: ignore[arg-type]
    assert pauses == sorted(pauses)
    assert pauses[0] == 1 and pauses[-1] == LONGEST_PAUSE_S  # noqa: PT018  two ends of one thing
    assert [s.split(";")[0] for s in said] == [
        "mailbox: gone", "mailbox: RuntimeError: the ledger is locked", "the mailbox is back", "2 mails fetched",
        "2 mails fetched",
    ]  # fmt: skip
    assert mailbox.closed


def test_of_a_group_that_the_ledger_fails_no_mail_is_passed_over(
    desk: Desk, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.deliver(*(b"Subject: %d\r\n\r\n" % n for n in range(3)))
    with monkeypatch.context() as patch:
        patch.setattr(intake, "find_sender", _locked)
        with pytest.raises(OperationalError):
            fetch_mail(desk.house, Act.now("rule:collect"))
    assert fetch_mail(desk.house, Act.now("rule:collect")) == 3
    assert fetch_mail(desk.house, Act.now("rule:collect")) == 0


def _locked(*_: object) -> object:
    raise OperationalError("INSERT", {}, Exception("the ledger is locked"))
