"""What staff see of mails: found by unit, state and notice; one mail with its attempts and its exact bytes."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from definition.loading import LoadedCampaign, load_campaign
from definition.roster import ContactRole, RosterContact
from ledger.errors import UnknownCampaign, UnknownMessage, UnknownParty
from ledger.tables import MessageRow
from mail.smtp import Outcome
from office.mailbook import Bytes, MailView, bytes_of, list_mails, view_mail
from office.outbox import Shard, claim_shard, commit_group, repair
from office.queue import ambiguous_mails, contact_work
from office.skeletons import LostBytesError
from office.stops import HOME
from rehearsal.clerk import Manner
from rules.lanes import Lane
from rules.replies import Blame
from rules.timetable import StepKind
from tests.office.test_office import KEY, LAUNCH, Desk, act, local
from tests.office.test_office import launched as plainly_launched

# BH001 has a second contact; the only one of BH036 is at a provider with a lane of its own.
CAST = {
    "BH001": ("duty@bureau.example", "lead@bureau.example"),
    "BH025": ("anjianban@bureau.example",),
    "BH036": ("12345678@qq.example",),
}
ROLES = (ContactRole.DUTY, ContactRole.RESPONSIBLE)
LANES = (
    Lane(name="tencent", domains=("qq.example",), connections=2, messages_per_connection=10, per_minute=600),
    Lane(name="default", connections=10, messages_per_connection=100),
)
NO_USER = Outcome(state="refused", code=550, text="5.1.1 no such user", blame=Blame.ADDRESS)
LOST = Outcome(state="ambiguous", text="the relay closed the connection", blame=Blame.RELAY)
UNWELCOME = Outcome(state="refused", code=554, text="5.7.1 SPF failed", blame=Blame.POLICY)
LATER = Outcome(state="deferred", code=451, text="4.2.1 busy")


@pytest.fixture(scope="session")
def cast(house: Path) -> LoadedCampaign:
    """Return the campaign with three units of its roster, under the addresses of the cast."""
    whole = load_campaign(
        house / "campaigns" / KEY, calendars=house / "campaigns" / "calendar", notices=house / "templates" / "email"
    )
    units = [
        replace(
            unit,
            superior="OFFICE",
            contacts=tuple(
                RosterContact(role=role, name="", address=address, phone="022-1")
                for role, address in zip(ROLES, CAST[unit.code], strict=False)
            ),
        )
        for unit in whole.units
        if unit.code in CAST
    ]
    return replace(whole, units=tuple(units))


def launched(loaded: LoadedCampaign, folder: Path, url: str) -> AbstractContextManager[Desk]:
    """Open an office that has planned its launch, and sent nothing yet."""
    return plainly_launched(loaded, folder, url, lanes=LANES)


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


def answered(desk: Desk, at: datetime, answers: Mapping[str, Outcome]) -> Shard:
    """Let everything leave that may; the relay answers by the unit's code, and takes what is not named."""
    parties = {desk.party(code): outcome for code, outcome in answers.items()}
    taken = Outcome(state="sent", code=250, text="2.0.0 taken")
    with desk.house.ledger.writing() as session:
        shard = claim_shard(session, desk.house, act(at), KEY, sender="test", limit=1000)
        party_of = {m.id: m.party_id for m in session.scalars(select(MessageRow))}
        results = [(e, parties.get(party_of[e.id], taken)) for e in shard.envelopes]
        commit_group(session, desk.house, act(at), shard, at_data=[], results=results)
    return shard


def mail_of(desk: Desk, code: str, notice: str = "launch") -> MessageRow:
    """Return the newest mail of a notice to a unit."""
    query = select(MessageRow).where(MessageRow.party_id == desk.party(code), MessageRow.notice == notice)
    with desk.house.ledger.reading() as session:
        return session.scalars(query.order_by(MessageRow.id.desc()).limit(1)).one()


def seen(desk: Desk, message_id: int) -> MailView:
    with desk.house.ledger.reading() as session:
        return view_mail(session, message_id)


def composed(desk: Desk, message_id: int) -> Bytes | str:
    with desk.house.ledger.reading() as session:
        return bytes_of(session, desk.house, message_id)


def test_the_newest_mails_are_shown_and_all_that_match_are_counted(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    desk.plan(StepKind.REMIND, local(5, 29))
    with desk.house.ledger.reading() as session:
        found = list_mails(session, limit=2)
    assert (found.matching, len(found.lines), found.campaigns) == (6, 2, 1)
    assert [line.notice for line in found.lines] == ["reminder", "reminder"]
    assert int(found.lines[0].id) < int(found.lines[1].id)
    assert found.lines[1].planned == "2020-05-29 09:00"
    assert (found.lines[1].state, found.lines[1].address) == ("planned", "—")


@pytest.mark.parametrize(
    ("filters", "matching"),
    [
        ({}, 6),
        ({"campaign": KEY, "unit": "BH036"}, 2),
        ({"unit": "BH036", "notice": "launch"}, 1),
        ({"campaign": KEY, "unit": "塘沽街道办事处"}, 2),
        ({"unit": "塘沽街道办事处", "state": "sent"}, 1),
        ({"state": "sent"}, 3),
        ({"state": "bounced"}, 0),
    ],
)
def test_mails_are_found_by_unit_state_and_notice(desk: Desk, filters: dict[str, str], matching: int) -> None:
    answered(desk, LAUNCH, {})
    desk.plan(StepKind.REMIND, local(5, 29))
    with desk.house.ledger.reading() as session:
        assert list_mails(session, **filters).matching == matching  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "error", "said"),
    [
        ({"campaign": "no-such-month"}, UnknownCampaign, "has not been launched"),
        ({"campaign": KEY, "unit": "NOBODY"}, UnknownParty, "no party 'NOBODY'"),
        ({"unit": "NOBODY"}, UnknownParty, "takes part in any campaign"),
        ({"state": "lost"}, ValueError, "there are planned, claimed, sent"),
        ({"notice": "hello"}, ValueError, "there are launch, reminder"),
        ({"limit": 0}, ValueError, "a number from 1"),
    ],
)
def test_what_cannot_be_found_is_refused_with_what_there_is(
    desk: Desk, filters: dict[str, str], error: type[Exception], said: str
) -> None:
    with desk.house.ledger.reading() as session, pytest.raises(error, match=said):
        list_mails(session, **filters)  # type: ignore[arg-type]


def test_a_mail_that_nobody_has_claimed_has_no_bytes_and_says_so(desk: Desk) -> None:
    mail = mail_of(desk, "BH001")
    assert "not composed yet" in str(composed(desk, mail.id))
    assert ("contact", "none") in seen(desk, mail.id).facts
    assert seen(desk, mail.id).attempts == ()


def test_a_mail_that_ended_before_it_was_composed_says_so(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    desk.plan(StepKind.REMIND, local(5, 29))
    answered(desk, local(6, 1), {})
    assert "never composed" in str(composed(desk, mail_of(desk, "BH001", "reminder").id))


def test_there_is_no_such_mail(desk: Desk) -> None:
    with pytest.raises(UnknownMessage, match="muster mails"):
        seen(desk, 4711)
    with pytest.raises(UnknownMessage, match="muster mails"):
        composed(desk, 4711)


def test_a_mail_is_shown_as_it_left_to_the_byte_with_its_text_and_enclosures(desk: Desk) -> None:
    shard = answered(desk, LAUNCH, {})
    for envelope in shard.envelopes:
        kept = composed(desk, envelope.id)
        assert isinstance(kept, Bytes)
        assert b"".join(kept.chunks) == b"".join(envelope.data)
        assert kept.size == len(b"".join(envelope.data))
        assert "5月31日（星期日）24时前" in kept.text
        assert "\r" not in kept.text
        assert "附件2活动计划表.xlsx" in dict(kept.attachments)


def test_every_attempt_is_shown_with_the_relay_s_words_and_the_flow_run(desk: Desk) -> None:
    mail = mail_of(desk, "BH036")
    answered(desk, LAUNCH, {"BH036": LATER})
    answered(desk, local(5, 27, 16), {})
    view = seen(desk, mail.id)
    assert [(a.state, a.said, a.lane) for a in view.attempts] == [
        ("claimed", "", "tencent"),
        ("deferred", "451 4.2.1 busy", "tencent"),
        ("claimed", "", "tencent"),
        ("sent", "250 2.0.0 taken", "tencent"),
    ]
    assert [a.as_of for a in view.attempts] == ["2020-05-27 15:00"] * 2 + ["2020-05-27 16:00"] * 2
    facts = dict(view.facts)
    assert (facts["state"], facts["class"], facts["occasion"]) == ("sent", "bulk", "launch")
    assert facts["contact"] == "duty <12345678@qq.example> 022-1"
    assert (facts["sent"], facts["dated"]) == ("2020-05-27 16:00", "2020-05-27 15:00")


def test_items_are_shown_with_their_due_day_and_whether_they_stand(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    desk.plan(StepKind.REMIND, local(5, 29))
    desk.receive(local(5, 29, 10), "BH001", "表.xlsx", desk.form_of("BH001", "plan", Manner.RIGHT))
    answered(desk, local(5, 29, 11), {})
    items = seen(desk, mail_of(desk, "BH001", "reminder").id).items
    assert [(i.title, i.rung, i.due, i.gone) for i in items] == [
        ("活动计划表", "on", "5月31日（星期日）24时前", True),
        ("负责人及联络员推荐表", "on", "5月31日（星期日）24时前", False),
    ]


def test_a_mail_to_the_next_contact_names_what_caused_it_and_the_other_way_round(desk: Desk) -> None:
    first = mail_of(desk, "BH001")
    answered(desk, LAUNCH, {"BH001": NO_USER})
    with desk.house.ledger.writing() as session:
        assert repair(session, desk.house, act(LAUNCH), KEY) == 1
    second = mail_of(desk, "BH001")
    assert dict(seen(desk, second.id).facts)["generation"] == (
        f"1, caused by mail {first.id}, which is refused (5.1.1 no such user)"
    )
    facts = dict(seen(desk, first.id).facts)
    assert facts["taken up by"] == f"mail {second.id} (generation 1, planned)"
    assert "bad since 2020-05-27 15:00: refused: 550 5.1.1 no such user" in facts["contact"]


def test_what_a_relay_says_cannot_write_to_the_terminal(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH001": replace(LATER, text="\x1b[2J\x1b]0;owned\x07 again\r\nlater")})
    mail = mail_of(desk, "BH001")
    view = seen(desk, mail.id)
    with desk.house.ledger.reading() as session:
        line = list_mails(session, unit="BH001").lines[0]
    for shown in (*(value for _, value in view.facts), view.attempts[1].said, line.reason):
        assert shown.isprintable()
    assert view.attempts[1].said.endswith("again later")


def test_a_mail_whose_files_are_gone_or_changed_is_not_shown_as_if_it_were_whole(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    mail = mail_of(desk, "BH001")
    assert mail.skeleton_sha256 is not None
    path = desk.house.files.path(mail.skeleton_sha256)
    skeleton = path.read_bytes()
    for damaged in (b"{}", b"[]", b"\xff", skeleton.replace("材料".encode(), "财料".encode())):
        path.write_bytes(damaged)
        _forget(desk)
        with pytest.raises(LostBytesError):
            composed(desk, mail.id)
    path.unlink()
    _forget(desk)
    with pytest.raises(LostBytesError, match="no longer in the file store"):
        composed(desk, mail.id)


def _forget(desk: Desk) -> None:
    desk.house.skeletons._by_hash.clear()


def test_a_mail_kept_whole_is_shown_too(desk: Desk) -> None:
    answered(desk, LAUNCH, {})
    mail = mail_of(desk, "BH001")
    whole = desk.house.files.put(b"Subject: =?utf-8?b?5rW36K+V?=\r\n\r\nhello\r\n")
    with desk.house.ledger.writing() as session:
        changes = {"raw_sha256": whole, "skeleton_sha256": None, "fields": None}
        session.execute(update(MessageRow).where(MessageRow.id == mail.id).values(changes))
    kept = composed(desk, mail.id)
    assert isinstance(kept, Bytes)
    assert kept.text == "hello"


def test_mail_that_may_have_left_is_listed_for_a_person(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH001": LOST})
    mail = mail_of(desk, "BH001")
    with desk.house.ledger.reading() as session:
        [(number, unit, notice, when, address, said, verb)] = ambiguous_mails(session, HOME)
    assert verb == f"muster settle {mail.id}"
    assert (number, notice, when) == (str(mail.id), "launch", "2020-05-27 15:00")
    assert (unit[:5], address, said) == ("BH001", "duty@bureau.example", "the relay closed the connection")
    facts = dict(seen(desk, mail.id).facts)
    assert "sent" not in facts
    assert facts["may have left"] == "2020-05-27 15:00"


def test_the_contact_work_list_is_found_by_key_and_by_folder(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH036": NO_USER})
    for name in (KEY, str(desk.house.campaigns / KEY)):
        assert [(t.code, t.trouble) for t in contact_work(desk.house, name)] == [("BH036", "unreached")]
    with pytest.raises(FileNotFoundError, match="Known campaigns"):
        contact_work(desk.house, "no-such-month")


def test_before_the_launch_the_contact_work_list_is_the_roster_s(desk: Desk, house: Path, tmp_path: Path) -> None:
    campaigns = tmp_path / "campaigns"
    folder = shutil.copytree(house / "tests" / "campaigns" / "flood-season-2023", campaigns / "flood-season-2023")
    shutil.copytree(house / "campaigns" / "calendar", campaigns / "calendar")
    roster = folder / "units.csv"
    roster.write_bytes(roster.read_bytes().replace(b"a@sk1.example,b@sk1.example", b"a at sk1,"))
    found = contact_work(replace(desk.house, campaigns=campaigns), "flood-season-2023")
    assert [(t.code, t.trouble, t.phones) for t in found] == [("SK01", "unreached", ("0570-2",))]
