"""The circular corrected, announcements, and the definition amended while the campaign runs."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import icalendar
import pytest
import yaml
from sqlalchemy import func, select

from definition.loading import LoadedCampaign, load_campaign
from ledger import audit
from ledger.facts import load_obligations
from ledger.tables import CampaignRow, DeliverableRow, MessageRow
from office.amending import amend, compare
from office.announcing import Announcement, announce, preview
from office.correcting import Correction, correct
from office.destination import IncomingFile
from office.exempting import exempt
from office.mailbook import Bytes, bytes_of
from office.planning import decide
from office.refusals import NotPossible
from office.rulebook import open_book
from office.undoing import undo
from rules.timetable import StepKind
from tests.office.test_decisions import extended, of, staff, undone, verified
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_review import last_mail

UNIT, OTHER = "BH001", "BH036"
LATER = Correction(said="附件2报送时间推迟至6月8日。", deliverable="plan", until=date(2020, 6, 8))


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return an office after its launch, on each kind of database in turn."""
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def corrected(desk: Desk, correction: Correction, *to: str, at: datetime | None = None) -> int:
    with desk.house.ledger.writing() as session:
        when = staff(at or local(5, 29))
        return correct(session, desk.house, when, KEY, correction, to=to, grounds="市里改期").id


def edited(
    cast: LoadedCampaign, house: Path, folder: Path, **deliverables: Mapping[str, object] | None
) -> LoadedCampaign:
    """Return the campaign as somebody edited it: deliverables changed, added, or taken out (None)."""
    copy = shutil.copytree(house / "campaigns" / KEY, folder / "edited")
    path = copy / "campaign.yaml"
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = {d["key"]: d for d in told["deliverables"]}
    for key, change in deliverables.items():
        if change is None:
            told["deliverables"].remove(known[key])
        elif key in known:
            known[key].update(change)
        else:
            told["deliverables"].append({"key": key, **change})
    path.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
    calendars, notices = house / "campaigns" / "calendar", house / "templates" / "email"
    return replace(load_campaign(copy, calendars=calendars, notices=notices), units=cast.units)


def test_a_correction_moves_the_dates_of_a_filter_and_tells_each_unit_once_with_its_calendar(desk: Desk) -> None:
    number = corrected(desk, LATER, UNIT, OTHER)
    assert of(desk, UNIT, "plan").due == local(6, 9, 0)
    assert of(desk, "BH025", "plan").due == local(6, 1, 0)
    desk.send(local(5, 29, 10))
    row, text = last_mail(desk, "correction")
    assert "附件2报送时间推迟至6月8日" in text
    assert "6月8日（星期一）24时前" in text
    with desk.house.ledger.reading() as session:
        sent = session.scalars(select(MessageRow).where(MessageRow.occasion == f"decision:{number}")).all()
        assert sorted(m.party_id for m in sent) == sorted([desk.party(UNIT), desk.party(OTHER)])
        kept = bytes_of(session, desk.house, row.id)
    assert isinstance(kept, Bytes)
    raw = b"".join(kept.chunks)
    assert "报送截止时间.ics" in _names(raw)
    assert verified(desk)


def test_a_correction_for_everybody_holds_for_who_joins_later_and_is_taken_back_whole(desk: Desk) -> None:
    new = IncomingFile(name="补充说明.pdf", content=b"%PDF-1.7 new")
    number = corrected(desk, replace(LATER, files=(new,)), "all")
    with desk.house.ledger.reading() as session:
        _, book = open_book(session, KEY)
        assert book.campaign.deliverable("plan").due == date(2020, 6, 8)
        assert "补充说明.pdf" in {a.file_name for a in book.campaign.attachments}
        row = open_book(session, KEY)[0]
        then = decide(session, row, book, StepKind.REMIND, act(local(5, 28)), replay=True)
        assert then.skips
    desk.send(local(5, 29, 10))
    assert "补充说明.pdf" in last_mail(desk, "correction")[1]
    undone(desk, number, local(5, 30))
    with desk.house.ledger.reading() as session:
        row, book = open_book(session, KEY)
        assert row.digest == desk.book.campaign.digest()
        assert book.campaign == desk.book.campaign
    assert of(desk, UNIT, "plan").due == local(6, 1, 0)
    desk.send(local(5, 30, 10))
    assert "此前发出的更正作废" in last_mail(desk, "correction")[1]


def test_a_deadline_corrected_without_a_word_is_named(desk: Desk) -> None:
    corrected(desk, replace(LATER, said=""), UNIT)
    desk.send(local(5, 29, 10))
    assert "《活动计划表》的报送截止时间更正为6月8日（星期一）24时前。" in last_mail(desk, "correction")[1]


def test_a_correction_withdraws_what_waits_with_the_old_date(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29, 19))
    corrected(desk, LATER, "all", at=local(5, 29, 20))
    desk.send(local(5, 30))
    assert "活动计划表" not in "".join(
        line for line in last_mail(desk, "reminder")[1].split("另有")[0].splitlines() if "5月31日" in line
    )


@pytest.mark.parametrize(
    ("correction", "to", "sentence"),
    [
        (Correction(said="改"), "all", "name what is corrected"),
        (Correction(said=" ", files=(IncomingFile(name="a.pdf", content=b"%PDF"),)), "all", "say to the units"),
        (replace(LATER, until=date(2020, 5, 31)), "all", "is due then already"),
        (LATER, "NOBODY", "means no unit"),
        (replace(LATER, until=date(2020, 5, 1)), "all", "has passed"),
        (replace(LATER, deliverable="nothing"), "all", "no deliverable"),
    ],
)
def test_a_correction_of_nothing_is_refused(desk: Desk, correction: Correction, to: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        corrected(desk, correction, to)


def test_an_announcement_is_looked_at_first_and_withdrawn_while_it_waits(desk: Desk) -> None:
    told = Announcement(subject="关于培训的通知", text="6月5日下午培训。\n请准时参加。")
    with desk.house.ledger.reading() as session:
        seen = preview(session, desk.house, act(local(5, 29)), KEY, told, to=["all"])
        assert (len(seen.units), "请准时参加" in seen.mail.text) == (3, True)
        assert session.scalar(select(func.count()).where(MessageRow.notice == "announcement")) == 0
    with desk.house.ledger.writing() as session:
        first = announce(session, desk.house, staff(local(5, 29)), KEY, told, to=["all"], grounds="处务会").id
    undone(desk, first, local(5, 29))
    assert not desk.send(local(5, 29)).outcomes
    with desk.house.ledger.writing() as session:
        second = announce(session, desk.house, staff(local(5, 29)), KEY, told, to=[UNIT], grounds="处务会").id
    assert desk.send(local(5, 29, 10)).outcomes["sent"] == 1
    row, text = last_mail(desk, "announcement")
    assert row.subject is not None
    assert row.subject.startswith("关于培训的通知")
    assert "6月5日下午培训" in text
    with pytest.raises(NotPossible, match="has left"):
        undone(desk, second, local(5, 29, 11))


@pytest.mark.parametrize("subject", ["", "一\n二", "长" * 61])
def test_an_announcement_has_a_subject_of_one_line(desk: Desk, subject: str) -> None:
    with desk.house.ledger.reading() as session, pytest.raises(ValueError, match="one line"):
        preview(session, desk.house, act(local(5, 29)), KEY, Announcement(subject=subject, text="文"), to=["all"])


def test_an_amended_definition_moves_what_nobody_moved_and_adds_what_is_new(
    desk: Desk, cast: LoadedCampaign, house: Path, tmp_path: Path
) -> None:
    extended(desk, local(5, 28), OTHER)
    extra = {"title": "隐患排查台账", "kind": "document", "due": "2020-06-20", "owed_by": "all"}
    loaded = edited(cast, house, tmp_path, plan={"due": "2020-06-02"}, extra=extra)
    with desk.house.ledger.writing() as session:
        found = compare(session, loaded)
        assert found.refusals == ()
        lines = [str(line) for line in found.differences]
        assert any(line.startswith("~ 报送材料　plan　截止时间：2020-05-31 → 2020-06-02") for line in lines)
        assert "+ 报送材料　extra　title：隐患排查台账" in lines or any("隐患排查台账" in line for line in lines)
        made = amend(session, desk.house, staff(local(5, 29)), loaded, "市里统一要求")
        number = made.id
        assert made.after["moved"] == 2
        assert len(made.after["added"]) == 3
    assert of(desk, UNIT, "plan").due == local(6, 3, 0)
    assert of(desk, OTHER, "plan").due == local(6, 5, 0)
    assert of(desk, UNIT, "extra").due == local(6, 21, 0)
    assert desk.plan(StepKind.REMIND, local(6, 18))["reminder"] == 3
    with desk.house.ledger.reading() as session:
        row, book = open_book(session, KEY)
        assert book.campaign == loaded.campaign
        replayed = decide(session, row, book, StepKind.REMIND, act(local(5, 28)), replay=True)
        assert sum(replayed.skips.values()) == len(load_obligations(session, 1)) - 3
    with pytest.raises(NotPossible, match="added obligations"):
        undone(desk, number, local(6, 19))
    assert verified(desk)


def test_an_amendment_that_adds_nothing_is_taken_back(
    desk: Desk, cast: LoadedCampaign, house: Path, tmp_path: Path
) -> None:
    loaded = edited(cast, house, tmp_path, plan={"due": "2020-06-02", "title": "月度计划表"})
    with desk.house.ledger.writing() as session:
        number = amend(session, desk.house, staff(local(5, 29)), loaded, "统一要求").id
        undo(session, desk.house, staff(local(5, 29, 10)), number, "又不要了")
        assert session.get_one(CampaignRow, 1).digest == desk.book.campaign.digest()
        titles = select(DeliverableRow.title).where(DeliverableRow.key == "plan")
        assert session.scalars(titles).one() == desk.book.campaign.deliverable("plan").title
    assert of(desk, UNIT, "plan").due == local(6, 1, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"plan": None}, "plan has obligations"),
        ({"plan": {"owed_by": {"units": ["BH001"]}}}, "owe plan already"),
        ({"plan": {"kind": "document", "form": None}}, "kind of deliverable plan cannot change"),
    ],
)
def test_what_cannot_change_while_a_campaign_runs_is_refused(
    desk: Desk, cast: LoadedCampaign, house: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    loaded = edited(cast, house, tmp_path, **change)  # type: ignore[arg-type]
    with desk.house.ledger.writing() as session, pytest.raises(NotPossible, match=sentence):
        amend(session, desk.house, staff(local(5, 29)), loaded, "改")
    with desk.house.ledger.reading() as session:
        assert session.get_one(CampaignRow, 1).digest == desk.book.campaign.digest()
        assert not audit.verify(session).fault


def test_a_folder_that_says_the_same_amends_nothing(desk: Desk, cast: LoadedCampaign) -> None:
    with desk.house.ledger.writing() as session, pytest.raises(NotPossible, match="nothing was changed"):
        amend(session, desk.house, staff(local(5, 29)), cast, "改")


def _names(raw: bytes) -> set[str]:
    import email  # noqa: PLC0415
    from email import policy  # noqa: PLC0415

    mail = email.message_from_bytes(raw, policy=policy.default)
    parts = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    calendar = icalendar.Calendar.from_ical(parts["报送截止时间.ics"])
    assert calendar.walk("VEVENT")
    return {str(name) for name in parts}


def test_of_a_deadline_corrected_without_a_word_only_those_hear_who_have_it(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        exempt(session, desk.house, staff(local(5, 29)), KEY, "plan", to=["BH001"], grounds="已合并")
    corrected(desk, Correction(deliverable="plan", until=date(2020, 6, 8)), "all")
    with desk.house.ledger.reading() as session:
        told = session.scalars(select(MessageRow.party_id).where(MessageRow.notice == "correction")).all()
    assert set(told) == {desk.party("BH025"), desk.party("BH036")}
