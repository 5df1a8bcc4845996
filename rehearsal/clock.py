"""The world's clock: moved by hand."""

from dataclasses import dataclass
from datetime import datetime


@dataclass
class WorldClock:
    """What the world takes for now; an aware instant."""

    now: datetime
