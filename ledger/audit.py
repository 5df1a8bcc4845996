"""The audit trail: append, read, verify."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import RowMapping, insert, select, text
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.bulk import Bulk, Step
from ledger.tables import AttemptRow, AuditRow, ChangeRow
from ledger.tables.base import table_of

GENESIS = "0" * 64
ATTEMPTED = "messages.attempted"  # the entry that vouches for a batch of attempts
_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
_COLUMNS = (
    "seq",
    "campaign_id",
    "party_id",
    "actor",
    "verb",
    "detail",
    "previous",
    "flow_run_id",
    "as_of",
    "recorded_at",
    "hash",
)
_INSERT = Bulk(insert(table_of(AuditRow)).inline(), _COLUMNS)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of verifying: how many entries, the last hash, and the first fault if any."""

    entries: int
    head: str
    fault: str = ""


def append(
    session: Session,
    act: Act,
    verb: str,
    detail: Mapping[str, Any],
    *,
    campaign_id: int | None = None,
    party_id: int | None = None,
) -> None:
    """Append one entry in the caller's transaction, which holds the write lock; ``detail`` must be plain JSON."""
    bulk, rows = entry(session, act, verb, detail, campaign_id=campaign_id, party_id=party_id)
    bulk.run(session, rows)


def entry(
    session: Session,
    act: Act,
    verb: str,
    detail: Mapping[str, Any],
    *,
    campaign_id: int | None = None,
    party_id: int | None = None,
) -> Step:
    """Return the step that appends one entry; no other may be appended before it is run."""
    last = session.connection().exec_driver_sql(_LAST).first()
    told = {
        "seq": last.seq + 1 if last else 1,
        "campaign_id": campaign_id,
        "party_id": party_id,
        "actor": act.actor,
        "verb": verb,
        "detail": dict(detail),
        "previous": last.hash if last else GENESIS,
        "flow_run_id": act.flow_run_id,
        "as_of": act.as_of,
        "recorded_at": act.wall,
    }
    return _INSERT, [(*told.values(), entry_hash(told))]


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Return the hash an entry must bear: over all its columns and the hash before it."""
    return _digest(
        {
            "seq": entry["seq"],
            "campaign": entry["campaign_id"],
            "party": entry["party_id"],
            "actor": entry["actor"],
            "verb": entry["verb"],
            "detail": entry["detail"],
            "flow_run": entry["flow_run_id"],
            "as_of": entry["as_of"],
            "recorded_at": entry["recorded_at"],
            "previous": entry["previous"],
        }
    )


# What a group's digest covers, in this order; the group itself is named by the entry.
ATTEMPT_COLUMNS = (
    "message_id",
    "state",
    "address",
    "smtp_code",
    "smtp_text",
    "lane",
    "flow_run_id",
    "as_of",
    "recorded_at",
)


def attempts_digest(attempts: Iterable[Sequence[Any]]) -> str:
    """Return the digest of a group of attempts (:data:`ATTEMPT_COLUMNS` of each) in the order they were written."""
    return _digest([list(attempt) for attempt in attempts])


CHANGE_COLUMNS = ("party_id", "obligation_id", "field", "before", "after")


def changes_digest(changes: Iterable[Sequence[Any]]) -> str:
    """Return the digest of what a decision changed (:data:`CHANGE_COLUMNS` of each) in the order it was written."""
    return _digest([list(change) for change in changes])


def verify(session: Session) -> Verdict:
    """Walk the chain from its first entry, and every batch of attempts and every decision's changes it vouches for."""
    previous, count, vouched, changed = GENESIS, 0, 0, 0
    for row in _entries(session):
        count += 1
        where = f"entry {row['seq']} ({row['verb']}, {row['recorded_at'].isoformat()})"
        if row["seq"] != count:
            return Verdict(entries=count, head=previous, fault=f"{where}: entry {count} is missing before it")
        if row["previous"] != previous:
            return Verdict(entries=count, head=previous, fault=f"{where}: does not follow the entry before it")
        if row["hash"] != entry_hash(dict(row)):
            return Verdict(entries=count, head=previous, fault=f"{where}: was changed after it was written")
        if row["verb"] == ATTEMPTED:
            columns = table_of(AttemptRow).c
            of_group = select(*(columns[name] for name in ATTEMPT_COLUMNS)).where(
                columns.batch == row["detail"]["batch"]
            )
            attempts = session.execute(of_group.order_by(columns.id)).all()
            if row["detail"]["digest"] != attempts_digest(attempts):
                return Verdict(entries=count, head=previous, fault=f"{where}: its attempts were changed")
            vouched += len(attempts)
        if "changes" in row["detail"]:
            columns = table_of(ChangeRow).c
            of_decision = select(*(columns[name] for name in CHANGE_COLUMNS)).where(
                columns.decision_id == row["detail"]["decision"]
            )
            changes = session.execute(of_decision.order_by(columns.id)).all()
            if row["detail"]["changes"]["digest"] != changes_digest(changes):
                return Verdict(entries=count, head=previous, fault=f"{where}: what it changed was rewritten")
            changed += len(changes)
        previous = row["hash"]
    strays = session.execute(text("SELECT count(*) FROM attempts")).scalar_one() - vouched
    fault = f"{strays} attempts stand in no entry" if strays else ""
    strays = session.execute(text("SELECT count(*) FROM changes")).scalar_one() - changed
    fault = fault or (f"{strays} changes stand in no decision" if strays else "")
    return Verdict(entries=count, head=previous, fault=fault)


def _entries(session: Session) -> Iterator[RowMapping]:
    query = select(table_of(AuditRow)).order_by(AuditRow.seq)
    yield from session.execute(query.execution_options(yield_per=500)).mappings()


def _digest(value: object) -> str:
    """Return the sha256 of a value's canonical JSON: UTF-8, keys sorted, no blanks, instants as RFC 3339."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
