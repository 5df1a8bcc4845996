"""Tokens, letters, parsing, Maildir."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.calendar import Deadline, deadlines_ics
from mail.letter import Attachment, Letter, compose
from mail.maildir import deliver, mark_taken, read_new
from mail.parsing import is_auto_reply, new_part, parse_mail
from mail.tokens import find_tokens, read_token, sign
from rehearsal.envelopes import Outgoing, Style, build

SECRET = b"a secret of the office"
AT = datetime(2020, 5, 29, 8, 20, tzinfo=UTC)
LETTER = Letter(
    sender_name="区安委会办公室",
    sender_address="muster@office.example",
    to_name="某街道",
    to_address="duty@unit.example",
    reply_to="muster+p3f-abcdefghij@office.example",
    message_id="<1@office.example>",
    date=AT,
    subject="提醒",
    text="正文",
    html="<p>正文</p>",
)
PLAIN_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=200)


@given(number=st.integers(0, 10**12), kind=st.sampled_from("pm"), shout=st.booleans())
def test_a_token_comes_back_from_address_and_subject(number: int, kind: str, shout: bool) -> None:
    token = sign(kind, number, SECRET)
    text = f"回复：提醒【编号：{token.upper() if shout else token}】 muster+{token}@office.example"
    assert [(t.kind, t.number) for t in find_tokens(text, SECRET)] == [(kind, number)] * 2


def test_a_forged_token_is_passed_over() -> None:
    token = sign("p", 7, SECRET)
    assert read_token(token, b"another secret") is None
    assert read_token(token.replace("ph", "pi"), SECRET) is None
    assert read_token("p-" + token, SECRET) is not None
    assert read_token("x" + token, SECRET) is None


@given(
    subject=PLAIN_TEXT,
    name=PLAIN_TEXT,
    text=PLAIN_TEXT,
    file_name=PLAIN_TEXT.map(lambda t: t.replace("/", "").replace("\\", "").replace('"', "").strip() or "表.xlsx"),
)
def test_a_letter_parses_back_as_it_was_meant(subject: str, name: str, text: str, file_name: str) -> None:
    attachment = Attachment(file_name=file_name, media_type="application/pdf", content=b"%PDF")
    raw = compose(replace(LETTER, subject=subject, to_name=name, text=text, attachments=(attachment,)))
    message = message_from_bytes(raw, policy=policy.default)
    assert str(message["Subject"]).strip() == subject.strip()
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == text.strip()
    read = parse_mail(raw)
    assert read.subject.split() == subject.split()
    assert [(a.file_name, a.content) for a in read.attachments] == [(file_name, b"%PDF")]
    assert read.auto_submitted


@pytest.mark.parametrize("field", ["subject", "to_name", "to_address", "reply_to", "sender_name"])
@pytest.mark.parametrize("breaker", ["\n", "\r\n", "\r", "\0"])
def test_a_line_break_in_a_header_is_refused(field: str, breaker: str) -> None:
    with pytest.raises(ValueError, match=field):
        compose(replace(LETTER, **{field: f"a{breaker}Bcc: all@unit.example"}))  # type: ignore[arg-type]


def clerk_mail(style: Style, **changes: object) -> bytes:
    mail = Outgoing(
        sender="duty@unit.example",
        to="muster+p3f-abcdefghij@office.example",
        subject="回复：朱镕基路街道报送材料，请查收并回复确认",
        text="朱镕街道报送，请查收。",
        message_id="<9@unit.example>",
        date=AT,
        in_reply_to="<1@office.example>",
        file_name="附件4活动进展情况统计表（朱镕街道）.xlsx",
        content=b"PK",
        style=style,
    )
    return build(replace(mail, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("style", list(Style))
def test_no_character_is_lost_whatever_the_mail_program(style: Style) -> None:
    mail = parse_mail(clerk_mail(style))
    assert mail.subject == "回复：朱镕基路街道报送材料，请查收并回复确认"
    assert mail.text.strip() == "朱镕街道报送，请查收。"
    assert [(a.file_name, a.content) for a in mail.attachments] == [("附件4活动进展情况统计表（朱镕街道）.xlsx", b"PK")]
    assert mail.in_reply_to == "<1@office.example>"
    assert mail.recipients == ("muster+p3f-abcdefghij@office.example",)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    parse_mail(raw)
    parse_mail(b"From: a@b\r\nMessage-ID: <[12]@x>\r\nSubject: " + raw + b"\r\n\r\n" + raw)


def test_a_path_in_a_file_name_is_taken_off() -> None:
    mail = parse_mail(clerk_mail(Style.MODERN, file_name="../../etc/表.xlsx"))
    assert mail.attachments[0].file_name == "表.xlsx"


@pytest.mark.parametrize(
    ("subject", "bare"),
    [("回复：Re: 提醒", "提醒"), ("RE:FW: 转发：材料", "材料"), ("Re[2]: 材料", "材料"), ("答复: 零报告", "零报告")],
)
def test_the_new_part_of_a_subject(subject: str, bare: str) -> None:
    assert new_part(subject) == bare


@pytest.mark.parametrize(
    ("subject", "automatic", "is_one"), [("自动回复：提醒", False, True), ("材料", True, True), ("材料", False, False)]
)
def test_an_automatic_answer_is_recognised(subject: str, automatic: bool, is_one: bool) -> None:
    assert is_auto_reply(parse_mail(clerk_mail(Style.MODERN, subject=subject, automatic=automatic))) is is_one


def test_received_is_our_own_server_s_header_and_never_the_sender_s_date(tmp_path: Path) -> None:
    forged = b"Received: from x by mx.evil.example; Fri, 01 May 2020 00:00:00 +0000\r\n"
    ours = b"Received: from x by mx.office.example with ESMTP; Fri, 29 May 2020 16:20:00 +0800\r\n"
    deliver(tmp_path, ours + forged + clerk_mail(Style.MODERN), datetime(2020, 6, 1, tzinfo=UTC))
    deliver(tmp_path, forged + clerk_mail(Style.MODERN), datetime(2020, 6, 2, tzinfo=UTC))
    found = list(read_new(tmp_path, received_by="mx.office.example"))
    assert [f.received_at for f in found] == [AT, datetime(2020, 6, 2, tzinfo=UTC)]


def test_a_mail_taken_is_moved_and_kept(tmp_path: Path) -> None:
    uid = deliver(tmp_path, b"raw", AT)
    mark_taken(tmp_path, uid)
    assert list(read_new(tmp_path, received_by="x")) == []
    assert (tmp_path / "cur" / f"{uid}:2,S").read_bytes() == b"raw"


def test_deadlines_bear_stable_uids_and_end_at_the_due_instant() -> None:
    entry = Deadline(uid="plan-BH001@office.example", due=AT, summary="报送截止：计划", description="月")
    ics = deadlines_ics([entry], name="月", stamp=AT).decode()
    assert "METHOD:PUBLISH" in ics
    assert "UID:plan-BH001@office.example" in ics
    assert "DTEND:20200529T082000Z" in ics
