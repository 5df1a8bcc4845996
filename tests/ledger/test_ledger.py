"""The ledger: migrations, keys, append-only trail."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import (
    NewContact,
    NewParty,
    advance,
    find_campaign,
    record_campaign,
    record_decision,
    record_parties,
)
from ledger.engine import Ledger
from ledger.errors import AlreadyRecorded, BehindTheCampaign
from ledger.files import FileStore
from ledger.outbox import NewMessage, Result, mark, plan_messages, retire
from ledger.tables import AttemptRow, AuditRow, Base, ItemRow, MessageRow, MessageState, PartyRow

NOON = datetime(2020, 5, 27, 4, tzinfo=UTC)
ACT = Act(actor="rule:test", as_of=NOON, wall=NOON, flow_run_id="run-1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def campaign(ledger: Ledger) -> int:
    with ledger.writing() as session:
        row = record_campaign(session, ACT, key="month", title="月", definition={"a": 1}, digest="d")
        parties = [
            NewParty(code="U1", name="一", superior="U2", contacts=(NewContact(role="duty", address="u1@x.example"),)),
            NewParty(code="U2", name="二"),
        ]
        record_parties(session, ACT, row.id, parties)
        return row.id


def test_migrations_and_models_agree(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    modelled = Ledger(f"sqlite:///{tmp_path / 'models.db'}")
    Base.metadata.create_all(modelled.engine)
    triggers = "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql NOT NULL ORDER BY name"
    with ledger.engine.connect() as one, modelled.engine.connect() as other:
        assert one.execute(text(triggers)).all() == other.execute(text(triggers)).all()
    modelled.close()


def test_a_naive_instant_is_refused(ledger: Ledger, campaign: int) -> None:
    with pytest.raises(StatementError, match="has no zone"), ledger.writing() as session:  # noqa: PT012
        session.execute(text("SELECT 1"))
        party = session.scalars(select(PartyRow)).first()
        assert party is not None
        party.left_at = datetime(2020, 6, 1)  # noqa: DTZ001  the fault under test
        session.flush()


def test_an_act_is_brought_to_utc() -> None:
    act = Act(actor="a", as_of=datetime.fromisoformat("2020-05-27T12:00:00+08:00"), wall=NOON)
    assert act.as_of == NOON
    assert act.as_of.tzinfo is UTC


def test_superiors_are_linked_whatever_the_order_of_the_roster(ledger: Ledger, campaign: int) -> None:
    with ledger.reading() as session:
        one, two = session.scalars(select(PartyRow).order_by(PartyRow.code))
        assert one.superior_id == two.id


def test_a_campaign_is_frozen_once(ledger: Ledger, campaign: int) -> None:
    with pytest.raises(AlreadyRecorded, match="launched before"), ledger.writing() as session:
        record_campaign(session, ACT, key="month", title="月", definition={}, digest="e")


def plan(ledger: Ledger, campaign: int, *, generation: int = 0) -> int:
    with ledger.writing() as session:
        new = NewMessage(party_id=1, notice="launch", occasion="launch", generation=generation)
        return plan_messages(session, ACT, campaign, "office.example", [new])[0].id


def test_a_message_is_unique_by_party_notice_occasion_and_generation(ledger: Ledger, campaign: int) -> None:
    plan(ledger, campaign)
    with pytest.raises(IntegrityError):
        plan(ledger, campaign)
    plan(ledger, campaign, generation=1)


def test_a_superseded_message_makes_room_for_another(ledger: Ledger, campaign: int) -> None:
    first = plan(ledger, campaign)
    with ledger.writing() as session:
        retire(session, ACT, session.get_one(MessageRow, first), MessageState.SUPERSEDED, "nothing left")
    plan(ledger, campaign)


def test_a_failed_transaction_leaves_nothing(ledger: Ledger, campaign: int) -> None:
    with pytest.raises(ZeroDivisionError), ledger.writing() as session:  # noqa: PT012
        new = NewMessage(party_id=1, notice="launch", occasion="launch")
        plan_messages(session, ACT, campaign, "office.example", [new])
        raise ZeroDivisionError
    with ledger.reading() as session:
        assert session.scalars(select(MessageRow)).all() == []
        assert session.scalars(select(ItemRow)).all() == []


def test_every_row_bears_the_flow_run_the_moment_and_the_wall_time(ledger: Ledger, campaign: int) -> None:
    plan(ledger, campaign)
    with ledger.reading() as session:
        row = session.scalars(select(MessageRow)).one()
        assert (row.flow_run_id, row.as_of, row.recorded_at) == ("run-1", NOON, NOON)


def test_a_live_campaign_does_not_send_for_a_moment_it_has_passed(ledger: Ledger, campaign: int) -> None:
    earlier = Act(actor="rule:remind", as_of=NOON.replace(hour=1), wall=NOON)
    with ledger.writing() as session:
        row = find_campaign(session, "month")
        advance(earlier, row, rehearsal=False)  # not live: the fence is closed, nothing leaves
        row.live = True
        advance(earlier, row, rehearsal=True)
        with pytest.raises(BehindTheCampaign, match="is behind it"):
            advance(earlier, row, rehearsal=False)


@pytest.fixture
def trail(ledger: Ledger, campaign: int) -> Path:
    with ledger.writing() as session:
        record_decision(session, ACT, campaign, "extension", "公文延误", party_id=1)
    message = plan(ledger, campaign)
    with ledger.writing() as session:
        mark(session, ACT, [Result(message_id=message, state=MessageState.SENT, code=250, text="ok")])
    return Path(str(ledger.engine.url.database))


def verdict(ledger: Ledger) -> audit.Verdict:
    with ledger.reading() as session:
        return audit.verify(session)


def test_an_untouched_trail_verifies(ledger: Ledger, trail: Path) -> None:
    found = verdict(ledger)
    assert found.fault == ""
    assert found.entries == 4


@pytest.mark.parametrize("table", ["audit", "attempts"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET recorded_at = '2021-01-01'", "DELETE FROM {}"])
def test_the_trail_refuses_to_be_changed(ledger: Ledger, trail: Path, table: str, statement: str) -> None:
    with sqlite3.connect(trail) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement.format(table))
    raw.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE audit SET actor = 'rule:tesu' WHERE seq = 2", "entry 2 (decision.extension"),
        ("UPDATE audit SET detail = replace(detail, '公文延误', '公文延悟') WHERE seq = 2", "entry 2"),
        ("UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE seq = 3", "entry 3"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("UPDATE attempts SET smtp_code = 251", "entry 4 (messages.attempted"),
        ("INSERT INTO attempts SELECT id + 1, message_id, 'other', state, address, smtp_code, smtp_text, flow_run_id,"
         " as_of, recorded_at FROM attempts", "1 attempts stand in no entry"),
    ],
)  # fmt: skip
def test_a_change_by_hand_is_named(ledger: Ledger, trail: Path, change: str, said: str) -> None:
    with sqlite3.connect(trail) as raw:
        for table in ("audit", "attempts"):
            raw.execute(f"DROP TRIGGER {table}_no_update")
            raw.execute(f"DROP TRIGGER {table}_no_delete")
        assert raw.execute(change).rowcount > 0
    raw.close()
    assert said in verdict(ledger).fault


def test_files_are_kept_once_by_their_hash(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    sha256 = store.put(b"report")
    assert store.put(b"report") == sha256
    assert store.get(sha256) == b"report"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [sha256]


def test_attempts_are_rows_of_their_own(ledger: Ledger, trail: Path) -> None:
    with ledger.reading() as session:
        attempt = session.scalars(select(AttemptRow)).one()
        assert (attempt.state, attempt.smtp_code) == ("sent", 250)
        assert session.scalars(select(AuditRow.verb).order_by(AuditRow.seq)).all() == [
            "campaign.launched",
            "decision.extension",
            "messages.planned",
            "messages.attempted",
        ]
