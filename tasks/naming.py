"""Names of runs, as a person would say them: 提醒 · 活动计划表 · 距截止 2 天."""

from datetime import datetime

from prefect.runtime import flow_run

from office.timetable import run_title
from rules.timetable import utc
from tasks.desk import clock, moment_of, now, premises


def run_name() -> str:
    """Return the name of the current run from its flow and parameters.

    A worker fetches a run some seconds ahead, so the moment a run is scheduled at counts where it is still to come;
    before it, a reminder would be named after the step before.
    """
    parameters = flow_run.parameters
    as_of = parameters.get("as_of")
    if isinstance(as_of, str):
        as_of = utc(datetime.fromisoformat(as_of))
    return run_title(premises(), str(parameters["campaign"]), str(flow_run.flow_name), _moment(as_of))


def _moment(as_of: datetime | None) -> datetime:
    """Return the moment given, or now, but not before the moment the run is scheduled at."""
    if as_of is not None:
        return moment_of(as_of)
    scheduled: datetime | None = flow_run.scheduled_start_time
    return max(now(), clock().moment(scheduled)) if scheduled is not None else now()
