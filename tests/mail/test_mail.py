"""Tokens, parsing, Maildir."""

import base64
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.calendar import Deadline, deadlines_ics
from mail.decoding import decode_text
from mail.maildir import deliver, mark_taken, read_new
from mail.parsing import IncomingMail, is_auto_reply, new_part, parse_mail, received_headers
from mail.tokens import find_tokens, read_token, sign
from rehearsal.envelopes import Outgoing, Style, build

SECRET = b"a secret of the office"
AT = datetime(2020, 5, 29, 8, 20, tzinfo=UTC)
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


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_in(tuple(value.values()))
    elif isinstance(value, tuple):
        for one in value:
            yield from texts_in(one)


def read_lawfully(raw: bytes) -> IncomingMail:
    """Read a mail, and see that it does not take long and that all its texts can be kept."""
    begin = thread_time()
    mail = parse_mail(raw)
    is_auto_reply(mail)
    for header in received_headers(raw):
        assert header.at.utcoffset() is not None
    assert thread_time() - begin < 4
    for text in texts_in(asdict(mail)):
        text.encode()
        assert "\0" not in text
    return mail


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    read_lawfully(raw)
    read_lawfully(b"From: a@b\r\nMessage-ID: <[12]@x>\r\nSubject: " + raw + b"\r\n\r\n" + raw)


CHARSETS = ("utf-8", "gb2312", "utf-7", "utf-16", "unicode_escape", "idna", "punycode", "rot13", "zip", "\0")
NAMES = ("From", "To", "Subject", "Message-ID", "References", "Received", "Content-Type", "Content-Disposition")
ENCODINGS = ("base64", "quoted-printable", "x-uuencode", "8bit", "BASE64 ")
KINDS = ("text/plain", "multipart/mixed", "multipart/digest", "message/rfc822", "message/delivery-status", "image/png")
FRAGMENTS = st.one_of(
    st.sampled_from(NAMES).map(lambda name: f"{name}: "),
    st.sampled_from(KINDS).map(lambda kind: f"\nContent-Type: {kind}; boundary=b"),
    st.sampled_from(ENCODINGS).map(lambda encoding: f"\nContent-Transfer-Encoding: {encoding}"),
    st.sampled_from(CHARSETS).map(
        lambda charset: f"; charset={charset}; name*0*={charset}''%00%d8; filename*1=\\ud800"
    ),
    st.tuples(st.sampled_from(CHARSETS), st.text("=\\ud800+2AA-5C", max_size=12)).map(lambda w: f"=?{w[0]}?Q?{w[1]}?="),
    st.sampled_from(
        ["\n", "\r\n", "\n\n", "\n ", "\n--b\n", "\n--b--\n", "--b", ";", '"', "=00", "<a@b>", "\\ud800", "\0"]
    ),
    st.sampled_from(["by x; Fri, 29 May 2020 16:20:00 +0800", "by x; 31 Dec 9999 23:59:00 -2359", "by x; 1 Jan 9e9"]),
).map(str.encode) | st.binary(max_size=8)


@given(st.lists(FRAGMENTS, max_size=60))
def test_no_structure_breaks_the_reader(fragments: list[bytes]) -> None:
    read_lawfully(b"".join(fragments))


@given(raw=st.binary(max_size=60), charset=st.sampled_from(CHARSETS) | st.text(max_size=20))
def test_no_charset_breaks_the_decoding(raw: bytes, charset: str) -> None:
    text = decode_text(raw, charset)
    text.encode()
    assert "\0" not in text


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        ("朱镕".encode("gb18030"), "gb2312", "朱镕"),
        ("朱镕".encode("gb18030"), "x-gbk", "朱镕"),
        ("朱镕".encode("gb18030"), ' "GBK" ', "朱镕"),
        ("朱镕".encode("gb18030"), "", "朱镕"),
        ("朱镕".encode(), "no-such-charset", "朱镕"),
        ("中文".encode("big5"), "Big5", "中文"),
        ("中文".encode("utf-16"), "utf-16", "中文"),
        (b"~{VPND~}", "hz-gb-2312", "中文"),
        (b"+2AA-", "utf-7", "\ufffd"),
        (rb"\ud800", "unicode_escape", r"\ud800"),
        (rb"\ud800", "raw_unicode_escape", r"\ud800"),
        (b"xn--fiq228c", "idna", "xn--fiq228c"),
        (b"fiq228c", "punycode", "fiq228c"),
        (b"uryyb", "rot13", "uryyb"),
        (b"6162", "hex", "6162"),
        (b"a\0b", "ascii", "ab"),
    ],
)
def test_only_charsets_of_text_are_decoded(raw: bytes, charset: str, text: str) -> None:
    assert decode_text(raw, charset) == text


def test_no_surrogate_and_no_zero_comes_out_of_a_mail() -> None:
    raw = clerk_mail(Style.MODERN).replace(b'charset="utf-8"', b"charset=unicode_escape")
    odd = "Subject: =?unicode_escape?Q?=5Cud800?= =?utf-7?Q?+2AA-?= =?utf-8?Q?=00?=\nX-Rest: "
    mail = read_lawfully(raw.replace(b"Subject: ", odd.encode(), 1).replace(b"utf-8''", b"utf-7''%00+2AA-"))
    assert mail.subject == "\\ud800\ufffd"
    assert mail.attachments[0].file_name == "+2AA-附件4活动进展情况统计表（朱镕街道）.xlsx"
    assert read_lawfully(b"Message-ID: <a\0b@c>\nFrom: =?utf-8?Q?=00a@b=00?=\n\n").message_id == "<ab@c>"


def nested(levels: int, inner: bytes) -> bytes:
    shells = (b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(levels))
    return b"".join(shells) + inner


@pytest.mark.parametrize("kind", [b"text/plain", b"message/rfc822"])
def test_parts_within_parts_are_opened_to_a_depth_beyond_which_a_person_looks(kind: bytes) -> None:
    inner = b"Content-Type: %s\n\n\nhello\n" % kind
    assert read_lawfully(nested(40, inner)).text.strip() == "hello"
    assert read_lawfully(nested(40, inner)).faults == ()
    deep = read_lawfully(nested(2000, inner))
    assert deep.faults == ("parts nested more than 50 deep; the rest was not opened",)
    assert "hello" in deep.text


def test_parts_beyond_a_number_are_left_to_a_person() -> None:
    parts = b"".join(b"--b\n\n%d\n" % number for number in range(1000))
    mail = read_lawfully(b"Content-Type: multipart/mixed; boundary=b\n\n" + parts)
    assert mail.faults == ("more than 200 parts; the rest was not read",)
    assert mail.text.split() == [str(number) for number in range(199)]


def test_a_part_whose_boundary_never_comes_is_text_and_no_attachment() -> None:
    mail = read_lawfully(clerk_mail(Style.MODERN).replace(b'boundary="', b'boundary="lost'))
    assert mail.faults == ("a part whose boundary never comes",)
    assert mail.attachments == ()
    assert "application/octet-stream" in mail.text


def test_a_mail_within_a_mail_is_opened_also_in_base64() -> None:
    inner = clerk_mail(Style.GBK)
    head = b"Content-Type: multipart/mixed; boundary=out\n\n--out\n\n\xd5\xfb\xbd\xe1\n--out\n"
    for body in (b"\n" + inner, b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(inner)):
        mail = read_lawfully(head + b"Content-Type: message/rfc822\n" + body + b"\n--out--\n")
        assert mail.text.split() == ["整结", "朱镕街道报送，请查收。"]
        assert [a.content for a in mail.attachments] == [b"PK"]


def test_line_ends_of_old_programs_are_line_ends() -> None:
    mail = read_lawfully(b"Subject: a\rFrom: b@c.example\r\rtext")
    assert (mail.subject, mail.from_address, mail.text) == ("a", "b@c.example", "text")


MANY = 1_000_000
SLOW = {
    "an address without end": b"To: " + b"a" * MANY + b"\n\n",
    "addresses without end": b"To: " + b"a@b.example, " * (MANY // 10) + b"\n\n",
    "a prefix without colon": b"Subject: re" + b" " * MANY + b"x\n\n",
    "angle brackets": b"From: " + b"<" * MANY + b"\n\n",
    "parameters": b"Content-Type: multipart/mixed" + b";a" * MANY + b"\n\n",
    "an open quote": b'Content-Type: multipart/mixed; a="' + b";" * MANY + b"\n\n",
    "references": b"References: " + b"<a@b.example> " * MANY + b"\n\n",
    "headers": b"a:\n" * MANY,
    "folded lines": b"Subject: a\n" + b" \n" * MANY,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * (MANY // 10) + b"\n\n",
    "empty parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * MANY,
    "half boundaries": b"Content-Type: multipart/mixed; boundary=-\n\n" + b"---x" * MANY,
    "a number without end": b"Content-Disposition: attachment; filename*" + b"9" * 5000 + b"*=x\n\n",
    "deep and long": nested(60, b"x\n" * MANY),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_hostile_mail_does_not_hold_up_the_others(name: str) -> None:
    read_lawfully(SLOW[name])


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


@pytest.mark.parametrize("when", ["31 Dec 9999 23:59:00 -2359", "1 Jan " + "9" * 30, "x", ""])
def test_a_received_header_of_no_time_is_passed_over(tmp_path: Path, when: str) -> None:
    deliver(tmp_path, f"Received: by mx.office.example; Fri, {when}\n\n".encode(), AT)
    assert [f.received_at for f in read_new(tmp_path, received_by="mx.office.example")] == [AT]


def test_a_mail_taken_is_moved_and_kept(tmp_path: Path) -> None:
    uid = deliver(tmp_path, b"raw", AT)
    mark_taken(tmp_path, uid)
    assert list(read_new(tmp_path, received_by="x")) == []
    assert (tmp_path / "cur" / f"{uid}:2,S").read_bytes() == b"raw"


def test_what_is_no_file_in_new_stops_no_mail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    uid = deliver(tmp_path, b"raw", AT)
    new = tmp_path / "new"
    (new / "folder").mkdir()
    (new / "loop").symlink_to(new / "loop")
    (new / "nowhere").symlink_to(tmp_path / "gone")
    assert [mail.uid for mail in read_new(tmp_path, received_by="x")] == [uid]
    assert len(caplog.records) == 3


def test_a_mail_that_another_process_takes_meanwhile_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = (deliver(tmp_path, b"raw", AT + timedelta(seconds=n)) for n in range(3))
    found = read_new(tmp_path, received_by="x")
    assert next(found).uid == first
    mark_taken(tmp_path, second)
    assert [mail.uid for mail in found] == [third]
    mark_taken(tmp_path, first)
    mark_taken(tmp_path, first)
    assert len(list((tmp_path / "cur").iterdir())) == 2
    assert not caplog.records


def test_deadlines_bear_stable_uids_and_end_at_the_due_instant() -> None:
    entry = Deadline(uid="plan-BH001@office.example", due=AT, summary="报送截止：计划", description="月")
    ics = deadlines_ics([entry], name="月", stamp=AT).decode()
    assert "METHOD:PUBLISH" in ics
    assert "UID:plan-BH001@office.example" in ics
    assert "DTEND:20200529T082000Z" in ics
