"""Bounces: the mails of bounces/, written in the shapes of the servers they are named after, and odd bytes."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.bounces import Bounce, BounceKind, concerns, original_message_id, read_bounce
from mail.parsing import IncomingMail, parse_mail
from mail.skeleton import Fields, Skeleton
from rehearsal.envelopes import Outgoing, Style, build
from rehearsal.post_office import delivery_report

HARD, SOFT, DELAYED = BounceKind.HARD, BounceKind.SOFT, BounceKind.DELAYED
MAILS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "bounces").glob("*.eml"))}
AT = datetime(2020, 5, 29, 8, 20, tzinfo=UTC)

# file, kind, recipient, status, the number of the mail returned
BOUNCES = [
    ("aliyun_domain_not_found", HARD, "duty@unti.example", "5.1.2", 22),
    ("coremail_mailbox_full", SOFT, "duty@unit.example", "", 19),
    ("coremail_unreachable", SOFT, "duty@unit.example", "", 18),
    ("delayed_in_chinese", DELAYED, "duty@unit.example", "", None),
    ("delivered", DELAYED, "duty@unit.example", "2.0.0", 11),
    ("exchange_chinese", HARD, "zhangsan@unit.example", "5.1.10", 12),
    ("exchange_online_no_such_recipient", HARD, "duty@unit.example", "5.4.1", 13),
    ("exim_unrouteable", HARD, "duty@unit.example", "", 24),
    ("exmail_no_such_user", HARD, "anjianban@bureau.example", "", 21),
    ("gmail_delayed", DELAYED, "duty@unit.example", "4.4.2", 15),
    ("gmail_disabled", HARD, "duty.unit@gmail.example", "5.2.1", 14),
    ("mailbox_full", SOFT, "duty@unit.example", "5.2.2", 7),
    ("netease_no_such_user", HARD, "anjianban@mx163.example", "", 16),
    ("netease_taken_for_spam", SOFT, "anjianban@mx163.example", "", 17),
    ("our_domain_refused", SOFT, "duty@unit.example", "5.1.8", 9),
    ("postfix_content_refused", SOFT, "12345678@qq.example", "5.0.0", 3),
    ("postfix_delayed", DELAYED, "duty@unit.example", "4.4.1", 5),
    ("postfix_domain_not_found", HARD, "duty@unti.example", "5.4.4", 2),
    ("postfix_expired", SOFT, "duty@unit.example", "4.4.1", 6),
    ("postfix_says_no_more", HARD, "duty@unit.example", "5.0.0", 4),
    ("postfix_user_unknown", HARD, "duty@unit.example", "5.1.1", 1),
    ("qq_mailbox_full", SOFT, "12345678@qq.example", "", 20),
    ("refused_by_policy", SOFT, "duty@unit.example", "5.7.1", 8),
    ("sina_qmail", HARD, "jdb2020@sina.example", "5.1.1", 23),
    ("status_in_base64", HARD, "duty@unit.example", "5.1.1", 25),
    ("status_without_its_type", HARD, "duty@unit.example", "5.5.0", 26),
    ("two_recipients", HARD, "duty@unit.example", "5.1.1", 10),
]
NO_BOUNCES = [
    "explanation_from_postmaster",
    "forwarded_bounce",
    "forwarded_by_a_machine",
    "forwarded_in_pieces",
    "hand_in_about_a_bounce",
    "hand_in_from_postmaster",
    "out_of_office",
    "out_of_office_bare",
    "out_of_office_to_word_of_a_bounce",
    "question_about_a_bounce",
    "read_receipt",
    "reply_from_postmaster",
    "reply_quoting_a_bounce",
]


def read(raw: bytes) -> Bounce | None:
    return read_bounce(parse_mail(raw), raw)


def as_on_the_wire(raw: bytes) -> bytes:
    return raw.replace(b"\n", b"\r\n")


def of_us(number: int | None) -> str:
    return f"<{number:02d}aa4c1be0d94f7f8d5a@office.example>" if number else ""


@pytest.mark.parametrize(("name", "kind", "recipient", "status", "number"), BOUNCES, ids=[row[0] for row in BOUNCES])
def test_a_bounce_is_read_for_what_it_says(
    name: str, kind: BounceKind, recipient: str, status: str, number: int | None
) -> None:
    for raw in (MAILS[name], as_on_the_wire(MAILS[name])):
        bounce = read(raw)
        assert bounce is not None
        assert (bounce.kind, bounce.recipient, bounce.status) == (kind, recipient, status)
        assert bounce.diagnostic
        assert concerns(bounce, recipient)
        assert original_message_id(raw) == of_us(number)


@pytest.mark.parametrize("name", NO_BOUNCES)
def test_what_is_no_report_is_no_bounce(name: str) -> None:
    assert read(MAILS[name]) is None
    assert read(as_on_the_wire(MAILS[name])) is None


def test_every_sample_is_in_a_table() -> None:
    assert sorted([*NO_BOUNCES, *(row[0] for row in BOUNCES)]) == list(MAILS)


def test_samples_name_nobody_outside_the_example_domains() -> None:
    for raw in MAILS.values():
        assert b"@" in raw
        hosts = [host.split(b">")[0].split()[0] for host in raw.split(b"@")[1:]]
        assert [h for h in hosts if b".example" not in h] == []


# Action, Status and Diagnostic-Code as a server states them
@pytest.mark.parametrize(
    ("action", "status", "diagnostic", "kind"),
    [
        ("failed", "5.1.1", "", HARD),
        ("failed", "5.1.2", "", HARD),
        ("failed", "5.1.6", "", HARD),
        ("failed", "5.1.7", "", SOFT),  # 5.1.7 and 5.1.8 blame the sender's address
        ("failed", "5.2.1", "", HARD),
        ("failed", "5.2.2", "550 User unknown", SOFT),
        ("failed", "5.2.3", "", SOFT),
        ("failed", "5.3.4", "", SOFT),
        ("failed", "5.7.1", "550 User unknown", SOFT),
        ("failed", "4.2.2", "", SOFT),
        ("failed", "4.1.1", "450 User unknown", SOFT),
        ("failed (permanent)", "5.1.1 (bad address)", "", HARD),
        ("error", "5.1.1", "", HARD),
        ("", "5.1.1", "", HARD),
        ("", "4.4.1", "", DELAYED),
        ("mishandled", "5.1.1", "", HARD),
        ("delayed", "5.1.1", "", DELAYED),
        ("relayed", "2.1.9", "", DELAYED),
        ("delivered", "2.1.5", "", DELAYED),
        ("expanded", "2.2.0", "", DELAYED),
        ("failed", "", "550 5.1.1 unknown", HARD),
        ("failed", "", "", SOFT),
        ("failed", "5.0.0", "", HARD),
        ("failed", "5.0.0", "550 #1001", HARD),
        ("failed", "5.0.0", "550 5.7.1 no", SOFT),
        ("failed", "5.0.0", "421 4.4.2 connection dropped", SOFT),
        ("failed", "5.0.0", "552 too big", SOFT),
        ("failed", "5.1.0", "550 5.1.0 Rejected: listed as spam", SOFT),
        ("failed", "5.1.0", "550 Address rejected", HARD),
        ("failed", "5.5.0", "550 User unknown", HARD),
        ("failed", "5.5.0", "550 Requested action not taken: mailbox unavailable", HARD),
        ("failed", "5.5.0", "550 Mailbox unavailable or access denied", SOFT),
        ("failed", "5.5.0", "554 Transaction failed", SOFT),
        ("failed", "5.5.0", "Host unknown", HARD),
        ("failed", "5.5.0", "550 域名不存在", HARD),
        ("failed", "5.0.0", "connection timed out", SOFT),
        ("failed", "5.5.0", "550 Invalid User: <quota@spam.example>", HARD),
        ("failed", "5.5.0", "554 <unknown@user-unknown.example> https://mx.example/user-unknown", SOFT),
        ("failed", "5.4.4", "", HARD),
        ("failed", "5.4.4", "Host unknown", HARD),
        ("failed", "5.4.7", "delivery time expired", SOFT),
        ("failed", "5.4.310", "DNS domain 'unti.example' does not exist", HARD),
        ("failed", "5.0.0", "550 Sender address rejected: Domain not found", SOFT),
        ("failed", "5.0.0", "450 Client host rejected: host not found", SOFT),
        ("failed", "5.0.0", "550 IP address unknown, Ip frequency limited", SOFT),
        ("failed", "5.0.0", "554 DT:SPM 163 smtp9", SOFT),
        ("failed", "5.0.0", "550 5.0.0 Over quota", SOFT),
        ("failed", "5.0.0", "550 User unknown; our spam policy: http://mx.example", HARD),
        ("failed", "5.0.0", "550 用户不存在", HARD),
        ("failed", "5.0.0", "550 该用户未开通邮箱", HARD),
        ("failed", "5.0.0", "550 域名不存在", HARD),
        ("failed", "5.0.0", "550 收件人邮箱已满", SOFT),
        ("failed", "5.0.0", "550 空间不足", SOFT),
        ("failed", "5.0.0", "550 用户不存在或邮箱已满", SOFT),
        ("failed", "5.0.0", "554 拒信：疑似垃圾邮件", SOFT),
        ("failed", "5.0.0", "=?utf-8?B?55So5oi35LiN5a2Y5Zyo?=", HARD),  # 用户不存在
    ],
)
def test_a_stated_failure_is_hard_only_where_the_address_is_at_fault(
    action: str, status: str, diagnostic: str, kind: BounceKind
) -> None:
    raw = report(f"Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {diagnostic}")
    bounce = read(raw)
    assert bounce is not None
    assert (bounce.kind, bounce.recipient) == (kind, "duty@unit.example")


def report(fields: str, *, prose: str = "See below.", subject: str = "Undelivered Mail") -> bytes:
    return (
        f"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: muster@office.example\nSubject: {subject}\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"\n\n'
        f"--=_b\nContent-Type: text/plain; charset=utf-8\n\n{prose}\n"
        "--=_b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        f"Final-Recipient: rfc822; duty@unit.example\n{fields}\n--=_b--\n"
    ).encode()


def test_a_report_by_a_silent_server_is_read_by_its_prose() -> None:
    bounce = read(report("Action: failed\nStatus: 5.0.0", prose="退信原因：收件人邮箱空间不足"))
    assert bounce == Bounce(kind=SOFT, recipient="duty@unit.example", status="5.0.0", diagnostic="收件人邮箱空间不足")


def test_a_report_whose_boundary_never_comes_is_still_read() -> None:
    raw = report("Action: failed\nStatus: 5.1.1").replace(b'boundary="=_b"', b'boundary="=_lost"')
    bounce = read(raw)
    assert bounce is not None
    assert (bounce.kind, bounce.recipient, bounce.status) == (HARD, "duty@unit.example", "5.1.1")


def test_a_report_is_one_though_its_envelope_was_rewritten() -> None:
    raw = MAILS["postfix_user_unknown"].replace(b"Return-Path: <>", b"Return-Path: <noreply@unit.example>", 1)
    raw = raw.replace(b"MAILER-DAEMON@mail.county.example", b"noreply@mail.county.example", 1)
    assert getattr(read(raw), "kind", None) is HARD


@pytest.mark.parametrize("quiet", ["", "Status: \n", "Action: \nStatus: unknown", "\x00\x01", "失败"])
def test_a_report_whose_status_part_is_broken_is_read_by_its_words(quiet: str) -> None:
    bounce = read(report(quiet, prose="投递失败：收件人 duty@unit.example 不存在", subject="系统退信"))
    assert bounce is not None
    assert (bounce.kind, bounce.recipient) == (HARD, "duty@unit.example")


def test_the_mail_returned_says_nothing_of_why() -> None:
    refused = MAILS["sina_qmail"].replace(b"Sorry, no mailbox here by that name. (#5.1.1)", b"Content denied.")
    assert getattr(read(refused + "\n空间不足的单位、不存在的用户，550 5.1.1\n".encode()), "kind", None) is SOFT
    dead = MAILS["exim_unrouteable"]
    assert getattr(read(dead + "\n邮箱已满，552 5.2.2\n".encode()), "kind", None) is HARD


def test_what_follows_the_mail_returned_says_nothing_of_why() -> None:
    kinds = ("text/plain; charset=utf-8", "message/rfc822", "text/plain; charset=utf-8")
    texts = ("您的邮件被退回，请联系 postmaster@mx.example。", "Subject: 提醒", "用户 li@unit.example 不存在")
    parts = "".join(f"--=_b\nContent-Type: {kind}\n\n{text}\n" for kind, text in zip(kinds, texts, strict=True))
    head = "Return-Path: <>\nSubject: 系统退信\nContent-Type: multipart/mixed; boundary==_b\n\n"
    bounce = read((head + parts + "--=_b--\n").encode())
    assert bounce is not None
    assert (bounce.kind, bounce.recipient) == (SOFT, "")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("邮件暂时无法投递，系统会继续尝试。", DELAYED),
        ("邮件延迟多日，系统已放弃。", SOFT),
        ("延迟多日，投递失败：550 5.1.1", HARD),
    ],
)
def test_a_delay_is_no_bounce_until_the_server_gives_up(text: str, kind: BounceKind) -> None:
    raw = f"Return-Path: <>\nFrom: mailer-daemon@mx.example\nSubject: 邮件投递延迟\n\n{text}\n".encode()
    assert getattr(read(raw), "kind", None) is kind


def test_a_known_format_that_says_no_more_is_hard_as_5_0_0_is() -> None:
    raw = MAILS["sina_qmail"].replace(b"Sorry, no mailbox here by that name. (#5.1.1)", b"#1001")
    bounce = read(raw)
    assert bounce is not None
    assert (bounce.kind, bounce.recipient, bounce.status) == (HARD, "jdb2020@sina.example", "")
    assert bounce.diagnostic == "jdb2020@sina.example>: #1001"  # past the courtesies


def test_fields_in_the_text_count_before_its_words() -> None:
    raw = MAILS["status_without_its_type"].replace(b"Action: failed", b"Action: delayed")
    assert getattr(read(raw), "kind", None) is DELAYED


def test_a_daemon_that_calls_it_something_else_is_understood() -> None:
    raw = "From: postmaster@mx.example\nSubject: 邮件系统通知\n\n退信原因：收件人 duty@unit.example 不存在\n".encode()
    bounce = read(raw)
    assert bounce is not None
    assert (bounce.kind, bounce.recipient) == (HARD, "duty@unit.example")


def test_words_that_cannot_be_kept_are_left_out() -> None:
    lone = report("Action: failed\nStatus: 5.0.0", prose=r"\ud800 <\ud800@unit.example>").replace(
        b"utf-8", b"unicode_escape"
    )
    bounce = read(lone)
    assert bounce is not None
    assert bounce.diagnostic.encode()
    head = b"Content-Type: text/plain; charset=unicode_escape\n\n"
    inline = head + rb"Original message: Message-ID: <a\ud800@b>"
    assert original_message_id(inline).encode()


def test_the_forwarding_target_is_not_the_address_we_wrote_to() -> None:
    raw = report("Original-Recipient: rfc822;duty@unit.example\nAction: failed\nStatus: 5.1.1").replace(
        b"Final-Recipient: rfc822; duty@", b"Final-Recipient: rfc822; private@"
    )
    assert getattr(read(raw), "recipient", "") == "duty@unit.example"


@pytest.mark.parametrize(
    ("named", "address", "may"),
    [
        ("", "duty@unit.example", True),
        ("duty@unit.example", "duty@unit.example", True),
        ("Duty@UNIT.example", "duty@unit.example", True),
        ("rfc822; duty@unit.example", "duty@unit.example", True),
        ("RFC822;<duty@unit.example>", " <Duty@unit.example>", True),
        ("duty@unit.example", "值班 <duty@unit.example>", True),
        ("duty@other.example", "duty@unit.example", False),
        ("xduty@unit.example", "duty@unit.example", False),
        ("duty@unit.example.other.example", "duty@unit.example", False),
    ],
)
def test_a_report_concerns_the_address_it_names(named: str, address: str, may: bool) -> None:
    assert concerns(Bounce(kind=HARD, recipient=named), address) is may


def test_a_rehearsed_report_is_read() -> None:
    skeleton = Skeleton(
        sender_name="区安委会办公室",
        sender_address="muster@office.example",
        subject="提醒",
        text="正文",
        html="<p>正文</p>",
    )
    fields = Fields(
        to_name="某街道",
        to_address="duty@unit.example",
        reply_to="muster+p3f-abcdefghij@office.example",
        message_id="<1@office.example>",
        date=AT,
    )
    sent = b"".join(skeleton.fill(fields))
    raw = delivery_report("mx.unit.example", "muster+ma-abc@office.example", "duty@unit.example", sent, AT)
    bounce = read(raw)
    assert bounce is not None
    assert (bounce.kind, bounce.recipient, bounce.status) == (HARD, "duty@unit.example", "5.1.1")
    assert original_message_id(raw) == "<1@office.example>"


CLERK = Outgoing(
    sender="duty@unit.example",
    to="muster+p3f-abcdefghij@office.example",
    subject="回复：材料",
    text="请查收。",
    message_id="<9@unit.example>",
    date=AT,
    file_name="统计表.xlsx",
    content=b"PK",
)


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("subject", ["报送材料", "退信后重报", "系统退信"])
def test_a_hand_in_is_no_bounce_whatever_its_subject(style: Style, subject: str) -> None:
    text = "收件人不存在，550 5.1.1"
    assert read(build(replace(CLERK, style=style, subject=subject, text=text))) is None
    from_postmaster = replace(CLERK, style=style, subject=subject, text=text, sender="postmaster@unit.example")
    assert read(build(from_postmaster)) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("收件人不存在", HARD),
        ("查无此人，投递失败", HARD),
        ("邮箱已满", SOFT),
        ("对方拒收", SOFT),
        ("您的邮件被退回", SOFT),  # no reason given
    ],
)
@pytest.mark.parametrize("style", list(Style))
def test_a_chinese_bounce_without_report_is_read_by_its_words(style: Style, text: str, kind: BounceKind) -> None:
    mail = replace(
        CLERK, style=style, sender="postmaster@unit.example", subject="系统退信", text=text, file_name="", content=b""
    )
    assert getattr(read(build(mail)), "kind", None) is kind


PEOPLE = ("duty@unit.example", "li.postmaster@unit.example", "")
QUOTES = [raw.decode("utf-8", "replace") for raw in MAILS.values()]


@given(
    sender=st.sampled_from(PEOPLE), subject=st.sampled_from(["系统退信", "Undelivered Mail", "材料"]), data=st.data()
)
def test_what_a_person_sends_is_never_a_bounce(sender: str, subject: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(QUOTES) | st.text())
    mail = IncomingMail(from_address=sender, subject=subject, text=text)
    assert read_bounce(mail, f"From: {sender}\nSubject: {subject}\n\n{text}".encode("utf-8", "replace")) is None


MACHINE = IncomingMail(from_address="mailer-daemon@mx.example", subject="系统退信", null_return_path=True)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading(raw: bytes) -> None:
    for whole in (raw, b"Content-Type: " + raw + b"\n\n" + raw, report("").replace(b"See below.", raw)):
        read_bounce(MACHINE, whole)
        read(b"Return-Path: <>\n" + whole)
        original_message_id(whole)


@given(raw=st.sampled_from(list(MAILS.values())), data=st.data())
def test_no_damage_to_a_report_breaks_the_reading(raw: bytes, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(raw)))
    length = data.draw(st.integers(0, 200))
    damaged = raw[:begin] + data.draw(st.binary(max_size=40)) + raw[begin + length :]
    for mail in (MACHINE, parse_mail(damaged)):
        bounce = read_bounce(mail, damaged)
        found = original_message_id(damaged)
        for text in (found, *((bounce.recipient, bounce.diagnostic, bounce.status) if bounce else ())):
            text.encode()  # what is read can be kept
            assert "\0" not in text


def test_a_recipient_with_a_nul_in_it_can_be_kept() -> None:
    raw = b"From: mailer-daemon@x\nX-Failed-Recipients: duty@\0gmail.example\nSubject: failure notice\n\nuser unknown\n"
    bounce = read(raw)
    assert bounce is not None
    assert "\0" not in bounce.recipient + bounce.diagnostic


HOSTILE = {
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(2500)),
    "a long line": b"Content-Type: text/plain\n\nnot yet been delivered\n" + b"a" * 600_000,
    "styles": b"Content-Type: text/html\n\n" + b"<style" * 100_000,
    "addresses": b"Content-Type: text/plain\n\n" + b"user a@b " * 60_000,
    "recipients": report("Final-Recipient: rfc822; a@b\nAction: failed\n\n" * 10_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_does_not_hold_up_the_others(name: str) -> None:
    begin = thread_time()
    read_bounce(MACHINE, HOSTILE[name])
    original_message_id(HOSTILE[name])
    assert thread_time() - begin < 5
