"""A campaign's clock: what it shows at a moment of the wall's, so that a month may pass in minutes."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Shows ``shows`` when the wall's clock shows ``at``, and runs ``speed`` times as fast. Instants aware."""

    shows: datetime
    at: datetime
    speed: float

    def moment(self, wall: datetime) -> datetime:
        """Return the moment of the campaign at a moment of the wall's clock."""
        return self.shows + (wall - self.at) * self.speed

    def wall(self, moment: datetime) -> datetime:
        """Return when the wall's clock shows a moment of the campaign."""
        return self.at + (moment - self.shows) / self.speed
