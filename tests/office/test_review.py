"""Review: queries are answered, staff accept, return and reopen; a return is chased anew, and the unit is told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger import audit
from ledger.acts import Act
from ledger.review import open_queries
from ledger.tables import (
    FigureRow,
    FindingRow,
    MessageRow,
)
from office.mailbook import bytes_of
from office.review import confirm_finding
from rehearsal.clerk import Manner
from rules.obligations import Standing
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import Desk, act, local

UNIT, STAFF = "BH001", "staff:chen"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return an office after its launch, on each kind of database in turn."""
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def about(desk: Desk) -> list[int]:
    """Let a unit hand in a form with queries, and return their numbers."""
    desk.receive(local(6, 20), UNIT, "表.xlsx", desk.form_of(UNIT, "progress", Manner.ABOUT))
    with desk.house.ledger.reading() as session:
        return list(session.scalars(select(FindingRow.id).where(FindingRow.severity == "query")))


def confirm(desk: Desk, finding: int, actor: str = f"unit:{UNIT}", **given: object) -> None:
    with desk.house.ledger.writing() as session:
        confirm_finding(session, desk.house, as_actor(actor), finding, **given)  # type: ignore[arg-type]


def as_actor(actor: str, day: int = 21) -> Act:
    return replace(act(local(6, day)), actor=actor)


def last_mail(desk: Desk, notice: str) -> tuple[MessageRow, str]:
    """Return the newest mail of a notice that left, and its text."""
    with desk.house.ledger.reading() as session:
        row = session.scalars(
            select(MessageRow).where(MessageRow.notice == notice).order_by(MessageRow.id.desc()).limit(1)
        ).one()
        composed = bytes_of(session, desk.house, row.id)
        assert not isinstance(composed, str), composed
        return row, composed.text


def test_a_query_is_answered_with_its_proposed_value_and_the_last_answer_accepts(desk: Desk) -> None:
    [finding] = about(desk)
    assert desk.standings(UNIT)["progress"] is Standing.QUERIED
    confirm(desk, finding)
    assert desk.standings(UNIT)["progress"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        found = session.get_one(FindingRow, finding)
        figure = session.scalars(
            select(FigureRow).where(FigureRow.row == found.row, FigureRow.column == found.column)
        ).one()
        assert (figure.number, figure.cell) == (300, found.cell)
        assert not open_queries(session, found.submission_id)
        assert not audit.verify(session).fault
    desk.send(local(6, 21))
    row, text = last_mail(desk, "receipt")
    assert row.occasion.startswith("decision:")
    assert "已核实：按 300 计" in text
