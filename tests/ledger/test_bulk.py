"""One statement for many rows: the same on both databases as SQLAlchemy's own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import bindparam, insert, select, text, update

from ledger.acts import Act
from ledger.bulk import Bulk
from ledger.campaigns import NewParty, record_campaign, record_parties
from ledger.engine import Ledger
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import HoldRow, MessageRow
from ledger.tables.base import table_of

NOON = datetime(2020, 5, 27, 4, tzinfo=UTC)
ACT = Act(actor="rule:test", as_of=NOON, wall=NOON)
MESSAGES, HOLDS = table_of(MessageRow), table_of(HoldRow)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = Ledger(ledger_url)
    opened.migrate()
    with opened.writing() as session:
        campaign = record_campaign(session, ACT, key="month", title="月", definition={}, digest="d")
        record_parties(session, ACT, campaign.id, [NewParty(code=f"U{n}", name="一") for n in range(3)])
        news = [NewMessage(party_id=n, notice="launch", occasion="launch") for n in (1, 2, 3)]
        plan_messages(session, ACT, campaign.id, "office.example", news)
    yield opened
    opened.close()


def test_rows_are_updated_each_with_its_own_values_and_none_stays_none(ledger: Ledger) -> None:
    bulk = Bulk(
        update(MESSAGES)
        .where(MESSAGES.c.id == bindparam("b_id"), text("state = 'planned'"))
        .values(dated_at=bindparam("b_at"), subject=bindparam("b_subject"), fields=bindparam("b_fields")),
        ("b_subject", "b_fields", "b_at", "b_id"),
    )
    rows = [
        ("主题“一”", {"名": "街道, {办}", "n": [1, None]}, NOON, 1),
        (None, None, None, 2),
        ("third\\", {}, NOON + timedelta(microseconds=1), 3),
    ]
    with ledger.writing() as session:
        assert bulk.run(session, rows) == 3
        assert bulk.run(session, []) == 0
    with ledger.reading() as session:
        query = select(MESSAGES.c.subject, MESSAGES.c.fields, MESSAGES.c.dated_at).order_by(MESSAGES.c.id)
        assert [tuple(row) for row in session.execute(query)] == [row[:3] for row in rows]


def test_the_count_tells_of_rows_that_were_not_there(ledger: Ledger) -> None:
    bulk = Bulk(
        update(MESSAGES).where(MESSAGES.c.id == bindparam("b_id")).values(reason=bindparam("b_reason")),
        ("b_id", "b_reason"),
    )
    with ledger.writing() as session:
        assert bulk.run(session, [(1, "a"), (99, "b")]) == 1


def test_rows_are_inserted_in_order(ledger: Ledger) -> None:
    names = ("scope", "actor", "grounds", "lifted_by", "lifted_grounds", "as_of", "recorded_at")
    bulk = Bulk(insert(HOLDS).inline(), names)
    rows = [(f"lane:{n}", "rule:test", "it's held; “%s”", "", "", NOON, NOON) for n in range(50)]
    with ledger.writing() as session:
        bulk.run(session, rows)
    with ledger.reading() as session:
        assert session.scalars(select(HOLDS.c.scope).order_by(HOLDS.c.id)).all() == [row[0] for row in rows]
        assert set(session.scalars(select(HOLDS.c.grounds))) == {"it's held; “%s”"}


def test_a_statement_and_its_rows_must_agree(ledger: Ledger) -> None:
    bulk = Bulk(update(MESSAGES).values(reason=bindparam("b_reason")), ("b_reason", "b_more"))
    with pytest.raises(ValueError, match="b_more"), ledger.writing() as session:
        bulk.run(session, [("a", 1)])
