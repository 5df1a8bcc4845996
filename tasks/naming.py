"""Names of runs, as a person would say them: 提醒 · 活动计划表 · 距截止 2 天."""

from datetime import datetime

from prefect.runtime import flow_run

from office.timetable import run_title
from rules.timetable import utc
from tasks.desk import moment_of, premises


def run_name() -> str:
    """Return the name of the current run from its flow and parameters."""
    parameters = flow_run.parameters
    as_of = parameters.get("as_of")
    if isinstance(as_of, str):
        as_of = utc(datetime.fromisoformat(as_of))
    return run_title(premises(), str(parameters["campaign"]), str(flow_run.flow_name), moment_of(as_of))
