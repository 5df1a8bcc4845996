"""Mails by skeleton, held against the standard library's composing of the same mail."""

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from mail.calendar import Deadline, deadlines_ics
from mail.parsing import parse_mail
from mail.skeleton import Enclosure, Fields, Skeleton, dump_fields, load_fields, mark

AT = datetime(2020, 5, 29, 16, 20, tzinfo=ZoneInfo("Asia/Shanghai"))
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PDF = Enclosure(file_name="附件1 通知.pdf", media_type="application/pdf", content=bytes(range(256)) * 240)
FORM = Enclosure(file_name="附件4统计表.xlsx", media_type=XLSX, content=None)
ICS = Enclosure(
    file_name="报送截止时间.ics",
    media_type="text/calendar",
    content=deadlines_ics(
        [
            Deadline(
                uid=f"plan-{mark('code')}@office.example",
                due=AT,
                summary=f"报送截止：{mark('title')}",
                description=f"2020年全国“安全生产月”活动，请贵单位于{mark('a_long_name_that_gets_folded')}前报送，逾期通报。",
            )
        ],
        name="安全生产月",
        stamp=AT,
    ),
)
SENDER = {"sender_name": "区安委会办公室", "sender_address": "muster@office.example"}
SKELETON = Skeleton(
    **SENDER,
    subject=f"提醒：{mark('title')}请于{mark('due')}前报送【编号：{mark('code')}】",
    text=f"{mark('party')}：\n\n请于{mark('due')}前报送{mark('title')}。\n.\n..签名",
    html=f'<p lang="zh-CN">{mark("party")}：请于<b>{mark("due")}</b>前报送{mark("title")}。</p>\n',
    enclosures=[PDF, ICS, FORM],
)
VALUES = {
    "party": "朱镕街道",
    "title": "活动进展情况统计表",
    "due": "5月29日17时",
    "code": "p3f-abcdefghij",
    "a_long_name_that_gets_folded": "2020年5月29日17时",
}
FIELDS = Fields(
    to_name="某街道",
    to_address="duty@unit.example",
    reply_to="muster+p3f-abcdefghij@office.example",
    message_id="<1@office.example>",
    date=AT,
    values=VALUES,
    own=(b"PK\x03\x04 a workbook",),
)
BARE = replace(FIELDS, own=())
FORGED = ["\n", "\r\n", "\r", "\0", "\v", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ue000", "\ue001"]

CHARACTERS = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ue000\ue001")
PIECES = ["朱镕", "，", ",", '"', "\\", "'", " ", "  ", "😀", "👩‍🚒", "é", "=?", "?=", "=?utf-8?q?x?=", "<a@b>", "(c)"]
WORDS = st.lists(st.sampled_from([*PIECES, ".", ";", "%", "*", "a", "安全生产"]), max_size=60).map("".join)
ONE_LINE = st.one_of(st.text(CHARACTERS, max_size=200), WORDS, st.just("x" * 1200), st.just("长" * 200))
BODY = st.one_of(
    st.lists(st.one_of(WORDS, st.sampled_from([".", "..", ".x", "-- ", "", "长" * 600])), max_size=8).map("\n".join),
    st.text(st.one_of(CHARACTERS, st.sampled_from("\r\n\t")), max_size=300),
)
FILE_NAME = ONE_LINE.map(lambda name: name.replace("/", "").replace("\\", "").strip()[:200] or "表.xlsx")


class Store:
    """Contents by sha256."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        self.kept[digest] = content
        return digest

    def get(self, digest: str) -> bytes:
        return self.kept[digest]


def skeleton(**changes: Any) -> Skeleton:
    return Skeleton(**{**SENDER, "subject": "提醒", "text": "正文", "html": "<p>正文</p>", **changes})


def joined(of: Skeleton, fields: Fields) -> bytes:
    """Return a mail's octets, and hold the laws of the wire on the way."""
    raw = b"".join(of.fill(fields))
    lines = raw.split(b"\r\n")
    assert lines[-1] == b""
    assert not any(line.startswith(b".") for line in lines)
    assert max(map(len, lines)) <= 998
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert raw.isascii()
    return raw


def on_lines(text: str) -> str:
    """Return text with every line break the same."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def oracle(subject: str, text: str, html: str, fields: Fields, files: list[Enclosure]) -> EmailMessage:
    """Compose the same mail with EmailMessage."""
    message = EmailMessage(policy=policy.SMTP.clone(max_line_length=76))
    message["From"] = Address(display_name=SENDER["sender_name"], addr_spec=SENDER["sender_address"])
    message["To"] = Address(display_name=fields.to_name, addr_spec=fields.to_address)
    message["Reply-To"] = fields.reply_to
    message["Subject"] = subject
    message["Date"] = format_datetime(fields.date)
    message["Message-ID"] = fields.message_id
    message["In-Reply-To"] = fields.in_reply_to
    message["References"] = " ".join(fields.references)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text, cte="base64")
    message.add_alternative(html, subtype="html", cte="base64")
    for file in files:
        maintype, _, subtype = file.media_type.partition("/")
        message.add_attachment(
            file.content or b"", maintype=maintype, subtype=subtype, filename=file.file_name, cte="base64"
        )
    # Set last: with the parts it would go down into the first of them.
    message["Content-Language"] = "zh-CN"
    return read(message.as_bytes())


def meaning(message: EmailMessage) -> dict[str, Any]:
    """Return what a mail says, however it is written."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return {
        "addresses": [[a.addr_spec for a in message[name].addresses] for name in ("From", "To", "Reply-To")],
        # Python 3.11 reads a blank between two encoded-words of a name that is none.
        "names": ["".join(message[name].addresses[0].display_name.split()) for name in ("From", "To")],
        "subject": message["Subject"].split(),
        "date": message["Date"].datetime,
        "same": [
            " ".join(str(message[name]).split())
            for name in (
                *("Message-ID", "In-Reply-To", "References", "Auto-Submitted"),
                *("X-Auto-Response-Suppress", "Content-Language", "MIME-Version"),
            )
        ],
        "structure": [part.get_content_type() for part in message.walk()],
        "text": plain.get_content().rstrip(),
        "html": html.get_content().rstrip(),
        "files": [
            (a.get_filename(), a.get_content_type(), a.get_payload(decode=True)) for a in message.iter_attachments()
        ],
    }


@settings(max_examples=40, deadline=None)
@given(
    # What looks like an encoded-word the standard library writes as it is, and reads back as something else.
    subject=ONE_LINE.map(lambda text: text.replace("=?", "=")),
    to_name=ONE_LINE.map(lambda text: text.replace("=?", "=")),
    text=BODY,
    html=BODY,
    names=st.lists(FILE_NAME.map(lambda text: text.replace("=?", "=")), max_size=3),
    own=st.binary(max_size=300),
)
@example(subject="长" * 200, to_name='王,"小"明', text=".\n..", html="长" * 2000, names=['a"b.pdf', "😀,.pdf"], own=b"")
def test_a_mail_says_what_the_standard_library_s_says(
    subject: str, to_name: str, text: str, html: str, names: list[str], own: bytes
) -> None:
    pdf = [Enclosure(file_name=name, media_type="application/pdf", content=own) for name in names]
    enclosures = [replace(pdf[0], content=None), *pdf[1:]] if pdf else []
    of = skeleton(subject=f"{mark('subject')}", text=mark("text"), html=f"<p>{mark('html')}</p>", enclosures=enclosures)
    fields = replace(
        FIELDS,
        to_name=to_name,
        in_reply_to="<[12]@unit.example>",
        references=("<a@unit.example>", "<[12]@unit.example>"),
        values={"subject": subject, "text": text, "html": Markup(html)},  # noqa: S704
        own=(own,) if pdf else (),
    )
    raw = joined(of, fields)
    assert meaning(read(raw)) == meaning(oracle(subject, text, f"<p>{html}</p>", fields, pdf))


@settings(max_examples=80, deadline=None)
@given(subject=ONE_LINE, sender_name=ONE_LINE, text=BODY, name=FILE_NAME, own=st.binary(max_size=200))
@example(subject="=?utf-8?q?forged?=", sender_name="=?utf-8?q?forged?=", text="", name="=?utf-8?q?x?=.pdf", own=b"")
@example(subject=" 。 ", sender_name="", text=".", name="a; filename=b.exe", own=b"")
def test_our_own_reader_reads_what_was_meant(subject: str, sender_name: str, text: str, name: str, own: bytes) -> None:
    form = Enclosure(file_name=name, media_type="application/pdf", content=None)
    of = skeleton(sender_name=sender_name, subject=mark("subject"), text=mark("text"), enclosures=[form])
    fields = replace(FIELDS, in_reply_to="<9@unit.example>", values={"subject": subject, "text": text}, own=(own,))
    mail = parse_mail(joined(of, fields))
    assert mail.subject == subject
    if text.strip():  # else the HTML is read
        assert mail.text == on_lines(text).replace("\n", "\r\n") + "\r\n"
    assert [(a.file_name, a.media_type, a.content) for a in mail.attachments] == [(name, "application/pdf", own)]
    assert mail.from_address == SENDER["sender_address"]
    if sender_name and not set('"<\\') & set(sender_name):
        assert mail.from_name.strip() == sender_name.strip()
    assert mail.recipients == ("duty@unit.example",)
    assert (mail.message_id, mail.in_reply_to, mail.references) == (
        *("<1@office.example>", "<9@unit.example>"),
        ("<9@unit.example>",),
    )
    assert mail.auto_submitted


@settings(max_examples=40, deadline=None)
@given(subject=ONE_LINE, to_name=ONE_LINE)
def test_each_encoded_word_fits_its_line_and_can_be_read_alone(subject: str, to_name: str) -> None:
    raw = joined(skeleton(subject=mark("s")), replace(BARE, to_name=to_name, values={"s": subject}))
    head = raw.split(b"\r\n\r\n", 1)[0]
    assert all(len(line) <= 76 for line in head.split(b"\r\n"))
    for word in [word for word in head.split() if word.startswith(b"=?utf-8?b?")]:
        assert len(word) <= 75
        assert b64decode(word.removeprefix(b"=?utf-8?b?").removesuffix(b"?=")).decode()


@pytest.mark.parametrize("breaker", FORGED)
@pytest.mark.parametrize(
    "name", ["to_name", "to_address", "reply_to", "message_id", "in_reply_to", "references", "subject"]
)
def test_no_field_of_a_recipient_forges_a_header(name: str, breaker: str) -> None:
    forged = f"<a@unit.example>{breaker}Bcc: all@unit.example"
    change: Any = {
        "references": {"references": (forged,)},
        "subject": {"values": {**VALUES, "title": forged}},
    }.get(name, {name: forged})
    with pytest.raises(ValueError, match=name if breaker not in "\ue000\ue001" else f"{name}|title"):
        SKELETON.fill(replace(FIELDS, **change))


@pytest.mark.parametrize("breaker", FORGED)
@pytest.mark.parametrize("name", ["sender_name", "sender_address", "subject", "file_name"])
def test_no_constant_forges_a_header(name: str, breaker: str) -> None:
    forged = f"表{breaker}Bcc: all@unit.example"
    change: Any = {"enclosures": [replace(PDF, file_name=forged)]} if name == "file_name" else {name: forged}
    with pytest.raises(ValueError, match=name):
        skeleton(**change)


def test_the_refusal_says_what_a_line_break_would_do() -> None:
    with pytest.raises(ValueError, match="to_name carries a line break, which would forge headers"):
        SKELETON.fill(replace(FIELDS, to_name="某街道\r\nBcc: all@unit.example"))


@pytest.mark.parametrize(
    "address",
    [
        *("", "duty", "@unit.example", "duty@", "a@b@c", "duty @unit.example", "<duty@unit.example>", "a..b@c.d"),
        *('"a b"@unit.example', "值班@unit.example", "duty@单位.example", "duty@unit..example", "a@b,c@d", "a,b@c.d"),
        *("=?utf-8?q?x?=@unit.example", f"{'a' * 65}@unit.example", f"a@{'b.' * 130}c", "a@b\N{KELVIN SIGN}.c"),
    ],
)
@pytest.mark.parametrize("name", ["to_address", "reply_to"])
def test_what_is_no_ascii_address_is_refused_with_the_way_out(name: str, address: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .* no plain mail address: correct it to name@domain"):
        SKELETON.fill(replace(FIELDS, **cast("Any", {name: address})))


@pytest.mark.parametrize("message_id", ["", "1@office.example", "<a b>", "<a><b>", "<中@b>", f"<{'a' * 1000}>"])
def test_what_is_no_message_id_is_refused(message_id: str) -> None:
    with pytest.raises(ValueError, match="message_id"):
        SKELETON.fill(replace(FIELDS, message_id=message_id))
    with pytest.raises(ValueError, match="references"):
        SKELETON.fill(replace(FIELDS, references=("<a@b>", message_id)))


def test_an_answer_refers_at_least_to_the_mail_it_answers() -> None:
    message = read(joined(SKELETON, replace(FIELDS, in_reply_to="<9@unit.example>")))
    assert (message["In-Reply-To"], message["References"]) == ("<9@unit.example>", "<9@unit.example>")
    first = read(joined(SKELETON, FIELDS))
    assert (first["In-Reply-To"], first["References"]) == (None, None)


def test_equal_moments_of_two_zones_are_each_written_in_their_own() -> None:
    for zone in (ZoneInfo("Asia/Shanghai"), UTC, timezone(timedelta(hours=-5, minutes=-30))):
        message = read(joined(SKELETON, replace(FIELDS, date=AT.astimezone(zone))))
        assert message["Date"] == format_datetime(AT.astimezone(zone))


def test_a_date_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="date has no time zone"):
        SKELETON.fill(replace(FIELDS, date=AT.replace(tzinfo=None)))


def test_without_enclosures_a_mail_is_only_its_two_texts() -> None:
    types = [part.get_content_type() for part in read(joined(skeleton(), BARE)).walk()]
    assert types == ["multipart/alternative", "text/plain", "text/html"]


def test_no_mail_contains_its_boundary_but_between_its_parts() -> None:
    first = read(joined(SKELETON, FIELDS))
    boundaries = [part.get_boundary() or "" for part in first.walk() if part.is_multipart()]
    assert len(set(boundaries)) == 2
    for boundary in boundaries:
        echo = f"--{boundary}"
        own = (f"\r\n{echo}--\r\n".encode(),)
        raw = joined(
            SKELETON,
            replace(FIELDS, to_name=echo, values={**VALUES, "title": echo, "party": f"\n{echo}--\n"}, own=own),
        )
        again = read(raw)
        assert [part.get_content_type() for part in again.walk()] == [p.get_content_type() for p in first.walk()]
        parts = 2 if boundary == boundaries[1] else 4
        assert [line for line in raw.split(b"\r\n") if line.startswith(echo.encode())] == [
            *[echo.encode()] * parts,
            f"{echo}--".encode(),
        ]
        assert list(again.iter_attachments())[2].get_payload(decode=True) == own[0]


def test_the_boundary_is_of_the_content() -> None:
    assert skeleton().fill(BARE) == skeleton().fill(BARE)
    assert skeleton().fill(BARE)[1] != skeleton(text="别的").fill(BARE)[1]


def test_all_recipients_share_one_constant_attachment() -> None:
    one, other = SKELETON.fill(FIELDS), SKELETON.fill(replace(FIELDS, values={**VALUES, "party": "别的街道"}))
    large = [(a, b) for a, b in zip(one, other, strict=True) if len(a) > len(PDF.content or b"")]
    assert len(large) == 1
    assert large[0][0] is large[0][1]


def test_a_body_without_marks_is_shared_too() -> None:
    of = skeleton(text="正文" * 1000)
    one, other = of.fill(BARE), of.fill(replace(BARE, to_name="别的街道"))
    assert [a is b for a, b in zip(one, other, strict=True)] == [False, True, True, True, True, True]


def test_values_are_escaped_in_html_and_nowhere_else() -> None:
    value = "<script>alert('1')</script> & \"2\"\r第二行"
    of = skeleton(text=mark("v"), html=f"<p>{mark('v')}</p>", enclosures=[replace(PDF, content=mark("v").encode())])
    message = read(joined(of, replace(BARE, values={"v": value})))
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content() == value.replace("\r", "\r\n") + "\r\n"
    assert html.get_content() == (
        "<p>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &#34;2&#34;\r\n第二行</p>\r\n"
    )
    assert next(message.iter_attachments()).get_payload(decode=True) == value.encode()


def test_markup_stands_in_html_as_it_is_even_after_json() -> None:
    of = skeleton(html=f"{mark('rows')}{mark('name')}")
    fields = replace(BARE, values={"rows": Markup("<tr></tr>"), "name": "<tr></tr>"})
    again = load_fields(json.loads(json.dumps(dump_fields(fields, Store().put))), Store().get)
    html = read(joined(of, fields)).get_body(("html",))
    assert html is not None
    assert html.get_content() == "<tr></tr>&lt;tr&gt;&lt;/tr&gt;\r\n"
    assert of.fill(again) == of.fill(fields)


def test_a_mark_without_a_value_is_named() -> None:
    values = {name: value for name, value in VALUES.items() if name not in {"title", "code"}}
    with pytest.raises(ValueError, match="no value was given for the mark code, title"):
        SKELETON.fill(replace(FIELDS, values=values))
    with pytest.raises(ValueError, match="'title'"):
        SKELETON.subject(values)


def test_a_skeleton_knows_its_marks_and_its_subject() -> None:
    assert SKELETON.marks == VALUES.keys()
    assert SKELETON.subject(VALUES) == "提醒：活动进展情况统计表请于5月29日17时前报送【编号：p3f-abcdefghij】"


@pytest.mark.parametrize("character", ["\ue000", "\ue001", mark("code")])
def test_no_value_brings_marks_in(character: str) -> None:
    with pytest.raises(ValueError, match=r"the value of party carries U\+E000 or U\+E001"):
        SKELETON.fill(replace(FIELDS, values={**VALUES, "party": f"某{character}街道"}))


def test_half_a_character_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="half a character"):
        SKELETON.fill(replace(FIELDS, values={**VALUES, "party": "某\ud83d街道"}))
    with pytest.raises(ValueError, match="to_name carries half a character"):
        SKELETON.fill(replace(FIELDS, to_name="\ud83d"))


@pytest.mark.parametrize("broken", ["\ue000", "\ue001", "\ue000code", "\ue000co de\ue001", "\ue000\ue001", "\ud83d"])
@pytest.mark.parametrize("name", ["subject", "text", "html"])
def test_a_broken_mark_stops_the_building(name: str, broken: str) -> None:
    with pytest.raises(ValueError, match=f"{name} carries"):
        skeleton(**{name: f"请{mark('code')}{broken}于"})


@pytest.mark.parametrize("name", ["", "a b", "名", "a\ue001"])
def test_a_mark_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="names no mark"):
        mark(name)


def test_a_binary_attachment_has_no_marks_by_chance() -> None:
    content = b"\xff\xd8" + mark("code").encode() + b"\xee\x80\x80"
    of = skeleton(enclosures=[replace(PDF, content=content)])
    assert of.marks == frozenset()
    assert parse_mail(joined(of, BARE)).attachments[0].content == content


@pytest.mark.parametrize("content", [b"", b"1", b"x" * 57, b"x" * 58, b"x" * 5700])
def test_an_attachment_of_any_length_arrives(content: bytes) -> None:
    of = skeleton(enclosures=[replace(PDF, content=content), replace(PDF, content=None)])
    assert [a.content for a in parse_mail(joined(of, replace(BARE, own=(content,)))).attachments] == [content] * 2


@pytest.mark.parametrize(
    "media_type", ["", "pdf", "message/rfc822", "multipart/mixed", "a/b; c=d", "a/b\r\nBcc: x", "text/\u017f"]
)
def test_a_media_type_that_cannot_be_enclosed_in_base64_is_refused(media_type: str) -> None:
    with pytest.raises(ValueError, match="cannot be enclosed as"):
        skeleton(enclosures=[replace(PDF, media_type=media_type)])


def test_each_recipient_brings_as_many_contents_as_are_asked_for() -> None:
    for own in ((), (b"a", b"b")):
        with pytest.raises(ValueError, match="1 contents of the recipient's own are asked for"):
            SKELETON.fill(replace(FIELDS, own=own))


def calendar_of(of: Skeleton, fields: Fields) -> bytes:
    found = [a.content for a in parse_mail(joined(of, fields)).attachments if a.media_type == "text/calendar"]
    return found[0]


def test_the_calendar_library_folds_inside_our_marks() -> None:
    assert (
        b"\r\n " in (ICS.content or b"").split(b"DESCRIPTION:")[1].split(b"\xee\x80\x81")[0].split(b"\xee\x80\x80")[1]
    )


@settings(max_examples=50, deadline=None)
@given(title=BODY, due=BODY)
@example(title="一,二;三\\四：\n五\r\n六\u2028七" + "😀" * 40, due="")
def test_a_calendar_is_folded_again_and_says_what_was_meant(title: str, due: str) -> None:
    title, due = title.replace("\t", " "), due.replace("\t", " ")
    values = {**VALUES, "title": title, "a_long_name_that_gets_folded": due}
    of = skeleton(enclosures=[ICS])
    ics = calendar_of(of, replace(BARE, values=values))
    lines = ics.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert all(line.decode() for line in lines[:-1])
    assert lines[-1] == b""
    event = icalendar.Calendar.from_ical(ics).walk("VEVENT")[0]
    meant = on_lines(title).replace("\u2028", "\n")
    assert str(event["SUMMARY"]) == f"报送截止：{meant}"
    assert str(event["UID"]) == "plan-p3f-abcdefghij@office.example"
    assert cast("Any", event["DTEND"]).dt == AT


def test_no_calendar_bears_a_control_character() -> None:
    with pytest.raises(ValueError, match="a control character"):
        skeleton(enclosures=[ICS]).fill(replace(BARE, values={**VALUES, "title": "铃\a"}))


def test_a_calendar_without_marks_stays_as_it_is() -> None:
    content = b"BEGIN:VCALENDAR\r\nX:" + "长".encode() * 23 + b"\r\n " + "长".encode() * 9 + b"\r\nEND:VCALENDAR\r\n"
    assert calendar_of(skeleton(enclosures=[replace(ICS, content=content)]), BARE) == content


def test_a_dumped_skeleton_fills_in_to_the_same_bytes() -> None:
    store = Store()
    dumped = SKELETON.dump(store.put)
    again = Skeleton.load(dumped, store.get)
    assert again.fill(FIELDS) == SKELETON.fill(FIELDS)
    assert again.dump(store.put) == dumped
    assert list(store.kept.values()) == [PDF.content]
    assert len(dumped) < 5000
    assert dumped == json.dumps(json.loads(dumped), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@settings(max_examples=40, deadline=None)
@given(
    text=BODY,
    to_name=ONE_LINE,
    values=st.dictionaries(st.text(CHARACTERS, max_size=8), st.one_of(BODY, BODY.map(Markup)), max_size=4),
    own=st.binary(max_size=2000),
    moment=st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Asia/Shanghai"), ZoneInfo("America/St_Johns")])),
    small=st.binary(max_size=1500),
)
def test_whatever_is_dumped_comes_back(
    text: str, to_name: str, values: Mapping[str, str], own: bytes, moment: datetime, small: bytes
) -> None:
    store = Store()
    of = skeleton(text=text, html=mark("x"), enclosures=[replace(FORM, content=small), FORM])
    fields = replace(FIELDS, to_name=to_name, values={**values, "x": "x"}, own=(own,), date=moment)
    told = json.loads(json.dumps(dump_fields(fields, store.put)))
    assert Skeleton.load(of.dump(store.put), store.get).fill(load_fields(told, store.get)) == of.fill(fields)


def test_fields_are_dumped_without_what_is_empty() -> None:
    assert dump_fields(replace(BARE, values={}), Store().put) == {
        "to_name": "某街道",
        "to_address": "duty@unit.example",
        "reply_to": "muster+p3f-abcdefghij@office.example",
        "message_id": "<1@office.example>",
        "date": "2020-05-29T16:20:00+08:00",
    }


def test_a_store_that_mixes_contents_up_is_found_out() -> None:
    with pytest.raises(ValueError, match="kept under another name"):
        SKELETON.dump(lambda _: "0" * 64)
    dumped = SKELETON.dump(Store().put)
    with pytest.raises(ValueError, match="not those it was dumped with"):
        Skeleton.load(dumped, lambda _: b"another file")


def test_a_dump_of_another_version_is_refused() -> None:
    dumped = SKELETON.dump(Store().put)
    with pytest.raises(ValueError, match="another version of Muster"):
        Skeleton.load(dumped.replace(b'"version":1', b'"version":2'), Store().get)


ELSEWHERE = """
import json, sys
from pathlib import Path
from mail.skeleton import Skeleton, load_fields
folder = Path(sys.argv[1])
get = lambda digest: (folder / digest).read_bytes()
fields = load_fields(json.loads(get("fields")), get)
sys.stdout.buffer.write(b"".join(Skeleton.load(get("skeleton"), get).fill(fields)))
"""


@pytest.mark.parametrize("seed", ["1", "20200529"])
def test_another_process_writes_the_same_bytes(tmp_path: Path, house: Path, seed: str) -> None:
    store = Store()
    (tmp_path / "skeleton").write_bytes(SKELETON.dump(store.put))
    (tmp_path / "fields").write_text(json.dumps(dump_fields(FIELDS, store.put)), encoding="utf-8")
    for digest, content in store.kept.items():
        (tmp_path / digest).write_bytes(content)
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, check=True)
    assert done.stdout == b"".join(SKELETON.fill(FIELDS))
