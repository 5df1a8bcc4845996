"""While a workbook is opened, others may write."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from documents.sandbox import Sandbox
from ledger.acts import Act
from ledger.engine import Ledger
from ledger.tables import IntakeRow, MessageRow, SubmissionRow
from mail.maildir import deliver
from mail.parsing import IncomingMail
from office import intake, looking_ahead
from office.intake import drain_intake, fetch_mail
from office.premises import Premises
from rules.obligations import Standing
from tests.office.test_office import KEY, Desk, act, desk, loaded, local  # noqa: F401  fixtures of ours too

NOON = local(6, 1, 12)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that gets, for each file opened from now on, whether the pen was held meanwhile."""
    pens, asked = [False], []
    write, ask = Ledger.writing, Sandbox._ask

    @contextmanager
    def writing(self: Ledger) -> Iterator[Session]:
        with write(self) as session:
            pens.append(True)
            try:
                yield session
            finally:
                pens.pop()

    def asking(self: Sandbox, what: bytes, data: bytes) -> dict[str, object]:
        asked.append(pens[-1] and current_thread() is main_thread())
        return ask(self, what, data)

    monkeypatch.setattr(Ledger, "writing", writing)
    monkeypatch.setattr(Sandbox, "_ask", asking)
    return asked


@pytest.mark.parametrize("packed", [False, True])
def test_no_file_is_opened_under_the_pen(desk: Desk, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:  # noqa: F811
    content, name = desk.form_of("BH001", "plan"), "附件2.xlsx"
    if packed:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("附件2.xlsx", content)
        content, name = held.getvalue(), "材料.zip"
    asked = watched(monkeypatch)
    desk.receive(NOON, "BH001", name, content)
    assert desk.standings("BH001")["plan"] is Standing.ACCEPTED
    assert asked
    assert not any(asked)


def _three_wait(office: Desk) -> None:
    for code in ("BH001", "BH025", "BH036"):
        deliver(office.house.maildir, office.mail_of(NOON, code, "附件2.xlsx", office.form_of(code, "plan")), NOON)
    assert fetch_mail(office.house, act(NOON)) == 3


def _states(office: Desk) -> list[str]:
    with office.house.ledger.reading() as session:
        return [str(row.state) for row in session.scalars(select(IntakeRow).order_by(IntakeRow.id))]


def _break_at(monkeypatch: pytest.MonkeyPatch, number: int, error: Exception) -> None:
    """Let the mail of a number be handled whole, and only then go wrong."""
    handle = intake.handle_mail

    def breaks(session: Session, premises: Premises, by: Act, row: IntakeRow, mail: IncomingMail | None) -> str | None:
        notice = handle(session, premises, by, row, mail)
        if row.id == number:
            raise error
        return notice

    monkeypatch.setattr(intake, "handle_mail", breaks)


def test_a_mail_that_breaks_our_code_takes_nothing_of_its_group_with_it(
    desk: Desk,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _three_wait(desk)
    _break_at(monkeypatch, 2, RuntimeError("a slip of ours"))
    done = drain_intake(desk.house, act(NOON), KEY)
    assert _states(desk) == ["done", "queued", "done"]
    assert done.answers == {"receipt": 2}
    standings = [desk.standings(code)["plan"] for code in ("BH001", "BH025", "BH036")]
    assert standings == [Standing.ACCEPTED, Standing.MISSING, Standing.ACCEPTED]


def test_a_group_that_the_ledger_fails_waits_and_is_taken_in_once(
    desk: Desk,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _three_wait(desk)
    with monkeypatch.context() as patch:
        _break_at(patch, 3, OperationalError("insert", {}, Exception("the disk is full")))
        with pytest.raises(OperationalError):
            drain_intake(desk.house, act(NOON), KEY)
    left = _states(desk).count("waiting")
    assert left >= 1
    assert drain_intake(desk.house, act(NOON), KEY).answers == {"receipt": left}
    with desk.house.ledger.reading() as session:
        assert session.scalar(select(func.count()).select_from(SubmissionRow)) == 3
        receipts = select(func.count()).select_from(MessageRow).where(MessageRow.notice == "receipt")
        assert session.scalar(receipts) == 3


def test_of_a_mail_without_token_the_workbook_is_opened_before_the_pen(
    desk: Desk,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail = desk.mail_of(
        NOON, "BH001", "附件2.xlsx", desk.form_of("BH001", "plan"), to="muster@office.example", sender="x@other.example"
    )
    deliver(desk.house.maildir, mail, NOON)
    asked = watched(monkeypatch)
    fetch_mail(desk.house, act(NOON))
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(IntakeRow.matched_by)).one() == "workbook"
    assert asked == [False]


def test_large_mails_are_looked_at_one_at_a_time_and_all_are_taken_in(
    desk: Desk,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _three_wait(desk)
    pens: list[int] = []
    write = Ledger.writing

    @contextmanager
    def writing(self: Ledger) -> Iterator[Session]:
        pens.append(1)
        with write(self) as session:
            yield session

    monkeypatch.setattr(Ledger, "writing", writing)
    monkeypatch.setattr(looking_ahead, "AHEAD_BYTES", 0)
    assert drain_intake(desk.house, act(NOON), KEY).answers == {"receipt": 3}
    assert len(pens) == 3
