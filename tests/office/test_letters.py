"""The notices: three files each, one-line subjects, and nothing a unit needs is missing.

The stored samples under letters/ are reviewed as a diff; renew them with MUSTER_RENEW_LETTERS=1.
"""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from jinja2 import UndefinedError

from definition.loading import load_campaign
from office.letters import AnswerLine, FindingLine, LetterContext, NamedContact, Renderer
from office.rulebook import Rulebook
from office.samples import DECIDED, NOTICES, sample_context
from rules.forms import FindingCode

STORED = Path(__file__).parent / "letters"
AT = datetime(2020, 6, 3, 1, tzinfo=UTC)
REPLY = "muster+p3f-abcdefghij@office.example"


@pytest.fixture(scope="module")
def renderer(house: Path) -> Renderer:
    return Renderer(house / "templates" / "email")


@pytest.fixture(scope="module")
def book(house: Path) -> Rulebook:
    folder = house / "campaigns" / "safety-month-2020"
    loaded = load_campaign(folder, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email")
    return Rulebook(loaded.campaign)


def test_a_notice_is_a_folder_of_three_files(house: Path) -> None:
    folders = [f for f in (house / "templates" / "email").iterdir() if f.name != "_layout"]
    assert {f.name for f in folders} == set(NOTICES)
    for folder in folders:
        assert {f.name for f in folder.iterdir()} == {"subject.txt", "body.txt", "body.html"}


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_says_contact_number_and_reason_in_both_bodies(
    renderer: Renderer, book: Rulebook, notice: str
) -> None:
    context = sample_context(book, notice, REPLY, AT)
    rendered = renderer.render(context)
    assert "\n" not in rendered.subject
    assert "P3F-ABCDEFGHIJ" in rendered.subject
    for body in (rendered.text, rendered.html):
        for needed in (REPLY, "022-00000000", "office@office.example", "P3F-ABCDEFGHIJ", context.why, "区安委会办公室"):
            assert needed in body, needed
        if notice not in ("summary", "receipt", "returned", "acknowledged", "alert", "circulation", "digest", *DECIDED):
            assert "5月31日（星期日）24时前" in body


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_reads_as_stored(renderer: Renderer, book: Rulebook, notice: str) -> None:
    rendered = renderer.render(sample_context(book, notice, REPLY, AT))
    text = f"{rendered.subject}\n\n{rendered.text}"
    path = STORED / f"{notice}.txt"
    if os.environ.get("MUSTER_RENEW_LETTERS"):
        STORED.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_what_a_unit_wrote_cannot_become_markup(renderer: Renderer, book: Rulebook) -> None:
    context = sample_context(book, "returned", REPLY, AT)
    assert context.answer is not None
    finding = FindingLine(severity_text="强制", place="a", field="b", problem="读到“<script>”。", remedy="改。")
    line = AnswerLine(
        title="表", version=1, state="returned", state_text="退回", received_text="", timely_text="",
        file_name="<img src=x>.xlsx", findings=(finding,),
    )  # fmt: skip
    html = renderer.render(replace(context, answer=replace(context.answer, lines=(line,)))).html
    assert "<script>" not in html
    assert "<img" not in html


@pytest.mark.parametrize("notice", DECIDED)
def test_what_was_asked_and_answered_cannot_become_markup(renderer: Renderer, book: Rulebook, notice: str) -> None:
    context = sample_context(book, notice, REPLY, AT)
    assert context.decision is not None
    bad = "<script>x</script>"
    contact = NamedContact(role_text=bad, name=bad, address=bad, phone=bad)
    decision = replace(
        context.decision,
        title=bad,
        asked_text=bad,
        reasons=(bad,),
        unit=bad,
        about=bad,
        said=bad,
        contact=contact,
        was=contact,
    )
    assert "<script>" not in renderer.render(replace(context, decision=decision)).html


def test_a_template_that_names_something_unknown_fails(tmp_path: Path, book: Rulebook) -> None:
    folder = tmp_path / "launch"
    folder.mkdir()
    for part in ("subject.txt", "body.txt", "body.html"):
        (folder / part).write_text("{{ m.nonsense }}", encoding="utf-8")
    context: LetterContext = sample_context(book, "launch", REPLY, AT)
    with pytest.raises(UndefinedError, match="nonsense"):
        Renderer(tmp_path).render(context)


def test_every_finding_has_a_sentence_and_a_remedy(house: Path) -> None:
    texts = yaml.safe_load((house / "templates" / "findings.yaml").read_text(encoding="utf-8"))
    assert set(texts) == set(FindingCode)
    names = ["field", "read", "expected", "proposed", "other", "other_read", "other_cell", "message", "values"]
    params = dict.fromkeys(names, "甲")
    for sentences in texts.values():
        assert "{" not in sentences["problem"].format(**params) + sentences["remedy"].format(**params)
