"""Events: that something happened, written with it, to be told to others after the commit, at least once."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ledger.acts import Act
from ledger.campaigns import written
from ledger.tables import EventRow

PREFIX = "muster."


def note(session: Session, act: Act, name: str, payload: Mapping[str, Any], campaign_id: int | None) -> None:
    """Write an event in the caller's transaction, which also holds its cause; ``muster.<thing>.<what>``.

    Raises:
        ValueError: it is not named so.

    """
    if not name.startswith(PREFIX) or name.count(".") != 2:  # noqa: PLR2004  two dots part three words
        raise ValueError(f"an event is named muster.<thing>.<what>, not {name!r}")
    session.add(EventRow(campaign_id=campaign_id, name=name, payload=dict(payload), **written(act)))


def untold(session: Session, limit: int) -> list[EventRow]:
    """Return events that were not told, oldest first."""
    return list(session.scalars(select(EventRow).where(EventRow.told_at.is_(None)).order_by(EventRow.id).limit(limit)))


def mark_told(session: Session, act: Act, ids: Sequence[int]) -> None:
    """Say that events were told."""
    told = update(EventRow).where(EventRow.id.in_(ids), EventRow.told_at.is_(None)).values(told_at=act.wall)
    session.execute(told, execution_options={"synchronize_session": False})
