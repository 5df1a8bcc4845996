"""Names of runs: of which moment a run is, when its worker fetched it ahead of time."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tasks import naming

NINE = datetime(2020, 6, 3, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scheduled", "is_now", "named_after"),
    [
        (NINE, NINE - timedelta(seconds=8), NINE),
        (NINE, NINE + timedelta(minutes=5), NINE + timedelta(minutes=5)),
        (None, NINE, NINE),
    ],
    ids=["fetched ahead", "late", "not scheduled"],
)
def test_a_run_fetched_ahead_is_named_after_the_moment_it_is_scheduled_at(
    monkeypatch: pytest.MonkeyPatch, scheduled: datetime | None, is_now: datetime, named_after: datetime
) -> None:
    asked: list[datetime] = []
    run = SimpleNamespace(parameters={"campaign": "month"}, flow_name="remind", scheduled_start_time=scheduled)
    monkeypatch.setattr(naming, "flow_run", run)
    monkeypatch.setattr(naming, "now", lambda: is_now)
    monkeypatch.setattr(naming, "premises", lambda: None)

    def title(_: object, __: str, flow: str, moment: datetime) -> str:
        asked.append(moment)
        return flow

    monkeypatch.setattr(naming, "run_title", title)
    assert naming.run_name() == "remind"
    assert asked == [named_after]
