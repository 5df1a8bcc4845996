"""What units have sent is taken in before they are chased or counted, though no collection came first."""

import asyncio

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


@pytest.mark.parametrize("kind", ["remind", "escalate", "consolidate"])
def test_what_was_sent_while_nobody_collected_is_on_record_before_the_step_decides(
    stage: SetUp, prefect: str, kind: str
) -> None:
    month = launched(stage)
    tally = month.step(kind)
    told, reported = chased_and_reported()
    assert bool(told) is (kind != "consolidate"), "somebody is silent, and is chased"
    assert len(reported) > 6
    assert not told & reported
    assert tally.mails["hand_in"] > 6


def remind_as_of_now(month: Month) -> None:
    from flows.running import run_step  # noqa: PLC0415  after the environment is set

    asyncio.run(run_step("remind", month.key, local(6, 3, 9, 5)))


@pytest.mark.parametrize("broken", ["fetch_mail", "drain_intake", ""])
def test_where_nothing_can_or_shall_be_heard_the_step_is_done_all_the_same(
    stage: SetUp, prefect: str, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    month = launched(stage)
    if broken:
        monkeypatch.setattr(f"tasks.collection.{broken}", away)
        month.step("remind")
    else:  # whoever names a moment decides on what is on record
        remind_as_of_now(month)
    told, reported = chased_and_reported()
    assert told
    assert not reported
