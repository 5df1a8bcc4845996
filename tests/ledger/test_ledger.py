"""The ledger, on SQLite and on PostgreSQL: migrations, keys, locks, append-only trail."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from ledger import audit
from ledger.acts import Act
from ledger.campaigns import (
    NewContact,
    NewObligation,
    NewParty,
    advance,
    find_campaign,
    freeze_obligations,
    record_campaign,
    record_decision,
    record_deliverables,
    record_parties,
)
from ledger.engine import MIGRATIONS, Ledger
from ledger.errors import AlreadyRecorded, BehindTheCampaign
from ledger.files import FileStore
from ledger.outbox import NewMessage, Result, plan_messages, record, retire
from ledger.submissions import last_uid
from ledger.tables import (
    AttemptRow,
    AuditRow,
    Base,
    CampaignRow,
    IntakeRow,
    ItemRow,
    MessageRow,
    MessageState,
    PartyRow,
)
from rules.notices import ItemDue
from tests import servers
from tests.images import migrated

NOON = datetime(2020, 5, 27, 4, tzinfo=UTC)
ACT = Act(actor="rule:test", as_of=NOON, wall=NOON, flow_run_id="run-1")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = migrated(ledger_url)
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


def is_postgres(ledger: Ledger) -> bool:
    return ledger.engine.dialect.name == "postgresql"


# What compare_metadata does not look at: triggers, and the conditions of partial indexes.
BESIDES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql NOT NULL ORDER BY name",
    "postgresql": "SELECT tgname, pg_get_triggerdef(t.oid), prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid"
    " WHERE NOT tgisinternal UNION ALL SELECT indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'"
    " AND tablename <> 'alembic_version' ORDER BY 1",
}


def test_migrations_and_models_agree(ledger: Ledger, new_ledger_url: Callable[[], str]) -> None:
    with ledger.engine.connect() as connection:
        # Of SQLite's defaults alembic thinks that '' is not ''.
        opts = {"compare_type": True, "compare_server_default": is_postgres(ledger)}
        assert compare_metadata(MigrationContext.configure(connection, opts=opts), Base.metadata) == []
    modelled = Ledger(new_ledger_url())
    Base.metadata.create_all(modelled.engine)
    besides = text(BESIDES[ledger.engine.dialect.name])
    with ledger.engine.connect() as one, modelled.engine.connect() as other:
        found = one.execute(besides).all()
        assert found == other.execute(besides).all()
        assert any("append_only" in row[0] or "no_update" in row[0] for row in found)
    modelled.close()


def test_a_migration_says_what_it_does_by_itself() -> None:
    """What it imported of ours would change under it, and a new ledger would differ from one that has grown."""
    for path in sorted((MIGRATIONS / "versions").glob("*.py")):
        assert re.findall(r"^(?:from|import) (?!alembic|sqlalchemy)(\S+)", path.read_text("utf-8"), re.MULTILINE) == []


def test_migrations_can_be_taken_back_and_made_again(ledger: Ledger) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with ledger.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    ledger.migrate()
    with ledger.engine.connect() as connection:
        assert set(Base.metadata.tables) < set(inspect(connection).get_table_names())


MIGRATING = """
import sys
from ledger.engine import MIGRATIONS, Ledger
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
ledger.migrate()
"""


def test_processes_that_start_together_migrate_once(ledger_url: str, house: Path) -> None:
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATING, ledger_url],
            cwd=house,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in asking:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in asking] == ["", "", ""]
    assert [process.returncode for process in asking] == [0, 0, 0]
    opened = Ledger(ledger_url)
    assert verdict(opened) == audit.Verdict(entries=0, head=audit.GENESIS)
    opened.close()


DYING = """
import os, signal, sys
from datetime import UTC, datetime
from ledger import audit
from ledger.acts import Act
from ledger.engine import MIGRATIONS, Ledger
with Ledger(sys.argv[1]).writing() as session:
    audit.append(session, Act(actor="rule:test", as_of=datetime.now(UTC), wall=datetime.now(UTC)), "test.last", {})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_committed_act_outlives_the_process_that_is_killed_right_after(ledger: Ledger, house: Path) -> None:
    url = ledger.engine.url.render_as_string(hide_password=False)
    died = subprocess.run([sys.executable, "-c", DYING, url], cwd=house, check=False)
    assert died.returncode == -signal.SIGKILL
    assert (verdict(ledger).entries, verdict(ledger).fault) == (1, "")


@pytest.mark.parametrize(("durability", "sqlite", "postgres"), [("NORMAL", 1, "off"), ("FULL", 2, "on")])
def test_durability_is_that_of_every_connection(ledger_url: str, durability: str, sqlite: int, postgres: str) -> None:
    opened = Ledger(ledger_url, durability=durability)
    asked, expected = ("SHOW synchronous_commit", postgres) if is_postgres(opened) else ("PRAGMA synchronous", sqlite)
    with opened.reading() as session, opened.writing() as another:
        assert session.scalar(text(asked)) == another.scalar(text(asked)) == expected
        session.rollback()
        assert session.scalar(text(asked)) == expected
    opened.close()


def test_a_url_without_a_driver_gets_ours(postgres_server: servers.Postgres) -> None:
    url = postgres_server()
    opened = Ledger(url.replace("+psycopg", ""))
    opened.migrate()
    opened.close()
    postgres_server.drop(url)


def test_a_connection_that_was_lost_meanwhile_is_made_again(postgres_server: servers.Postgres) -> None:
    opened = Ledger(postgres_server())
    opened.migrate()
    others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                  " AND pid <> pg_backend_pid()")  # fmt: skip
    killer = create_engine(opened.engine.url)
    with killer.connect() as connection:
        assert connection.execute(others).all() == [(True,)]
    assert verdict(opened).entries == 0
    killer.dispose()
    opened.close()
    postgres_server.drop(str(opened.engine.url))


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
        retire(session, ACT, campaign, {first: (MessageState.SUPERSEDED, "nothing left")})
    plan(ledger, campaign)


def test_an_item_is_said_once_until_it_is_gone(ledger: Ledger, campaign: int) -> None:
    with ledger.writing() as session:
        record_deliverables(session, ACT, campaign, [("plan", "方案", "form")])
        new = NewObligation(party_id=1, deliverable="plan", occurrence="once", due=NOON, chase_from=NOON)
        item = ItemDue(obligation_id=freeze_obligations(session, ACT, campaign, [new])[0].id, rung="on", due=NOON)

    def say(occasion: str) -> int:
        with ledger.writing() as session:
            new = NewMessage(party_id=1, notice="reminder", occasion=occasion, items=(item,))
            return plan_messages(session, ACT, campaign, "office.example", [new])[0].id

    first = say("remind:2020-05-27")
    with pytest.raises(IntegrityError):
        say("remind:2020-05-28")
    with ledger.writing() as session:
        retire(session, ACT, campaign, {first: (MessageState.SUPERSEDED, "nothing left")})
    say("remind:2020-05-29")


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


def test_an_instant_comes_back_in_utc_whatever_the_server_s_zone(ledger: Ledger, campaign: int) -> None:
    shanghai = datetime.fromisoformat("2020-06-01T00:30:00.123456+08:00")
    with ledger.writing() as session:
        session.get_one(PartyRow, 1).left_at = shanghai
    with ledger.reading() as session:
        if is_postgres(ledger):
            session.execute(text("SET LOCAL TIME ZONE 'Asia/Shanghai'"))
        left_at = session.get_one(PartyRow, 1).left_at
        assert left_at == shanghai
        assert left_at.tzinfo is UTC
        assert session.scalars(select(PartyRow.code).where(PartyRow.left_at <= shanghai)).all() == ["U1"]


def test_one_session_writes_at_a_time_and_none_is_lost(ledger: Ledger, campaign: int) -> None:
    def read_then_write(number: int) -> None:
        with ledger.writing() as session:
            row = session.get_one(CampaignRow, campaign)
            row.title += "日"
            audit.append(session, ACT, "test.written", {"number": number}, campaign_id=campaign)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read_then_write, range(24)))
    with ledger.reading() as session:
        assert session.get_one(CampaignRow, campaign).title == "月" + "日" * 24
    assert (verdict(ledger).entries, verdict(ledger).fault) == (25, "")


def test_reading_waits_for_nobody_and_sees_what_was_committed(ledger: Ledger, campaign: int) -> None:
    with ledger.writing() as session:
        session.get_one(CampaignRow, campaign).title = "年"
        session.flush()
        with ledger.reading() as another:
            assert another.get_one(CampaignRow, campaign).title == "月"
    with ledger.reading() as another:
        assert another.get_one(CampaignRow, campaign).title == "年"


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
def trail(ledger: Ledger, campaign: int) -> Ledger:
    with ledger.writing() as session:
        record_decision(session, ACT, campaign, "extension", "公文延误", party_id=1)
    message = plan(ledger, campaign)
    with ledger.writing() as session:
        record(session, ACT, campaign, [Result(message_id=message, state=MessageState.SENT, code=250, text="ok")])
    return ledger


def verdict(ledger: Ledger) -> audit.Verdict:
    with ledger.reading() as session:
        return audit.verify(session)


def test_an_untouched_trail_verifies(trail: Ledger) -> None:
    found = verdict(trail)
    assert found.fault == ""
    assert found.entries == 4


@pytest.mark.parametrize("table", ["audit", "attempts"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET recorded_at = '2021-01-01'", "DELETE FROM {}"])
def test_the_trail_refuses_to_be_changed(trail: Ledger, table: str, statement: str) -> None:
    with trail.engine.connect() as connection, pytest.raises(DBAPIError, match=f"{table} is append-only"):
        connection.exec_driver_sql(statement.format(table))


REWRITE = (
    "UPDATE audit SET detail = "
    """'{"decision": 1, "obligation": null, "grounds": "公文延%s", "before": {}, "after": {}}' WHERE seq = 2"""
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE audit SET actor = 'rule:tesu' WHERE seq = 2", "entry 2 (decision.extension"),
        (REWRITE % "悟", "entry 2"),
        (REWRITE % "误", ""),
        ("UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE seq = 3", "entry 3"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("UPDATE attempts SET smtp_code = 251", "entry 4 (messages.attempted"),
        ("INSERT INTO attempts (id, message_id, batch, state, smtp_text, as_of, recorded_at)"
         " SELECT id + 1, message_id, 'other', state, smtp_text, as_of, recorded_at FROM attempts",
         "1 attempts stand in no entry"),
    ],
)  # fmt: skip
def test_a_change_by_hand_is_named(trail: Ledger, change: str, said: str) -> None:
    with trail.engine.begin() as connection:
        for table in ("audit", "attempts"):
            names = [f"{table}_append_only"] if is_postgres(trail) else [f"{table}_no_update", f"{table}_no_delete"]
            for name in names:
                connection.exec_driver_sql(f"DROP TRIGGER {name}" + (f" ON {table}" if is_postgres(trail) else ""))
        assert connection.exec_driver_sql(change).rowcount > 0
    assert said in verdict(trail).fault
    assert bool(said) == bool(verdict(trail).fault)


def test_files_are_kept_once_by_their_hash(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    sha256 = store.put(b"report")
    assert store.put(b"report") == sha256
    assert store.get(sha256) == b"report"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [sha256]


def test_the_name_of_a_kept_file_is_made_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lasting: list[int] = []
    real = os.fsync

    def fsync(number: int) -> None:
        lasting.append(os.fstat(number).st_ino)
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    store = FileStore(tmp_path)
    folder = store.path(store.put(b"report")).parent
    assert lasting[0] == tmp_path.stat().st_ino
    assert lasting[-1] == folder.stat().st_ino


def test_attempts_are_rows_of_their_own(trail: Ledger) -> None:
    with trail.reading() as session:
        attempt = session.scalars(select(AttemptRow)).one()
        assert (attempt.state, attempt.smtp_code) == ("sent", 250)
        assert session.scalars(select(AuditRow.verb).order_by(AuditRow.seq)).all() == [
            "campaign.launched",
            "decision.extension",
            "messages.planned",
            "messages.attempted",
        ]


def test_a_mailbox_numbers_its_mails_beyond_what_a_short_integer_holds(ledger: Ledger) -> None:
    with ledger.writing() as session:
        for uid in ("9", str(2**32 - 1)):
            row = IntakeRow(mailbox="m", uid=uid, raw_sha256="", size=0, received_at=NOON, as_of=NOON, recorded_at=NOON)
            row.problems = []
            session.add(row)
    with ledger.reading() as session:
        assert last_uid(session, "m", "") == 2**32 - 1
