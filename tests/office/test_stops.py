"""Stops: nothing leaves that is on hold, a release lets go exactly what it names, and staff see how lanes stand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from definition.loading import LoadedCampaign
from ledger import audit, senders
from ledger.campaigns import find_campaign
from ledger.errors import UnknownHold
from ledger.outbox import Result, attempts_of, record
from ledger.tables import MessageRow, MessageState
from office.alerts import alert_lines
from office.stops import HOME, LaneView, hold, lanes_now, release, scope_of, stops_in_words, zone_of_house
from rules.lanes import Lane, LanePace
from tests.office.test_mailbook import LANES, LOST, UNWELCOME, answered, launched, mail_of
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_office import KEY, LAUNCH, Desk, act

ALL, CAMPAIGN, TENCENT = "all", f"campaign:{KEY}", "lane:tencent"


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        yield opened


def held(desk: Desk, scope: str, grounds: str = "值班电话要求暂停") -> bool:
    with desk.house.ledger.writing() as session:
        return hold(session, act(LAUNCH), scope, grounds)


def released(desk: Desk, scope: str, grounds: str = "已查明") -> int:
    with desk.house.ledger.writing() as session:
        return release(session, act(LAUNCH), scope, grounds)


def lanes(desk: Desk, now: datetime | None = None) -> dict[str, LaneView]:
    with desk.house.ledger.reading() as session:
        return {view.name: view for view in lanes_now(session, desk.house, now or datetime.now(UTC))}


@pytest.mark.parametrize(("scope", "stopped"), [(ALL, 3), (CAMPAIGN, 3), (TENCENT, 1), ("campaign:another", 0)])
def test_what_is_on_hold_does_not_leave_until_it_is_released(desk: Desk, scope: str, stopped: int) -> None:
    assert held(desk, scope)
    shard = answered(desk, LAUNCH, {})
    assert (len(shard.envelopes), list(shard.unsent.values())) == (3 - stopped, ["held"] * stopped)
    assert released(desk, scope) == 0
    assert len(answered(desk, LAUNCH, {}).envelopes) == stopped


def test_a_hold_is_placed_once_and_a_release_needs_one(desk: Desk) -> None:
    assert held(desk, TENCENT)
    assert not held(desk, TENCENT)
    released(desk, TENCENT)
    with pytest.raises(UnknownHold, match="on hold: nothing"):
        released(desk, TENCENT)


@pytest.mark.parametrize("grounds", ["", "  "])
def test_nobody_stops_or_releases_without_grounds(desk: Desk, grounds: str) -> None:
    with pytest.raises(ValueError, match="grounds"):
        held(desk, ALL, grounds)
    held(desk, ALL)
    with pytest.raises(ValueError, match="grounds"):
        released(desk, ALL, grounds)


@pytest.mark.parametrize(
    ("campaign", "lane", "scope"),
    [(None, None, ALL), (KEY, None, CAMPAIGN), (None, "tencent", TENCENT), (None, "default", "lane:default")],
)
def test_a_stop_is_about_everything_a_campaign_or_a_lane(
    desk: Desk, campaign: str | None, lane: str | None, scope: str
) -> None:
    with desk.house.ledger.reading() as session:
        assert scope_of(session, desk.house, campaign, lane) == scope


@pytest.mark.parametrize(
    ("campaign", "lane", "said"),
    [
        ("no-such-month", None, f"no campaign 'no-such-month'; there are {KEY}"),
        (None, "netease", "no lane 'netease'; there are tencent, default"),
        (KEY, "tencent", "not both"),
    ],
)
def test_an_unknown_campaign_or_lane_is_refused_with_the_known_ones(
    desk: Desk, campaign: str | None, lane: str | None, said: str
) -> None:
    with desk.house.ledger.reading() as session, pytest.raises(ValueError, match=said):
        scope_of(session, desk.house, campaign, lane)


def test_a_campaign_that_only_lies_ready_can_be_stopped_before_its_launch(desk: Desk, house: Path) -> None:
    ready = replace(desk.house, campaigns=house / "tests" / "campaigns")
    with desk.house.ledger.reading() as session:
        assert scope_of(session, ready, "flood-season-2023", None) == "campaign:flood-season-2023"


def test_a_released_lane_sends_again_what_its_provider_had_refused(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH036": UNWELCOME})
    mail = mail_of(desk, "BH036")
    assert (mail.state, lanes(desk)["tencent"].held) == ("held", 1)
    assert released(desk, TENCENT, "SPF 记录已更正") == 1
    again = mail_of(desk, "BH036")
    assert (again.state, again.message_id, lanes(desk)["tencent"].held) == ("deferred", mail.message_id, 0)
    with desk.house.ledger.reading() as session:
        last = attempts_of(session, mail.id)[-1]
        assert (last.state, last.lane) == ("deferred", "tencent")
        assert last.smtp_text == "the lane tencent was released: SPF 记录已更正"
        assert audit.verify(session).fault == ""
    shard = answered(desk, LAUNCH, {})
    assert mail.id in {envelope.id for envelope in shard.envelopes}


def test_a_held_mail_that_was_never_tried_is_planned_again(desk: Desk) -> None:
    mail = mail_of(desk, "BH036")
    held(desk, TENCENT)
    with desk.house.ledger.writing() as session:
        result = Result(message_id=mail.id, state=MessageState.HELD, lane="tencent")
        record(session, act(LAUNCH), mail.campaign_id, [result])
        session.get_one(MessageRow, mail.id).lane = "tencent"
    assert released(desk, TENCENT) == 1
    assert mail_of(desk, "BH036").state == "planned"


@pytest.mark.parametrize("scope", [ALL, CAMPAIGN, "lane:default"])
def test_only_the_lane_s_own_release_returns_what_it_holds(desk: Desk, scope: str) -> None:
    answered(desk, LAUNCH, {"BH036": UNWELCOME})
    held(desk, scope)
    assert released(desk, scope) == 0
    assert mail_of(desk, "BH036").state == "held"


def test_mail_that_waits_is_counted_in_the_lane_in_which_it_would_go_now(desk: Desk) -> None:
    assert {name: view.waiting for name, view in lanes(desk).items()} == {"tencent": 1, "default": 2}
    answered(desk, LAUNCH, {"BH001": LOST})
    assert {name: view.waiting for name, view in lanes(desk).items()} == {"tencent": 0, "default": 0}


def test_a_slowed_lane_shows_its_pace_and_until_when_it_is_closed(desk: Desk) -> None:
    now = datetime.now(UTC)
    slow = LanePace(pace=0.25, slowed_at=now, closed_until=now + timedelta(minutes=2))
    with desk.house.ledger.writing() as session:
        senders.slow_lane(session, "tencent", slow, "421 too fast")
    view = lanes(desk, now)["tencent"]
    assert (view.pace, view.closed_until, view.reason) == (0.25, slow.closed_until, "421 too fast")
    later = lanes(desk, now + timedelta(minutes=30))["tencent"]
    assert (later.pace, later.closed_until, later.reason) == (1.0, None, "")


def test_a_lane_that_settings_no_longer_name_is_shown_and_can_be_released(desk: Desk) -> None:
    answered(desk, LAUNCH, {"BH036": UNWELCOME})
    desk.house = replace(desk.house, lanes=(Lane(name="default", connections=1, messages_per_connection=1),))
    view = lanes(desk)["tencent"]
    assert (view.lane, view.held, view.stopped is not None) == (None, 1, True)
    with desk.house.ledger.reading() as session:
        assert scope_of(session, desk.house, None, "tencent") == TENCENT
    assert released(desk, TENCENT) == 1
    assert list(lanes(desk)) == ["default"]


def test_the_tally_s_stops_are_those_that_concern_the_campaign_in_words(desk: Desk) -> None:
    for scope in (ALL, CAMPAIGN, "campaign:another", TENCENT):
        held(desk, scope, "线路\n故障")
    with desk.house.ledger.reading() as session:
        said = stops_in_words(session, desk.house, KEY)
    assert said == ("全部邮件：线路 故障", f"活动“{KEY}”：线路 故障", "通道“tencent”：线路 故障")


def test_staff_read_the_clock_of_the_campaign_launched_last(desk: Desk) -> None:
    with desk.house.ledger.reading() as session:
        assert zone_of_house(session).key == HOME.key == "Asia/Shanghai"
    assert [lane.name for lane in LANES] == list(lanes(desk))


def test_the_alert_about_a_lane_quotes_what_the_provider_said(desk: Desk) -> None:
    with desk.house.ledger.reading() as session:
        campaign = find_campaign(session, KEY)
        alert = alert_lines(session, campaign, {"topic": "lane:tencent", "said": "554 5.7.1 SPF failed"})
    assert alert.lines == ("对方邮件服务器的答复：“554 5.7.1 SPF failed”",)
    assert 'muster release --lane tencent --grounds "原因"' in alert.remedy
