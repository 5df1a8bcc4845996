"""What a unit is told of a workbook that cannot be read, and what staff are told, by mail and in the ledger."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from documents.opening import Cause, UnreadableWorkbook
from ledger.tables import FileRow, FindingRow, IntakeRow, MessageRow, SubmissionRow
from office import wording, workbooks
from rules.obligations import Standing
from tests.documents import attacks
from tests.office.test_office import Desk, desk, loaded, local

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
