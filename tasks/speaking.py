"""What a run says of itself in its log, which is what the run UI shows first."""

import logging
from collections.abc import Iterable

from prefect.logging.handlers import APILogHandler

# A logger of its own: its lines reach the run's page however little of Prefect's own is logged, and no terminal.
_log = logging.getLogger("muster.run")
_log.setLevel(logging.INFO)
_log.propagate = False
_log.addHandler(APILogHandler())


def say(sentences: Iterable[str]) -> None:
    """Say sentences in the log of the current run."""
    for sentence in sentences:
        _log.info(sentence)
