"""Whatever mail comes, it is on record with its bytes, and either dealt with or before a person; and so is the next."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from definition.loading import LoadedCampaign
from ledger.tables import IntakeRow
from mail.maildir import deliver
from mail.tokens import sign
from office.intake import drain_intake, fetch_mail
from tests.corpus.mails import AT
from tests.fuzz.test_mutations import ENOUGH, MAILS
from tests.fuzz.test_seeds import SEEDS
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, SECRET, Desk, act


@pytest.fixture(scope="module")
def desk(cast: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("intake")
    with launched(cast, folder, f"sqlite:///{folder / 'ledger.db'}") as opened:
        yield opened


def take_in(desk: Desk, raw: bytes) -> None:
    with desk.house.ledger.reading() as session:
        before = session.scalar(select(func.count(IntakeRow.id))) or 0
    deliver(desk.house.maildir, raw, AT)
    assert fetch_mail(desk.house, act(AT)) == 1
    drain_intake(desk.house, act(AT), KEY)
    with desk.house.ledger.reading() as session:
        assert session.scalar(select(func.count(IntakeRow.id))) == before + 1
        row = session.scalars(select(IntakeRow).order_by(IntakeRow.id.desc()).limit(1)).one()
        assert row.state in ("done", "queued"), row.reason
        assert desk.house.files.get(row.raw_sha256) == raw


@ENOUGH
@given(raw=MAILS, to=st.sampled_from(["nobody", "a unit's address", "the address of a mail that bounced"]))
def test_no_mail_is_lost(desk: Desk, raw: bytes, to: str) -> None:
    unit, message = sign("p", desk.party("BH001"), SECRET), sign("m", 1, SECRET)
    head = {"nobody": "", "a unit's address": f"To: muster+{unit}@office.example\r\n"}
    take_in(desk, head.get(to, f"Return-Path: <>\r\nTo: muster+{message}@office.example\r\n").encode() + raw)


def test_no_mail_that_fuzzing_came_by_is_lost(desk: Desk) -> None:
    for seed in sorted((SEEDS / "mails").iterdir()):
        take_in(desk, Path(seed).read_bytes())
