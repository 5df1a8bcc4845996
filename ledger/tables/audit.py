"""The audit trail: append-only, each entry carrying the hash of the one before."""

from typing import Any

from sqlalchemy import Connection, ForeignKey, String, Table, event
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written
from ledger.tables.decisions import ChangeRow
from ledger.tables.messages import AttemptRow


class AuditRow(Written, Base):
    """One entry. ``seq`` has no gaps; ``hash`` covers every other column and ``previous``."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("parties.id"), index=True)
    actor: Mapped[str] = mapped_column(String(100))
    verb: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


def append_only(table: str, dialect: str) -> tuple[str, ...]:
    """Return the statements that make a table refuse changes; a rewritten past must at least be deliberate."""
    if dialect == "postgresql":
        function = (
            f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN RAISE EXCEPTION '{table} is append-only'; END$$"
        )
        trigger = (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()"
        )
        return (function, trigger)
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )


def _guard(table: Table, connection: Connection, **_: object) -> None:
    for statement in append_only(table.name, connection.dialect.name):
        connection.exec_driver_sql(statement)


for _model in (AuditRow, AttemptRow, ChangeRow):
    event.listen(_model.__table__, "after_create", _guard)
