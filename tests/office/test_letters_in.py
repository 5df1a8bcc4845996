"""Mails that are no form: nil returns, documents that have to be asked about, letters; and what is answered to them."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from definition.loading import LoadedCampaign
from definition.models import Campaign
from ledger.campaigns import NewObligation, find_party, freeze_obligations
from ledger.facts import load_obligations
from ledger.outbox import NewMessage, plan_messages
from ledger.tables import EventRow, FileRow, IntakeRow, MessageRow, ObligationRow, SubmissionRow
from mail.maildir import deliver
from mail.tokens import sign
from office.board import board, cell_text
from office.consolidation import consolidate_campaign
from office.destination import IncomingFile
from office.intake import Collected, fetch_mail
from office.nil import hand_in_nil
from office.placing import assign
from office.refusals import NotPossible
from office.unit_handin import hand_in_files, hand_in_nothing
from office.wording import STANDING
from office.workbooks import NotPlacedError
from rules.notices import ItemDue
from rules.obligations import Standing
from tests.office.test_mailbook import cast as plain_cast  # noqa: F401  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, SECRET, Desk, act, local

NOON = local(6, 1, 12)
NAMES = ("mail.received", "submission.received", "submission.accepted")
PDF = b"%PDF-1.7 text"
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@contextmanager
def desk_with_nil(cast: LoadedCampaign, folder: Path, url: str, *nil: str) -> Iterator[Desk]:
    deliverables = tuple(d.model_copy(update={"nil_return": d.key in nil}) for d in cast.campaign.deliverables)
    campaign: Campaign = cast.campaign.model_copy(update={"deliverables": deliverables})
    with launched(replace(cast, campaign=campaign), folder, url) as opened:
        yield opened


def weekly(desk: Desk, deliverable: str, code: str = "BH001") -> list[int]:
    """Let a unit owe a second occurrence of a deliverable; return the numbers of both."""
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, code)
        [first] = [o for o in load_obligations(session, 1, party_ids=[party.id]) if o.deliverable == deliverable]
        assert first.due is not None
        new = NewObligation(
            party_id=party.id, deliverable=deliverable, occurrence="next", due=first.due + WEEK, chase_from=NOON
        )
        [second] = freeze_obligations(session, act(NOON), 1, [new])
        return [first.id, second.id]


def versions_of(desk: Desk, obligation: int) -> list[str]:
    with desk.house.ledger.reading() as session:
        mine = select(SubmissionRow.state).where(SubmissionRow.obligation_id == obligation)
        return list(session.scalars(mine.order_by(SubmissionRow.version)))


def page_hand_in(desk: Desk, obligation: int, content: bytes) -> None:
    """Let BH001 upload a file on the page of one obligation."""
    file = IncomingFile(name="活动综合情况.pdf", content=content)
    with desk.house.ledger.writing() as session:
        party, shown = find_party(session, 1, "BH001"), session.get_one(ObligationRow, obligation)
        hand_in_files(session, desk.house, act(NOON), party, [file], obligation=shown)


def packed(files: list[tuple[str, bytes]]) -> bytes:
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return archived.getvalue()


def page_nil(desk: Desk, obligation: int) -> None:
    """Let BH001 say on the page of one obligation that it has nothing to report."""
    with desk.house.ledger.writing() as session:
        party, shown = find_party(session, 1, "BH001"), session.get_one(ObligationRow, obligation)
        hand_in_nothing(session, desk.house, act(NOON), party, shown)


@pytest.fixture
def desk(plain_cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:  # noqa: F811
    """Give the office's desk, with two things for which a nil return is allowed."""
    with desk_with_nil(plain_cast, tmp_path, ledger_url, "scheme", "report") as opened:
        yield opened


def write(desk: Desk, subject: str, at: datetime = NOON, code: str = "BH001", **changes: object) -> Collected:
    return desk.receive(at, code, "", b"", subject=subject, message_id=f"<{at.timestamp()}.{code}@x>", **changes)


def notices(desk: Desk) -> list[str]:
    with desk.house.ledger.reading() as session:
        query = select(MessageRow.notice).where(MessageRow.occasion.like("intake:%")).order_by(MessageRow.id)
        return list(session.scalars(query))


def last_row(desk: Desk) -> IntakeRow:
    with desk.house.ledger.reading() as session:
        return session.scalars(select(IntakeRow).order_by(IntakeRow.id.desc()).limit(1)).one()


def test_a_nil_return_is_recorded_without_file_and_answered(desk: Desk) -> None:
    done = write(desk, "活动方案零报告")
    assert (dict(done.mails), dict(done.answers)) == ({"hand_in": 1}, {"receipt": 1})
    assert desk.standings("BH001")["scheme"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        row = session.scalars(select(SubmissionRow)).one()
        assert (row.channel, row.entered_by, row.received_at) == ("mail", "unit:BH001", NOON)
        assert session.scalars(select(FileRow)).all() == []
        shown = board(session, KEY)
        line = next(r for r in shown.rows if r.code == "BH001")
        assert cell_text(line.cells["scheme"], STANDING, shown.nil) == "零报告"
        assert cell_text(line.cells["report"], STANDING, shown.nil) == "未报"
    with desk.house.ledger.writing() as session:
        consolidate_campaign(session, desk.house, act(NOON), KEY)


def test_handed_in_twice_it_is_recorded_once(desk: Desk) -> None:
    write(desk, "活动方案 零报告")
    done = write(desk, "活动方案 零报告", NOON + timedelta(minutes=1))
    assert (dict(done.mails), dict(done.answers)) == ({"duplicate": 1}, {})
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(func.count()).select_from(SubmissionRow)).one() == 1


def test_on_the_page_a_nil_return_is_for_the_occurrence_that_is_shown_and_once(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    for _ in range(2):
        page_nil(desk, second)
    assert (versions_of(desk, first), versions_of(desk, second)) == ([], ["accepted"])
    assert notices(desk) == ["receipt"]


def test_on_the_page_nothing_is_handed_in_for_what_was_reported_while_another_is_owed(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    desk.receive(NOON, "BH001", "活动综合情况.pdf", PDF)
    with pytest.raises(NotPossible):
        page_nil(desk, first)
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], [])


def test_a_nil_return_sent_again_is_not_for_the_next_period(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    write(desk, "活动综合情况零报告")
    done = write(desk, "活动综合情况零报告", NOON + timedelta(hours=1))
    assert (dict(done.mails), dict(done.answers)) == ({"duplicate": 1}, {})
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], [])
    write(desk, "活动综合情况零报告", NOON + WEEK)
    assert versions_of(desk, second) == ["accepted"]


def test_where_several_are_open_and_none_is_named_the_unit_is_asked_which(desk: Desk) -> None:
    done = write(desk, "本期无此项")
    assert dict(done.answers) == {"returned": 1}
    row = last_row(desk)
    assert row.state == "queued"
    assert "《活动方案》、《活动综合情况》" in row.problems[0]
    done = write(desk, "回复：来件未能登记，请看说明【编号：P】活动方案零报告", NOON + timedelta(minutes=1))
    assert dict(done.answers) == {"receipt": 1}


def test_several_may_be_named_and_are_answered_in_one_receipt(desk: Desk) -> None:
    write(desk, "活动方案、活动综合情况均零报告")
    standings = desk.standings("BH001")
    assert (standings["scheme"], standings["report"]) == (Standing.ACCEPTED, Standing.ACCEPTED)
    assert notices(desk) == ["receipt"]


def test_what_takes_no_nil_return_is_not_recorded(desk: Desk) -> None:
    done = write(desk, "附件2零报告")
    assert dict(done.answers) == {"returned": 1}
    assert "《活动计划表》不接受零报告" in last_row(desk).problems[0]
    assert desk.standings("BH001")["plan"] is Standing.MISSING


def test_the_words_count_neither_in_the_text_nor_quoted_nor_with_an_attachment(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        message = session.scalars(select(MessageRow).where(MessageRow.party_id == desk_party(desk))).first()
        assert message is not None
        message.subject = "提醒：零报告事项请报送【编号：PAB-ABCDEFGHIJ】"
    write(desk, "回复：提醒：零报告事项请报送【编号：PAB-ABCDEFGHIJ】", text="零报告")
    write(desk, "请问零报告怎么报", NOON + timedelta(minutes=1))
    done = desk.receive(NOON + timedelta(minutes=2), "BH001", "活动方案.pdf", PDF, subject="零报告")
    assert dict(done.mails) == {"hand_in": 1}
    with desk.house.ledger.reading() as session:
        assert len(session.scalars(select(FileRow).where(FileRow.submission_id.is_not(None))).all()) == 1
        kinds = session.scalars(select(IntakeRow.kind).order_by(IntakeRow.id)).all()
    assert kinds == ["question", "question", "hand_in"]


def desk_party(desk: Desk) -> int:
    return desk.party("BH001")


def test_page_and_staff_hand_in_a_nil_return_by_the_same_function(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, "BH001")
        taken = hand_in_nil(
            session, desk.house, act(NOON), party, ["report"], channel="portal", received_at=NOON,
            entered_by="unit:BH001",
        )  # fmt: skip
        assert (taken.recorded, taken.notice) == (1, "receipt")
        with pytest.raises(NotPlacedError, match="takes no nil return"):
            hand_in_nil(session, desk.house, act(NOON), party, ["plan"], channel="portal", received_at=NOON)
    assert desk.standings("BH001")["report"] is Standing.ACCEPTED


def test_a_document_is_asked_about_and_the_name_in_the_next_subject_places_it(desk: Desk) -> None:
    first = desk.receive(NOON, "BH001", "扫描件.pdf", PDF)
    assert dict(first.answers) == {"returned": 1}
    assert "《活动方案》、《活动综合情况》" in last_row(desk).problems[0]
    done = write(desk, "回复：来件未能登记，请看说明【编号：P】活动方案", NOON + timedelta(hours=2))
    assert dict(done.answers) == {"receipt": 1}
    assert desk.standings("BH001")["scheme"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        row = session.scalars(select(SubmissionRow)).one()
        assert row.received_at == NOON  # when the file came, not when it was named
        assert session.scalars(select(IntakeRow.state)).all() == ["done", "done"]


def test_a_question_about_a_document_hands_in_no_file(desk: Desk) -> None:
    desk.receive(NOON, "BH001", "扫描件.pdf", PDF)
    done = write(desk, "活动方案什么时候截止", NOON + timedelta(hours=2))
    assert (dict(done.mails), dict(done.answers)) == ({"question": 1}, {"acknowledged": 1})
    assert desk.standings("BH001")["scheme"] is Standing.MISSING


def test_a_document_that_was_named_is_not_handed_in_as_another(desk: Desk) -> None:
    files = [("扫描件.pdf", PDF), ("logo.bmp", b"BM logo")]
    desk.receive(NOON, "BH001", "材料.zip", packed(files))
    write(desk, "活动方案", NOON + timedelta(hours=2))
    done = write(desk, "活动综合情况", NOON + timedelta(hours=3))
    assert dict(done.mails) == {"question": 1}
    standings = desk.standings("BH001")
    assert (standings["scheme"], standings["report"]) == (Standing.ACCEPTED, Standing.MISSING)


@pytest.mark.parametrize("subject", ["今年无人机巡查情况", "今日无人员伤亡", "零报告统计表"])
def test_an_ordinary_subject_is_no_nil_return(desk: Desk, subject: str) -> None:
    done = write(desk, subject)
    assert dict(done.mails) == {"question": 1}


def test_the_only_open_document_needs_no_name(desk: Desk) -> None:
    desk.receive(NOON, "BH001", "活动方案.pdf", PDF)
    done = desk.receive(NOON + timedelta(minutes=1), "BH001", "扫描件.pdf", PDF + b"2")
    assert dict(done.answers) == {"receipt": 1}
    assert desk.standings("BH001")["report"] is Standing.ACCEPTED


def test_a_quoted_title_of_ours_names_no_document(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        message = session.scalars(select(MessageRow).where(MessageRow.party_id == desk_party(desk))).first()
        assert message is not None
        message.subject = "提醒：活动方案请报送【编号：PAB-ABCDEFGHIJ】"
    subject = "回复：提醒：活动方案请报送【编号：PAB-ABCDEFGHIJ】"
    done = desk.receive(NOON, "BH001", "扫描件.pdf", PDF, subject=subject)
    assert dict(done.answers) == {"returned": 1}


def test_a_letter_is_acknowledged_once_an_hour_and_waits_for_a_person(desk: Desk) -> None:
    asked = [write(desk, "请问表在哪里", NOON + timedelta(minutes=m)) for m in (0, 5, 59, 61)]
    assert [dict(d.answers) for d in asked] == [{"acknowledged": 1}, {}, {}, {"acknowledged": 1}]
    assert last_row(desk).state == "queued"
    other = write(desk, "请问表在哪里", NOON, code="BH036")
    assert dict(other.answers) == {"acknowledged": 1}


@pytest.mark.parametrize(
    "changes",
    [{"automatic": True}, {"sender": "no-reply@unit.example"}, {"sender": "muster+x@office.example"},
     {"sender": "mailer-daemon@unit.example"}, {"subject": "自动回复：来信收到"}],
)  # fmt: skip
def test_no_machine_is_answered_nor_ourselves(desk: Desk, changes: dict[str, object]) -> None:
    done = write(desk, **{"subject": "来信收到", **changes})  # type: ignore[arg-type]
    assert dict(done.answers) == {}


@pytest.mark.parametrize(
    "header", [b"List-Id: <all.example>", b"Precedence: list", b"Precedence: bulk", b"Return-Path: <>"]
)
def test_no_list_is_answered(desk: Desk, header: bytes) -> None:
    raw = desk.mail_of(NOON, "BH001", "", b"", subject="来信")
    deliver(desk.house.maildir, header + b"\r\n" + raw, NOON)
    assert dict(desk.collect(NOON).answers) == {}


def test_a_responder_that_sends_its_logo_along_is_not_answered_again_and_again(desk: Desk) -> None:
    logo = {"file_name": "logo.bmp", "content": b"BM logo"}
    answered = [
        desk.receive(NOON + timedelta(seconds=s), "BH001", **logo, message_id=f"<{s}@x>", subject="已收到")  # type: ignore[arg-type]
        for s in range(5)
    ]
    assert [sum(d.answers.values()) for d in answered] == [1, 0, 0, 0, 0]


def test_beyond_many_an_hour_hand_ins_are_recorded_and_not_answered(desk: Desk) -> None:
    for n in range(25):
        name = "照片.jpg"
        desk.receive(NOON + timedelta(seconds=n), "BH001", name, b"\xff\xd8\xff\xe0 %d" % n, message_id=f"<{n}@x>")
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(func.count()).select_from(SubmissionRow)).one() == 25
    assert len(notices(desk)) == 20


def test_of_a_mail_that_is_too_large_the_unit_is_told(desk: Desk, tmp_path: Path) -> None:
    from mail.maildir import Maildir  # noqa: PLC0415

    small = Maildir(folder=desk.house.maildir, name="box", received_by="mx", largest=5_000)
    desk.house.__dict__["mailbox"] = small
    done = desk.receive(NOON, "BH001", "照片.jpg", b"\xff\xd8\xff" * 10_000)
    assert dict(done.answers) == {"returned": 1}
    row = last_row(desk)
    assert row.state == "queued" and row.size > 30_000  # noqa: PT018  one thing
    assert "过大" in row.problems[0]


def test_a_hand_in_is_an_event_in_the_same_transaction(desk: Desk) -> None:
    write(desk, "活动方案零报告")
    with desk.house.ledger.reading() as session:
        events = session.scalars(select(EventRow).order_by(EventRow.id)).all()
        names = ("campaign.launched", "messages.planned", *NAMES, "messages.planned")  # the launch, the receipt
        assert [e.name for e in events] == [f"muster.{x}" for x in names]
        assert all(e.told_at is None and e.campaign_id == 1 for e in events)


def test_the_token_in_an_address_is_enough_for_a_letter(desk: Desk) -> None:
    token = sign("p", desk_party(desk), SECRET)
    done = write(desk, "活动方案零报告", sender="private@qq.example", to=f"muster+{token}@office.example")
    assert dict(done.answers) == {"receipt": 1}
    assert not last_row(desk).from_known


def test_two_programs_that_answer_each_other_fall_silent_whatever_they_call_themselves(desk: Desk) -> None:
    same = [write(desk, "来信已收到", NOON + timedelta(seconds=n), sender="muster@other.example") for n in range(10)]
    assert sum(sum(done.answers.values()) for done in same) == 1
    new = [
        write(desk, "来信已收到", NOON + timedelta(minutes=1, seconds=n), sender=f"m{n}@other.example")
        for n in range(30)
    ]
    assert sum(sum(done.answers.values()) for done in new) == 19  # with the first, as many as one unit gets in an hour


def test_a_unit_may_go_back_to_the_figures_it_handed_in_first(desk: Desk) -> None:
    kinds = []
    for minute, content in enumerate((b"5", b"6", b"5", b"5")):
        at = NOON + timedelta(minutes=minute)
        desk.receive(at, "BH001", "活动方案.pdf", PDF + content, message_id=f"<{minute}@x>")
        kinds.append(last_row(desk).kind)
    assert kinds == ["hand_in", "hand_in", "hand_in", "duplicate"]


def test_going_back_to_the_first_figures_does_not_answer_a_period_to_come(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    for content in (b"5", b"6"):
        page_hand_in(desk, first, PDF + content)
    desk.receive(NOON, "BH001", "活动综合情况.pdf", PDF + b"5")
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"] * 3, [])


def test_a_unit_may_insist_on_what_was_returned(desk: Desk) -> None:
    desk.receive(NOON, "BH001", "活动方案.pdf", PDF)
    with desk.house.ledger.writing() as session:
        row = session.scalars(select(SubmissionRow)).one()
        row.state, obligation = "returned", row.obligation_id
    done = desk.receive(NOON + timedelta(hours=1), "BH001", "活动方案.pdf", PDF, message_id="<again@x>")
    assert dict(done.answers) == {"receipt": 1}
    assert versions_of(desk, obligation) == ["returned", "accepted"]


def again(desk: Desk, later: timedelta, **changes: object) -> Collected:
    """Let BH001 hand in the same file again."""
    return desk.receive(NOON + later, "BH001", "活动综合情况.pdf", PDF, message_id="<copy@x>", **changes)


def reminder_of(desk: Desk, *obligations: int) -> str:
    """Let a mail of ours to BH001 name some obligations; return its Message-ID."""
    with desk.house.ledger.writing() as session:
        items = tuple(ItemDue(obligation_id=id_, rung=f"test{id_}", due=None) for id_ in obligations)
        new = NewMessage(party_id=desk_party(desk), notice="reminder", occasion=f"test:{obligations}", items=items)
        return plan_messages(session, act(NOON), 1, "office.example", [new])[0].message_id


def test_a_copy_within_the_period_it_was_for_does_not_answer_the_next_one(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    desk.receive(NOON, "BH001", "活动综合情况.pdf", PDF)
    done = again(desk, timedelta(hours=1))
    assert (dict(done.mails), dict(done.answers)) == ({"duplicate": 1}, {})
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], [])
    desk.receive(NOON + timedelta(hours=1), "BH001", "活动综合情况.pdf", PDF + b"2", message_id="<new@x>")
    assert versions_of(desk, second) == ["accepted"]


@pytest.mark.parametrize("names_both", [False, True])
def test_a_copy_in_the_next_period_is_asked_about_and_assigned_by_staff(desk: Desk, names_both: bool) -> None:
    first, second = weekly(desk, "report")
    desk.receive(NOON, "BH001", "活动综合情况.pdf", PDF)
    done = again(desk, 30 * DAY, in_reply_to=reminder_of(desk, first, second) if names_both else "")
    assert dict(done.answers) == {"returned": 1}
    row = last_row(desk)
    assert row.state == "queued"
    assert "与此前一期所报完全相同" in row.problems[0]
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], [])
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, "BH001")
        assign(session, desk.house, act(NOON + 30 * DAY), f"in-{row.id}", party, grounds="来电：本期相同")
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], ["accepted"])


def test_a_copy_that_answers_the_reminder_of_the_next_period_is_that_period_s(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    desk.receive(NOON, "BH001", "活动综合情况.pdf", PDF)
    done = again(desk, 30 * DAY, in_reply_to=reminder_of(desk, second))
    assert dict(done.answers) == {"receipt": 1}
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], ["accepted"])


def test_a_copy_that_answers_the_reminder_of_the_earlier_period_was_sent_again(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    desk.receive(NOON, "BH001", "活动综合情况.pdf", PDF)
    done = again(desk, 30 * DAY, in_reply_to=reminder_of(desk, first))
    assert (dict(done.mails), dict(done.answers)) == ({"duplicate": 1}, {})
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], [])


def test_on_the_page_the_same_file_may_be_handed_in_for_the_next_period(desk: Desk) -> None:
    first, second = weekly(desk, "report")
    for which in (first, second, second):
        page_hand_in(desk, which, PDF)
    assert (versions_of(desk, first), versions_of(desk, second)) == (["accepted"], ["accepted"])


def test_what_lies_unfolded_beside_its_zip_is_not_unfolded_again(desk: Desk) -> None:
    files = [("活动方案.pdf", PDF), ("扫描件.pdf", PDF + b"2"), ("扫描件2.pdf", PDF + b"3")]
    with desk.house.ledger.writing() as session:  # so that the scans are asked about
        for d in ("scheme", "report"):
            [one] = [o for o in load_obligations(session, 1, party_ids=[desk_party(desk)]) if o.deliverable == d]
            session.get_one(ObligationRow, one.id).exempt_at = NOON
    desk.receive(NOON, "BH001", "材料.zip", packed(files))
    row = last_row(desk)
    assert row.state == "queued"
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, "BH001")
        taken = assign(session, desk.house, act(NOON), f"in-{row.id}", party, deliverable="materials", grounds="电话")
        names = session.scalars(select(FileRow.name).where(FileRow.intake_id == row.id)).all()
    assert taken.recorded == 2
    assert names.count("材料.zip") == 1
    assert names.count("活动方案.pdf") == 1


def test_a_zip_that_nobody_unfolded_is_unfolded_when_it_is_assigned(desk: Desk) -> None:
    both = packed([("活动方案.pdf", PDF), ("照片.pdf", PDF + b"2")])
    desk.receive(NOON, "BH001", "材料.zip", both, automatic=True)
    row = last_row(desk)
    assert (row.kind, row.state) == ("auto_reply", "queued")
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, "BH001")
        taken = assign(session, desk.house, act(NOON), f"in-{row.id}", party, deliverable="materials", grounds="电话")
    assert taken.recorded == 2


def test_a_mail_whose_file_is_lost_waits_for_a_person_and_stops_nobody(desk: Desk) -> None:
    deliver(desk.house.maildir, desk.mail_of(NOON, "BH001", "活动方案.pdf", PDF), NOON)
    fetch_mail(desk.house, act(NOON))
    desk.house.files.path(last_row(desk).raw_sha256).unlink()
    done = desk.receive(NOON + timedelta(minutes=1), "BH036", "活动方案.pdf", PDF)
    assert dict(done.mails) == {"unreadable": 1, "hand_in": 1}
    with desk.house.ledger.reading() as session:
        lost = session.scalars(select(IntakeRow).order_by(IntakeRow.id)).first()
    assert lost is not None
    assert lost.state == "queued"
    assert "missing from the file store" in lost.reason


def test_while_the_whole_store_is_away_mails_wait(desk: Desk) -> None:
    deliver(desk.house.maildir, desk.mail_of(NOON, "BH001", "活动方案.pdf", PDF), NOON)
    fetch_mail(desk.house, act(NOON))
    root = desk.house.files.root
    root.rename(root.with_name("away"))
    with pytest.raises(FileNotFoundError):
        desk.collect(NOON)
    assert last_row(desk).state == "waiting"
    root.with_name("away").rename(root)
    assert dict(desk.collect(NOON).mails) == {"hand_in": 1}


@pytest.mark.parametrize(
    ("name", "content", "subject"),
    [
        ("活动方案.pdf", PDF, ""),
        ("logo.bmp", b"BM logo", ""),
        ("", b"", "活动方案零报告"),
        ("", b"", "附件2零报告"),
    ],
)
@pytest.mark.parametrize("header", [b"", b"List-Id: <all.example>\r\n"])
def test_machines_and_lists_get_neither_receipt_nor_return(
    desk: Desk, name: str, content: bytes, subject: str, header: bytes
) -> None:
    sender = "duty.bh001@unit.example" if header else "noreply@unit.example"
    raw = desk.mail_of(NOON, "BH001", name, content, subject=subject, sender=sender)
    deliver(desk.house.maildir, header + raw, NOON)
    assert dict(desk.collect(NOON).answers) == {}
    assert notices(desk) == []
    recorded = content == PDF or subject == "活动方案零报告"
    assert (desk.standings("BH001")["scheme"] is Standing.ACCEPTED) is recorded
    if not recorded:
        assert last_row(desk).state == "queued"
