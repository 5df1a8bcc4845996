"""Before `muster go-live` no mail leaves, and nobody is told that one does."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from cli.campaigns import tally_lines
from definition.loading import LoadedCampaign
from ledger.tables import MessageRow
from rules.timetable import StepKind
from tasks.tally import Tally
from tests.cli.conftest import Door
from tests.office.test_mailbook import LOST, answered, launched, mail_of
from tests.office.test_office import KEY, LAUNCH, Desk, act, local

COMMAND = f'`muster go-live {KEY} --grounds "…"`'


@pytest.fixture(scope="module")
def desk(cast: LoadedCampaign, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Return an office behind the fence, but for BH025's bureau: its launch mails left in a rehearsal, no reminder."""
    folder = tmp_path_factory.mktemp("office")
    with launched(cast, folder, f"sqlite:///{folder / 'ledger.db'}") as opened:
        answered(opened, LAUNCH, {"BH001": LOST})
        opened.plan(StepKind.REMIND, local(5, 29))
        house = replace(opened.house, rehearsal=False, allow_list=("anjianban@bureau.example",))
        yield replace(opened, house=house)


def test_a_mail_that_the_fence_holds_says_so(door: Door, desk: Desk) -> None:
    held, free = (str(mail_of(desk, code, "reminder").id) for code in ("BH036", "BH025"))
    assert f"held by the fence: it does not leave before {COMMAND}" in door("mail", held)[1]
    assert "fence" not in door("mail", free)[1]


def test_lists_name_the_fence_and_count_what_it_holds(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.mails.act", lambda: act(local(5, 29)))
    listed = door("mails", "--notice", "reminder", width=400)[1]
    assert f"behind the fence of {KEY}: 2; no such mail leaves before {COMMAND}" in listed
    assert listed.count("behind the fence") == 3  # a line each, and the count
    fewer = door("mails", "--notice", "reminder", "--limit", "2", width=400)[1]
    assert (
        fewer.count("held by the fence") + fewer.count("behind the fence") == 2
    )  # one of the two shown, and the count
    assert f"behind the fence of {KEY}: 2;" in fewer
    assert f"behind the fence of {KEY}: 2;" in door("lanes")[1]


def test_lifting_a_hold_promises_no_mail_that_the_fence_holds(door: Door, desk: Desk) -> None:
    door("hold", "--campaign", KEY, "--grounds", "先停")
    said = door("release", "--campaign", KEY, "--grounds", "已查明")[1]
    assert "of what waits, the fence lets 1 through" in said
    assert f"behind the fence of {KEY}: 2; no such mail leaves before {COMMAND}" in said
    with desk.house.ledger.writing() as session:
        free = MessageRow.id == mail_of(desk, "BH025", "reminder").id
        session.execute(update(MessageRow).where(free).values(state="held"))
    door("hold", "--grounds", "先停")
    assert "no mail leaves yet" in door("release", "--grounds", "已查明")[1]
    with desk.house.ledger.writing() as session:
        session.execute(update(MessageRow).where(MessageRow.state == "held").values(state="planned"))


def test_deciding_over_a_mail_promises_nothing_that_the_fence_forbids(door: Door, desk: Desk) -> None:
    stays = f"it stays behind the fence until {COMMAND} opens it"
    lost, sent, free = (str(mail_of(desk, code).id) for code in ("BH001", "BH036", "BH025"))
    assert stays in door("settle", lost, "--as", "again", "--grounds", "没有收到")[1]
    assert stays in door("resend", sent, "--grounds", "误删")[1]
    assert "fence" not in door("resend", free, "--grounds", "误删")[1]


def test_handing_in_for_a_unit_promises_no_answer_that_the_fence_holds(door: Door, desk: Desk, tmp_path: Path) -> None:
    form = tmp_path / "表.xlsx"
    form.write_bytes(desk.form_of("BH001", "plan"))
    given = ("--received", "2020-05-29T10:00", "--grounds", "来电")
    said = door("hand-in", KEY, "BH001", str(form), *given)[1]
    but = "but for addresses on MUSTER_ALLOW_LIST, until"
    assert f"1 recorded; the answer is planned: it stays behind the fence, {but} {COMMAND}" in said
    assert "there is no file nowhere.xlsx" in door("hand-in", KEY, "BH001", "nowhere.xlsx", *given)[2]


def test_a_run_says_what_the_fence_held() -> None:
    tally = Tally(campaign=KEY, step="deliver", as_of=LAUNCH, unsent={"fenced": 57})
    assert tally_lines(tally)[-1] == f"behind the fence of {KEY}: 57; no such mail leaves before {COMMAND}"
