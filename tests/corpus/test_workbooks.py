"""Every workbook of the corpus is judged as its line in the table says."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from definition.loading import load_campaign
from documents.opening import open_workbook
from ledger.acts import Act
from ledger.campaigns import find_party
from ledger.engine import Ledger
from ledger.files import FileStore
from ledger.tables import IntakeRow
from office import wording
from office.destination import HandIn, IncomingFile, Placed, place
from office.launching import launch_campaign
from office.premises import Premises
from office.rulebook import open_book
from office.workbooks import NotPlacedError
from tests.corpus import make
from tests.corpus.workbooks import CASES, Case

AT = datetime(2020, 5, 27, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    """Return the office with its campaign launched, once for the whole corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    ledger.migrate()
    house = Premises(
        ledger=ledger, files=FileStore(folder / "files"), templates=make.HOUSE / "templates",
        campaigns=make.HOUSE / "campaigns", reports=folder, maildir=folder / "intake", received_by="mx.office.example",
        signing=lambda: make.SECRET, mail_domain="office.example", mail_box="muster",
    )  # fmt: skip
    loaded = load_campaign(
        make.HOUSE / "campaigns" / make.CAMPAIGN,
        calendars=make.HOUSE / "campaigns" / "calendar",
        notices=make.HOUSE / "templates" / "email",
    )
    with ledger.writing() as session:
        launch_campaign(session, house, Act(actor="rule:test", as_of=AT, wall=AT), loaded)
    yield house
    ledger.close()


def judged(session: Session, premises: Premises, case: Case) -> tuple[list[str], str]:
    """Return the findings of a file as the table writes them, or the sentence with which it is refused.

    Of a workbook with several forms each finding is headed by its deliverable; one without any is named alone.
    """
    row, book = open_book(session, make.CAMPAIGN)
    own, another = find_party(session, row.id, "BH025"), find_party(session, row.id, "BH001")
    assert (own.id, another.id) == (make.OWN_ID, make.ANOTHERS_ID)
    file = IncomingFile(name=case.file_name, content=case.make())
    hand_in = HandIn(party=own, channel="mail", received_at=AT, files=(file,), intake=IntakeRow())
    try:
        placed = place(session, premises, book.campaign, hand_in, file)
    except NotPlacedError as error:
        return [], error.problem if error.reason else "no reason for staff"
    if len(placed) == 1:
        return _findings(placed[0]), ""
    every = [[f"{one.deliverable.key}: {found}" for found in _findings(one)] or [one.deliverable.key] for one in placed]
    return [line for lines in every for line in lines], ""


def _findings(placed: Placed) -> list[str]:
    return [f"{f.severity} {f.code} {f.cell}" for f in (placed.checked.findings if placed.checked else ())]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_workbook_is_judged_as_the_table_says(premises: Premises, case: Case) -> None:
    sentences = {**wording.PROBLEM, **wording.KIND_PROBLEM}
    with premises.ledger.reading() as session:
        found, problem = judged(session, premises, case)
        title = open_book(session, make.CAMPAIGN)[1].campaign.title
    expected = (
        sentences[case.problem].format(campaign=title, title="活动进展情况统计表", names="") if case.problem else ""
    )
    assert (sorted(found), problem) == (sorted(case.found), expected)


def test_the_corpus_is_large_and_every_case_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
    few = {case.name: case.make() for case in CASES[:3]}
    make.write_all(tmp_path / "out", few)
    assert len(list((tmp_path / "out").iterdir())) == 3
    shutil.rmtree(tmp_path / "out")


def test_a_recipe_gives_the_same_cells_each_time() -> None:
    assert open_workbook(make.right("annex4")) == open_workbook(make.right("annex4"))
