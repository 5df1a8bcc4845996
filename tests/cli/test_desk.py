"""Every row of the staff queue has a verb: mails that came in, versions, queries, requests, calls, originals."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from definition.models import Review
from ledger.campaigns import find_party, mark_contact_bad
from ledger.tables import CallRow, ContactRow, FindingRow, IntakeRow, MessageRow, ObligationRow, SubmissionRow
from office.links import LinkState, open_link
from office.requests import ask_extension
from portal.serving import listen_on
from rehearsal.clerk import Manner
from rules.obligations import Standing
from settings import Settings
from tests.cli.conftest import Door
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local

UNIT = "BH001"
LIAISON = ("--role", "liaison")
WHY = ("--grounds", "电话核实")


@pytest.fixture
def cast_reviewed(cast: LoadedCampaign) -> LoadedCampaign:
    """Return the campaign with its 活动方案 reviewed by staff and asked for on paper; 综合情况 may be nil."""
    updates: dict[str, dict[str, object]] = {
        "scheme": {"review": Review.STAFF, "original": True},
        "report": {"nil_return": True},
    }
    changed = tuple(d.model_copy(update=updates.get(d.key, {})) for d in cast.campaign.deliverables)
    return replace(cast, campaign=cast.campaign.model_copy(update={"deliverables": changed}))


@pytest.fixture
def desk(cast_reviewed: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    with launched(cast_reviewed, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        opened.send(local(5, 27, 15))
        yield opened


def state_of(desk: Desk, number: int = 1) -> tuple[str, str]:
    with desk.house.ledger.reading() as session:
        row = session.get_one(IntakeRow, number)
        return row.state, row.reason


def stranger(desk: Desk, name: str = "扫描件.pdf", content: bytes = b"%PDF-1 stranger") -> None:
    """Let somebody unknown send a file."""
    desk.receive(local(6, 1), UNIT, name, content, sender="who@else.example", to="muster@office.example")


def test_a_stranger_s_file_is_assigned_to_its_unit_which_gets_the_answer(door: Door, desk: Desk) -> None:
    stranger(desk)
    assert "nothing of in-1 could be taken in" in door("assign", "in-1", UNIT, *WHY)[2]
    assert state_of(desk)[0] == "queued"
    status, said, _ = door("assign", "in-1", UNIT, "--deliverable", "活动综合情况", *WHY)
    assert status == 0
    assert f"1 recorded for {UNIT}; in-1 is closed. The answer is planned:" in said
    assert desk.standings(UNIT)["report"] is Standing.ACCEPTED
    assert "in-1 " not in door("queue")[1]
    assert "does not wait for a person any more" in door("assign", "in-1", UNIT, *WHY)[2]
    desk.send(local(6, 1))
    with desk.house.ledger.reading() as session:
        receipt = session.scalars(select(MessageRow).where(MessageRow.notice == "receipt")).one()
        assert (receipt.address, receipt.state) == ("duty@bureau.example", "sent")


def test_a_document_that_names_nothing_is_assigned_after_its_unit_was_asked(door: Door, desk: Desk) -> None:
    desk.receive(local(6, 1), UNIT, "扫描件.pdf", b"%PDF-1 text")
    assert state_of(desk)[0] == "queued"
    assert door("assign", "in-1", UNIT, "--deliverable", "report", *WHY)[0] == 0
    assert desk.standings(UNIT)["report"] is Standing.ACCEPTED


def test_a_stranger_is_answered_and_becomes_nobody_s_contact(door: Door, desk: Desk) -> None:
    stranger(desk)
    assert "in-1 is answered by mail" in door("answer", "in-1", "请用单位邮箱报送。")[1]
    desk.send(local(6, 1))
    with desk.house.ledger.reading() as session:
        mail = session.scalars(select(MessageRow).where(MessageRow.notice == "answer")).one()
        assert (mail.address, mail.state) == ("who@else.example", "sent")
    shown = door("mail", str(mail.id))[1]
    assert "请用单位邮箱报送。" in shown
    assert state_of(desk) == ("done", f"answered by mail {mail.id}")
    stranger(desk, "又一份.pdf", b"%PDF-2")
    assert state_of(desk, 2) == ("queued", "no token and no known sender")


def test_a_mail_that_asks_for_nothing_is_dismissed_with_grounds(door: Door, desk: Desk) -> None:
    stranger(desk)
    assert "say on what grounds" in door("dismiss", "in-1", "--grounds", " ")[2]
    assert door("dismiss", "in-1", "--grounds", "广告")[0] == 0
    assert state_of(desk) == ("done", "dismissed: 广告")


def test_a_version_reviewed_by_staff_waits_and_is_accepted_returned_and_reopened(
    door: Door, desk: Desk, tmp_path: Path
) -> None:
    desk.receive(local(6, 1), UNIT, "活动方案.pdf", b"%PDF-1 text")
    assert desk.standings(UNIT)["scheme"] is Standing.SUBMITTED
    listed = door("queue")[1]
    assert "1 to be judged" in listed
    assert "muster accept 1 or return 1" in " ".join(door("queue", width=300)[1].split())
    status, _, _ = door("files", "1", "--to", str(tmp_path / "out"))
    assert status == 0
    assert (tmp_path / "out" / "1-1-活动方案.pdf").read_bytes() == b"%PDF-1 text"
    assert "exists already" in door("files", "1", "--to", str(tmp_path / "out"))[2]
    assert "is accepted; the receipt is planned" in door("accept", "1", *WHY)[1]
    assert door("reopen", "1", "--grounds", "点错了")[0] == 0
    assert desk.standings(UNIT)["scheme"] is Standing.SUBMITTED
    assert "'soon' is no deadline" in door("return", "1", "缺少附表", "--due", "soon")[2]
    assert "the campaign closed on 2020-07-10; first" in door("return", "1", "缺少附表", "--due", "2020-07-11")[2]
    assert "say on what grounds it is returned" in door("return", "1")[2]
    assert desk.standings(UNIT)["scheme"] is Standing.SUBMITTED
    assert "there is no submission 99" in door("accept", "99", *WHY)[2]


def test_a_nil_return_by_telephone_is_recorded_with_grounds_and_time_and_answered(door: Door, desk: Desk) -> None:
    by_phone = ("hand-in", KEY, UNIT, "--received", "2020-06-20T10:00", "--grounds", "值班员来电")
    assert "`muster go-live" not in (said := door(*by_phone, "--nil", "活动综合情况"))[1]
    assert said[0] == 0
    assert f"the nil return of {UNIT} is recorded; the receipt is planned: it leaves with" in said[1]
    assert desk.standings(UNIT)["report"] is Standing.ACCEPTED
    with desk.house.ledger.reading() as session:
        version = session.scalars(select(SubmissionRow)).one()
        assert (version.channel, version.grounds, version.received_at) == ("phone", "值班员来电", local(6, 20, 10))
        assert version.entered_by.startswith("staff:")
    assert "had handed in that nil return before" in door(*by_phone, "--nil", "report")[1]
    assert "plan takes no nil return" in door(*by_phone, "--nil", "附件2")[2]
    assert "no deliverable '附件9'" in door(*by_phone, "--nil", "附件9")[2]
    assert "or no file and --nil DELIVERABLE" in door(*by_phone, "x.pdf", "--nil", "report")[2]
    assert "or no file and --nil DELIVERABLE" in door(*by_phone)[2]
    assert "--occurrence is for --nil" in door(*by_phone, "x.pdf", "--occurrence", "2020-06-20")[2]
    assert "say on what grounds" in door(*by_phone[:-1], " ", "--nil", "report")[2]


def test_a_query_is_listed_with_its_proposal_and_confirmed(door: Door, desk: Desk) -> None:
    desk.receive(local(6, 20), UNIT, "表.xlsx", desk.form_of(UNIT, "progress", Manner.ABOUT))
    listed = door("findings", "--unit", UNIT)[1]
    assert "约300人" in listed
    queue = door("queue", width=300)[1]
    assert "1 queries nobody has answered" in queue
    row = next(line for line in queue.splitlines() if "约300人" in line)
    assert "muster confirm 2 " in row
    assert "300 " in row
    with desk.house.ledger.reading() as session:
        number = session.scalars(select(FindingRow.id).where(FindingRow.severity == "query")).one()
    for bad, said in (("1.5", "应为整数"), ("-1", "不能小于0")):
        refused = door("confirm", str(number), "--value", bad, *WHY)[2]
        assert said in "".join(refused.split()), refused
        assert "not_whole" not in refused
        assert "too_small" not in refused
    assert "answered with 300; submission 1 is accepted" in door("confirm", str(number), *WHY)[1]
    assert "was answered before" in door("confirm", str(number), *WHY)[2]
    assert "0 to be answered" in door("findings")[1]


def test_versions_show_which_figures_changed(door: Door, desk: Desk) -> None:
    desk.receive(local(6, 20), UNIT, "表.xlsx", desk.form_of(UNIT, "progress", seed=1))
    desk.receive(local(6, 21), UNIT, "表.xlsx", desk.form_of(UNIT, "progress", seed=2))
    shown = door("versions", UNIT, "附件4")[1]
    assert "version 2: what changed" in shown
    assert "2 versions" in shown
    assert "no deliverable '附件9'" in door("versions", UNIT, "附件9")[2]


def test_a_request_is_listed_granted_and_refused(door: Door, desk: Desk) -> None:
    def ask(number: int) -> None:
        with desk.house.ledger.writing() as session:
            party = find_party(session, 1, UNIT)
            mine = session.scalars(select(ObligationRow.id).where(ObligationRow.party_id == party.id)).all()
            who = replace(act(local(5, 29)), actor=f"unit:{UNIT}")
            ask_extension(session, desk.house, who, party, mine[number], until=date(2020, 7, 8), reason="人手不足")

    ask(0)
    ask(1)
    listed = door("requests", KEY)[1]
    assert "2 to be decided" in listed
    assert "2020-07-08" in listed
    assert "is refused; the unit is told" in door("refuse", "2", "--grounds", "请按时报送")[1]
    assert "was decided before" in door("refuse", "2", "--grounds", "请按时报送")[2]
    assert "there is no request 9" in door("grant", "9", *WHY)[2]


def test_whom_no_mail_reaches_is_telephoned_and_the_contact_corrected(door: Door, desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        for contact in session.scalars(select(ContactRow).where(ContactRow.party_id == desk.party("BH036"))):
            mark_contact_bad(session, act(local(5, 28)), contact, "refused: 550 5.1.1 no such user")
    assert "022-1" in door("calls", KEY)[1]
    assert door("call", "BH036", "--said", "王芳称明日报送", "--deliverable", "附件2")[0] == 0
    assert "王芳称明日报送" in door("calls", KEY)[1]
    with desk.house.ledger.reading() as session:
        assert session.scalars(select(CallRow.obligation_id)).one() is not None
    status, said, _ = door("contact", "BH036", *LIAISON, "--email", "New@bureau.example", "--name", "王芳", *WHY)
    assert status == 0
    assert "new@bureau.example is the first liaison of BH036 from now on" in said
    assert "0 to telephone" in door("calls", KEY)[1]
    assert "already" in door("contact", "BH036", *LIAISON, "--email", "new@bureau.example", *WHY)[2]
    assert "is no e-mail address" in door("contact", "BH036", *LIAISON, "--email", "nobody", *WHY)[2]


def test_a_contact_without_a_role_is_asked_which_one_it_is(door: Door) -> None:
    asked = door("contact", "BH001", "--email", "new@bureau.example", *WHY)
    assert asked[0] == 1
    assert "with --role which contact of BH001 it is: liaison (nobody), duty (duty@bureau.example)" in asked[2]
    assert "responsible" in asked[2]
    assert "'boss' is no role of a contact; use liaison, duty, responsible" in " ".join(
        door("contact", "BH001", "--role", "boss", "--email", "new@bureau.example", *WHY)[2].split()
    )


def test_a_sealed_original_is_outstanding_until_it_is_received(door: Door, desk: Desk) -> None:
    desk.receive(local(6, 1), UNIT, "活动方案.pdf", b"%PDF-1 text")
    assert "1 outstanding" in door("originals", KEY)[1]
    assert "纸质原件未收" in door("board", KEY)[1]
    assert door("original", UNIT, "活动方案", "--received", "2020-06-03T10:00", *WHY)[0] == 0
    assert "0 outstanding" in door("originals", KEY)[1]
    assert "纸质原件已收" in door("board", KEY)[1]
    assert "no sealed original is asked for" in door("original", UNIT, "附件2", "--received", "2020-06-03T10:00")[2]


def test_a_unit_that_is_none_is_refused_in_a_sentence(door: Door) -> None:
    assert "no unit 'XX' takes part" in door("versions", "XX", "plan")[2]
    assert "all links of BH001" in door("revoke-links", UNIT, *WHY)[1]


def test_a_link_is_given_out_for_some_days_and_only_where_there_is_a_page(
    door: Door, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "MUSTER_PORTAL_URL is not set" in door("link", UNIT)[2]
    monkeypatch.setattr("cli.portal.premises", lambda: replace(desk.house, portal_url="https://pages.example"))
    status, said, _ = door("link", UNIT, "--days", "3")
    assert status == 0
    assert "holds for 3 days" in said
    text = said.partition("/u/")[2].split()[0]
    with desk.house.ledger.reading() as session:
        now = datetime.now(UTC)
        assert open_link(session, desk.house, text, now + timedelta(days=2.9)).state is LinkState.VALID
        assert open_link(session, desk.house, text, now + timedelta(days=3.1)).state is LinkState.EXPIRED
    assert "no unit 'BH999'" in door("link", "BH999")[2]
    assert "no unit 'bh001'" in door("findings", "--unit", "bh001")[2]


def test_the_portal_names_its_address_only_once_it_has_it(bare_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settings.settings", lambda: Settings(portal_url="https://pages.example"))
    monkeypatch.setattr("cli.portal.portal_app", lambda: None)
    served: list[tuple[str, int]] = []
    monkeypatch.setattr("portal.serving.run_alone", lambda _, door, **__: served.append(door.getsockname()))
    with listen_on("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        status, said, complained = bare_door("portal", "--port", port)
    assert (status, said, served) == (1, "", [])
    assert f"no pages can be served on 127.0.0.1:{port}: Address already in use; end what listens there" in complained
    status, said, _ = bare_door("portal", "--port", port)
    assert (status, served) == (0, [("127.0.0.1", int(port))])
    assert f"units' pages on 127.0.0.1:{port}, reached as https://pages.example" in said
