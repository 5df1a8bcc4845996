"""What a unit is told of a workbook that cannot be read, and what staff are told, by mail and in the ledger."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from documents.opening import Cause, UnreadableWorkbook
from ledger.campaigns import find_party
from ledger.tables import (
    DeliverableRow,
    FileRow,
    FindingRow,
    IntakeRow,
    ItemRow,
    MessageRow,
    ObligationRow,
    SubmissionRow,
)
from mail.parsing import parse_mail
from office import wording, workbooks
from office.destination import IncomingFile
from office.handin import hand_in_on_behalf
from office.mailbook import bytes_of
from office.review import confirm_finding
from rehearsal.clerk import Manner
from rules.obligations import Standing
from tests.corpus import make
from tests.documents import attacks
from tests.office.test_office import KEY, Desk, act, desk, loaded, local

__all__ = ["desk", "loaded"]  # pytest finds fixtures by their names here


def problems_of(desk: Desk) -> Iterator[tuple[list[str], str, str]]:
    with desk.house.ledger.reading() as session:
        for row in session.scalars(select(IntakeRow).order_by(IntakeRow.id)):
            yield [str(p) for p in row.problems], row.reason, row.state


@pytest.mark.parametrize(
    ("content", "sentence", "reason"),
    [
        (attacks.with_named({"xl/vbaProject.bin": b"x"}), "带有宏", "a file of kind macros"),
        (attacks.bomb(), "大得不正常", "a file of kind bomb"),
        (attacks.with_parts(sheet=attacks.outside_entity()), "结构不正常", "declares a document type"),
        (attacks.old_office("EncryptedPackage"), "设有密码", "a file of kind encrypted"),
        (b"<html></html>", "其实是网页", "a file of kind html"),
        (attacks.encrypted_zip(), "设有密码", "a file of kind encrypted"),
        (attacks.packed(("a.zip", attacks.packed(("b.txt", b"1")))), "压缩包打不开", "a file of kind zip"),
    ],
    ids=["macros", "bomb", "entities", "password", "web page", "zip with a password", "zip in a zip"],
)
def test_a_file_that_means_harm_is_answered_in_a_sentence_and_waits_for_staff(
    desk: Desk, content: bytes, sentence: str, reason: str
) -> None:
    done = desk.receive(local(6, 1), "BH001", "统计表.xlsx", content)
    assert dict(done.answers) == {"returned": 1}
    ((problems, said, state),) = problems_of(desk)
    assert len(problems) == 1
    assert sentence in problems[0]
    assert reason in said
    assert state == "queued"
    with desk.house.ledger.reading() as session:
        assert session.scalar(select(SubmissionRow.id)) is None
        assert session.scalars(select(FileRow.name)).all() != []


def test_a_reading_process_that_dies_is_a_sentence_and_not_a_crash(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise UnreadableWorkbook("the reading process ended with -9", Cause.DIED)

    content = desk.form_of("BH001", "progress")
    monkeypatch.setattr(workbooks, "read_workbook", die)
    done = desk.receive(local(6, 1), "BH001", "统计表.xlsx", content)
    assert dict(done.answers) == {"returned": 1}
    ((problems, reason, state),) = problems_of(desk)
    assert problems == [f"统计表.xlsx：{wording.PROBLEM['too_large']}"]
    assert reason.endswith("died: the reading process ended with -9")
    assert state == "queued"


def test_a_zip_is_unpacked_and_each_file_in_it_recorded(desk: Desk) -> None:
    content = attacks.packed_by_windows(
        ("报送/活动计划表.xlsx", desk.form_of("BH001", "plan")),
        ("报送/推荐表.xlsx", desk.form_of("BH001", "liaison")),
    )
    done = desk.receive(local(5, 28), "BH001", "报送.zip", content)
    assert dict(done.answers) == {"receipt": 1}
    standings = desk.standings("BH001")
    assert (standings["plan"], standings["liaison"]) == (Standing.ACCEPTED, Standing.ACCEPTED)
    with desk.house.ledger.reading() as session:
        files = session.execute(select(FileRow.name, FileRow.submission_id).order_by(FileRow.id)).all()
    assert [(name, submission is not None) for name, submission in files] == [
        ("报送.zip", False), ("活动计划表.xlsx", True), ("推荐表.xlsx", True),
    ]  # fmt: skip


def test_what_was_found_around_the_table_is_said_in_the_answer(desk: Desk) -> None:
    from tests.corpus import make  # noqa: PLC0415

    content = make.spoiled("annex4", make.renamed("Sheet1"), content=desk.form_of("BH001", "progress"))
    done = desk.receive(local(6, 29), "BH001", "统计表.xlsx", content)
    assert dict(done.answers) == {"receipt": 1}
    with desk.house.ledger.reading() as session:
        (finding,) = session.scalars(select(FindingRow))
        assert (finding.severity, finding.code) == ("info", "sheet_renamed")
    text = desk.house.finding_texts["sheet_renamed"]["problem"].format(read=finding.read, **finding.params)
    assert text == "工作表名为“Sheet1”（空表中为“活动进展情况统计表”），已照常读取。"


def test_every_kind_of_file_and_every_cause_has_a_sentence() -> None:
    for cause in Cause:
        assert wording.PROBLEM[wording.UNREADABLE.get(cause, "unreadable")]
    assert {str(c) for c in Cause} >= set(wording.UNREADABLE)
    assert all(sentence.endswith("。") for sentence in (*wording.PROBLEM.values(), *wording.KIND_PROBLEM.values()))


def test_a_photograph_of_the_table_is_asked_for_as_a_table_and_no_material(desk: Desk) -> None:
    done = desk.receive(local(6, 1), "BH001", "活动进展情况统计表.jpg", b"\xff\xd8\xff\xe0")
    assert dict(done.answers) == {"returned": 1}
    with desk.house.ledger.reading() as session:
        assert session.scalar(select(SubmissionRow.id)) is None
        assert session.scalar(select(MessageRow.id).where(MessageRow.notice == "returned")) is not None


def collected_in_one(desk: Desk, code: str, progress: Manner = Manner.RIGHT, seed: int = 1) -> bytes:
    """Return a unit's three forms as sheets of one file."""
    plan, liaison = desk.form_of(code, "plan"), desk.form_of(code, "liaison")
    return make.with_sheets(desk.form_of(code, "progress", progress, seed), ("附件2", plan), ("附件3", liaison))


def recorded(desk: Desk) -> list[tuple[str, int, str]]:
    query = (
        select(DeliverableRow.key, SubmissionRow.version, SubmissionRow.state)
        .join(ObligationRow, ObligationRow.deliverable_id == DeliverableRow.id)
        .join(SubmissionRow, SubmissionRow.obligation_id == ObligationRow.id)
        .order_by(DeliverableRow.key, SubmissionRow.version)
    )
    with desk.house.ledger.reading() as session:
        return [(key, version, state) for key, version, state in session.execute(query)]


def test_three_forms_in_one_file_are_recorded_each_and_answered_once(desk: Desk) -> None:
    desk.send(local(5, 27, 15))
    done = desk.receive(local(6, 1), "BH001", "汇总.xlsx", collected_in_one(desk, "BH001"))
    assert (dict(done.mails), dict(done.answers)) == ({"hand_in": 1}, {"receipt": 1})
    assert recorded(desk) == [("liaison", 1, "accepted"), ("plan", 1, "accepted"), ("progress", 1, "accepted")]
    assert list(problems_of(desk)) == [([], "", "done")]
    desk.send(local(6, 1))
    with desk.house.ledger.reading() as session:
        receipt = session.scalars(select(MessageRow).where(MessageRow.notice == "receipt")).one()
        named = session.scalars(select(ItemRow.obligation_id).where(ItemRow.message_id == receipt.id)).all()
        assert len(set(named)) == 3
        text = parse_mail(b"".join(bytes_of(session, desk.house, receipt.id).chunks)).text  # type: ignore[union-attr]
    for title in ("活动计划表", "活动进展情况统计表", "联络员"):
        assert title in text, title


def test_a_faulty_sheet_is_returned_alone_and_the_whole_file_again_makes_only_its_new_version(desk: Desk) -> None:
    done = desk.receive(local(6, 1), "BH001", "汇总.xlsx", collected_in_one(desk, "BH001", Manner.WRONG))
    assert dict(done.answers) == {"returned": 1}
    assert recorded(desk) == [("liaison", 1, "accepted"), ("plan", 1, "accepted"), ("progress", 1, "returned")]
    again = collected_in_one(desk, "BH001", Manner.RIGHT, seed=2)
    assert dict(desk.receive(local(6, 2), "BH001", "汇总.xlsx", again).answers) == {"receipt": 1}
    assert recorded(desk) == [
        ("liaison", 1, "accepted"), ("plan", 1, "accepted"), ("progress", 1, "returned"), ("progress", 2, "accepted"),
    ]  # fmt: skip
    assert dict(desk.receive(local(6, 3), "BH001", "汇总.xlsx", again, message_id="<3@x>").mails) == {"duplicate": 1}


def test_a_sheet_whose_query_was_answered_is_not_queried_again(desk: Desk) -> None:
    about = collected_in_one(desk, "BH001", Manner.ABOUT)
    desk.receive(local(6, 1), "BH001", "汇总.xlsx", about)
    with desk.house.ledger.writing() as session:
        asked = session.scalars(select(FindingRow.id).where(FindingRow.severity == "query")).all()
        for number in asked:
            confirm_finding(session, desk.house, act(local(6, 1)), number, number=300, text="电话核实")
    saved_anew = make.spoiled("annex4", content=about)  # the same cells, other bytes
    assert saved_anew != about
    assert asked
    assert dict(desk.receive(local(6, 2), "BH001", "汇总.xlsx", saved_anew, message_id="<2@x>").mails) == {
        "duplicate": 1
    }
    assert ("progress", 1, "accepted") in recorded(desk)


def test_a_sheet_that_is_not_owed_is_told_and_stops_no_other(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        party = find_party(session, 1, "BH001")
        plan = select(DeliverableRow.id).where(DeliverableRow.key == "plan").scalar_subquery()
        mine = update(ObligationRow).where(ObligationRow.party_id == party.id, ObligationRow.deliverable_id == plan)
        session.execute(mine.values(party_id=find_party(session, 1, "BH036").id, occurrence="another"))
    done = desk.receive(local(6, 1), "BH001", "汇总.xlsx", collected_in_one(desk, "BH001"))
    assert dict(done.answers) == {"returned": 1}
    assert [key for key, *_ in recorded(desk)] == ["liaison", "progress"]
    ((problems, reason, state),) = problems_of(desk)
    assert problems == ["汇总.xlsx 的工作表“附件2”：本单位不需要报送这项材料。"]
    assert (reason, state) == ("BH001 does not owe plan", "queued")


def test_files_that_cannot_be_taken_stop_none_of_the_others(desk: Desk) -> None:
    files = [
        ("坏.xlsx", attacks.with_parts(sheet=b"<worksheet><sheetData><row")),
        ("别家.xlsx", desk.form_of("BH036", "plan")),
        ("附件2.xlsx", desk.form_of("BH001", "plan")),
        ("说明.exe", b"MZ\x90\x00"),
        ("附件4.xlsx", desk.form_of("BH001", "progress")),
    ]
    with desk.house.ledger.writing() as session:
        taken = hand_in_on_behalf(
            session, desk.house, act(local(6, 1)), KEY, "BH001",
            tuple(IncomingFile(name=name, content=content) for name, content in files),
            channel="person", received_at=local(6, 1), grounds="来人送达",
        )  # fmt: skip
    assert (taken.recorded, taken.notice) == (2, "returned")
    assert [problem.partition("：")[0] for problem in taken.problems] == ["坏.xlsx", "别家.xlsx", "说明.exe"]
    assert recorded(desk) == [("plan", 1, "accepted"), ("progress", 1, "accepted")]
