"""Operators are told of broken runs: by mail, each run once, one mail a day and flow."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from definition.loading import LoadedCampaign
from ledger.tables import MessageRow
from office.broken_runs import BrokenRun, tell_operators
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, Desk, act, local
from tests.office.test_review import last_mail

MORNING = local(6, 3, 9)


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    with launched(cast, tmp_path, ledger_url) as opened:
        opened.send(local(5, 27, 15))
        yield opened


def broken(id_: str, flow: str = "collect", campaign: str = KEY, said: str = "the mailbox is away") -> BrokenRun:
    at = MORNING - timedelta(minutes=1)
    return BrokenRun(id=id_, flow=flow, campaign=campaign, name=f"收件 {id_}", state="Failed", said=said, at=at)


def tell(desk: Desk, at: datetime, *runs: BrokenRun) -> dict[str, int]:
    with desk.house.ledger.writing() as session:
        return dict(tell_operators(session, desk.house, act(at), runs))


def alerts(desk: Desk) -> list[tuple[str, list[str]]]:
    with desk.house.ledger.reading() as session:
        query = select(MessageRow).where(MessageRow.notice == "alert").order_by(MessageRow.id)
        return [(row.occasion, sorted(row.detail["runs"])) for row in session.scalars(query)]


def test_runs_that_broke_together_are_told_in_one_mail_with_what_the_system_said(desk: Desk) -> None:
    assert tell(desk, MORNING, broken("a"), broken("b")) == {KEY: 2}
    assert alerts(desk) == [("alert:run:collect:2020-06-03", ["a", "b"])]
    desk.send(MORNING)
    text = last_mail(desk, "alert")[1]
    assert "“收件”没有正常完成" in text
    assert "收件 a：运行失败（系统信息：the mailbox is away）" in text


def test_a_run_is_told_once_however_often_it_is_found(desk: Desk) -> None:
    tell(desk, MORNING, broken("a"))
    assert tell(desk, MORNING, broken("a")) == {}
    desk.send(MORNING)
    assert tell(desk, MORNING + timedelta(days=1), broken("a")) == {}


def test_what_breaks_before_the_mail_is_written_is_in_it(desk: Desk) -> None:
    tell(desk, MORNING, broken("a"))
    assert tell(desk, MORNING, broken("a"), broken("b")) == {KEY: 1}
    assert alerts(desk) == [("alert:run:collect:2020-06-03", ["a", "b"])]


def test_what_breaks_after_it_is_told_the_next_morning_and_another_flow_at_once(desk: Desk) -> None:
    tell(desk, MORNING, broken("a"))
    desk.send(MORNING)
    tell(desk, MORNING, broken("b"), broken("c", flow="deliver"))
    assert alerts(desk) == [
        ("alert:run:collect:2020-06-03", ["a"]),
        ("alert:run:collect:2020-06-04", ["b"]),
        ("alert:run:deliver:2020-06-03", ["c"]),
    ]


@pytest.mark.parametrize("campaign", ["", "never-launched"])
def test_a_run_of_no_campaign_that_has_an_office_is_told_to_those_under_way(desk: Desk, campaign: str) -> None:
    assert tell(desk, MORNING, broken("a", flow="reconcile", campaign=campaign)) == {KEY: 1}
    desk.send(MORNING)
    assert "“对账”没有正常完成" in last_mail(desk, "alert")[1]


def test_what_the_system_said_is_one_short_line(desk: Desk) -> None:
    tell(desk, MORNING, broken("a", said="Traceback:\n" + "x" * 5000))
    desk.send(MORNING)
    text = last_mail(desk, "alert")[1]
    assert "Traceback: xxx" in text
    assert "x" * 300 not in text


def test_moments_are_the_campaigns_local_ones(desk: Desk) -> None:
    assert MORNING.astimezone(UTC).hour == 1
    tell(desk, MORNING, broken("a"))
    desk.send(MORNING)
    assert "8:59 收件 a" in last_mail(desk, "alert")[1] or "08:59 收件 a" in last_mail(desk, "alert")[1]


def test_a_run_told_of_as_late_is_told_of_again_when_it_breaks(desk: Desk) -> None:
    late = replace(broken("a"), state="Late", said="")
    assert tell(desk, MORNING, late) == {KEY: 1}
    assert tell(desk, MORNING, late) == {}
    desk.send(MORNING)
    assert tell(desk, MORNING + timedelta(hours=1), broken("a")) == {KEY: 1}
