"""The corpus of mails: each is recognised, finds its unit, and has recorded of it what it holds; none is lost."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.engine import Ledger
from ledger.tables import DeliverableRow, IntakeRow, MessageRow, ObligationRow, PartyRow, SubmissionRow
from mail.maildir import deliver
from office.intake import drain_intake, fetch_mail
from tests.corpus.mail_cases import CASES
from tests.corpus.mails import AT, OURS, Case, World
from tests.office.test_letters_in import desk_with_nil
from tests.office.test_mailbook import answered
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, SECRET, Desk, act, local


@pytest.fixture(scope="module")
def launched(cast: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, World, Path]]:
    """Give an office after its launch, what a unit knows of it, and its ledger's file to be copied."""
    folder = tmp_path_factory.mktemp("corpus")
    file = folder / "ledger.db"
    with desk_with_nil(cast, folder, f"sqlite:///{file}", "scheme", "report") as desk:
        answered(desk, local(5, 27, 15), {})
        with desk.house.ledger.writing() as session:
            query = select(MessageRow).where(MessageRow.party_id == desk.party("BH001"))
            message = session.scalars(query).one()
            message.subject = OURS
            known = World(
                secret=SECRET, party=desk.party, form=desk.form_of, message=message.id, message_id=message.message_id
            )
        desk.house.ledger.close()
        yield desk, known, file


@pytest.fixture
def desk(launched: tuple[Desk, World, Path], tmp_path: Path) -> Iterator[Desk]:
    opened, _, file = launched
    copy = shutil.copy(file, tmp_path / "ledger.db")
    ledger = Ledger(f"sqlite:///{copy}")
    yield Desk(house=replace(opened.house, ledger=ledger, maildir=tmp_path / "intake"), book=opened.book, forms={})
    ledger.close()


def test_there_are_sixty_mails_and_each_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mail_is_what_it_is(case: Case, desk: Desk, launched: tuple[Desk, World, Path]) -> None:
    raw = case.build(launched[1])
    deliver(desk.house.maildir, raw, AT)
    assert fetch_mail(desk.house, act(AT)) == 1
    drain_intake(desk.house, act(AT), KEY)
    with desk.house.ledger.reading() as session:
        row = session.scalars(select(IntakeRow)).one()
        party = session.get(PartyRow, row.party_id) if row.party_id else None
        query = (
            select(DeliverableRow.key)
            .join(ObligationRow, ObligationRow.deliverable_id == DeliverableRow.id)
            .join(SubmissionRow, SubmissionRow.obligation_id == ObligationRow.id)
            .order_by(SubmissionRow.id)
        )
        recorded = tuple(session.scalars(query))
    found = (row.kind, row.matched_by, party.code if party else "", recorded, row.state)
    assert found == (case.kind, case.by, case.unit, case.recorded, case.state), row.reason
    assert desk.house.files.get(row.raw_sha256) == raw
