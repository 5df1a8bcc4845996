"""Faults of a campaign folder: where, what is wrong, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Gravity(StrEnum):
    """Whether a fault stops the campaign."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, printed as ``campaign.yaml:41: what is wrong — what to do``."""

    file: str
    line: int | None
    problem: str
    remedy: str
    gravity: Gravity = Gravity.ERROR

    def __str__(self) -> str:
        """Return the line an operator reads."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.problem} — {self.remedy}"


class FaultyCampaign(Exception):  # noqa: N818  it is what was found
    """A campaign folder has faults; all of them are in ``faults``."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults; the message lists them."""
        super().__init__("\n".join(str(f) for f in faults))
        self.faults = tuple(faults)
