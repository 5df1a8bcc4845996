"""What units have sent is taken in before they are chased, though no collection came first."""

import pytest
from sqlalchemy import select

from ledger.tables import ItemRow, MessageRow, SubmissionRow
from mail.mailbox import MailboxAway
from tests.deployments.month import Month, local
from tests.flows.test_month import SetUp
from tests.flows.test_month import stage as stage  # noqa: PLC0414  a fixture of ours too


def away(*_: object) -> int:
    raise MailboxAway("no route to host")


def launched(stage: SetUp) -> Month:
    """Launch, and let the units answer until the first deadline has passed; nobody looks into the mailbox meanwhile."""
    month = Month(stage("safety-month-2020", units=12, seed=84))
    month.at(local(5, 27, 15, 10))
    month.step("launch")
    month.stage.world.advance_to(local(6, 2, 8))
    month.at(local(6, 3, 9, 5))
    return month


def chased_and_reported() -> tuple[set[int], set[int]]:
    """Return the obligations of which a rung was told, and those of which a report is on record."""
    from tasks.desk import premises  # noqa: PLC0415

    with premises().ledger.reading() as session:
        chased = select(ItemRow.obligation_id).join(MessageRow, MessageRow.id == ItemRow.message_id)
        told = set(session.scalars(chased.where(MessageRow.mail_class == "chase", ~ItemRow.gone)))
        return told, set(session.scalars(select(SubmissionRow.obligation_id)))


def test_who_reported_while_nobody_collected_is_not_escalated(stage: SetUp, prefect: str) -> None:
    month = launched(stage)
    month.step("escalate")
    told, reported = chased_and_reported()
    assert told, "somebody is silent, and is chased"
    assert len(reported) > 6
    assert not told & reported


def test_a_mailbox_that_is_away_keeps_nobody_from_being_reminded(
    stage: SetUp, prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = launched(stage)
    monkeypatch.setattr("tasks.collection.fetch_mail", away)
    month.step("remind")
    told, reported = chased_and_reported()
    assert told
    assert not reported
