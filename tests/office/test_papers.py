"""Papers: drafted from the ledger, approved with what then holds, numbered, and dropped with their reason."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from docx import Document
from sqlalchemy import select

from definition.loading import LoadedCampaign
from definition.models import Papers, Rung
from ledger import audit
from ledger.acts import Act
from ledger.errors import UnknownPaper
from ledger.papers import find_paper, papers_of
from ledger.tables import DecisionRow, MessageRow, PaperRow, PaperState
from mail.parsing import parse_mail
from office.mailbook import Bytes, bytes_of
from office.papers import Approved, Drafted, approve_paper, draft_circulation, draft_orders, drop_paper, list_papers
from office.pausing import close
from office.refusals import NotPossible
from office.undoing import undo
from office.units import find_unit
from rules.timetable import StepKind
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_review import last_mail

UNIT = "BH001"


def plain_ladder(loaded: LoadedCampaign) -> LoadedCampaign:
    """Return a campaign whose rungs go out by themselves, whatever the example asks for."""
    timetable = loaded.campaign.timetable
    rungs = tuple(Rung(after=r.after, audience=r.audience, notice=r.notice) for r in timetable.escalation)
    plain = timetable.model_copy(update={"escalation": rungs})
    return replace(loaded, campaign=loaded.campaign.model_copy(update={"timetable": plain}))


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    """Return an office after its launch."""
    with launched(plain_ladder(cast), tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        opened.send(local(5, 27, 15))
        yield opened


def staff(at: datetime) -> Act:
    return replace(act(at), actor="staff:chen")


def orders(desk: Desk, at: datetime) -> Drafted:
    with desk.house.ledger.writing() as session:
        return draft_orders(session, desk.house, staff(at), KEY)


def approve(desk: Desk, paper: int, at: datetime) -> Approved:
    with desk.house.ledger.writing() as session:
        return approve_paper(session, desk.house, staff(at), paper, grounds="领导同意")


def paper_of(desk: Desk, code: str, state: PaperState = PaperState.DRAFT) -> PaperRow:
    with desk.house.ledger.reading() as session:
        party = desk.party(code)
        return next(p for p in reversed(papers_of(session, 1, state=state)) if p.party_id == party)


def text_of(desk: Desk, sha256: str) -> str:
    """Return all text of a Word file, tables and headers included."""
    document = Document(io.BytesIO(desk.house.files.get(sha256)))
    body = "\n".join(node.text or "" for node in document.element.body.iter() if node.tag.endswith("}t"))
    return body + "\n".join(p.text for p in document.sections[0].header.paragraphs)


def report(desk: Desk, at: datetime, code: str, *names: str) -> None:
    for number, name in enumerate(names):
        desk.receive(at.replace(minute=number), code, "表.xlsx", desk.form_of(code, name))


def test_each_unit_that_owes_is_drafted_an_order_in_its_colour(desk: Desk) -> None:
    assert orders(desk, local(5, 25)).drafted == ()  # Monday: four working days before Sunday's deadline
    report(desk, local(5, 28), UNIT, "plan", "liaison")
    done = orders(desk, local(5, 29))  # Friday
    assert len(done.drafted) == 2
    blue = paper_of(desk, "BH025")
    assert (blue.grade, blue.number) == ("blue", None)
    text = text_of(desk, blue.sha256)
    for said in ("草稿", "蓝色督办", "活动计划表", "5月31日（星期日）24时前", "下发通知", "022-00000000", "盖章"):
        assert said in text, said
    assert "活动方案" not in text  # due on Friday 06-05: five working days ahead


def test_a_later_drafting_renews_a_draft_and_the_colour_follows_the_ladder(desk: Desk) -> None:
    first = orders(desk, local(5, 29)).drafted
    assert orders(desk, local(6, 1)).drafted == first  # the same papers, renewed
    assert paper_of(desk, UNIT).grade == "yellow"
    for day in (2, 3, 4, 5):
        desk.plan(StepKind.ESCALATE, local(6, day))
        desk.send(local(6, day))
    orders(desk, local(6, 5, 10))
    red = paper_of(desk, UNIT)
    assert (red.id, red.grade) == (first[0], "red")
    text = text_of(desk, red.sha256)
    assert "红色督办" in text
    assert "第1级催办" in text
    assert "5天" in text  # late since 05-31
    assert "6月8日（星期一）24时前" in text  # within one working day


def test_an_approved_order_gets_a_number_and_goes_to_the_responsible_person(desk: Desk) -> None:
    orders(desk, local(6, 1))
    done = approve(desk, paper_of(desk, UNIT).id, local(6, 1, 10))
    assert (done.number, done.parties, done.changed) == ("督办〔2020〕第1号", 1, False)
    desk.send(local(6, 1, 11))
    row, text = last_mail(desk, "supervision_order")
    assert row.address == "lead@bureau.example"
    assert row.occasion.startswith("decision:")
    assert "督办〔2020〕第1号" in text
    paper = paper_of(desk, UNIT, PaperState.APPROVED)
    assert "督办〔2020〕第1号" in text_of(desk, paper.sha256)
    assert "草稿" not in text_of(desk, paper.sha256)
    assert approve(desk, paper_of(desk, "BH025").id, local(6, 1, 12)).number == "督办〔2020〕第2号"
    again = orders(desk, local(6, 1, 13))
    assert (len(again.drafted), again.said) == (1, 2)  # the same order is not given twice
    with desk.house.ledger.reading() as session:
        assert not audit.verify(session).fault


def test_a_unit_that_reported_since_drops_out_and_uses_up_no_number(desk: Desk) -> None:
    orders(desk, local(6, 1))
    paper = paper_of(desk, UNIT).id
    report(desk, local(6, 1, 10), UNIT, "plan")
    part = approve(desk, paper, local(6, 1, 11))
    assert part.changed
    assert "活动计划表" not in text_of(desk, paper_of(desk, UNIT, PaperState.APPROVED).sha256)
    report(desk, local(6, 1, 12), "BH025", "plan", "liaison")
    other = approve(desk, paper_of(desk, "BH025").id, local(6, 1, 13))
    assert (other.dropped != "", other.number) == (True, "")
    assert approve(desk, paper_of(desk, "BH036").id, local(6, 1, 14)).number == "督办〔2020〕第2号"


def test_an_order_that_waits_is_withdrawn_when_the_unit_reports(desk: Desk) -> None:
    orders(desk, local(6, 1))
    approve(desk, paper_of(desk, UNIT).id, local(6, 1, 19))  # after the sending window
    report(desk, local(6, 1, 20), UNIT, "plan", "liaison")
    desk.send(local(6, 2))
    with desk.house.ledger.reading() as session:
        sent = session.scalars(select(MessageRow).where(MessageRow.notice == "supervision_order")).one()
        assert sent.state == "superseded"


def test_a_draft_with_its_reason_gone_is_dropped_and_only_drafts_are_judged(desk: Desk) -> None:
    orders(desk, local(6, 1))
    paper = paper_of(desk, UNIT).id
    report(desk, local(6, 1, 10), UNIT, "plan", "liaison")
    assert orders(desk, local(6, 1, 11)).dropped == 1
    with pytest.raises(NotPossible, match="no draft any more: it was dropped"):
        approve(desk, paper, local(6, 1, 12))
    with desk.house.ledger.writing() as session:
        with pytest.raises(UnknownPaper, match="muster papers"):
            find_paper(session, 999)
        with pytest.raises(ValueError, match="grounds"):
            drop_paper(session, desk.house, staff(local(6, 1)), paper_of(desk, "BH025").id, grounds=" ")
        drop_paper(session, desk.house, staff(local(6, 1)), paper_of(desk, "BH025").id, grounds="已电话督促")
        lines = {p.party.partition(" ")[0]: p.state for p in list_papers(session, KEY)}
    lying = {path.name for path in (desk.house.reports / KEY / "papers").iterdir()}
    assert lying == {"草稿-督办单-BH036.docx"}
    assert lines == {"BH001": "已作废", "BH025": "已作废", "BH036": "待批准"}


def test_the_circulation_names_who_is_late_missing_and_silent_and_goes_to_all(desk: Desk) -> None:
    with desk.house.ledger.writing() as session, pytest.raises(ValueError, match="fallen due"):
        draft_circulation(session, desk.house, staff(local(5, 29)), KEY)
    report(desk, local(5, 29), UNIT, "plan", "liaison")
    report(desk, local(6, 2), "BH025", "plan")
    with desk.house.ledger.writing() as session:
        [paper] = draft_circulation(session, desk.house, staff(local(6, 3)), KEY).drafted
        text = text_of(desk, find_paper(session, paper).sha256)
    names = _names(desk)
    assert "草稿" in text
    assert "已到报送期限的材料共6项，涉及3家单位" in text
    assert "报送率50.0%（3/6）" in text
    assert "及时率33.3%（2/6）" in text
    assert f"{names['BH001']}到期材料全部按时报送" in text
    assert f"零报送的单位：{names['BH036']}到期材料一项也没有报送" in text
    assert "超过了规定时间：" in text
    done = approve(desk, paper, local(6, 3, 10))
    assert (done.number, done.parties) == ("通报〔2020〕第1号", 4)  # three units and the office
    desk.send(local(6, 3, 11))
    row, body = last_mail(desk, "circulation")
    assert row.mail_class == "bulk"
    assert "通报〔2020〕第1号" in body
    with desk.house.ledger.reading() as session:
        kinds = session.scalars(select(DecisionRow.kind)).all()
    assert kinds[-1] == "circulated"


def _names(desk: Desk) -> dict[str, str]:
    with desk.house.ledger.reading() as session:
        return {code: find_unit(session, code).name for code in ("BH001", "BH025", "BH036")}


@pytest.mark.parametrize("form", ["督办第{number}号", "督办〔{year}〕号", "督办{", "督办{year}{number}{more}"])
def test_a_number_without_year_or_count_is_refused_when_the_campaign_is_read(form: str) -> None:
    with pytest.raises(ValueError, match="must hold"):
        Papers(order_number=form)


def test_an_approved_order_that_never_left_says_so_and_can_be_drafted_again(desk: Desk) -> None:
    at = local(6, 2, 10)
    orders(desk, at)
    paper = paper_of(desk, "BH001").id
    assert approve(desk, paper, at).parties == 1
    with desk.house.ledger.writing() as session:
        closed = close(session, desk.house, staff(at), KEY, "提前办结")
        undo(session, desk.house, staff(at), closed.id, "误办")
    with desk.house.ledger.reading() as session:
        states = {line.id: line.state for line in list_papers(session, KEY)}
    assert states[paper] == "已批准，未发出"
    assert len(orders(desk, at).drafted) == 3
    assert paper_of(desk, "BH001").id != paper


def test_whose_mail_waits_in_the_queue_is_named_with_the_drafts(desk: Desk) -> None:
    desk.receive(local(5, 30), "BH001", "活动计划表.xlsx", b"PK damaged")
    assert orders(desk, local(6, 2, 10)).wrote == ("BH001 (in-1)",)


def test_the_superiors_digest_names_the_order_that_a_unit_was_given_by_number_and_colour(desk: Desk) -> None:
    desk.plan(StepKind.ESCALATE, local(6, 2))
    orders(desk, local(6, 2, 10))
    number = approve(desk, paper_of(desk, UNIT).id, local(6, 2, 11)).number
    desk.plan(StepKind.ESCALATE, local(6, 4))
    desk.send(local(6, 4))
    with desk.house.ledger.reading() as session:
        query = select(MessageRow.id).where(MessageRow.notice == "escalation_digest", MessageRow.state == "sent")
        found = bytes_of(session, desk.house, session.scalars(query).first() or 0)
    assert isinstance(found, Bytes)
    lines = parse_mail(b"".join(found.chunks)).text.splitlines()
    ordered = [line for line in lines if "督办单" in line]
    assert len(ordered) == 2  # both things that the unit owes; the other units were given none
    assert all(f"已发督办单 {number}（黄色）" in line for line in ordered)
