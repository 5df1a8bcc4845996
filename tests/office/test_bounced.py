"""What comes back: bounces and automatic replies over the real intake, and mails that break what reads them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from definition.loading import LoadedCampaign, load_campaign
from definition.roster import ContactRole, RosterContact
from ledger.audit import verify
from ledger.campaigns import contacts_at, contacts_of, mark_contact_bad, office_of
from ledger.errors import TakenOver
from ledger.outbox import attempts_of
from ledger.submissions import KeptFile, NewSubmission, record_submission
from ledger.tables import (
    AttemptRow,
    AuditRow,
    CampaignRow,
    ContactRow,
    FigureRow,
    FileRow,
    FindingRow,
    IntakeRow,
    MessageRow,
    MessageState,
    ObligationRow,
    SubmissionRow,
)
from mail.maildir import deliver
from mail.parsing import parse_mail
from mail.smtp import Outcome
from mail.tokens import sign
from office import intake
from office.contacts import ContactTrouble, Trouble, contact_troubles, roster_troubles
from office.intake import Collected, fetch_mail
from office.launching import launch_campaign
from office.outbox import Shard, claim_shard, commit_group, repair, still_ours
from office.pausing import close_at_the_end
from office.queue import waiting_for_a_person
from office.settling import resend
from office.stops import HOME
from rehearsal.envelopes import Outgoing, build
from rehearsal.post_office import delivery_report
from rules.forms import Checked, Figure, Finding, FindingCode, Severity
from rules.obligations import Standing, SubmissionState
from rules.timetable import StepKind
from tests.documents.test_forms import opened, saved
from tests.office.test_office import KEY, SECRET, Desk, act, launched, local

MAILS = {p.stem: p.read_bytes() for p in sorted((Path(__file__).parents[1] / "mail" / "bounces").glob("*.eml"))}
TOKEN = b"muster+ma2-abcdefghij@"  # in the samples
PLAIN = "muster@office.example"
NOON = local(5, 29, 12)

# BH001 has a second contact; the only one of BH036 has a telephone; BH025 named one mailbox twice.
CAST = {
    "BH001": (("duty@unit.example", "022-1"), ("lead@unit.example", "")),
    "BH036": (("12345678@qq.example", "022-36"),),
    "BH025": (("anjianban@bureau.example", "022-25"), ("anjianban@bureau.example", "")),
}
ROLES = (ContactRole.DUTY, ContactRole.RESPONSIBLE)


@pytest.fixture(scope="module")
def loaded(house: Path) -> LoadedCampaign:
    whole = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    units = [
        replace(
            unit,
            contacts=tuple(
                RosterContact(role=role, name="", address=address, phone=phone)
                for role, (address, phone) in zip(ROLES, CAST[unit.code], strict=False)
            ),
        )
        for unit in whole.units
        if unit.code in CAST
    ]
    return replace(whole, units=tuple(units))


@pytest.fixture
def desk(loaded: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """Return the office on each kind of database, after the launch went out to everybody."""
    with launched(loaded, tmp_path, ledger_url, is_sent=True) as opened_desk:
        yield opened_desk


def mail_to(desk: Desk, code: str, notice: str = "launch") -> MessageRow:
    """Return the newest mail of a notice to a unit."""
    query = select(MessageRow).where(MessageRow.party_id == desk.party(code), MessageRow.notice == notice)
    with desk.house.ledger.reading() as session:
        return session.scalars(query.order_by(MessageRow.id.desc()).limit(1)).one()


def contacts(desk: Desk, code: str) -> list[ContactRow]:
    query = select(ContactRow).where(ContactRow.party_id == desk.party(code)).order_by(ContactRow.rank)
    with desk.house.ledger.reading() as session:
        return list(session.scalars(query))


def last_mail(desk: Desk) -> IntakeRow:
    with desk.house.ledger.reading() as session:
        return session.scalars(select(IntakeRow).order_by(IntakeRow.id.desc()).limit(1)).one()


def waiting(desk: Desk) -> list[tuple[str, ...]]:
    with desk.house.ledger.reading() as session:
        return waiting_for_a_person(session, HOME)


def troubles(desk: Desk) -> list[ContactTrouble]:
    with desk.house.ledger.reading() as session:
        return contact_troubles(session, 1)


def repaired(desk: Desk, at: datetime) -> int:
    with desk.house.ledger.writing() as session:
        return repair(session, desk.house, act(at), KEY)


def counted(desk: Desk, *of: object) -> int:
    with desk.house.ledger.reading() as session:
        return session.scalar(select(func.count()).where(*of)) or 0  # type: ignore[arg-type]


def addressed(name: str, desk: Desk, code: str) -> bytes:
    """Return a sample as it answers the newest launch mail to a unit: to the token of its envelope."""
    token = sign("m", mail_to(desk, code).id, SECRET)
    assert TOKEN in MAILS[name]
    return MAILS[name].replace(TOKEN, f"muster+{token}@".encode())


def bring(desk: Desk, *raws: bytes, at: datetime = NOON) -> Collected:
    for raw in raws:
        deliver(desk.house.maildir, raw, at)
    return desk.collect(at)


def bytes_of(desk: Desk, message: MessageRow) -> bytes:
    skeleton, fields, raw = message.skeleton_sha256, message.fields, message.raw_sha256
    assert skeleton is not None
    assert fields is not None
    assert raw is not None
    return b"".join(desk.house.skeletons.again(skeleton, fields, raw))


def alerts(desk: Desk) -> list[str]:
    """Return the texts of the alerts that left, in order."""
    query = select(MessageRow).where(MessageRow.notice == "alert", MessageRow.state == MessageState.SENT)
    with desk.house.ledger.reading() as session:
        sent = session.scalars(query.order_by(MessageRow.id)).all()
    return [parse_mail(bytes_of(desk, message)).text for message in sent]


def report_on(desk: Desk, code: str) -> bytes:
    """Return a report that the address a unit was last written to does not exist."""
    message = mail_to(desk, code)
    envelope = f"muster+{sign('m', message.id, SECRET)}@office.example"
    report = delivery_report("mx.example", envelope, message.address or "", bytes_of(desk, message), NOON)
    return b"Return-Path: <>\r\n" + report


def test_a_hard_bounce_marks_the_contact_and_the_next_one_is_written_to(desk: Desk) -> None:
    done = bring(desk, addressed("postfix_user_unknown", desk, "BH001"))
    assert (dict(done.mails), dict(done.answers)) == ({"bounce": 1}, {})
    bounced = mail_to(desk, "BH001")
    assert bounced.state == "bounced"
    duty, lead = contacts(desk, "BH001")
    assert (duty.bad_since, lead.bad_since) == (NOON, None)
    assert duty.bad_reason.startswith("hard: 5.1.1")
    assert (repaired(desk, NOON), repaired(desk, NOON)) == (1, 0)
    assert dict(desk.send(NOON).outcomes) == {"sent": 2}  # the launch again, and the alert
    again = mail_to(desk, "BH001")
    assert (again.generation, again.caused_by, again.address) == (1, bounced.id, "lead@unit.example")
    assert [(t.code, t.trouble, t.written_to) for t in troubles(desk)] == [
        ("BH001", Trouble.REPLACED, "lead@unit.example")
    ]


def test_soft_bounces_are_counted_until_the_address_writes(desk: Desk) -> None:
    for number in (1, 2, 3):
        report = addressed("mailbox_full", desk, "BH001")
        bring(desk, report, report)  # each server on the way may tell, and tell again
        bring(desk, report)
        assert contacts(desk, "BH001")[0].soft_bounces == number
        assert [t.trouble for t in troubles(desk)] == ([Trouble.FULL] if number == 3 else [])
        written_anew(desk, "BH001")
    assert mail_to(desk, "BH001").state == "sent"
    assert repaired(desk, NOON) == 0
    desk.receive(NOON, "BH001", "", b"", sender="duty@unit.example", text="已清理邮箱")
    bring(desk, report)
    assert contacts(desk, "BH001")[0].soft_bounces == 0
    assert troubles(desk) == []


def written_anew(desk: Desk, code: str) -> None:
    with desk.house.ledger.writing() as session:
        resend(session, desk.house, act(NOON), mail_to(desk, code).id, "test")
    desk.send(NOON)


def claimed_anew(desk: Desk, *, at_data: bool) -> Shard:
    """Let a sender claim a mail written anew, and reach DATA with it."""
    with desk.house.ledger.writing() as session:
        resend(session, desk.house, act(NOON), mail_to(desk, "BH001").id, "test")
        shard = claim_shard(session, desk.house, act(NOON), KEY, sender="test", limit=10)
        ids = [envelope.id for envelope in shard.envelopes]
        assert commit_group(session, desk.house, act(NOON), shard, at_data=ids if at_data else [], results=[])
    return shard


def attempts(desk: Desk, message: MessageRow) -> list[str]:
    with desk.house.ledger.reading() as session:
        assert verify(session).fault == ""
        return [attempt.state for attempt in attempts_of(session, message.id)]


def test_a_bounce_may_be_faster_than_the_sender_s_own_result(desk: Desk) -> None:
    shard = claimed_anew(desk, at_data=True)
    report = addressed("postfix_user_unknown", desk, "BH001")
    bring(desk, report, report)
    assert last_mail(desk).reason.startswith("known before")
    assert contacts(desk, "BH001")[0].bad_since == NOON
    results = [(envelope, Outcome(state="sent", code=250)) for envelope in shard.envelopes]
    with desk.house.ledger.writing() as session:
        assert still_ours(session, "test", results) == []
    with pytest.raises(TakenOver), desk.house.ledger.writing() as session:
        commit_group(session, desk.house, act(NOON), shard, at_data=[], results=results)
    bounced = mail_to(desk, "BH001")
    assert (bounced.state, bounced.sent_as_of) == ("bounced", NOON)
    assert attempts(desk, bounced) == ["claimed", "sent", "bounced"]
    assert repaired(desk, NOON) == 1


def test_a_bounce_of_an_attempt_before_leaves_a_mail_with_its_sender(desk: Desk) -> None:
    shard = claimed_anew(desk, at_data=False)
    bring(desk, addressed("postfix_user_unknown", desk, "BH001"))
    assert contacts(desk, "BH001")[0].bad_since == NOON
    results = [(envelope, Outcome(state="sent", code=250)) for envelope in shard.envelopes]
    with desk.house.ledger.writing() as session:
        commit_group(session, desk.house, act(NOON), shard, at_data=[], results=results)
    bring(desk, addressed("postfix_user_unknown", desk, "BH001"))
    bounced = mail_to(desk, "BH001")
    assert attempts(desk, bounced) == ["claimed", "sent", "bounced"]
    assert repaired(desk, NOON) == 1


def test_a_soft_bounce_that_is_faster_than_the_result_is_counted_and_the_result_stands(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        resend(session, desk.house, act(NOON), mail_to(desk, "BH001").id, "test")
        shard = claim_shard(session, desk.house, act(NOON), KEY, sender="test", limit=10)
    bring(desk, addressed("mailbox_full", desk, "BH001"))
    results = [(envelope, Outcome(state="sent", code=250)) for envelope in shard.envelopes]
    with desk.house.ledger.writing() as session:
        commit_group(session, desk.house, act(NOON), shard, at_data=[], results=results)
    assert (mail_to(desk, "BH001").state, contacts(desk, "BH001")[0].soft_bounces) == ("sent", 1)


def test_a_delay_is_only_noted(desk: Desk) -> None:
    for name in ("delayed_in_chinese", "postfix_delayed", "gmail_delayed", "delivered"):
        bring(desk, addressed(name, desk, "BH001"))
        row = last_mail(desk)
        assert (row.kind, row.state, row.reason[:8]) == ("bounce", "done", "delayed:")
    assert mail_to(desk, "BH001").state == "sent"
    assert troubles(desk) == []


def test_out_of_office_is_no_bounce_though_it_returns_to_nobody(desk: Desk) -> None:
    names = ("out_of_office", "out_of_office_bare", "out_of_office_to_word_of_a_bounce")
    done = bring(desk, *(addressed(name, desk, "BH001") for name in names))
    assert (dict(done.mails), dict(done.answers)) == ({"auto_reply": 3}, {})
    assert waiting(desk) == []
    assert mail_to(desk, "BH001").state == "sent"
    assert troubles(desk) == []


def test_every_sample_comes_in_as_what_it_is(desk: Desk) -> None:
    for name, raw in MAILS.items():
        sample = addressed(name, desk, "BH001") if TOKEN in raw else raw
        bring(desk, sample.replace(b"muster+pc-abcdefghij@", f"muster+{sign('p', 1, SECRET)}@".encode()))
    with desk.house.ledger.reading() as session:
        rows = session.scalars(select(IntakeRow).order_by(IntakeRow.id)).all()
    kinds = dict(zip(MAILS, [row.kind for row in rows], strict=True))
    assert [row.reason for row in rows if row.reason.startswith("could not be read")] == []
    no_bounces = [name for name, kind in kinds.items() if kind != "bounce"]
    assert no_bounces == [name for name in MAILS if name.split("_")[0] in NO_REPORTS]
    speak_of_others = {name for row, name in zip(rows, MAILS, strict=True) if "it speaks of" in row.reason}
    assert {"exchange_chinese", "gmail_disabled", "netease_no_such_user"} <= speak_of_others
    assert contacts(desk, "BH001")[1].bad_since is None


NO_REPORTS = ("explanation", "forwarded", "hand", "out", "question", "read", "reply")


def with_id(desk: Desk, code: str, message_id: str) -> None:
    with desk.house.ledger.writing() as session:
        session.get_one(MessageRow, mail_to(desk, code).id).message_id = message_id


def test_a_bounce_that_lost_its_token_is_known_by_the_mail_it_returns(desk: Desk) -> None:
    with_id(desk, "BH036", "<20aa4c1be0d94f7f8d5a@office.example>")
    done = bring(desk, MAILS["qq_mailbox_full"])
    assert dict(done.mails) == {"bounce": 1}
    row = last_mail(desk)
    assert (row.party_id, row.matched_by, row.state) == (desk.party("BH036"), "returned mail", "done")
    assert contacts(desk, "BH036")[0].soft_bounces == 1


def test_a_bounce_to_a_unit_s_own_token_is_known_by_the_mail_it_returns(desk: Desk) -> None:
    with_id(desk, "BH001", "<01aa4c1be0d94f7f8d5a@office.example>")
    token = sign("p", desk.party("BH001"), SECRET)  # our Reply-To
    bring(desk, MAILS["postfix_user_unknown"].replace(TOKEN, f"muster+{token}@".encode()))
    assert last_mail(desk).matched_by == "returned mail"
    assert mail_to(desk, "BH001").state == "bounced"


def test_a_bounce_of_a_mail_nobody_knows_waits_for_a_person(desk: Desk) -> None:
    for name, state in (("postfix_user_unknown", "queued"), ("postfix_delayed", "done")):
        bring(desk, MAILS[name].replace(TOKEN, b"muster@"))
        row = last_mail(desk)
        assert (row.party_id, row.kind, row.state) == (None, "bounce", state)
        assert row.reason.startswith("which mail bounced is not known")
    assert troubles(desk) == []


def test_a_report_on_another_address_marks_nobody(desk: Desk) -> None:
    forged = addressed("postfix_user_unknown", desk, "BH036")  # it names duty@unit.example
    bring(desk, forged)
    row = last_mail(desk)
    assert (row.kind, row.state) == ("bounce", "queued")
    assert "it speaks of duty@unit.example, but the mail went to 12345678@qq.example" in row.reason
    assert mail_to(desk, "BH036").state == "sent"
    assert troubles(desk) == []


def test_a_report_without_token_that_names_nobody_marks_nobody(desk: Desk) -> None:
    told = f"Return-Path: <>\nFrom: mailer-daemon@x.example\nTo: {PLAIN}\nSubject: 系统退信\n\n用户不存在\n原邮件：\n"
    bring(desk, f"{told}Message-ID: {mail_to(desk, 'BH001').message_id}\n".encode())
    row = last_mail(desk)
    assert (row.kind, row.state, row.matched_by) == ("bounce", "queued", "returned mail")
    assert troubles(desk) == []


def test_a_second_report_changes_nothing(desk: Desk) -> None:
    report = addressed("postfix_user_unknown", desk, "BH001")
    full = addressed("mailbox_full", desk, "BH001")
    bring(desk, report, report)
    bring(desk, full)
    assert counted(desk, AttemptRow.state == "bounced") == 1
    assert counted(desk, AuditRow.verb == "contact.bad") == 1
    assert contacts(desk, "BH001")[0].soft_bounces == 0
    assert repaired(desk, NOON) == 1
    with desk.house.ledger.writing() as session:  # staff has learned that the address is right
        session.get_one(ContactRow, contacts(desk, "BH001")[0].id).bad_since = None
    bring(desk, report)
    assert last_mail(desk).reason.startswith("known before")
    assert contacts(desk, "BH001")[0].bad_since is None
    assert repaired(desk, NOON) == 0


def test_the_operators_get_one_alert_a_day_that_names_every_trouble(desk: Desk) -> None:
    bring(desk, report_on(desk, "BH001"), report_on(desk, "BH036"))
    repaired(desk, NOON)
    desk.send(NOON)
    assert len(alerts(desk)) == 1
    for said in ("duty@unit.example", "现写往 lead@unit.example", "BH036", "没有可用的邮箱", "电话 022-36"):
        assert said in alerts(desk)[0]
    afternoon, tomorrow = local(5, 29, 16), local(5, 30)
    bring(desk, report_on(desk, "BH025"), at=afternoon)
    desk.send(afternoon)
    assert len(alerts(desk)) == 1
    bring(desk, report_on(desk, "BH001"), at=tomorrow)
    desk.send(tomorrow)
    assert len(alerts(desk)) == 2
    assert all(code in alerts(desk)[1] for code in CAST)


def test_a_trouble_after_the_day_s_alert_is_told_the_next_morning_though_no_other_comes(desk: Desk) -> None:
    bring(desk, report_on(desk, "BH001"))
    desk.send(NOON)
    assert "BH025" not in alerts(desk)[0]
    for at in (local(5, 29, 16), local(5, 29, 17)):
        bring(desk, report_on(desk, "BH025" if at.hour == 8 else "BH036"), at=at)
        desk.send(at)
    desk.send(local(5, 30, 8, 29))
    assert len(alerts(desk)) == 1
    desk.send(local(5, 30, 8, 30))  # the window opens
    desk.send(local(5, 31))
    assert len(alerts(desk)) == 2
    assert all(code in alerts(desk)[1] for code in CAST)
    assert counted(desk, MessageRow.notice == "alert") == 2


def test_an_alert_that_waits_to_be_composed_tells_what_comes_later_too(desk: Desk) -> None:
    bring(desk, report_on(desk, "BH001"))
    bring(desk, report_on(desk, "BH025"), at=local(5, 30))
    desk.send(local(5, 30))
    assert counted(desk, MessageRow.notice == "alert") == 1
    assert all(code in alerts(desk)[0] for code in ("BH001", "BH025"))


def test_a_unit_whose_last_contact_fails_has_to_be_telephoned(desk: Desk) -> None:
    bring(desk, report_on(desk, "BH036"))
    assert repaired(desk, NOON) == 0
    assert [(t.code, t.trouble, t.written_to, t.phones) for t in troubles(desk)] == [
        ("BH036", Trouble.UNREACHED, "", ("022-36",))
    ]
    desk.plan(StepKind.REMIND, NOON)
    assert desk.send(NOON).unsent_by_reason() == {"no_contact": 1}


def test_a_mailbox_that_a_unit_named_twice_is_dead_in_both_places(desk: Desk) -> None:
    bring(desk, addressed("exmail_no_such_user", desk, "BH025"))
    assert [c.bad_since for c in contacts(desk, "BH025")] == [NOON, NOON]
    assert repaired(desk, NOON) == 0
    assert [(t.code, t.trouble) for t in troubles(desk)] == [("BH025", Trouble.UNREACHED)]


def test_a_mailbox_that_two_units_share_is_dead_for_both(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        session.get_one(ContactRow, contacts(desk, "BH036")[0].id).address = "duty@unit.example"
    bring(desk, report_on(desk, "BH001"))
    assert [contacts(desk, code)[0].bad_since for code in ("BH001", "BH036")] == [NOON, NOON]
    assert {t.code: t.trouble for t in troubles(desk)} == {"BH001": Trouble.REPLACED, "BH036": Trouble.UNREACHED}


def test_a_mailbox_that_the_relay_refuses_is_dead_wherever_it_is_named(desk: Desk, loaded: LoadedCampaign) -> None:
    other = replace(loaded, campaign=loaded.campaign.model_copy(update={"key": "other"}))
    with desk.house.ledger.writing() as session:
        launch_campaign(session, desk.house, act(NOON), other)
        resend(session, desk.house, act(NOON), mail_to(desk, "BH025").id, "test")
    desk.send(NOON, answer="refused")
    with desk.house.ledger.reading() as session:
        named = contacts_at(session, "anjianban@bureau.example")
        assert [contact.bad_since for contact in named] == [NOON] * 4  # twice in each campaign
        told = session.scalars(select(MessageRow.campaign_id).where(MessageRow.notice == "alert")).all()
        assert sorted(told) == [1, 2]
    assert repaired(desk, NOON) == 0


def test_a_campaign_that_is_closed_has_no_alert_about_a_dead_mailbox(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        close_at_the_end(session, act(NOON), session.get_one(CampaignRow, 1))
    bring(desk, report_on(desk, "BH001"))
    assert contacts(desk, "BH001")[0].bad_since == NOON
    assert counted(desk, MessageRow.notice == "alert") == 0


def test_the_office_s_own_mailbox_is_no_unit_s_trouble(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        for contact in contacts_of(session, office_of(session, 1).id):
            mark_contact_bad(session, act(NOON), contact, "test")
    assert troubles(desk) == []


def test_an_automatic_reply_to_a_reminder_hands_in_nothing_and_gets_no_answer(desk: Desk) -> None:
    desk.plan(StepKind.REMIND, local(5, 29))
    desk.send(local(5, 29))
    reminder = mail_to(desk, "BH001", "reminder")
    with desk.house.ledger.reading() as session:
        planned = session.scalar(select(func.count(MessageRow.id)))
    answers = {"in_reply_to": reminder.message_id, "sender": "duty@unit.example", "automatic": True}
    done = desk.receive(NOON, "BH001", "", b"", subject="回复：提醒", **answers)
    assert (dict(done.mails), dict(done.answers)) == ({"auto_reply": 1}, {})
    assert (last_mail(desk).state, last_mail(desk).from_known) == ("done", True)
    done = desk.receive(NOON, "BH001", "活动方案.pdf", b"%PDF-1.7", **answers)
    assert (dict(done.mails), dict(done.answers)) == ({"auto_reply": 1}, {})
    assert last_mail(desk).state == "queued"  # a person decides whether the file counts
    assert counted(desk, SubmissionRow.id > 0) == 0
    assert counted(desk, MessageRow.id > 0) == planned
    assert set(desk.standings("BH001").values()) == {Standing.MISSING}


def test_a_roster_s_troubles_are_known_before_the_launch(loaded: LoadedCampaign) -> None:
    silent, odd = (replace(unit, contacts=contacts_) for unit, contacts_ in zip(loaded.units, ODD, strict=False))
    found = roster_troubles(replace(loaded, units=(silent, odd, loaded.units[2])))
    assert [(t.trouble, t.written_to, t.phones) for t in found] == [
        (Trouble.UNREACHED, "", ("022-9",)),
        (Trouble.REPLACED, "lead@unit.example", ()),
    ]


ODD = (
    (RosterContact(role=ContactRole.DUTY, name="", address="", phone="022-9"),),
    (
        RosterContact(role=ContactRole.DUTY, name="", address="duty at unit", phone=""),
        RosterContact(role=ContactRole.RESPONSIBLE, name="", address="lead@unit.example", phone=""),
    ),
)


# Mails that break what reads them

LONG = "长" * 5000
FOREIGN = Outgoing(sender="x@x.example", to=PLAIN, subject="s", text="t", message_id="<1@x.example>", date=NOON)
HOSTILE = {
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(2000)),
    "a lone surrogate": b"Subject: =?unicode_escape?Q?=5Cud800?= =?utf-7?Q?+2AA-?=\n\n",
    "nothing but zeros": b"From: =00\0@\0unit.example\nSubject: =?utf-8?Q?=00a=00?=\nMessage-ID: <\0>\n\n\0",
    "long headers": f"From: {LONG}@unit.example\nSubject: {LONG}\nMessage-ID: <{LONG}>\nTo: {LONG}\n\n".encode(),
    "a NUL in a file name": build(replace(FOREIGN, file_name=f"a\0{LONG}.pdf", content=b"%PDF-1")),
    "empty": b"",
}


def test_hostile_mails_are_recorded_and_wait_for_a_person(desk: Desk) -> None:
    bring(desk, *HOSTILE.values())
    with desk.house.ledger.reading() as session:
        rows = session.scalars(select(IntakeRow).order_by(IntakeRow.id)).all()
    assert [(row.state, row.kind) for row in rows] == [("queued", "unmatched")] * len(HOSTILE)
    assert [desk.house.files.get(row.raw_sha256) for row in rows] == list(HOSTILE.values())
    assert {len(row.subject) for row in rows if row.message_id} == {1, 500}


def test_a_mail_that_breaks_at_fetching_is_kept_and_the_others_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(real: Callable[..., object]) -> Callable[..., object]:
        def breaks(*arguments: object) -> object:
            if any("poison" in str(getattr(a, "subject", a)) for a in arguments):
                raise RecursionError(f"no \0 {LONG}")
            return real(*arguments)

        return breaks

    for number, reader in enumerate(("parse_mail", "find_sender", "_keep_attachments"), start=1):
        poison = f"Subject: poison {number}\n\n".encode()
        deliver(desk.house.maildir, poison, NOON)
        with monkeypatch.context() as patch:
            patch.setattr(intake, reader, broken(getattr(intake, reader)))
            done = desk.receive(NOON, "BH001", "活动方案.pdf", b"%%PDF-1.%d" % number)
        assert dict(done.mails) == {"hand_in": 1}
        assert [line[4] for line in waiting(desk)] == ["附件无法登记"] * number
        with desk.house.ledger.reading() as session:
            row = session.scalars(select(IntakeRow).where(IntakeRow.state == "queued").order_by(IntakeRow.id)).all()[-1]
        assert desk.house.files.get(row.raw_sha256) == poison
        assert (len(row.reason), row.reason[:40]) == (500, "could not be read: RecursionError: no  长")
    assert list((desk.house.maildir / "new").iterdir()) == []
    assert fetch_mail(desk.house, act(NOON)) == 0


def test_a_ledger_that_fails_is_no_fault_of_the_mail_which_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(error: type[DBAPIError]) -> Callable[..., object]:
        def failing(*_: object) -> object:
            raise error("INSERT", {}, Exception("said the ledger"))

        return failing

    deliver(desk.house.maildir, b"Subject: a\n\n", NOON)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "find_sender", fails(OperationalError))
        with pytest.raises(OperationalError):
            fetch_mail(desk.house, act(NOON))
    assert len(list((desk.house.maildir / "new").iterdir())) == 1
    assert waiting(desk) == []
    with monkeypatch.context() as patch:
        patch.setattr(intake, "find_sender", fails(DataError))
        assert fetch_mail(desk.house, act(NOON)) == 1
    assert last_mail(desk).reason == "could not be read: Exception: said the ledger"


def test_a_mail_with_an_odd_name_in_its_mailbox_is_fetched_once(desk: Desk) -> None:
    uid = deliver(desk.house.maildir, b"Subject: a\n\n", NOON)
    for name in (uid + "x" * 200, "\udcff"):
        (desk.house.maildir / "new" / name).write_bytes(b"Subject: odd\n\n")
    assert fetch_mail(desk.house, act(NOON)) == 3
    for path in list((desk.house.maildir / "cur").iterdir()):  # as after a crash before it was moved
        path.rename(desk.house.maildir / "new" / path.name.removesuffix(":2,S"))
    assert fetch_mail(desk.house, act(NOON)) == 0


def test_neither_a_name_without_room_for_a_flag_nor_a_folder_stops_the_intake(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    new, cur = desk.house.maildir / "new", desk.house.maildir / "cur"
    last = deliver(desk.house.maildir, b"Subject: last\n\n", NOON)
    (new / "0-folder").mkdir()
    names = ["1590000000." + "x" * 244, "长" * 85, last[:11] + "y" * 240]
    for name in names:
        (new / name).write_bytes(f"Subject: {name[-1]}\n\n".encode())
    assert fetch_mail(desk.house, act(NOON)) == len(names) + 1
    assert fetch_mail(desk.house, act(NOON)) == 0
    assert [path.name for path in new.iterdir()] == ["0-folder"]
    kept = [path.name for path in cur.iterdir()]
    assert {last + ":2,S", names[2] + ":2,S"} < set(kept)  # 251 bytes have room
    assert len(kept) == len(names) + 1
    assert all(name.endswith(":2,S") for name in kept)
    assert {line[7] for line in waiting(desk)} == {"没有编号，发件人也未登记，无法对应单位"}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "0-folder' is no mail and is passed over" in caplog.text


def test_a_hand_in_with_parts_that_were_not_read_is_recorded_and_looked_at(desk: Desk) -> None:
    token = sign("p", desk.party("BH001"), SECRET)
    mail = Outgoing(
        sender="duty@unit.example", to=f"muster+{token}@office.example", subject="材料", text="请查收",
        message_id="<1@unit.example>", date=NOON, file_name="活动方案.pdf", content=b"%PDF-1.7",
    )  # fmt: skip
    many = build(mail).replace(b"--=_clerk_0001--", b"--=_clerk_0001\n\n" * 250)
    done = bring(desk, many)
    assert (dict(done.mails), dict(done.answers)) == ({"hand_in": 1}, {"receipt": 1})
    assert last_mail(desk).reason == "more than 200 parts; the rest was not read"
    bring(desk, build(replace(mail, file_name="", text="")).replace(b"text/plain", b"multipart/mixed"))
    assert (last_mail(desk).kind, last_mail(desk).state) == ("unreadable", "queued")


def test_what_is_too_long_for_a_column_is_cut_and_what_no_database_keeps_left_out(desk: Desk) -> None:
    desk.receive(NOON, "BH001", f"{LONG[:400]}\0.xlsx", desk.form_of("BH001", "plan"))
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(FileRow.name)).one() == LONG[:300]
    odd = Finding(
        severity=Severity.MUST, code=FindingCode.NOT_A_NUMBER, **dict.fromkeys(TEXTS, f"\0\ud800{LONG}"),
        params={"proposed": "\0\ud800"},
    )  # fmt: skip
    figure = Figure(number=None, text=f"\0\ud800{LONG}", row="r", column="c", sheet=LONG, cell=LONG)
    with desk.house.ledger.writing() as session:
        of = session.scalars(select(ObligationRow).limit(1)).one()
        new = NewSubmission(
            obligation=of, channel=LONG, received_at=NOON, state=SubmissionState.RETURNED, entered_by=f"\udcff{LONG}",
            grounds=f"\0{LONG}", file=KeptFile(sha256="0" * 64, name=f"\udcff{LONG}", kind=LONG, size=1),
            checked=Checked(findings=(odd,), figures=(figure,)),
        )  # fmt: skip
        record_submission(session, act(NOON), new)
    with desk.house.ledger.reading() as session:
        kept = session.scalars(select(FindingRow).order_by(FindingRow.id.desc()).limit(1)).one()
        assert (len(kept.row), len(kept.cell), len(kept.read), kept.params) == (64, 16, 500, {"proposed": ""})
        assert LONG[:4000] in session.scalars(select(FigureRow.text)).all()


TEXTS = ("sheet", "cell", "row", "column", "field", "read")


def test_a_number_that_the_ledger_cannot_keep_is_a_finding_for_the_unit(desk: Desk) -> None:
    book = opened(desk.form_of("BH001", "progress"))
    cells = ("E6", "E7", "E8")
    for cell, value in zip(cells, ("1e16", str(-(10**16)), "9" * 5000), strict=True):
        book.worksheets[0][cell] = float(value) if "e" in value else value
    done = desk.receive(NOON, "BH001", "表.xlsx", saved(book))
    assert dict(done.answers) == {"returned": 1}
    with desk.house.ledger.reading() as session:
        found = session.scalars(select(FindingRow).where(FindingRow.cell.in_(cells))).all()
        assert {f.cell: f.severity for f in found} == dict.fromkeys(cells, "must")
        assert session.scalars(select(FigureRow).where(FigureRow.cell.in_(cells))).all() == []
    desk.send(NOON)
    assert parse_mail(bytes_of(desk, mail_to(desk, "BH001", "returned"))).subject.startswith("请更正")
